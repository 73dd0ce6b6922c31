//! This file builds what runs without Linux: a root task, its core and services, the stub kernel,
//! and the core as a library.

use super::command::linked;
use super::{Request, compile};
use crate::setup::{self, Core, Toolchain};
use crate::{house, process};
use anyhow::{Context, Result};
use manifests::board::Board;
use qemu_tests::progress::say;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The stub kernel is small; with it the library `alloc` may have to be compiled.
const STUB_LIMIT: Duration = Duration::from_secs(10 * 60);

/// Builds the root task of a product, or another program of a board without Linux; the file with
/// symbols, as it is linked.
///
/// # Errors
/// No toolchain can be had, the manifest is refused, or the program does not compile or link.
pub fn root_task(program: &str, request: &Request<'_>) -> Result<PathBuf> {
    let toolchain = setup::toolchain(&request.board.triple, false)?;
    let product = house::stem(request.product);
    let board = &request.board.name;
    say(&format!("building {program} of {product} for {board}"));
    compile(program, request, &toolchain)?;
    Ok(linked(program, request, &toolchain))
}

/// The program of a split product's core, which its root task carries.
const CORE_PROGRAM: &str = "core-process";

/// Builds the core of a split product where the root task finds it; the file with symbols.
///
/// # Errors
/// As [`root_task`].
pub fn core_process(request: &Request<'_>) -> Result<PathBuf> {
    let linked = root_task(CORE_PROGRAM, request)?;
    let toolchain = setup::toolchain(&request.board.triple, false)?;
    let bytes = std::fs::read(&linked)
        .with_context(|| format!("cannot read {}", linked.display()))
        .and_then(crate::elf::strip)?;
    let file = core_file(request, &toolchain);
    // What includes it is not built again for the same bytes.
    if std::fs::read(&file).ok().as_ref() != Some(&bytes) {
        std::fs::write(&file, bytes).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(linked)
}

/// Where that program lies, without its symbols: each product has its own, so that no root task
/// carries the core of another.
pub(super) fn core_file(request: &Request<'_>, toolchain: &Toolchain) -> PathBuf {
    let name = format!("{CORE_PROGRAM}.{}", house::stem(request.product));
    linked(&name, request, toolchain).with_extension("stripped")
}

/// Builds the programs of a product's services, which are the bins of the package in `folder`, into
/// the folder `out`, stripped.
///
/// # Errors
/// No toolchain can be had, or one does not compile.
pub fn services(board: &Board, folder: &Path, out: &Path) -> Result<()> {
    let toolchain = setup::toolchain(&board.triple, false)?;
    let package = house::stem(folder);
    say(&format!("building the services of {package}"));
    let mut cargo = toolchain.cargo();
    cargo
        .args(["build", "--quiet", "--package", &package])
        .args(["--profile", "firmware", "--target", &toolchain.triple])
        .arg("--target-dir")
        .arg(toolchain.objects().join("services"))
        .env(
            "CARGO_ENCODED_RUSTFLAGS",
            service_flags(&toolchain).join("\u{1f}"),
        )
        .env("RUSTC_BOOTSTRAP", "1");
    bare_core(&mut cargo, &toolchain, "core");
    process::run_shown(&mut cargo, STUB_LIMIT)?;
    std::fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
    let built = toolchain.objects().join("services").join(&toolchain.triple);
    let sources = folder.join("src/bin");
    let sources = std::fs::read_dir(&sources)
        .with_context(|| format!("cannot list {}", sources.display()))?;
    for source in sources {
        let name = house::stem(&source?.path());
        let file = built.join("firmware").join(&name);
        let bytes =
            std::fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        std::fs::write(out.join(name), crate::elf::strip(bytes)?)?;
    }
    Ok(())
}

/// How a service is linked: for fixed addresses, its segments in pages.
fn service_flags(toolchain: &Toolchain) -> Vec<String> {
    vec![
        format!("-Clinker={}", toolchain.linker.display()),
        "-Clinker-flavor=ld.lld".to_string(),
        "-Crelocation-model=static".to_string(),
        "-Clink-arg=-zmax-page-size=4096".to_string(),
    ]
}

/// Where the target's core does not come compiled, builds these libraries; `memcpy` and its like
/// are nobody else's where there is no libc.
pub fn bare_core(cargo: &mut Command, toolchain: &Toolchain, libraries: &str) {
    if toolchain.core == Core::FromSource {
        cargo.arg(format!("-Zbuild-std={libraries}"));
        cargo.arg("-Zbuild-std-features=compiler-builtins-mem");
    }
}

/// Builds the stub kernel for `board`'s processor; the library that a root image is linked with.
///
/// # Errors
/// No toolchain can be had, or it does not compile.
pub fn stub_kernel(board: &Board) -> Result<(PathBuf, Toolchain)> {
    let toolchain = setup::toolchain(&board.triple, false)?;
    say("building the stub kernel");
    let mut cargo = toolchain.cargo();
    cargo
        .args([
            "build",
            "--quiet",
            "--package",
            "stub-kernel",
            "--profile",
            "firmware",
        ])
        .args(["--target", &toolchain.triple])
        .arg("--target-dir")
        .arg(toolchain.objects())
        .env("RUSTC_BOOTSTRAP", "1");
    bare_core(&mut cargo, &toolchain, "core,alloc");
    process::run_shown(&mut cargo, STUB_LIMIT)?;
    let folder = toolchain.objects().join(&toolchain.triple);
    Ok((folder.join("firmware/libstub_kernel.a"), toolchain))
}

/// Builds the core as a static library with the tables of `product`, for `board`'s processor
/// without an operating system, or, by the same compiler, for the machine that this runs on.
///
/// # Errors
/// No toolchain can be had, the manifest is refused, or it does not compile.
pub fn library(board: &Board, is_for_host: bool, product: &Path) -> Result<(PathBuf, Toolchain)> {
    let toolchain = setup::toolchain(&board.triple, false)?;
    let triple = if is_for_host {
        format!("{}-unknown-linux-gnu", std::env::consts::ARCH)
    } else {
        toolchain.triple.clone()
    };
    let mut cargo = toolchain.cargo();
    cargo
        .args(["build", "--quiet", "--package", "board-c"])
        .args(["--profile", "firmware", "--target", &triple])
        .arg("--target-dir")
        .arg(toolchain.objects())
        .env("RUSTC_BOOTSTRAP", "1")
        .env("SYSMASTER_PRODUCT", product);
    if !is_for_host {
        bare_core(&mut cargo, &toolchain, "core");
    }
    process::run_shown(&mut cargo, STUB_LIMIT)?;
    let folder = toolchain.objects().join(triple);
    Ok((folder.join("firmware/libsysmaster.a"), toolchain))
}
