//! This file brings what a command needs onto the machine, and only that.
//!
//! Every check comes before any action: where all is there, set-up is silent and works offline.

mod debian;
mod toolchain;

pub use debian::{Tool, ensure};
pub use toolchain::{Core, Toolchain, toolchain, without_foreign};

use anyhow::{Context, Result};
use manifests::board::Board;
use qemu_tests::progress::say;
use std::fs::File;
use std::path::Path;

/// What boots `board` in a virtual machine.
pub fn qemu(board: &Board) -> Tool {
    let why = format!("boots the board {} in a virtual machine", board.name);
    Tool {
        program: Some(board.qemu.program.clone()),
        package: board.qemu.package.clone(),
        why,
    }
}

/// What makes and checks the root file system of a disk.
pub fn file_system() -> Tool {
    Tool {
        program: Some("mke2fs".to_string()),
        package: "e2fsprogs".to_string(),
        why: "makes the ext4 file system of a disk image".to_string(),
    }
}

/// One command at a time does something; dropped, the next one goes on.
pub struct Turn(#[expect(dead_code, reason = "held for its lock")] File);

/// Waits until no other command sets this work tree up.
pub fn turn() -> Result<Turn> {
    turn_in(&crate::house::target().join("setup"), "set-up")
}

/// Waits until no other command does the same, `what`, in this folder.
pub fn turn_in(folder: &Path, what: &str) -> Result<Turn> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let path = folder.join("lock");
    let file = File::create(&path).with_context(|| format!("cannot make {}", path.display()))?;
    if file.try_lock().is_err() {
        say(&format!("waiting for another command's {what} to end"));
        file.lock()
            .with_context(|| format!("cannot lock {}", path.display()))?;
    }
    Ok(Turn(file))
}
