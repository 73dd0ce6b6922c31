//! This file links the core as a library with the C program of `board/c/demo`, and judges what that
//! prints; and links it for a processor without an operating system, where nothing may be missing.

use crate::{build, house, process};
use anyhow::{Context, Result, bail};
use manifests::board::Board;
use qemu_tests::machine::Machine;
use qemu_tests::progress::say;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Compilers for 64-bit ARM without an operating system, and what makes them one.
const COMPILERS: [(&str, &[&str]); 2] = [
    ("aarch64-linux-gnu-gcc", &[]),
    ("clang", &["--target=aarch64-none-elf"]),
];

/// Where QEMU's `virt` machine has memory.
const IMAGE_BASE: &str = "--image-base=0x40080000";

/// The machine needs a moment; a busy host takes many times that.
const LIMIT: Duration = Duration::from_secs(60);

/// All functions of the header, so that the linker follows each.
const FUNCTIONS: [&str; 11] = [
    "sysmaster_abi",
    "sysmaster_boot",
    "sysmaster_create",
    "sysmaster_next_deadline",
    "sysmaster_next_effect",
    "sysmaster_post",
    "sysmaster_state",
    "sysmaster_step",
    "sysmaster_step_posted",
    "sysmaster_unit",
    "sysmaster_unit_count",
];

fn demo() -> PathBuf {
    house::root().join("board/c/demo")
}

fn out() -> Result<PathBuf> {
    let out = house::target().join("library/demo");
    std::fs::create_dir_all(&out).with_context(|| format!("cannot make {}", out.display()))?;
    Ok(out)
}

/// How C is compiled: by the letter, and for any image.
fn flags(compiler: &mut Command) -> &mut Command {
    compiler.args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-O1"])
}

/// Runs the C program with the library on this machine; what it printed is what its file says.
///
/// # Errors
/// It does not compile or link, fails, or prints something else.
pub fn run() -> Result<String> {
    let product = demo().join("product.toml");
    say("building the core as a library, and a C program with it");
    let board = house::board("oh-tee-virt")?;
    let (library, _) = build::library(&board, true, &product)?;
    let program = out()?.join("demo");
    let mut compiler = Command::new("cc");
    flags(&mut compiler)
        .arg("-Wl,--gc-sections")
        .arg("-o")
        .arg(&program)
        .args([demo().join("main.c"), demo().join("hosted.c"), library]);
    process::capture(&mut compiler).context("compiling and linking board/c/demo")?;
    let printed = process::capture(&mut Command::new(&program)).context("running board/c/demo")?;
    let file = demo().join("expected.txt");
    let wanted = std::fs::read_to_string(&file)
        .with_context(|| format!("cannot read {}", file.display()))?;
    same(&printed, &wanted)?;
    let without = link_without_system(&board, &product, &wanted)?;
    Ok(format!(
        "{} lines as expected; {without}",
        printed.lines().count()
    ))
}

/// Links the library for 64-bit ARM without an operating system, where nothing but what the image
/// gives may be missing. Where there is a compiler for that, the C program is in the image, and
/// prints the same on the machine that QEMU imitates.
fn link_without_system(board: &Board, product: &Path, wanted: &str) -> Result<String> {
    let (library, toolchain) = build::library(board, false, product)?;
    let image = out()?.join("without-system.elf");
    let mut linker = Command::new(&toolchain.linker);
    if toolchain.linker.ends_with("rust-lld") {
        linker.args(["-flavor", "gnu"]);
    }
    linker.args(["--gc-sections", "--fatal-warnings", IMAGE_BASE, "-o"]);
    linker.arg(&image);
    linker.args(FUNCTIONS.map(|name| format!("--undefined={name}")));
    let found = COMPILERS
        .iter()
        .find_map(|(name, own)| Some((process::find(name)?, own)));
    let Some((compiler, own)) = found else {
        linker.args(["--entry=sysmaster_step", "--defsym=sysmaster_lock=0"]);
        linker.arg("--defsym=sysmaster_unlock=0").arg(&library);
        process::capture(&mut linker).context("linking the library without a system")?;
        let names = COMPILERS.map(|(name, _)| name).join(" nor ");
        return Ok(format!(
            "linked without a system, but without the C program: there is neither {names} here"
        ));
    };
    for name in ["main", "bare"] {
        let object = out()?.join(name).with_extension("o");
        let source = demo().join(name).with_extension("c");
        let mut command = Command::new(&compiler);
        flags(command.args(*own))
            .args(["-ffreestanding", "-mstrict-align", "-fno-pic", "-c", "-o"])
            .arg(&object)
            .arg(&source);
        process::capture(&mut command)
            .with_context(|| format!("compiling {}", house::shown(&source)))?;
        linker.arg(&object);
    }
    linker.arg("--entry=image_start").arg(&library);
    process::capture(&mut linker).context("linking board/c/demo without a system")?;
    let mut machine = Machine::start(board, &image, &image.with_extension("log"))?;
    machine.wait_for_end(LIMIT)?;
    let printed = machine.text(0).replace('\r', "");
    same(&printed, wanted).context("without a system")?;
    Ok(format!(
        "the same without a system, by {}",
        compiler.display()
    ))
}

/// # Errors
/// What was printed is not what was to be.
fn same(printed: &str, wanted: &str) -> Result<()> {
    if printed.trim_end() != wanted.trim_end() {
        bail!("board/c/demo printed\n{printed}\nand was to print\n{wanted}");
    }
    Ok(())
}
