//! This file performs tests and tells which of them could not look here, and why: cargo shows no
//! output of tests that pass.

use super::Outcome;
use super::commands::CARGO_LIMIT;
use crate::{house, process};
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::process::Command;

/// Names the file in which a test notes that it was skipped (`hal-linux/tests/namespace/skip.rs`).
const NOTES: &str = "SYSMASTER_SKIPPED";

/// Runs `cargo`; the outcome names the tests that were skipped.
///
/// # Errors
/// It failed, or its notes cannot be read.
pub fn told(cargo: &mut Command) -> Result<Outcome> {
    let notes = house::target().join(format!("skipped-{}", std::process::id()));
    let failure = || format!("the notes of tests, {}", notes.display());
    std::fs::write(&notes, "").with_context(failure)?;
    let result = process::run_shown(cargo.env(NOTES, &notes), CARGO_LIMIT);
    let text = std::fs::read_to_string(&notes).with_context(failure)?;
    std::fs::remove_file(&notes).with_context(failure)?;
    result?;
    Ok(Outcome::Passed(summary(&text)))
}

/// The tests of each cause; nothing if there are none.
fn summary(notes: &str) -> String {
    let mut causes: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (test, cause) in notes.lines().filter_map(|note| note.split_once(": ")) {
        let tests = causes.entry(cause).or_default();
        // A test that looks at several things says so for each.
        if !tests.contains(&test) {
            tests.push(test);
        }
    }
    let count: usize = causes.values().map(Vec::len).sum();
    let causes = causes
        .iter()
        .map(|(cause, tests)| format!("{cause} ({})", tests.join(", ")));
    match count {
        0 => String::new(),
        _ => format!("{count} skipped: {}", causes.collect::<Vec<_>>().join("; ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tests_note_is_told_by_cause_and_once() {
        let notes =
            "a::x: no strace\nb::y: no group in /sys: none\na::z: no strace\na::x: no strace\n";
        let wanted = "3 skipped: no group in /sys: none (b::y); no strace (a::x, a::z)";
        assert_eq!(summary(notes), wanted);
        assert_eq!(summary(""), "");
    }

    #[test]
    fn a_command_that_notes_something_has_it_in_its_outcome() {
        let noting = |script: &str| told(Command::new("sh").args(["-c", script]));
        let outcome = noting("echo a::x: no strace >> \"$SYSMASTER_SKIPPED\"");
        let wanted = Outcome::Passed("1 skipped: no strace (a::x)".to_string());
        assert_eq!(outcome.expect("it succeeds"), wanted);
        assert_eq!(
            noting("true").expect("it succeeds"),
            Outcome::Passed(String::new())
        );
        noting("false").expect_err("tests that fail fail the step");
    }
}
