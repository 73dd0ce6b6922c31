//! This file is the program behind `cargo xtask sim --harmony`: init-core's generated histories
//! over the HAL on the simulated kernel.

#[path = "../tests/histories/mod.rs"]
mod histories;
#[path = "../tests/sim/mod.rs"]
mod sim;
#[path = "../tests/world/mod.rs"]
mod world;

use std::process::ExitCode;

/// Histories, where nobody says how many.
const SEEDS: u64 = 500;

fn main() -> ExitCode {
    init_core_sim::command::run(SEEDS, &histories::performer)
}
