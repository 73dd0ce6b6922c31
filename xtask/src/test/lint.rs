//! This file holds the checks that read the code and run none of it.

use super::Outcome;
use super::commands::{CARGO_LIMIT, cargo, cargo_command};
use crate::setup::{self, Core};
use crate::{house, process, tidy};
use anyhow::Result;
use manifests::unused::FEATURES;
use std::process::Command;

pub fn rules() -> Result<Outcome> {
    let count = tidy::check()?;
    Ok(Outcome::Passed(format!("{count} files")))
}

pub fn format() -> Result<Outcome> {
    if let Some(skipped) = absent("rustfmt") {
        return Ok(skipped);
    }
    cargo(&["fmt", "--all", "--check"])
}

pub fn host() -> Result<Outcome> {
    if let Some(skipped) = absent("clippy") {
        return Ok(skipped);
    }
    cargo(&["clippy", "--all-targets", "--quiet", "--", "-D", "warnings"])
}

/// Clippy is of the compiler that runs us, so it sees the boards whose `core` that one has; else it
/// takes the firmware as a program of the host.
pub fn firmware() -> Result<Outcome> {
    if let Some(skipped) = absent("clippy") {
        return Ok(skipped);
    }
    let mut triples = Vec::new();
    for board in house::boards()? {
        let toolchain = setup::toolchain(&board.triple, false)?;
        if toolchain.core == Core::Prebuilt {
            triples.push(toolchain.triple);
        }
    }
    let lint = |package: &str, triple: Option<&str>| {
        let mut args = vec!["clippy", "--quiet", "--package", package];
        args.extend(["--profile", "firmware"]);
        args.extend(triple.into_iter().flat_map(|triple| ["--target", triple]));
        cargo(&[&args[..], &["--", "-D", "warnings"]].concat())
    };
    if triples.is_empty() {
        lint("board-linux", None)?;
        return Ok(Outcome::Passed("as a program of the host".to_string()));
    }
    for triple in &triples {
        lint("board-linux", Some(triple))?;
    }
    // Code that only a product has which asks for it.
    let tests = "hal-linux/tests/namespace";
    for (product, feature) in [
        (format!("{tests}/split.toml"), "split,exchange".to_string()),
        (format!("{tests}/recording.toml"), "recorder".to_string()),
        // And without what a product has no use for.
        (
            "manifests/products/ten.toml".to_string(),
            FEATURES.join(","),
        ),
    ] {
        let mut clippy = cargo_command(&["clippy", "--quiet", "--package", "board-linux"]);
        clippy.args(["--profile", "firmware", "--features", &feature]);
        clippy.args(["--target", triples.first().map_or("", String::as_str)]);
        clippy.args(["--", "-D", "warnings"]);
        clippy.env("SYSMASTER_PRODUCT", house::root().join(product));
        process::run_shown(&mut clippy, CARGO_LIMIT)?;
    }
    for board in house::harmony_boards()? {
        let toolchain = setup::toolchain(&board.triple, false)?;
        if toolchain.core == Core::Prebuilt {
            for package in ["board-c", "board-oh-tee", "stub-kernel", "harmony-demo"] {
                lint(package, Some(&toolchain.triple))?;
            }
            triples.push(toolchain.triple);
        }
    }
    Ok(Outcome::Passed(triples.join(", ")))
}

/// A component of Rust that a minimal installation lacks.
fn absent(component: &str) -> Option<Outcome> {
    let program = match component {
        "clippy" => "cargo-clippy",
        _ => component,
    };
    let answer = process::output(Command::new(program).arg("--version"));
    if answer.is_ok_and(|answer| answer.status.success()) {
        return None;
    }
    let next = format!("not installed (rustup component add {component})");
    Some(Outcome::Skipped(next))
}
