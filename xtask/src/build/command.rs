//! This file is the command that compiles firmware: cargo, with what every board and the product at
//! hand ask for.

use super::Request;
use super::bare::{bare_core, core_file};
use crate::house;
use crate::setup::{Core, Toolchain};
use anyhow::{Result, bail};
use manifests::board::{Abi, Board};
use std::path::PathBuf;
use std::process::{Command, Stdio};

pub(super) fn linked(program: &str, request: &Request<'_>, toolchain: &Toolchain) -> PathBuf {
    let folder = objects(request, toolchain).join(&toolchain.triple);
    let profile = match house::project(request.product) {
        Some(_) => "release",
        None => "firmware",
    };
    folder.join(profile).join(program)
}

/// Where cargo puts what it makes. A firmware of its own gets a folder of its own: its versions of
/// other people's crates need not be ours.
pub(super) fn objects(request: &Request<'_>, toolchain: &Toolchain) -> PathBuf {
    let ours = toolchain.objects();
    match house::project(request.product) {
        Some(_) => ours.join(house::stem(request.product)),
        None => ours,
    }
}

/// The composition that runs on the board.
pub(super) fn package(board: &Board) -> &'static str {
    match board.abi {
        Abi::Linux => "board-linux",
        Abi::OhTee => "board-oh-tee",
        Abi::Library => "board-c",
    }
}

pub(super) fn cargo(
    verb: &str,
    program: &str,
    request: &Request<'_>,
    toolchain: &Toolchain,
) -> Result<Command> {
    let mut cargo = toolchain.cargo();
    cargo.arg(verb);
    match house::project(request.product) {
        // What the project's own `cargo build --release` makes, before it is stripped.
        Some(folder) => cargo
            .arg("--release")
            .current_dir(folder)
            .env("CARGO_PROFILE_RELEASE_STRIP", "none")
            .env("CARGO_PROFILE_RELEASE_DEBUG", "line-tables-only"),
        None => cargo.args(["--package", package(request.board), "--profile", "firmware"]),
    };
    cargo
        .args(["--bin", program, "--target", &toolchain.triple])
        .arg("--target-dir")
        .arg(objects(request, toolchain))
        .env(
            "CARGO_ENCODED_RUSTFLAGS",
            rustflags(request.board, toolchain).join("\u{1f}"),
        )
        // Frame sizes are recorded by an option that stable compilers hide.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("SYSMASTER_PRODUCT", request.product)
        .env("SYSMASTER_BOARD", &request.board.folder)
        .env_remove("SYSMASTER_ROOTFS")
        .stdin(Stdio::null());
    if let Some(rootfs) = request.rootfs {
        cargo.env("SYSMASTER_ROOTFS", rootfs);
    }
    let own = crate::product::features(request.product, request.board)?;
    if let (false, Some(name)) = (request.heals, own.first()) {
        let product = house::shown(request.product);
        bail!("{product} asks for `{name}`, which needs healing: there is none without it");
    }
    let mut features = request.features.to_vec();
    features.extend(own);
    let unused = crate::product::leaving_out(request.product, request.board)?;
    features.extend(unused.into_iter().map(String::from));
    if request.board.abi == Abi::OhTee && features.iter().any(|name| name == "split") {
        cargo.env("SYSMASTER_CORE", core_file(request, toolchain));
    }
    if !features.is_empty() {
        cargo.arg("--features").arg(features.join(","));
    }
    if !request.heals {
        cargo.arg("--no-default-features");
    }
    match request.board.abi {
        Abi::OhTee => bare_core(&mut cargo, toolchain, "core"),
        Abi::Linux if toolchain.core == Core::FromSource => {
            cargo.arg("-Zbuild-std=core");
        }
        Abi::Linux | Abi::Library => {}
    }
    Ok(cargo)
}

/// Makes functions of what functions have in common that were made so.
const SECOND_LOOK: &str = "-Cllvm-args=-machine-outliner-reruns=1";

/// How every board's process 1 is compiled and linked.
fn rustflags(board: &Board, toolchain: &Toolchain) -> Vec<String> {
    let mut flags = vec![
        format!("-Clinker={}", toolchain.linker.display()),
        "-Clinker-flavor=ld.lld".to_string(),
        "-Crelocation-model=static".to_string(),
        "-Crelro-level=off".to_string(),
        "-Cforce-unwind-tables=no".to_string(),
        "-Zemit-stack-sizes".to_string(),
        // Blocks are laid out, and small choices made without a branch, for size; on machines
        // where the compiler makes functions of what code has in common, it looks twice.
        "-Cllvm-args=-apply-ext-tsp-for-size".to_string(),
        "-Cllvm-args=-two-entry-phi-node-folding-threshold=4".to_string(),
        "-Cllvm-args=-jump-threading-threshold=5".to_string(),
        SECOND_LOOK.to_string(),
        // A few instructions more than those of a call are still better put in its place; and what
        // is put in another order in the end is not found to be the same any more.
        "-Cllvm-args=-inline-threshold=12".to_string(),
        "-Cllvm-args=-enable-post-misched=0".to_string(),
    ];
    if board.triple.starts_with("arm") {
        // There such a function may call another without keeping its own way back: seen with LLVM
        // of rustc 1.96, where what followed was an endless loop. `returns` refuses such a program.
        flags.retain(|flag| flag != SECOND_LOOK);
    }
    if board.abi == Abi::Linux {
        flags.push("-Clink-self-contained=no".to_string());
    }
    flags.extend(board.rustflags.iter().cloned());
    // Calls stay visible in the file that is looked at. What each link needs, `manifests::build`
    // says.
    flags.push("-Clink-arg=--emit-relocs".to_string());
    flags
}
