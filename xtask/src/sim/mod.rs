//! This file is `cargo xtask sim`: histories of the production core and driver on a simulated
//! machine, and defects that these histories must find.
//!
//! It is a program of its own, so that it is fast code and the house's tasks build fast.

mod mutants;

use crate::cli::Sim;
use crate::{house, process};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// To build two crates and what they need.
const BUILD_LIMIT: Duration = Duration::from_secs(10 * 60);

/// Histories by the million take their time.
const RUN_LIMIT: Duration = Duration::from_secs(24 * 60 * 60);

/// Performs what was asked for.
///
/// # Errors
/// A rule was broken, or a planted defect was not found.
pub fn run(sim: &Sim) -> Result<()> {
    if sim.mutants || sim.mutant.is_some() {
        return mutants::run(sim);
    }
    let machine = match sim.harmony {
        true => Machine::Harmony,
        false if sim.exchange => Machine::Exchange,
        false => Machine::Own,
    };
    let mut command = Command::new(build(&house::root(), "sim", machine)?);
    command.args(machine.first());
    let numbers = [
        ("--seeds", sim.seeds),
        ("--from", sim.from),
        ("--seed", sim.seed),
    ];
    for (name, number) in numbers {
        if let Some(number) = number {
            command.arg(name).arg(number.to_string());
        }
    }
    if let Some(file) = &sim.replay {
        command.arg("--replay").arg(file);
    }
    process::run_shown(&mut command, RUN_LIMIT)
}

/// What histories happen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Machine {
    /// The simulation's own kernel.
    Own,
    /// The same with keeper and core, which are exchanged.
    Exchange,
    /// Harmony's simulated kernel, with the HAL.
    Harmony,
}

impl Machine {
    /// What the program's arguments begin with.
    fn first(self) -> &'static [&'static str] {
        match self {
            Self::Exchange => &["--exchange"],
            Self::Own | Self::Harmony => &[],
        }
    }

    /// What is built, and where the program is then.
    fn program(self) -> (&'static [&'static str], &'static str) {
        match self {
            Self::Own | Self::Exchange => (&["--package", "init-core-sim"], "sim/init-core-sim"),
            Self::Harmony => (
                &[
                    "--package",
                    "hal-harmony",
                    "--features",
                    "split",
                    "--example",
                    "histories",
                ],
                "sim/examples/histories",
            ),
        }
    }
}

/// Builds the simulation of the tree at `root`; its program. `name`: the folder below `target`, one
/// for each tree, since cargo takes what one left for the other's.
fn build(root: &Path, name: &str, machine: Machine) -> Result<PathBuf> {
    let target = house::target().join(name);
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let (what, program) = machine.program();
    let mut command = Command::new(cargo);
    command.current_dir(root).env_remove("RUSTFLAGS");
    command.args(["build", "--quiet", "--profile", "sim"]);
    command.args(what).arg("--target-dir").arg(&target);
    process::run_within(&mut command, BUILD_LIMIT).context("the simulation does not build")?;
    Ok(target.join(program))
}
