//! This file reads the conformance table and writes what is generated from it.

#![allow(dead_code, reason = "not every test needs all that the table says")]

use std::fmt::Write;
use std::path::{Path, PathBuf};

/// One row of `conformance.tsv`.
#[derive(Clone, Debug)]
pub struct Line {
    pub name: String,
    pub needs_clock: bool,
    /// Nobody has measured it: it is as the kernel's source reads.
    pub is_read: bool,
    pub calls: String,
    pub numbers: String,
    pub expected: Vec<i64>,
}

/// The crate's folder.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf()
}

/// The whole table; anything that is not as it should be is a failed test.
pub fn read() -> Vec<Line> {
    let text = std::fs::read_to_string(folder().join("conformance.tsv")).expect("the table");
    let mut lines = text.lines().filter(|line| !line.starts_with('#'));
    let header = lines.next();
    assert_eq!(header, Some("name\tneeds\tcalls\tnumbers\texpected"));
    lines.map(line).collect()
}

fn line(text: &str) -> Line {
    let columns: Vec<&str> = text.split('\t').collect();
    let [name, needs, calls, numbers, expected] = columns[..] else {
        panic!("not five columns: {text}");
    };
    assert!(
        ["-", "clock", "source"].contains(&needs),
        "needs what? {text}"
    );
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    assert!(name.chars().all(is_word), "a strange name: {name}");
    let number = |word: &str| word.parse().unwrap_or_else(|_| panic!("no number: {text}"));
    Line {
        name: name.to_string(),
        needs_clock: needs == "clock",
        is_read: needs == "source",
        calls: calls.to_string(),
        numbers: numbers.to_string(),
        expected: expected.split(',').map(number).collect(),
    }
}

/// The table as Rust.
pub fn rust(lines: &[Line]) -> String {
    let mut text = String::from(
        "//! This file is generated from `conformance.tsv`: the rows that the probe walks.\n\
         //! A test holds it current; `UPDATE=1 cargo test -p hal-harmony` writes it.\n\n\
         use super::{Entry, entry};\n\n\
         /// A row, by its name.\n#[derive(Clone, Copy, Debug, PartialEq, Eq)]\npub enum Row {\n",
    );
    for line in lines {
        let calls = first_upper(&line.calls);
        writeln!(text, "    /// {calls}.\n    {},", camel(&line.name)).expect("a string");
    }
    let count = lines.len();
    writeln!(
        text,
        "}}\n\n/// All rows, in the order of the table.\n#[rustfmt::skip]"
    )
    .expect("");
    writeln!(text, "pub const ROWS: [Entry; {count}] = [").expect("a string");
    for line in lines {
        let (name, row, clock) = (&line.name, camel(&line.name), line.needs_clock);
        let numbers = &line.expected;
        let short = format!("    entry(Row::{row}, \"{name}\", {clock}, &{numbers:?}),");
        writeln!(text, "{short}").expect("a string");
    }
    text.push_str("];\n");
    text
}

/// The table as people read it.
pub fn markdown(lines: &[Line]) -> String {
    let mut text =
        String::from("| row | calls | what the numbers are | expected |\n|---|---|---|---|\n");
    for line in lines {
        let mark = match (line.needs_clock, line.is_read) {
            (true, _) => " (clock)",
            (false, true) => " (source)",
            (false, false) => "",
        };
        let expected = join(&line.expected);
        let (name, calls, numbers) = (&line.name, &line.calls, &line.numbers);
        writeln!(
            text,
            "| `{name}`{mark} | {calls} | {numbers} | {expected} |"
        )
        .expect("a string");
    }
    text
}

/// Numbers as a transcript shows them.
pub fn join(numbers: &[i64]) -> String {
    let words: Vec<String> = numbers.iter().map(i64::to_string).collect();
    words.join(",")
}

fn first_upper(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

fn camel(name: &str) -> String {
    name.split('-').map(first_upper).collect()
}
