//! This file holds `docs/robustness.md` to its word: every case names tests, and each of them
//! exists.

use super::{Finding, Source};

/// The table's file.
const TABLE: &str = "docs/robustness.md";

/// Findings in the table: a row without a test, a test that is nowhere.
pub fn check(sources: &[Source]) -> Vec<Finding> {
    let Some(table) = sources.iter().find(|source| source.path.ends_with(TABLE)) else {
        return Vec::new();
    };
    let tests: Vec<&str> = sources
        .iter()
        .filter(|source| source.is_rust())
        .flat_map(|source| tests(&source.text))
        .collect();
    let mut findings = Vec::new();
    for (at, line) in table.text.lines().enumerate() {
        let Some(row) = line
            .strip_prefix("| ")
            .and_then(|line| line.strip_suffix(" |"))
        else {
            continue;
        };
        let last = row.rsplit(" | ").next().unwrap_or_default();
        if last == "shown by" {
            continue;
        }
        let named: Vec<&str> = last.split('`').skip(1).step_by(2).collect();
        if named.is_empty() {
            findings.push(table.finding(at + 1, "this case names no test"));
        }
        for name in named.iter().filter(|name| !tests.contains(name)) {
            findings.push(table.finding(at + 1, format!("there is no test `{name}`")));
        }
    }
    findings
}

/// Tests by their functions' names, and scenarios by what they are called.
fn tests(text: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut is_test = false;
    for line in text.lines().map(str::trim) {
        let function = line
            .strip_prefix("fn ")
            .and_then(|rest| rest.split('(').next());
        let scenario = line
            .strip_prefix("name: \"")
            .and_then(|rest| rest.strip_suffix("\","));
        names.extend(function.filter(|_| is_test).or(scenario));
        is_test = line == "#[test]";
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(table: &str) -> Vec<String> {
        let source = |path: &str, text: &str| Source {
            path: path.into(),
            text: text.to_string(),
        };
        let code = "#[test]\nfn it_holds() {}\nfn helper() {}\n    name: \"a boot, seen\",\n";
        let sources = [source(TABLE, table), source("a/tests/a.rs", code)];
        check(&sources).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_case_that_names_a_test_or_a_scenario_is_fine() {
        let table = "| case | outcome | shown by |\n|---|---|---|\n\
                     | a | b | `it_holds` |\n| a | b | `a boot, seen`, `it_holds` |\n";
        assert_eq!(findings(table), Vec::<String>::new());
    }

    #[test]
    fn a_case_without_a_test_is_found() {
        let wanted = ["docs/robustness.md:1: this case names no test"];
        assert_eq!(findings("| a | b | belief |\n"), wanted);
    }

    #[test]
    fn a_test_that_is_nowhere_is_found_and_so_is_a_function_that_is_none() {
        let found = findings("| a | b | `it_holds`, `gone`, `helper` |\n");
        let wanted = [
            "docs/robustness.md:1: there is no test `gone`",
            "docs/robustness.md:1: there is no test `helper`",
        ];
        assert_eq!(found, wanted);
    }
}
