//! This file does what `docs/guide.md` says, so that a wrong command there is a failed test.
//!
//! The fenced blocks that begin with "```sh run" are performed in their order by one shell, in a
//! copy of the working tree. The copy stays below `target/`, so a second run builds little.

use super::Outcome;
use super::lend::lend;
use crate::setup::{self, Core};
use crate::{build, house, image, process};
use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The first run compiles everything once more and boots four products.
const LIMIT: Duration = Duration::from_secs(20 * 60);

/// The target that the guide builds for with plain cargo.
const TARGET: &str = "aarch64-unknown-linux-musl";

/// The product and the board that a command means which names none.
const PRODUCT: &str = "gateway";
const BOARD: &str = "virt-aarch64";

/// What opens a block that is performed.
const OPENING: &str = "```sh run";

/// Performs the guide's commands.
///
/// # Errors
/// A command fails, or there is none.
pub fn follow() -> Result<Outcome> {
    let text = fs::read_to_string(house::root().join("docs/guide.md")).context("docs/guide.md")?;
    let (script, count) = script(&text);
    if count == 0 {
        bail!("docs/guide.md has no block that begins with {OPENING}");
    }
    if setup::toolchain(TARGET, false)?.core == Core::FromSource {
        let cause = format!("no compiled core of {TARGET}, which the guide's reader has");
        return Ok(Outcome::Skipped(cause));
    }
    let copy = house::target().join("guide/copy");
    copy_tree(&copy)?;
    let mut shell = Command::new("sh");
    shell.args(["-eu", "-c", &script]).current_dir(&copy);
    // Cargo would take the copy's package for ours.
    for name in ["CARGO_MANIFEST_DIR", "CARGO_MANIFEST_PATH"] {
        shell.env_remove(name);
    }
    // One for all packages, so that what one compiled the next one has.
    shell.env("CARGO_TARGET_DIR", copy.join("target/cargo"));
    let lock = fs::read_to_string(house::root().join("Cargo.lock"))?;
    lend(
        &lock,
        &house::target().join("debug"),
        &copy.join("target/cargo/debug"),
    )?;
    process::run_shown(&mut shell, LIMIT).context("the guide cannot be followed")?;
    let sum = same_bytes(&copy)?;
    let same = format!("{count} blocks; process 1 has the same bytes as here: {sum:.8}");
    Ok(Outcome::Passed(same))
}

/// What the guide's first command built in the copy is, to the byte, what the same command builds
/// here: the name of a folder is no part of a firmware.
fn same_bytes(copy: &Path) -> Result<String> {
    let board = house::board(BOARD)?;
    let manifest = house::product(PRODUCT)?;
    // In a folder of its own: another step may boot that product meanwhile.
    image::build_at(&board, &manifest, &house::target().join("guide/image"))?;
    let ours = build::device_file(&board, &manifest);
    let theirs = copy.join(ours.strip_prefix(house::root())?);
    let [here, there] = [build::sha256(&ours)?, build::sha256(&theirs)?];
    ensure!(
        here == there,
        "the same sources give other bytes in another folder: {} and {} differ",
        ours.display(),
        theirs.display()
    );
    Ok(here)
}

/// The guide's commands as one script that says where in the guide it is, and how many blocks.
fn script(guide: &str) -> (String, usize) {
    let mut script = String::new();
    let mut count = 0;
    let mut open = false;
    for (number, line) in (1..).zip(guide.lines()) {
        if line == OPENING {
            open = true;
            count += 1;
            script.push_str(&format!("echo '-- docs/guide.md, line {number}'\n"));
        } else if line == "```" {
            open = false;
        } else if open {
            script.push_str(line);
            script.push('\n');
        }
    }
    (script, count)
}

/// Makes `copy` hold the files that git knows or would add, as they are now. What did not change
/// keeps its time, so that cargo does not build it again.
fn copy_tree(copy: &Path) -> Result<()> {
    let files = files()?;
    let _ = fs::remove_dir_all(copy.join("examples/my-firmware"));
    for file in &files {
        let (from, to) = (house::root().join(file), copy.join(file));
        copy_file(&from, &to).with_context(|| format!("copying {}", file.display()))?;
    }
    remove_others(copy, &files)?;
    let cache = copy.join("target/cache");
    fs::create_dir_all(copy.join("target"))?;
    fs::create_dir_all(house::target().join("cache"))?;
    if !cache.exists() {
        symlink(fs::canonicalize(house::target().join("cache"))?, &cache)?;
    }
    Ok(())
}

fn files() -> Result<BTreeSet<PathBuf>> {
    let mut git = Command::new("git");
    git.args([
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]);
    let list = process::capture(git.current_dir(house::root()))?;
    let there = |file: &PathBuf| fs::symlink_metadata(house::root().join(file)).is_ok();
    let files = list.split('\0').filter(|name| !name.is_empty());
    Ok(files.map(PathBuf::from).filter(there).collect())
}

fn copy_file(from: &Path, to: &Path) -> Result<()> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    if let Ok(target) = fs::read_link(from) {
        if fs::read_link(to).ok().as_ref() != Some(&target) {
            let _ = fs::remove_file(to);
            symlink(target, to)?;
        }
    } else if fs::read(from)? != fs::read(to).unwrap_or_default() || !to.exists() {
        fs::copy(from, to)?;
    }
    Ok(())
}

/// Takes away what an earlier copy had and this one has not.
fn remove_others(copy: &Path, files: &BTreeSet<PathBuf>) -> Result<()> {
    let mut open = vec![PathBuf::new()];
    while let Some(place) = open.pop() {
        for entry in fs::read_dir(copy.join(&place))? {
            let entry = entry?;
            let name = place.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                if entry.file_name() != "target" {
                    open.push(name);
                }
            } else if !files.contains(&name) {
                fs::remove_file(entry.path())?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_marked_blocks_are_performed_and_each_says_where_it_is() {
        let guide = "text\n```sh run\ntrue\n```\n```sh\nfalse\n```\n```sh run\ncd x\n```\n";
        let (script, count) = script(guide);
        let wanted = "echo '-- docs/guide.md, line 2'\ntrue\n\
                      echo '-- docs/guide.md, line 8'\ncd x\n";
        assert_eq!((script.as_str(), count), (wanted, 2));
    }
}
