//! This file performs a step by a command: cargo's, or one of ours that must succeed or fail.

use super::Outcome;
use crate::{house, process};
use anyhow::{Result, bail};
use std::process::Command;
use std::time::Duration;

/// Cargo's own steps compile everything once; two slow cores need some minutes for that.
pub const CARGO_LIMIT: Duration = Duration::from_secs(15 * 60);
/// One command of ours: builds one product and boots it at most once.
const TASK_LIMIT: Duration = Duration::from_secs(20 * 60);

/// The cargo that runs us, in the workspace.
pub fn cargo(args: &[&str]) -> Result<Outcome> {
    process::run_shown(&mut cargo_command(args), CARGO_LIMIT)?;
    Ok(Outcome::Passed(String::new()))
}

pub fn cargo_command(args: &[&str]) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut cargo = Command::new(program);
    cargo.args(args).current_dir(house::root());
    cargo
}

pub fn ourselves(args: &[&str]) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(args).current_dir(house::root());
    Ok(command)
}

/// A command of ours that must succeed.
pub fn succeeds(args: &[&str]) -> Result<Outcome> {
    process::run_shown(&mut ourselves(args)?, TASK_LIMIT)?;
    Ok(Outcome::Passed(String::new()))
}

/// A command of ours that must fail, for the reason that contains `cause`.
pub fn fails(args: &[&str], cause: &str) -> Result<Outcome> {
    let typed = format!("cargo xtask {}", args.join(" "));
    let output = process::output(&mut ourselves(args)?)?;
    let words = String::from_utf8_lossy(&output.stderr);
    if output.status.success() {
        bail!("`{typed}` must fail and did not");
    }
    let Some(line) = words.lines().find(|line| line.contains(cause)) else {
        bail!("`{typed}` failed for another reason than {cause:?}:\n{words}");
    };
    println!(
        "{typed}\n  fails, as it must ({}):\n  {line}",
        output.status
    );
    Ok(Outcome::Passed(String::new()))
}
