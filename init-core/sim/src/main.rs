//! This file is the program behind `cargo xtask sim`.

use init_core_sim::run::Stage;
use init_core_sim::{command, exchange};
use std::process::ExitCode;

/// Histories, where nobody says how many.
const SEEDS: u64 = 20_000;

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some("--exchange") => exchange::run(),
        _ => command::run(SEEDS, &Stage::performer),
    }
}
