//! This file is `cargo xtask bench --compare`: instructions that the core's own work costs, and
//! bytes that it writes for the next life, beside those of a stored baseline.
//!
//! Times say little on a machine that others use; instructions are the same there. They depend on
//! the compiler: with another one than the baseline's they are shown and not judged.

use crate::setup::{self, Tool};
use crate::{house, process};
use anyhow::{Context, Result, bail, ensure};
use qemu_tests::progress::say;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use toml::{Table, Value};

/// The counts that were accepted last.
pub const BASELINE: &str = "init-core/sim/instructions.toml";

/// What is counted: arguments of `init-core/sim/examples/work.rs`.
const WORK: [&str; 8] = [
    "boot 100 4",
    "boot 1000 1",
    "events 100 1000",
    "events 100 3000",
    "events 1000 1000",
    "kept 100 1000",
    "kept 1000 1000",
    "status 100 100",
];

/// A change of what the compiler happens to inline is below this; a loop too many is not.
const TOLERANCE: f64 = 1.05;

/// Two crates for the host, optimised.
const BUILD_LIMIT: Duration = Duration::from_secs(600);

/// Counts, compares, and with `accept` writes a new baseline.
///
/// # Errors
/// Something costs more than it did; or nothing can be counted.
pub fn run(accept: bool) -> Result<()> {
    setup::ensure(&[Tool {
        program: Some("valgrind".to_string()),
        package: "valgrind".to_string(),
        why: "counts instructions".to_string(),
    }])?;
    let program = build()?;
    let mut counts = BTreeMap::new();
    for work in WORK {
        let (instructions, bytes) = count(&program, work)?;
        counts.insert(work.to_string(), instructions);
        if let Some(bytes) = bytes {
            counts.insert(format!("{work}: bytes each"), bytes);
        }
    }
    let compiler = process::capture(Command::new("rustc").arg("--version"))?;
    let path = house::root().join(BASELINE);
    if accept {
        std::fs::write(&path, written(compiler.trim(), &counts)?)?;
        say(&format!("written: {}", house::shown(&path)));
        return Ok(());
    }
    let text = std::fs::read_to_string(&path).with_context(|| {
        format!("there is no {BASELINE}: `cargo xtask bench --accept` makes it")
    })?;
    let baseline: Table = toml::from_str(&text).with_context(|| format!("in {BASELINE}"))?;
    let (table, worse) = compare(&baseline, &counts)?;
    print!("{table}");
    let before = baseline.get("compiler").and_then(Value::as_str);
    if before != Some(compiler.trim()) {
        let before = before.unwrap_or("an unknown compiler");
        say(&format!("not judged: the baseline is {before}'s"));
        return Ok(());
    }
    if !worse.is_empty() {
        bail!(
            "more instructions than before: {}. If that is what it takes, accept it: \
             `cargo xtask bench --accept`, and say why in the commit",
            worse.join(", ")
        );
    }
    Ok(())
}

fn build() -> Result<PathBuf> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let folder = house::target().join("bench/work");
    cargo
        .args([
            "build",
            "--release",
            "--quiet",
            "--package",
            "init-core-sim",
        ])
        .args(["--example", "work", "--target-dir"])
        .arg(&folder)
        .current_dir(house::root())
        // Flags of the user's own would be counted with.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    process::run_shown(&mut cargo, BUILD_LIMIT)?;
    Ok(folder.join("release/examples/work"))
}

/// Instructions, and the number that the work itself says, if it does.
fn count(program: &Path, work: &str) -> Result<(u64, Option<u64>)> {
    let mut valgrind = Command::new("valgrind");
    valgrind
        .arg("--tool=callgrind")
        .arg(format!(
            "--callgrind-out-file={}",
            program.with_extension("callgrind").display()
        ))
        .arg(program)
        .args(work.split(' '))
        .env_clear()
        .env("PATH", "/usr/bin:/bin");
    let output = process::output(&mut valgrind)?;
    let words = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "`work {work}` failed: {words}");
    let line = words
        .lines()
        .find_map(|line| line.split_once("Collected : "));
    let number = line.and_then(|(_, number)| number.trim().parse().ok());
    let number = number.with_context(|| format!("callgrind counted nothing: {words}"))?;
    let said = String::from_utf8_lossy(&output.stdout);
    Ok((number, said.trim().parse().ok()))
}

fn written(compiler: &str, counts: &BTreeMap<String, u64>) -> Result<String> {
    let mut text = format!(
        "# Written by `cargo xtask bench --accept`: instructions of what \
         init-core/sim/examples/work.rs does.\n\
         compiler = \"{compiler}\"\n\n[work]\n"
    );
    for (work, count) in counts {
        writeln!(text, "\"{work}\" = {count}")?;
    }
    Ok(text)
}

/// A table of both, and what costs more than it may.
fn compare(baseline: &Table, counts: &BTreeMap<String, u64>) -> Result<(String, Vec<String>)> {
    let stored = baseline.get("work").and_then(Value::as_table);
    let stored = stored.with_context(|| format!("{BASELINE} has no table [work]"))?;
    let mut text = format!(
        "{:<28} {:>14} {:>14} {:>8}\n",
        "work", "baseline", "now", "ratio"
    );
    let mut worse = Vec::new();
    for (work, now) in counts {
        let before = stored.get(work).and_then(Value::as_integer);
        let before = before.with_context(|| format!("{BASELINE} does not know {work:?}"))?;
        let ratio = *now as f64 / before as f64;
        writeln!(text, "{work:<28} {before:>14} {now:>14} {ratio:>8.3}")?;
        if ratio > TOLERANCE {
            worse.push(format!("{work} ({ratio:.2} times)"));
        }
    }
    Ok((text, worse))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(count: u64) -> BTreeMap<String, u64> {
        BTreeMap::from([("boot 100 4".to_string(), count)])
    }

    #[test]
    fn what_is_written_is_read_and_only_what_costs_clearly_more_is_worse() {
        let text = written("rustc 1", &counts(1_000)).expect("it can be written");
        let baseline: Table = toml::from_str(&text).expect("it is TOML");
        for (now, worse) in [(900, 0), (1_000, 0), (1_049, 0), (1_060, 1)] {
            let (_, found) = compare(&baseline, &counts(now)).expect("it is known");
            assert_eq!(found.len(), worse, "{now}");
        }
    }

    #[test]
    fn work_that_the_baseline_does_not_know_is_told() {
        let baseline: Table = toml::from_str("[work]\n\"x\" = 1\n").expect("it is TOML");
        let error = compare(&baseline, &counts(1)).expect_err("another work");
        assert!(error.to_string().contains("does not know \"boot 100 4\""));
    }
}
