//! This file is the program behind `cargo xtask sim`.

use init_core_sim::command;
use init_core_sim::run::Stage;
use std::process::ExitCode;

/// Histories, where nobody says how many.
const SEEDS: u64 = 20_000;

fn main() -> ExitCode {
    command::run(SEEDS, &Stage::performer)
}
