//! This file builds the benchmark's own programs: the probe, which is every service, and the floor.

use crate::setup::Core;
use crate::{build, process, setup};
use anyhow::{Context, Result};
use manifests::board::Board;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// A minute on a slow machine, and much to spare.
const BUILD_LIMIT: Duration = Duration::from_secs(300);

/// Builds them into the folder, where they are `probe` and `floor`.
///
/// # Errors
/// No toolchain can be had, or they do not compile.
pub fn build(board: &Board, folder: &Path) -> Result<()> {
    let toolchain = setup::toolchain(&board.triple, false)?;
    let objects = toolchain.objects();
    let mut cargo = toolchain.cargo();
    cargo
        .args(["build", "--quiet", "--package", "bench-programs"])
        .args(["--profile", "firmware", "--target", &toolchain.triple])
        .arg("--target-dir")
        .arg(&objects)
        .env("CARGO_ENCODED_RUSTFLAGS", flags(&toolchain.linker));
    if toolchain.core == Core::FromSource {
        cargo.env("RUSTC_BOOTSTRAP", "1");
        build::bare_core(&mut cargo, &toolchain, "core");
    }
    process::run_shown(&mut cargo, BUILD_LIMIT)?;
    let built: PathBuf = [
        &objects,
        Path::new(&toolchain.triple),
        Path::new("firmware"),
    ]
    .iter()
    .collect();
    for name in ["probe", "floor"] {
        let bytes = std::fs::read(built.join(name)).context("cargo built something else")?;
        let file = folder.join(name);
        std::fs::write(&file, crate::elf::strip(bytes)?)?;
        super::roots::make_executable(&file)?;
    }
    Ok(())
}

/// What a program says of its version, without what is said in brackets.
///
/// # Errors
/// It does not run.
pub fn version(program: &str) -> Result<String> {
    let said = process::capture(Command::new(program).arg("--version"))?;
    let line = said.lines().next().unwrap_or_default();
    let line = line.split(" (").next().unwrap_or(line);
    Ok(line.replace(" emulator version", ""))
}

fn flags(linker: &Path) -> String {
    let linker = format!("-Clinker={}", linker.display());
    [
        linker.as_str(),
        "-Clinker-flavor=ld.lld",
        "-Crelocation-model=static",
        "-Clink-self-contained=no",
        "-Crelro-level=off",
        "-Cforce-unwind-tables=no",
    ]
    .join("\u{1f}")
}
