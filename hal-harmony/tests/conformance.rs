//! This file holds the conformance table and what is generated from it together.

mod table;

use std::path::Path;

/// What is generated must be in the file; with `UPDATE=1` it is written there first.
fn hold(file: &Path, text: &str) {
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(file, text).expect("to write what is generated");
    }
    let there = std::fs::read_to_string(file).unwrap_or_default();
    assert!(
        there == text,
        "{} is not what conformance.tsv says; run: UPDATE=1 cargo test -p hal-harmony",
        file.display()
    );
}

#[test]
fn the_generated_rows_are_those_of_the_table() {
    let lines = table::read();
    hold(
        &table::folder().join("src/probe/rows.rs"),
        &table::rust(&lines),
    );
}

#[test]
fn the_table_in_the_documentation_is_the_table() {
    let file = table::folder().join("../docs/harmony.md");
    let text = std::fs::read_to_string(&file).expect("the documentation");
    let (begin, end) = ("<!-- table -->\n", "<!-- end of table -->\n");
    let (before, rest) = text
        .split_once(begin)
        .expect("the mark where the table begins");
    let (_, after) = rest.split_once(end).expect("the mark where the table ends");
    let table = table::markdown(&table::read());
    hold(&file, &format!("{before}{begin}{table}{end}{after}"));
}

#[test]
fn no_two_rows_have_one_name() {
    let mut names: Vec<String> = table::read().into_iter().map(|line| line.name).collect();
    let count = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), count);
    assert!(count > 50, "the table has lost rows: {count}");
}
