//! This file sees to it that the compiler is told to look: lints that every crate of the firmware
//! denies, no arm for "all else" where every case is to be written, generated code that names one
//! crate, and tests that the documents name.

use super::{Finding, Source, is_firmware};

/// What firmware denies outside of its tests.
const FIRMWARE: [&str; 6] = [
    "clippy::arithmetic_side_effects",
    "clippy::as_conversions",
    "clippy::expect_used",
    "clippy::indexing_slicing",
    "clippy::panic",
    "clippy::unwrap_used",
];

/// Where every state and event is written, and what makes the compiler ask for it.
const TRANSITIONS: &str = "init-core/src/supervisor/transition.rs";
const NO_WILDCARD: &str = "clippy::wildcard_enum_match_arm";

/// What the tables of a product may name.
const GENERATED_MAY_NAME: [&str; 2] = ["init_core", "core"];

/// All findings.
pub fn check(sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in sources {
        let path = source.path.to_string_lossy();
        let in_room = |begin: &str, end: &str| path.starts_with(begin) && path.ends_with(end);
        if is_firmware(&path) && is_root(source) {
            findings.extend(missing(source, &FIRMWARE));
        }
        if path == "init-core/src/lib.rs" {
            findings.extend(missing(source, &[NO_WILDCARD]));
        }
        if path == TRANSITIONS {
            findings.extend(wildcards(source));
        }
        if in_room("manifests/src/emit", ".rs") {
            findings.extend(foreign_names(source));
        }
    }
    findings
}

/// Whether a crate or a program begins here: freestanding ones say so.
fn is_root(source: &Source) -> bool {
    let names = ["src/lib.rs", "src/main.rs"];
    let is_named = names.iter().any(|name| source.path.ends_with(name));
    is_named || (source.is_rust() && source.text.lines().any(|line| line == "#![no_std]"))
}

/// Lints that a crate's root does not deny.
fn missing(source: &Source, lints: &[&str]) -> Vec<Finding> {
    let denies = source.text.split("deny(").nth(1).unwrap_or_default();
    let denies = denies.split(')').next().unwrap_or_default();
    let is_missing = |lint: &&&str| !denies.contains(**lint);
    let missing = lints.iter().filter(is_missing);
    missing
        .map(|lint| source.finding(0, format!("the crate does not deny {lint}")))
        .collect()
}

/// Arms that take whatever is left, the file's own tests apart.
fn wildcards(source: &Source) -> Vec<Finding> {
    let code = source
        .text
        .lines()
        .take_while(|line| !line.contains("#[cfg(test)]"));
    code.enumerate()
        .filter(|(_, line)| {
            let arm = line.trim_start();
            arm.starts_with("_ =>") || arm.starts_with("_ if ") || arm.starts_with("(_, _) =>")
        })
        .map(|(at, _)| source.finding(at + 1, "every state and event is written: no `_` arm"))
        .collect()
}

/// Crates that generated code names and must not.
fn foreign_names(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (at, line) in source.text.lines().enumerate() {
        for (begin, _) in line.match_indices("::") {
            let before = line[..begin].chars().next_back();
            let name: String = line[begin + 2..]
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect();
            let is_path = before.is_none_or(|c| !c.is_alphanumeric() && !"_>]".contains(c))
                && line[begin + 2 + name.len()..].starts_with("::");
            if is_path && !GENERATED_MAY_NAME.contains(&name.as_str()) {
                let what = format!("generated code names ::init_core only, not ::{name}");
                findings.push(source.finding(at + 1, what));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &str, text: &str) -> Source {
        Source {
            path: path.into(),
            text: text.to_string(),
        }
    }

    fn findings(path: &str, text: &str) -> Vec<String> {
        let found = check(&[source(path, text)]);
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_lint_that_firmware_does_not_deny_is_found() {
        let all = FIRMWARE.join(",\n");
        let good = format!("#![cfg_attr(not(test), deny({all})\n)]\n");
        assert_eq!(
            findings("hal-linux/src/lib.rs", &good),
            Vec::<String>::new()
        );
        let bad = good.replace("clippy::unwrap_used", "clippy::todo");
        let wanted = ["hal-linux/src/lib.rs:1: the crate does not deny clippy::unwrap_used"];
        assert_eq!(findings("hal-linux/src/lib.rs", &bad), wanted);
        for root in ["extends/x/src/lib.rs", "board/x/src/main.rs"] {
            assert_eq!(findings(root, &good), Vec::<String>::new());
            assert_eq!(findings(root, "").len(), FIRMWARE.len(), "{root}");
        }
        let program = "#![no_std]\n#![no_main]\n";
        assert_eq!(findings("board/x/src/a.rs", program).len(), FIRMWARE.len());
        assert!(findings("board/x/src/sys/a.rs", "").is_empty());
        assert!(findings("extends/x/tests/a.rs", program).is_empty());
        let core = ["init-core/src/lib.rs:1: the crate does not deny ".to_string() + NO_WILDCARD];
        assert_eq!(findings("init-core/src/lib.rs", &good), core);
    }

    #[test]
    fn an_arm_for_all_else_is_found_among_the_transitions_only() {
        let text = "match x {\n    A => 1,\n    _ => 2,\n}\n#[cfg(test)]\n_ => 3\n";
        assert_eq!(findings(TRANSITIONS, text).len(), 1);
        assert!(findings("init-core/src/system.rs", text).is_empty());
    }

    #[test]
    fn a_crate_that_generated_code_must_not_name_is_found() {
        let text = "let x = \"::init_core::a::B\";\nlet y = \"&::hal_linux::C\";\nuse a::b::c;\n";
        let wanted =
            ["manifests/src/emit.rs:2: generated code names ::init_core only, not ::hal_linux"];
        assert_eq!(findings("manifests/src/emit.rs", text), wanted);
    }
}
