//! This file judges the house as a whole: who may know whom, where `unsafe` may be, licences.

use super::{Finding, Source};
use anyhow::{Context, Result};
use std::path::Path;
use toml::{Table, Value};

/// Which of our crates each may depend on, tests apart. Whoever is not listed may not be.
const MAY_KNOW: [(&str, &[&str]); 18] = [
    ("init-core", &[]),
    ("init-core-sim", &["init-core"]),
    ("init-core-replay", &["init-core", "manifests"]),
    ("hal-linux", &["init-core"]),
    ("hal-harmony", &["init-core"]),
    ("manifests", &["init-core"]),
    ("board-linux", &["init-core", "hal-linux", "manifests"]),
    ("board-oh-tee", &["init-core", "hal-harmony", "manifests"]),
    ("board-c", &["init-core", "manifests"]),
    ("acme-firmware", &["init-core", "hal-linux", "manifests"]),
    ("service-client", &["init-core", "hal-harmony"]),
    (
        "harmony-demo",
        &["init-core", "hal-harmony", "service-client"],
    ),
    ("stub-kernel", &[]),
    ("qemu-tests", &["init-core", "manifests", "bench-lives"]),
    ("heal-campaign", &["init-core"]),
    ("bench-lives", &["init-core", "heal-campaign"]),
    ("bench-programs", &[]),
    (
        "xtask",
        &[
            "init-core",
            "init-core-sim",
            "init-core-replay",
            "manifests",
            "qemu-tests",
            "heal-campaign",
            "bench-lives",
        ],
    ),
];

/// Crates that are safe as a whole.
const SAFE: [&str; 6] = [
    "init-core",
    "init-core/sim",
    "init-core/replay",
    "manifests",
    "qemu-tests",
    "qemu-tests/bench",
];

/// Files that a package needs before it can be given away.
const LICENCES: [&str; 2] = ["LICENSE-MIT", "LICENSE-APACHE"];

/// All findings that no single line shows.
pub fn check(root: &Path, sources: &[Source]) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for source in sources {
        if source.path.ends_with("Cargo.toml") {
            let package: Table = toml::from_str(&source.text)
                .with_context(|| format!("{} is not TOML", source.path.display()))?;
            findings.extend(package_findings(source, &package));
        }
        findings.extend(unsafe_findings(source));
    }
    for licence in LICENCES {
        if !root.join(licence).is_file() {
            let what = "this licence's text is missing".to_string();
            findings.push(Finding {
                path: licence.into(),
                line: 0,
                what,
            });
        }
    }
    Ok(findings)
}

fn package_findings(source: &Source, file: &Table) -> Vec<Finding> {
    let Some(package) = file.get("package").and_then(|package| package.as_table()) else {
        return Vec::new();
    };
    let mut findings = Vec::new();
    for key in ["description", "license", "rust-version"] {
        if !package.contains_key(key) {
            findings.push(source.finding(0, format!("the package has no {key}")));
        }
    }
    let name = package
        .get("name")
        .and_then(|name| name.as_str())
        .unwrap_or_default();
    let Some((_, known)) = MAY_KNOW.iter().find(|(crate_name, _)| *crate_name == name) else {
        let what = format!("nothing says whom {name} may know: xtask/src/tidy/rules.rs does");
        findings.push(source.finding(0, what));
        return findings;
    };
    for other in ours(file)
        .into_iter()
        .filter(|other| !known.contains(&other.as_str()))
    {
        let line = source
            .text
            .lines()
            .position(|line| line.starts_with(&other) || line.contains(&format!("{other:?}")))
            .unwrap_or(0);
        findings.push(source.finding(line + 1, format!("{name} must not know {other}")));
    }
    findings
}

/// Which of our crates a package depends on, for itself or its build script, on any target.
fn ours(file: &Table) -> Vec<String> {
    let mut tables = vec![file];
    if let Some(targets) = file.get("target").and_then(|targets| targets.as_table()) {
        tables.extend(targets.values().filter_map(|target| target.as_table()));
    }
    let is_ours = |name: &String| MAY_KNOW.iter().any(|(ours, _)| ours == name);
    // By the name of the package, whatever the code calls it.
    let name = |(key, value): (&String, &Value)| match value.get("package") {
        Some(Value::String(package)) => package.clone(),
        _ => key.clone(),
    };
    tables
        .iter()
        .flat_map(|table| ["dependencies", "build-dependencies"].map(|key| table.get(key)))
        .flatten()
        .filter_map(|dependencies| dependencies.as_table())
        .flat_map(|dependencies| dependencies.iter().map(name))
        .filter(is_ours)
        .collect()
}

/// `unsafe` is forbidden in safe crates, and lies under `sys/` (`abi/`) in a HAL.
fn unsafe_findings(source: &Source) -> Vec<Finding> {
    let path = source.path.to_string_lossy();
    let mut findings = Vec::new();
    if let Some(name) = SAFE
        .iter()
        .find(|name| path == format!("{name}/src/lib.rs"))
        && !source.text.contains("#![forbid(unsafe_code)]")
    {
        findings.push(source.finding(0, format!("{name} says #![forbid(unsafe_code)]")));
    }
    let is_firmware = source.is_rust()
        && ["hal-", "board/", "examples/", "qemu-tests/campaign/"]
            .iter()
            .any(|begin| path.starts_with(begin));
    let may = ["/src/sys/", "/src/abi/", "/tests/sim/abi.rs"];
    if is_firmware && !may.iter().any(|place| path.contains(place)) {
        for (at, line) in source.text.lines().enumerate() {
            // An unsafe attribute on a symbol's name is no operation.
            let code = line
                .split("//")
                .next()
                .unwrap_or_default()
                .replace("#[unsafe(", "");
            if code
                .split(|c: char| !c.is_alphanumeric() && c != '_')
                .any(|word| word == "unsafe")
            {
                findings.push(source.finding(at + 1, "unsafe lies under src/sys/ only"));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(path: &str, text: &str) -> Vec<String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let source = Source {
            path: path.into(),
            text: text.to_string(),
        };
        let found = check(&root, &[source]).unwrap_or_else(|error| panic!("{error:#}"));
        found.iter().map(ToString::to_string).collect()
    }

    const PACKAGE: &str = "[package]\nlicense = \"MIT OR Apache-2.0\"\ndescription = \"x\"\n\
                           rust-version = \"1.95\"\n";

    #[test]
    fn the_core_must_know_no_other_crate_of_ours() {
        let text = format!("{PACKAGE}name = \"init-core\"\n[dependencies]\nmanifests = \"1\"\n");
        let wanted = ["init-core/Cargo.toml:7: init-core must not know manifests"];
        assert_eq!(findings("init-core/Cargo.toml", &text), wanted);
    }

    #[test]
    fn a_dependency_of_one_target_or_of_the_build_script_counts() {
        for table in ["target.'cfg(unix)'.dependencies", "build-dependencies"] {
            let text = format!("{PACKAGE}name = \"manifests\"\n[{table}]\nhal-linux = \"1\"\n");
            assert_eq!(findings("manifests/Cargo.toml", &text).len(), 1, "{table}");
        }
    }

    #[test]
    fn a_dependency_counts_by_the_name_of_its_package() {
        let text = format!(
            "{PACKAGE}name = \"hal-linux\"\n[dependencies]\nm = {{ package = \"manifests\" }}\n"
        );
        let wanted = ["hal-linux/Cargo.toml:7: hal-linux must not know manifests"];
        assert_eq!(findings("hal-linux/Cargo.toml", &text), wanted);
    }

    #[test]
    fn a_package_of_which_nothing_says_whom_it_may_know_is_found() {
        let text = format!("{PACKAGE}name = \"new\"\n");
        let wanted = ["extends/new/Cargo.toml:1: nothing says whom new may know: \
                       xtask/src/tidy/rules.rs does"];
        assert_eq!(findings("extends/new/Cargo.toml", &text), wanted);
    }

    #[test]
    fn a_board_may_know_its_hal() {
        let text = format!("{PACKAGE}name = \"board-linux\"\n[dependencies]\nhal-linux = \"1\"\n");
        assert!(findings("board/linux/Cargo.toml", &text).is_empty());
    }

    #[test]
    fn a_package_without_licence_is_found() {
        let found = findings("x/Cargo.toml", "[package]\nname = \"x\"\n");
        assert!(found.contains(&"x/Cargo.toml:1: the package has no license".to_string()));
    }

    #[test]
    fn unsafe_outside_sys_is_found_in_a_hal() {
        let text = "// unsafe in a comment\nunsafe { f() }\n";
        let wanted = ["hal-linux/src/a.rs:2: unsafe lies under src/sys/ only"];
        assert_eq!(findings("hal-linux/src/a.rs", text), wanted);
        assert!(findings("hal-linux/src/sys/a.rs", text).is_empty());
        assert_eq!(findings("board/linux/src/a.rs", text).len(), 1);
    }

    #[test]
    fn a_safe_crate_says_so() {
        assert_eq!(findings("init-core/src/lib.rs", "//! x\n").len(), 1);
    }
}
