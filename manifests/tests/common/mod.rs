//! This file compiles generated tables as a board does, without a board.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The newest `init_core` that cargo built for these tests, and the folder that it lies in.
fn init_core() -> (PathBuf, PathBuf) {
    let test = std::env::current_exe().expect("a test knows its own file");
    let folder = test
        .parent()
        .expect("a file lies in a folder")
        .to_path_buf();
    let built = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("libinit_core-") && name.ends_with(".rlib")
    };
    let entries = std::fs::read_dir(&folder).expect("cargo's folder can be listed");
    let libraries = entries.flatten().map(|entry| entry.path()).filter(built);
    let newest = libraries.max_by_key(|path| path.metadata().and_then(|data| data.modified()).ok());
    (
        newest.expect("cargo builds init-core for this test"),
        folder,
    )
}

/// Compiles `tables` as a crate that includes them; what the compiler said if it refused.
#[allow(dead_code, reason = "not every test compiles a library")]
pub fn compile(tables: &str, folder: &Path) -> Result<(), String> {
    std::fs::write(folder.join("manifest.rs"), tables).expect("the folder can be written");
    let text = "#![no_std]\n#![deny(warnings)]\n\
        mod product { include!(\"manifest.rs\"); }\n\
        pub static UNITS: usize = product::UNIT_COUNT;\n\
        pub static ALL: &[init_core::unit::UnitDesc] = product::MANIFEST.units;\n";
    rustc(text, folder, &["--crate-type=lib", "--emit=metadata"])
}

/// Compiles and runs a program that knows `init_core`; what it printed.
#[allow(dead_code, reason = "not every test runs a program")]
pub fn run(program: &str, folder: &Path) -> Result<String, String> {
    rustc(
        program,
        folder,
        &["--crate-type=bin", "--crate-name=program"],
    )?;
    said(&mut Command::new(folder.join("program")))
}

fn rustc(text: &str, folder: &Path, how: &[&str]) -> Result<(), String> {
    let (library, dependencies) = init_core();
    let source = folder.join("source.rs");
    std::fs::write(&source, text).expect("the folder can be written");
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let mut command = Command::new(rustc);
    command.arg("--edition=2024").args(how).arg("--extern");
    command
        .arg(format!("init_core={}", library.display()))
        .arg("-L");
    command
        .arg(format!("dependency={}", dependencies.display()))
        .arg("--out-dir");
    said(command.arg(folder).arg(&source)).map(|_| ())
}

/// Standard output of a command that succeeds, standard error of one that fails.
fn said(command: &mut Command) -> Result<String, String> {
    let output = command.output().expect("the program can be started");
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}
