//! This file builds programs without libc: the benchmark's own, which are the probe, every service,
//! and the floor; and that of a scenario.

use crate::setup::Core;
use crate::{build, house, process, setup};
use anyhow::{Context, Result};
use manifests::board::Board;
use qemu_tests::progress::say;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// A minute on a slow machine, and much to spare.
const BUILD_LIMIT: Duration = Duration::from_secs(300);

/// Builds the benchmark's into the folder, where they are `probe` and `floor`.
///
/// # Errors
/// No toolchain can be had, or they do not compile.
pub fn build(board: &Board, folder: &Path) -> Result<()> {
    build_into(board, &["probe", "floor"], folder)
}

/// Builds the program that forgets sockets, and returns its file.
///
/// # Errors
/// No toolchain can be had, or it does not compile.
pub fn forgets(board: &Board) -> Result<PathBuf> {
    say(&format!("building forgets for {}", board.name));
    let folder = house::target().join("boards").join(&board.name);
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make {}", folder.display()))?;
    build_into(board, &["forgets"], &folder)?;
    Ok(folder.join("forgets"))
}

fn build_into(board: &Board, names: &[&str], folder: &Path) -> Result<()> {
    let toolchain = setup::toolchain(&board.triple, false)?;
    let objects = toolchain.objects();
    let mut cargo = toolchain.cargo();
    cargo
        .args(["build", "--quiet", "--package", "bench-programs"])
        .args(names.iter().flat_map(|name| ["--bin", *name]))
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
    for name in names {
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
