//! This program is the services of the campaign on a board, and who injures process 1 there.
//!
//! `campaign witness UNIT SEED FILE` is a service. `campaign injure SERVICES SEED FILE FORM COURSE`
//! waits until all have begun and takes orders from then on (`orders.rs`). As process 1 it becomes
//! the machine's, on what seems to be an old kernel.

mod orders;

use anyhow::{Context, Result};
use heal_campaign::{be_on_an_old_kernel, witness};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

/// Process 1's program.
const INIT: &str = "/init";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        _ if std::process::id() == 1 => become_init(&words),
        ["witness", unit, seed, journal] => be_witness(unit, seed, journal),
        ["injure", services, seed, journal, form, course] => {
            orders::take(services, seed, journal, *form == "split", course).map(|()| 0)
        }
        _ => Err(anyhow::anyhow!(
            "witness UNIT SEED FILE, or injure SERVICES SEED FILE FORM COURSE"
        )),
    };
    match done {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            orders::say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn be_witness(unit: &str, seed: &str, journal: &str) -> Result<u8> {
    let unit = unit.parse().context("the unit is no number")?;
    let seed = seed.parse().context("the seed is no number")?;
    witness::run(unit, seed, Path::new(journal))
}

/// Returns only where that cannot be.
fn become_init(words: &[&str]) -> Result<u8> {
    be_on_an_old_kernel().context("no filter of system calls")?;
    let error = Command::new(INIT).args(words).exec();
    Err(error).context(INIT)
}
