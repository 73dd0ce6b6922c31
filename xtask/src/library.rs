//! This file links the core as a library with the C program of `board/c/demo`, and judges what that
//! prints; and links it for a processor without an operating system, where nothing may be missing.

use crate::{build, house, process};
use anyhow::{Context, Result, bail};
use manifests::board::Board;
use qemu_tests::progress::say;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Compilers for 64-bit ARM without an operating system, and what makes them one.
const COMPILERS: [(&str, &[&str]); 2] = [
    ("aarch64-linux-gnu-gcc", &[]),
    ("clang", &["--target=aarch64-none-elf"]),
];

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
    if printed.trim_end() != wanted.trim_end() {
        bail!("board/c/demo printed\n{printed}\nand was to print\n{wanted}");
    }
    let without = link_without_system(&board, &product)?;
    Ok(format!(
        "{} lines as expected; {without}",
        printed.lines().count()
    ))
}

/// Links the library for 64-bit ARM without an operating system, where there is a compiler for that
/// with the C program. Nothing but what the image gives may be missing.
fn link_without_system(board: &Board, product: &Path) -> Result<String> {
    let (library, toolchain) = build::library(board, false, product)?;
    let mut linker = Command::new(&toolchain.linker);
    if toolchain.linker.ends_with("rust-lld") {
        linker.args(["-flavor", "gnu"]);
    }
    linker.args(["--gc-sections", "--fatal-warnings", "-o"]);
    linker.arg(out()?.join("without-system.elf"));
    let found = COMPILERS
        .iter()
        .find(|(name, _)| process::find(name).is_some());
    let said = match found {
        Some((name, own)) => {
            let object = out()?.join("main.o");
            let mut compiler = Command::new(name);
            flags(compiler.args(*own))
                .args(["-ffreestanding", "-c", "-o"])
                .arg(&object)
                .arg(demo().join("main.c"));
            process::capture(&mut compiler).context("compiling board/c/demo/main.c")?;
            linker.args(["--entry=main", "--defsym=image_write=0"]);
            linker.arg(&object);
            format!("linked without a system by {name}")
        }
        None => {
            linker.args(["--entry=sysmaster_step", "--defsym=sysmaster_lock=0"]);
            linker.arg("--defsym=sysmaster_unlock=0");
            "linked without a system, without the C program: there is neither \
             aarch64-linux-gnu-gcc nor clang here"
                .to_string()
        }
    };
    let roots = FUNCTIONS.map(|name| format!("--undefined={name}"));
    linker.args(roots).arg(&library);
    process::capture(&mut linker).context("linking the library without a system")?;
    Ok(said)
}
