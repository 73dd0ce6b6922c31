//! This file lets an interpreter of the language, Miri, perform the tests of code that handles
//! memory by hand: what it sees is undefined behaviour that no processor tells.
//!
//! It knows neither assembly nor most system calls, so what asks the kernel is not among them.

use crate::setup::without_foreign;
use crate::{house, process};
use anyhow::{Context, Result};
use qemu_tests::progress::say;
use std::process::Command;
use std::time::Duration;

/// Miri comes with nightly toolchains only, and not with each of them.
const TOOLCHAIN: &str = "nightly-2026-10-30";

/// A download of 150 MiB.
const INSTALL_LIMIT: Duration = Duration::from_secs(15 * 60);

/// One crate: two slow, busy cores need some minutes to compile it for the interpreter.
const RUN_LIMIT: Duration = Duration::from_secs(20 * 60);

/// Memory that tests lend for ever is no fault; and firmware is told addresses as numbers.
const FLAGS: &str = "-Zmiri-ignore-leaks -Zmiri-permissive-provenance";

/// A crate, what it is compiled with, and which of its unit tests are performed.
struct Run {
    package: &'static str,
    features: &'static str,
    tests: &'static [&'static str],
}

/// What is unsafe by itself first; then what every life of process 1 reads of the one before.
const RUNS: [Run; 3] = [
    Run {
        package: "hal-linux",
        features: "",
        tests: &["sys::"],
    },
    Run {
        package: "hal-harmony",
        features: "",
        tests: &["abi::", "start::"],
    },
    Run {
        package: "init-core",
        features: "fake",
        tests: &[
            "checkpoint::words::",
            "checkpoint::records::tests::a_",
            "packed::tests::what_",
        ],
    },
];

/// Performs them all.
pub fn run() -> Result<()> {
    let mut there = miri();
    if process::output(there.arg("--version")).is_ok_and(|answer| answer.status.success()) {
        say(&format!("miri: that of {TOOLCHAIN}"));
    } else {
        let mut rustup = Command::new("rustup");
        rustup.args(["toolchain", "install", TOOLCHAIN, "--profile", "minimal"]);
        rustup.args(["--component", "miri,rust-src"]);
        say(&format!("set-up: {}", process::line(&rustup)));
        process::run_within(&mut rustup, INSTALL_LIMIT)
            .context("Miri comes by rustup, which cannot help")?;
    }
    for run in RUNS {
        let mut cargo = miri();
        cargo.args(["test", "--package", run.package, "--lib"]);
        cargo.args(["--features", run.features, "--"]);
        cargo.args(run.tests);
        process::run_shown(&mut cargo, RUN_LIMIT)?;
    }
    Ok(())
}

/// Cargo with that interpreter. It builds where nobody else does: for nothing but itself.
fn miri() -> Command {
    let mut command = Command::new("rustup");
    command.args(["run", TOOLCHAIN, "cargo", "miri"]);
    without_foreign(&mut command);
    command
        .current_dir(house::root())
        .env("CARGO_TARGET_DIR", house::target().join("miri"))
        .env("MIRIFLAGS", FLAGS);
    command
}
