//! This file finds the places of a text where figures stand and puts today's there. What was not
//! measured stays as it is, and so does what differs by no more than it may.

use super::Measured;
use super::density::{HUNDREDTHS, PROGRAMS};
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;

/// What stands around figures: between the first two is what they are of.
const MARK: &str = "<!-- figures: ";
const MARK_END: &str = " -->";
const END: &str = "<!-- /figures -->";

/// What was measured.
#[derive(Debug, Clone)]
pub struct Known {
    /// What compiled the files.
    pub compiler: String,
    /// For each board the bytes of its files, by variant.
    pub files: BTreeMap<&'static str, Measured>,
    /// For each board what its guest told, in tenths.
    pub memory: BTreeMap<&'static str, Measured>,
    /// How much larger 64-bit code is than 32-bit code; nothing if that was not measured.
    pub density: Measured,
    /// By how much what is told may differ.
    pub slack: Slack,
}

/// By how much a text may differ from what was measured and stay as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slack {
    pub file_bytes: u64,
    pub memory_tenths: u64,
    pub calls_tenths: u64,
}

impl Slack {
    pub const NONE: Self = Self {
        file_bytes: 0,
        memory_tenths: 0,
        calls_tenths: 0,
    };
}

/// What a cell of the table tells of.
#[derive(Debug, Clone, Copy)]
enum Cell {
    File,
    Memory,
    Calls,
}

/// The cells of a board's row behind its name, and by what name each was measured.
const CELLS: [(Cell, &str); 9] = [
    (Cell::File, ""),
    (Cell::File, "mortal"),
    (Cell::File, "upgradable"),
    (Cell::File, "full"),
    (Cell::Memory, RESIDENT),
    (Cell::Memory, "anonymous and shared"),
    (Cell::Calls, "system calls a service"),
    (Cell::Memory, "wake-ups while idle"),
    (Cell::File, "keeper"),
];

const RESIDENT: &str = "resident memory";

/// The text with the figures of today.
///
/// # Errors
/// A mark has no end, or nobody knows what is to stand there.
pub fn rewritten(text: &str, known: &Known) -> Result<String> {
    let mut new = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once(MARK) {
        let (name, behind) = behind.split_once(MARK_END).context("a mark does not end")?;
        let (old, behind) = behind
            .split_once(END)
            .with_context(|| format!("the figures of {name} have no end: {END}"))?;
        let figures = match name {
            "table" => table(old, known),
            "compiler" => known.compiler.clone(),
            "density" => density(old, &known.density),
            "size" => size(old, known),
            "healing" => price(old, "", "mortal", known),
            "upgrade" => price(old, "upgradable", "", known),
            "again" => growth(old, "once it started a service again", known),
            "asked" => growth(old, "and once it was asked", known),
            _ => bail!("there are no figures of {name}"),
        };
        new.extend([before, MARK, name, MARK_END, &figures, END]);
        rest = behind;
    }
    new.push_str(rest);
    Ok(new)
}

/// What the text says to have compiled its files.
pub fn compiler(text: &str) -> Option<&str> {
    let mark = format!("{MARK}compiler{MARK_END}");
    let (_, behind) = text.split_once(&mark)?;
    let (said, _) = behind.split_once(END)?;
    Some(said)
}

/// A table with a row a board; other lines stay.
fn table(old: &str, known: &Known) -> String {
    let lines = old.split('\n').map(|line| {
        let mut cells = line.trim_matches('|').split('|').map(str::trim);
        let name = cells.next().unwrap_or_default();
        let is_known = known.files.contains_key(name) || known.memory.contains_key(name);
        if !is_known {
            return line.to_string();
        }
        let cells = CELLS.iter().zip(cells).map(|((kind, what), old)| {
            let (all, slack) = match kind {
                Cell::File => (&known.files, known.slack.file_bytes),
                Cell::Memory => (&known.memory, known.slack.memory_tenths),
                Cell::Calls => (&known.memory, known.slack.calls_tenths),
            };
            let Some(new) = all.get(name).and_then(|of| of.get(*what)) else {
                return old.to_string();
            };
            let (number, in_tenths): (fn(u64) -> String, _) = match kind {
                Cell::File => (thousands, 1),
                Cell::Memory | Cell::Calls => (tenths, 10),
            };
            match told(old, in_tenths) {
                Some(told) if told.abs_diff(*new) <= slack => old.to_string(),
                _ => number(*new),
            }
        });
        let cells: Vec<String> = cells.collect();
        format!("| {name} | {} |", cells.join(" | "))
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// What a cell says, times `scale`, which is 1 or 10.
fn told(cell: &str, scale: u64) -> Option<u64> {
    let (whole, tenths) = cell.split_once('.').unwrap_or((cell, "0"));
    let whole: u64 = whole.replace(' ', "").parse().ok()?;
    let tenths: u64 = tenths.parse().ok().filter(|tenths| *tenths < 10)?;
    Some(whole * scale + tenths * scale / 10)
}

/// `116` as `11.6`, `320` as `32`.
fn tenths(number: u64) -> String {
    match (number / 10, number % 10) {
        (whole, 0) => thousands(whole),
        (whole, tenths) => format!("{}.{tenths}", thousands(whole)),
    }
}

/// `96740` as `96 740`.
fn thousands(number: u64) -> String {
    match (number / 1_000, number % 1_000) {
        (0, rest) => rest.to_string(),
        (above, rest) => format!("{} {rest:03}", thousands(above)),
    }
}

/// The whole file, in KiB.
fn size(old: &str, known: &Known) -> String {
    let of = |board: &str| Some((known.files.get(board)?.get("")? * 10 + 512) / 1_024);
    let slack = known.slack.file_bytes * 10 / 1_024;
    both(old, of, " KiB on 64-bit ARM", slack)
}

/// What one variant has more than another, in KiB.
fn price(old: &str, with: &str, without: &str, known: &Known) -> String {
    let of = |board: &str| {
        let files = known.files.get(board)?;
        let bytes = files.get(with)?.checked_sub(*files.get(without)?)?;
        Some((bytes * 10 + 512) / 1_024)
    };
    // Either file may differ.
    let slack = known.slack.file_bytes * 2 * 10 / 1_024;
    both(old, of, " KiB of the file on 64-bit ARM", slack)
}

/// How much larger 64-bit code is, and by how many programs. It depends on nothing of ours.
fn density(old: &str, known: &Measured) -> String {
    let (Some(hundredths), Some(programs)) = (known.get(HUNDREDTHS), known.get(PROGRAMS)) else {
        return old.to_string();
    };
    let (whole, rest) = (hundredths / 100, hundredths % 100);
    format!("{whole}.{rest:02} times as large (the median of {programs} programs)")
}

/// By how much resident memory has grown once something happened.
fn growth(old: &str, once: &str, known: &Known) -> String {
    let of = |board: &str| {
        let memory = known.memory.get(board)?;
        Some(memory.get(once)?.saturating_sub(*memory.get(RESIDENT)?))
    };
    both(old, of, " KiB on 64-bit ARM", known.slack.memory_tenths)
}

/// A figure in tenths of both ARM boards, as words; `old` where they are not known, and where it
/// is near enough.
fn both(old: &str, of: impl Fn(&str) -> Option<u64>, unit: &str, slack: u64) -> String {
    let (Some(wide), Some(narrow)) = (of("virt-aarch64"), of("virt-armv7")) else {
        return old.to_string();
    };
    let said = old
        .strip_suffix(" on 32-bit")
        .and_then(|old| old.split_once(&format!("{unit}, ")))
        .and_then(|(wide, narrow)| Some((told(wide, 10)?, told(narrow, 10)?)));
    let is_near = |(old_wide, old_narrow): (u64, u64)| {
        old_wide.abs_diff(wide) <= slack && old_narrow.abs_diff(narrow) <= slack
    };
    if said.is_some_and(is_near) {
        return old.to_string();
    }
    format!("{}{unit}, {} on 32-bit", tenths(wide), tenths(narrow))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
before
<!-- figures: table -->
| board | file | mortal | upgradable | full | resident | of it | calls | wake-ups | keeper |
|---|---|---|---|---|---|---|---|---|---|
| virt-aarch64 | 96 740 | 78 180 | 1 | 2 | 80 | 40 | 12.4 | 0 | ? |
| pc-x86_64 | 1 | 2 | 3 | 4 | 5 | 6 | 7.8 | 9 | 10 |
<!-- /figures -->
by <!-- figures: compiler -->rustc 1.95.0<!-- /figures -->, healing takes
<!-- figures: healing -->much<!-- /figures -->.
";

    fn known(slack: Slack) -> Known {
        let all = |pairs: &[(&str, u64)]| -> Measured {
            let owned = pairs
                .iter()
                .map(|(name, value)| ((*name).to_string(), *value));
            owned.collect()
        };
        let wide = all(&[
            ("", 88_100),
            ("mortal", 77_280),
            ("upgradable", 97_604),
            ("keeper", 14_251),
        ]);
        let narrow = all(&[("", 68_318), ("mortal", 60_000)]);
        let memory = all(&[
            ("resident memory", 760),
            ("anonymous and shared", 320),
            ("system calls a service", 116),
            ("and once it was asked", 1_120),
        ]);
        Known {
            compiler: String::from("rustc 1.96.0"),
            files: [("virt-aarch64", wide), ("virt-armv7", narrow)].into(),
            memory: [("virt-aarch64", memory)].into(),
            density: Measured::new(),
            slack,
        }
    }

    #[test]
    fn what_was_measured_is_written_and_all_else_stays() {
        let new = rewritten(TEXT, &known(Slack::NONE)).expect("all is known");
        let wanted = TEXT
            .replace(
                "96 740 | 78 180 | 1 | 2 | 80 | 40 | 12.4 | 0 | ? |",
                "88 100 | 77 280 | 97 604 | 2 | 76 | 32 | 11.6 | 0 | 14 251 |",
            )
            .replace("1.95.0", "1.96.0")
            .replace("much", "10.6 KiB of the file on 64-bit ARM, 8.1 on 32-bit");
        assert_eq!(new, wanted);
        assert_eq!(
            rewritten(&new, &known(Slack::NONE)).expect("all is known"),
            new
        );
    }

    #[test]
    fn what_differs_by_no_more_than_it_may_stays() {
        let slack = Slack {
            file_bytes: 900,
            memory_tenths: 40,
            calls_tenths: 7,
        };
        let new = rewritten(TEXT, &known(slack)).expect("all is known");
        let price = "10.6 KiB of the file on 64-bit ARM, 8.1 on 32-bit";
        assert!(new.contains(price), "{new}");
        let near = new.replace(price, "11.6 KiB of the file on 64-bit ARM, 7.1 on 32-bit");
        assert_eq!(rewritten(&near, &known(slack)).expect("all is known"), near);
        let far = new.replace(price, "12.6 KiB of the file on 64-bit ARM, 8.1 on 32-bit");
        assert_eq!(rewritten(&far, &known(slack)).expect("all is known"), new);
        assert!(
            new.contains("| 88 100 | 78 180 | 97 604 | 2 | 80 | 32 | 11.6 | 0 | 14 251 |"),
            "{new}"
        );
    }

    #[test]
    fn a_mark_without_an_end_or_a_meaning_is_told() {
        for (text, cause) in [
            ("<!-- figures: table -->\n", "no end"),
            ("<!-- figures: table", "does not end"),
            ("<!-- figures: weather -->x<!-- /figures -->", "of weather"),
        ] {
            let error = rewritten(text, &known(Slack::NONE))
                .expect_err(cause)
                .to_string();
            assert!(error.contains(cause), "{error}");
        }
    }

    #[test]
    fn what_grows_is_told_where_both_boards_are_known() {
        let text = "<!-- figures: asked -->little<!-- /figures -->";
        let mut known = known(Slack::NONE);
        assert_eq!(rewritten(text, &known).expect("it is known"), text);
        let narrow = [("resident memory", 600), ("and once it was asked", 1_000)];
        let narrow = narrow.map(|(name, value)| (name.to_string(), value));
        known.memory.insert("virt-armv7", narrow.into());
        let new = rewritten(text, &known).expect("it is known");
        assert!(
            new.contains(">36 KiB on 64-bit ARM, 40 on 32-bit<"),
            "{new}"
        );
    }

    #[test]
    fn the_size_of_a_file_is_told_where_both_boards_are_known() {
        let text = "<!-- figures: size -->little<!-- /figures -->";
        let mut known = known(Slack::NONE);
        known.files.clear();
        assert_eq!(rewritten(text, &known).expect("it is known"), text);
        for (board, bytes) in [("virt-aarch64", 77_363), ("virt-armv7", 62_880)] {
            known.files.insert(board, [(String::new(), bytes)].into());
        }
        let new = rewritten(text, &known).expect("it is known");
        assert!(
            new.contains(">75.5 KiB on 64-bit ARM, 61.4 on 32-bit<"),
            "{new}"
        );
    }

    #[test]
    fn density_is_told_where_it_was_measured() {
        let text = "<!-- figures: density -->somewhat larger<!-- /figures -->";
        let mut known = known(Slack::NONE);
        assert_eq!(rewritten(text, &known).expect("it is known"), text);
        let measured = [(HUNDREDTHS, 105), (PROGRAMS, 9)];
        known.density = measured.map(|(name, of)| (name.to_string(), of)).into();
        let new = rewritten(text, &known).expect("it is known");
        assert!(
            new.contains(">1.05 times as large (the median of 9 programs)<"),
            "{new}"
        );
    }

    #[test]
    fn a_cell_is_read_as_it_is_written() {
        for number in [0, 5, 116, 320, 12_345] {
            assert_eq!(told(&tenths(number), 10), Some(number));
            assert_eq!(told(&thousands(number), 1), Some(number));
        }
        assert_eq!(told("-", 1), None);
    }

    #[test]
    fn digits_are_in_threes() {
        let numbers = [(0, "0"), (999, "999"), (1_000, "1 000"), (96_740, "96 740")];
        for (number, wanted) in numbers {
            assert_eq!(thousands(number), wanted);
        }
    }
}
