//! This file builds a program that watches over others on a board: static, with the standard
//! library, which is the toolchain's own or built from its sources over Debian's musl.

use crate::setup::{self, Core, Toolchain};
use crate::{build, house, process};
use anyhow::{Context, Result};
use manifests::board::Board;
use qemu_tests::debian::Store;
use qemu_tests::progress::say;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The standard library may have to be compiled, too.
const LIMIT: Duration = Duration::from_secs(15 * 60);

/// Where there is no compiled standard library there is no C library either; this has one.
const MUSL: &str = "musl-dev";

/// Begins and ends every program.
const START_FILES: [&str; 3] = ["crt1.o", "crti.o", "crtn.o"];

/// What a back trace would call, which nobody asks for.
const UNWINDING: [&str; 6] = [
    "_Unwind_Backtrace",
    "_Unwind_FindEnclosingFunction",
    "_Unwind_GetCFA",
    "_Unwind_GetIP",
    "_Unwind_GetIPInfo",
    "_Unwind_VRS_Get",
];

/// An archive without a member.
const EMPTY_ARCHIVE: &str = "!<arch>\n";

/// A program for a board.
#[derive(Debug)]
pub struct Program {
    package: &'static str,
    name: &'static str,
}

/// Who injures process 1.
pub const CAMPAIGN: Program = Program {
    package: "heal-campaign",
    name: "campaign",
};

/// Who measures.
pub const REFEREE: Program = Program {
    package: "bench-lives",
    name: "referee",
};

/// Builds it into `file`.
///
/// # Errors
/// No toolchain can be had, or it does not compile.
pub fn build(board: &Board, program: &Program, file: &Path) -> Result<()> {
    let toolchain = setup::toolchain(&board.triple, false)?;
    say(&format!("building the {} for {}", program.name, board.name));
    let objects = toolchain.objects().join("campaign");
    let mut flags = vec![
        format!("-Clinker={}", toolchain.linker.display()),
        "-Clinker-flavor=ld.lld".to_string(),
        "-Ctarget-feature=+crt-static".to_string(),
        "-Crelocation-model=static".to_string(),
    ];
    let mut cargo = toolchain.cargo();
    cargo
        .args(["build", "--quiet", "--package", program.package])
        .args(["--release", "--bin", program.name])
        .args(["--target", &toolchain.triple])
        .arg("--target-dir")
        .arg(&objects);
    if toolchain.core == Core::FromSource {
        flags.extend(over_musl(board, &objects)?);
        cargo
            .args(["-Zbuild-std=std,panic_abort", "-Zbuild-std-features="])
            .env("RUSTC_BOOTSTRAP", "1")
            .env("CARGO_PROFILE_RELEASE_PANIC", "abort");
    }
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
    process::run_shown(&mut cargo, LIMIT)?;
    let linked = linked(&objects, &toolchain, program);
    let bytes =
        std::fs::read(&linked).with_context(|| format!("cannot read {}", linked.display()))?;
    std::fs::write(file, crate::elf::strip(bytes)?)
        .with_context(|| format!("cannot write {}", file.display()))?;
    build::make_executable(file)
}

fn linked(objects: &Path, toolchain: &Toolchain, program: &Program) -> PathBuf {
    let folder = objects.join(&toolchain.triple).join("release");
    folder.join(program.name)
}

/// How a program is linked with Debian's musl for `board`.
fn over_musl(board: &Board, objects: &Path) -> Result<Vec<String>> {
    let cache = house::target().join("cache");
    let store = Store::new(&cache, &board.debian_arch, board.debian_suite.as_deref());
    let packages = store.packages(&[MUSL.to_string()])?;
    let folders = packages
        .iter()
        .map(|package| package.folder.join("usr/lib"));
    let folder = folders
        .filter_map(|folder| std::fs::read_dir(folder).ok())
        .flat_map(|entries| entries.flatten())
        .map(|entry| entry.path())
        .find(|folder| folder.join("libc.a").is_file())
        .with_context(|| format!("Debian's {MUSL} has no libc.a"))?;
    // The standard library names one that unwinds.
    let own = objects.join("lib");
    std::fs::create_dir_all(&own).with_context(|| format!("cannot make {}", own.display()))?;
    std::fs::write(own.join("libunwind.a"), EMPTY_ARCHIVE)?;
    let mut flags = vec![
        "-Clink-self-contained=no".to_string(),
        format!("-Lnative={}", folder.display()),
        format!("-Lnative={}", own.display()),
    ];
    let files = START_FILES.iter().map(|name| folder.join(name));
    flags.extend(files.map(|file| format!("-Clink-arg={}", file.display())));
    flags.extend(UNWINDING.map(|name| format!("-Clink-arg=--defsym={name}=abort")));
    Ok(flags)
}
