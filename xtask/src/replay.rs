//! This file is `cargo xtask replay`: what `sctl record` took out of a device is performed again,
//! by a program that is compiled from the same manifest for this machine.

use crate::cli::Replay;
use crate::{house, process, product};
use anyhow::{Context, Result};
use init_core_replay::file::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// To build two crates and what they need.
const BUILD_LIMIT: Duration = Duration::from_secs(10 * 60);

/// Recordings are of a few thousand events.
const RUN_LIMIT: Duration = Duration::from_secs(10 * 60);

/// Performs a recording.
///
/// # Errors
/// It is none, or none of this product, or it comes to something else.
pub fn run(replay: &Replay) -> Result<()> {
    let name = replay.file.display();
    let bytes = std::fs::read(&replay.file).with_context(|| format!("cannot read {name}"))?;
    let file = File::parse(&bytes).with_context(|| format!("{name}"))?;
    let [_, _, board] = &file.texts;
    let board = replay.board.as_ref().unwrap_or(board);
    let product = house::product(&replay.product)?;
    let rootfs = replay.rootfs.as_deref().map(std::path::absolute);
    let program = build(&product, board, rootfs.transpose()?.as_deref())?;
    let mut command = Command::new(program);
    command.arg(&replay.file);
    for (name, number) in [("--from", replay.from), ("--to", replay.to)] {
        if let Some(number) = number {
            command.arg(name).arg(number.to_string());
        }
    }
    if let Some(unit) = &replay.unit {
        command.arg("--unit").arg(unit);
    }
    if replay.quiet {
        command.arg("--quiet");
    }
    process::run_shown(&mut command, RUN_LIMIT)
}

/// Builds the program that performs recordings of this product.
///
/// # Errors
/// There is no such board, or it does not build.
pub fn build(product: &Path, board: &str, rootfs: Option<&Path>) -> Result<PathBuf> {
    let board = house::board(board)?;
    let target = house::target().join("sim");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(house::root()).env_remove("RUSTFLAGS");
    // What the simulation is made of is most of it.
    command.args(["build", "--quiet", "--profile", "sim"]);
    command.args(["--package", "init-core-replay"]);
    command.arg("--target-dir").arg(&target);
    let features = product::features(product, &board)?;
    if !features.is_empty() {
        command.arg("--features").arg(features.join(","));
    }
    command
        .env("SYSMASTER_PRODUCT", product)
        .env("SYSMASTER_BOARD", &board.folder)
        .env_remove("SYSMASTER_ROOTFS");
    if let Some(rootfs) = rootfs {
        command.env("SYSMASTER_ROOTFS", rootfs);
    }
    process::run_within(&mut command, BUILD_LIMIT).context("the replay does not build")?;
    // The next product's is built in its place.
    let name = product.file_stem().context("a manifest has a name")?;
    let own = target.join(format!("replay-{}", name.to_string_lossy()));
    std::fs::copy(target.join("sim/init-core-replay"), &own).context("cannot keep the replay")?;
    Ok(own)
}
