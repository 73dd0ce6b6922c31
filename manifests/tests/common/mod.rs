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
pub fn compile(tables: &str, folder: &Path) -> Result<(), String> {
    let (library, dependencies) = init_core();
    std::fs::write(folder.join("manifest.rs"), tables).expect("the folder can be written");
    let source = folder.join("lib.rs");
    let text = "#![no_std]\n#![deny(warnings)]\n\
        mod product { include!(\"manifest.rs\"); }\n\
        pub static UNITS: usize = product::UNIT_COUNT;\n\
        pub static ALL: &[init_core::unit::UnitDesc] = product::MANIFEST.units;\n";
    std::fs::write(&source, text).expect("the folder can be written");
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let run = Command::new(rustc)
        .args([
            "--edition=2024",
            "--crate-type=lib",
            "--emit=metadata",
            "--extern",
        ])
        .arg(format!("init_core={}", library.display()))
        .arg("-L")
        .arg(format!("dependency={}", dependencies.display()))
        .arg("--out-dir")
        .arg(folder)
        .arg(&source)
        .output()
        .expect("rustc runs where cargo runs");
    match run.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&run.stderr).into_owned()),
    }
}
