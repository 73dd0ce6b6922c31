//! This file boots the keeper as process 1 of a board, with nothing beside it: its command is the
//! keeper itself, which says its version and ends.
//!
//! That shows what only a machine shows: words from the kernel's command line, a console as
//! standard streams, no /proc, orphans of nobody, and the power switched off instead of a panic.

use crate::debian::Store;
use crate::image;
use crate::image::Tree;
use crate::kernel::Kernel;
use crate::machine::{Machine, Options};
use anyhow::{Context, Result, ensure};
use manifests::board::Board;
use std::path::Path;
use std::time::Duration;

/// From the start of QEMU to its end; see `run` for how slow a machine may be.
const WITHIN: Duration = Duration::from_secs(180);

/// What the kernel hands to process 1. A second `--` would end the kernel's own reading.
const WORDS: [&str; 5] = [
    "--",
    "--verbose",
    "--restart=always:2",
    "/init",
    "--version",
];

/// How often the command runs: once, and two restarts.
const RUN_COUNT: usize = 3;

/// Boots `keeper` on `board`, and looks whether it did what its command line says.
///
/// # Errors
/// The kernel cannot be had, the machine does not boot or not power off, or the keeper said
/// something else.
pub fn boot(board: &Board, keeper: &Path, cache: &Path, out: &Path) -> Result<()> {
    let store = Store::new(cache, &board.debian_arch, board.debian_suite.as_deref());
    let kernel = Kernel::fetch(&store, &board.kernel.packages)
        .with_context(|| format!("the kernel of {}", board.name))?;
    let mut tree = Tree::bare();
    tree.put_file("init", 0o755, keeper)?;
    let image = image::write(&tree, &kernel, board, out)?;
    let options = Options {
        append: WORDS.map(str::to_string).to_vec(),
        ..Options::default()
    };
    let mut machine = Machine::boot(board, &image, &options, &out.join("console.log"))?;
    machine.wait_for("keeper: ends with exit code 0", WITHIN)?;
    machine.wait_for("reboot: Power down", WITHIN)?;
    machine.wait_for_end(WITHIN)?;
    let lines = machine.console().lines();
    let count = |text: &str| lines.iter().filter(|(_, line)| line.contains(text)).count();
    for text in ["keeper: starts the command", "ended with exit code 0"] {
        let found = count(text);
        ensure!(
            found == RUN_COUNT,
            "{text:?} {found} times, not {RUN_COUNT}\n{}",
            machine.tail()
        );
    }
    Ok(())
}
