//! This file holds the documents to their word: every case of `docs/robustness.md` names tests, and
//! each test that is named there, or on a page that explains, exists.

use super::{Finding, Source};

/// The table's file.
const TABLE: &str = "docs/robustness.md";

/// Pages that explain, and name tests where they do.
const PAGES: [&str; 7] = [
    TABLE,
    "docs/campaign.md",
    "docs/harmony.md",
    "docs/healing.md",
    "docs/simulation.md",
    "docs/sweeps.md",
    "docs/upgrade.md",
];

/// What a page calls so and is no test: symbols of a root image.
const OTHERS: [&str; 2] = ["binary_procmgr_bin_start", "binary_procmgr_bin_size"];

/// Findings: a row of the table without a test, a test that is nowhere.
pub fn check(sources: &[Source]) -> Vec<Finding> {
    let code = sources.iter().filter(|source| source.is_rust());
    let tests: Vec<&str> = code.flat_map(|source| tests(&source.text)).collect();
    let page = |name: &&str| sources.iter().find(|source| source.path.ends_with(name));
    let mut findings: Vec<Finding> = PAGES
        .iter()
        .filter_map(page)
        .flat_map(|page| unknown(page, &tests))
        .collect();
    if let Some(table) = page(&TABLE) {
        findings.extend(unshown(table, &tests));
    }
    findings
}

/// What is called like a test on a page, in four words or more, and is none.
fn unknown(page: &Source, tests: &[&str]) -> Vec<Finding> {
    let is_name = |name: &&str| {
        let is_part = |c: char| c.is_ascii_alphanumeric() || "_:".contains(c);
        name.matches('_').count() >= 3 && name.chars().all(is_part)
    };
    let mut findings = Vec::new();
    for (at, line) in page.text.lines().enumerate() {
        // Of the table's cases more is asked.
        let is_case = page.path.ends_with(TABLE) && line.starts_with("| ");
        for name in line.split('`').skip(1).step_by(2).filter(is_name) {
            let last = name.rsplit("::").next().unwrap_or(name);
            if !is_case && !tests.contains(&last) && !OTHERS.contains(&last) {
                findings.push(page.finding(at + 1, format!("there is no test `{last}`")));
            }
        }
    }
    findings
}

/// Cases of the table that no test shows.
fn unshown(table: &Source, tests: &[&str]) -> Vec<Finding> {
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
        // Other attributes may stand between; one that nobody performs shows nothing.
        let is_ignored = line.starts_with("#[ignore");
        is_test = line == "#[test]" || is_test && line.starts_with("#[") && !is_ignored;
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(table: &str) -> Vec<String> {
        findings_in(TABLE, table)
    }

    fn findings_in(page: &str, text: &str) -> Vec<String> {
        let source = |path: &str, text: &str| Source {
            path: path.into(),
            text: text.to_string(),
        };
        let code = "#[test]\nfn it_holds() {}\nfn helper() {}\n    name: \"a boot, seen\",\n\
                    #[test]\n#[rustfmt::skip]\nfn it_lives_again_then() {}\n\
                    fn it_only_looks_so() {}\n\
                    #[test]\n#[ignore]\nfn it_is_asleep_today() {}\n\
                    #[test]\n#[ignore = \"slow\"]\nfn it_sleeps_for_a_cause() {}\n";
        let sources = [source(page, text), source("a/tests/a.rs", code)];
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

    #[test]
    fn a_test_that_is_ignored_shows_nothing() {
        let found = findings("| a | b | `it_is_asleep_today`, `it_sleeps_for_a_cause` |\n");
        let wanted = [
            "docs/robustness.md:1: there is no test `it_is_asleep_today`",
            "docs/robustness.md:1: there is no test `it_sleeps_for_a_cause`",
        ];
        assert_eq!(found, wanted);
        let found = findings_in("docs/healing.md", "So it is (`it_is_asleep_today`).\n");
        assert_eq!(
            found,
            ["docs/healing.md:1: there is no test `it_is_asleep_today`"]
        );
    }

    #[test]
    fn a_page_may_name_what_is_a_test_and_what_is_not_called_like_one() {
        let page = "It (`faults::it_lives_again_then`) goes `on_and_on`.\n";
        for name in PAGES {
            assert_eq!(findings_in(name, page), Vec::<String>::new());
            let found = findings_in(name, "so\nit is (`it_only_looks_so`, `it_is_not_there`)\n");
            let wanted = ["it_only_looks_so", "it_is_not_there"]
                .map(|test| format!("{name}:2: there is no test `{test}`"));
            assert_eq!(found, wanted);
        }
        let page = "The image is at `binary_procmgr_bin_start`.\n";
        assert_eq!(findings_in("docs/harmony.md", page), Vec::<String>::new());
    }
}
