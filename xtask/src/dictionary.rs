//! This file counts which letters of the firmware's texts stand together most often, and writes
//! them where `init_core::packed` packs the texts with them.
//!
//! The pair that occurs most often becomes one entry, and so on with what is left: byte pair
//! encoding. A dictionary that is not of today's texts is right as well, and packs a little worse;
//! that is why nobody has to write it anew for each word.

use crate::house;
use anyhow::{Context, Result, ensure};
use qemu_tests::progress::say;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// One for each byte that is no letter of ASCII: control characters are none, but for 0 and the end
/// of a line.
const ENTRIES: usize = 158;

/// Where a line of the list must end.
const COLUMNS: usize = 100;

/// Writes the dictionary anew.
///
/// # Errors
/// The sources cannot be read, or their texts are too few.
pub fn run() -> Result<()> {
    let texts = texts()?;
    let bytes: usize = texts.iter().map(String::len).sum();
    say(&format!(
        "counting in {} texts of {bytes} bytes",
        texts.len()
    ));
    let (entries, left) = count(&texts)?;
    let file = house::root().join("init-core/src/dictionary.rs");
    fs::write(&file, listed(&entries)).with_context(|| file.display().to_string())?;
    let tables = entries.len().saturating_mul(2);
    println!("{bytes} bytes of texts are {left}, and the dictionary {tables}");
    Ok(())
}

/// All texts that firmware packs: the literals of `packed!` and `texts!`, and the help.
fn texts() -> Result<Vec<String>> {
    let mut texts = Vec::new();
    let mut open: Vec<PathBuf> = ["init-core/src", "hal-linux/src"]
        .map(|folder| house::root().join(folder))
        .to_vec();
    while let Some(place) = open.pop() {
        let list = fs::read_dir(&place).with_context(|| place.display().to_string())?;
        for entry in list {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                packed_in(&path, &mut texts)?;
            }
        }
    }
    texts.sort();
    texts.dedup();
    Ok(texts)
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| path.display().to_string())
}

/// What a source file packs; what it includes lies beside it.
fn packed_in(path: &Path, texts: &mut Vec<String>) -> Result<()> {
    for literal in packed(&read(path)?) {
        texts.push(match literal.ends_with(".txt") {
            true => read(&path.with_file_name(literal))?,
            false => literal,
        });
    }
    Ok(())
}

/// The literals within the parentheses of each such macro, up to a file's tests.
fn packed(source: &str) -> Vec<String> {
    let source = source.split("mod tests {").next().unwrap_or_default();
    let mut found = Vec::new();
    for name in ["packed!(", "texts!("] {
        for (at, _) in source.match_indices(name) {
            let rest = source.get(at.saturating_add(name.len())..);
            literals(rest.unwrap_or_default(), &mut found);
        }
    }
    found
}

/// The literals up to the parenthesis that closes what is open.
fn literals(source: &str, texts: &mut Vec<String>) {
    let mut depth = 1_u32;
    let mut letters = source.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '(' => depth = depth.saturating_add(1),
            ')' => depth = depth.saturating_sub(1),
            '"' => texts.push(literal(&mut letters)),
            _ => {}
        }
        if depth == 0 {
            return;
        }
    }
}

/// What a literal means, up to its end.
fn literal(letters: &mut std::str::Chars<'_>) -> String {
    let mut text = String::new();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => break,
            '\\' => match letters.next() {
                Some('n') => text.push('\n'),
                // The line goes on behind the blanks of the next one.
                Some('\n') => *letters = letters.as_str().trim_start().chars(),
                other => text.extend(other),
            },
            _ => text.push(letter),
        }
    }
    text
}

/// The entries, sorted, and how many bytes the texts are when pairs are put together in the order
/// in which they were found.
fn count(texts: &[String]) -> Result<(Vec<String>, usize)> {
    let mut pieces: Vec<Vec<String>> = texts
        .iter()
        .map(|text| text.chars().map(String::from).collect())
        .collect();
    let mut entries = Vec::new();
    while entries.len() < ENTRIES {
        let pair = most_often(&pieces).context("the texts are too few for a dictionary")?;
        let entry = pair.concat();
        for text in &mut pieces {
            join(text, &pair, &entry);
        }
        if !entries.contains(&entry) {
            entries.push(entry);
        }
    }
    entries.sort();
    ensure!(
        entries.iter().all(|entry| entry.is_ascii()),
        "a text is not of ASCII"
    );
    Ok((entries, pieces.iter().map(Vec::len).sum()))
}

/// The pair that occurs most often; of several, the last by the alphabet. Lines are not joined:
/// one line is found without unpacking those before it.
fn most_often(pieces: &[Vec<String>]) -> Option<[String; 2]> {
    let mut counts = BTreeMap::new();
    for pair in pieces.iter().flat_map(|text| text.windows(2)) {
        if let [first, second] = pair
            && first != "\n"
            && second != "\n"
        {
            *counts.entry([first, second]).or_insert(0_u32) += 1;
        }
    }
    let (pair, _) = counts.into_iter().max_by_key(|&(_, count)| count)?;
    Some(pair.map(String::clone))
}

fn join(text: &mut Vec<String>, pair: &[String; 2], entry: &str) {
    let mut at = 0_usize;
    while let Some(found) = text.get(at..at.saturating_add(2)) {
        if found == pair {
            text.splice(at..at.saturating_add(2), [entry.to_string()]);
        }
        at = at.saturating_add(1);
    }
}

/// The source of the list.
fn listed(entries: &[String]) -> String {
    let mut source = String::from(
        "//! This file is which letters of the firmware's texts stand together most often.\n\
         //!\n\
         //! Written by `cargo xtask dictionary`.\n\n\
         /// One byte each in a [`Packed`](crate::packed::Packed) text.\n\
         #[rustfmt::skip]\n\
         pub(crate) const DICTIONARY: [&str; 158] = [\n",
    );
    let mut row = String::from("   ");
    for entry in entries {
        let word = format!(" {entry:?},");
        if row.len().saturating_add(word.len()) > COLUMNS {
            source.push_str(&row);
            source.push('\n');
            row = String::from("   ");
        }
        row.push_str(&word);
    }
    source.push_str(&row);
    source.push_str("\n];\n");
    source
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_of_the_macros_are_found_and_others_are_not() {
        let source = r#"
            line.text("not this").say(packed!("a \"b\"\n"));
            texts!(it, Kind { One => "one", Two(x) => "two" }); let other = "nor this";
            say(packed!(
                "begins \
                 and ends",
            ));
            mod tests { packed!("no"); }
        "#;
        assert_eq!(
            packed(source),
            ["a \"b\"\n", "begins and ends", "one", "two"]
        );
    }

    #[test]
    fn what_stands_together_most_often_is_joined_first_and_never_over_lines() {
        let mut pieces = vec![
            ["x", "a", "b", "a", "b", "\n", "\n", "\n"]
                .map(String::from)
                .to_vec(),
        ];
        let pair = most_often(&pieces).unwrap();
        assert_eq!(pair, ["a", "b"]);
        join(&mut pieces[0], &pair, "ab");
        assert_eq!(pieces[0].concat(), "xabab\n\n\n");
        assert_eq!(pieces[0].len(), 6);
        assert!(most_often(&[vec!["a".to_string(), "\n".to_string()]]).is_none());
    }

    #[test]
    fn the_list_is_the_dictionary_that_the_core_packs_with_or_close_to_it() {
        let (entries, left) = count(&texts().unwrap()).unwrap();
        assert_eq!(entries.len(), ENTRIES);
        assert!(entries.is_sorted());
        let now = read(&house::root().join("init-core/src/dictionary.rs")).unwrap();
        let kept = entries
            .iter()
            .filter(|entry| now.contains(&format!(" {entry:?},")));
        // Half is what stands together in any texts of the house; the rest changes with them.
        assert!(kept.count() >= ENTRIES / 2, "cargo xtask dictionary");
        assert!(left > 0);
    }
}
