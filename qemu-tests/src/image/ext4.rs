//! This file writes a tree as an ext4 file system, with e2fsprogs and without root privileges.
//!
//! `mke2fs` makes the empty file system; `debugfs` follows a script that makes every node with the
//! owner, mode and device numbers that the tree says, whoever runs it; `e2fsck` then finds nothing
//! to repair. The same tree gives the same bytes: one time, one identity, one layout.

use super::tree::{Content, Node, Tree};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::Path;
use std::process::Command;

/// All times in the file system, in seconds since 1970: 2020-01-01. Not 0, which tools take for
/// "never".
const TIME: &str = "1577836800";

/// What the kernel (4.14 and newer) and boot loaders read; not the distribution's choice of today.
const FEATURES: &str = "none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,flex_bg,\
                        sparse_super,large_file,huge_file,dir_nlink,extra_isize,metadata_csum";

/// The size of a block; debugfs and mke2fs agree on it.
const BLOCK_BYTES: u64 = 4_096;

/// Bytes of data for one inode: `mke2fs` makes as many as this allows.
const BYTES_PER_INODE: u64 = 16_384;

/// Inodes left for what the device makes itself.
const SPARE_INODES: u64 = 1_024;

/// One eighth of the content and this stay free: logs, keys, a journal.
const SPARE_BYTES: u64 = 32 << 20;

/// How big the file system is made for `tree`, in whole MiB.
pub(super) fn fitting_bytes(tree: &Tree) -> u64 {
    let blocks = |node: &Node| super::node_bytes(node).div_ceil(BLOCK_BYTES) + 1;
    let content: u64 = tree
        .nodes()
        .map(|(_, node)| blocks(node) * BLOCK_BYTES)
        .sum();
    let inodes = tree.nodes().count() as u64 + SPARE_INODES;
    let bytes = (content + content / 8 + SPARE_BYTES).max(inodes * BYTES_PER_INODE);
    bytes.next_multiple_of(1 << 20)
}

/// Writes `tree` to the file `image` of `bytes`; `uuid` is the file system's identity. What is made
/// on the way lies below `work`.
pub(super) fn write(tree: &Tree, image: &Path, bytes: u64, uuid: &str, work: &Path) -> Result<()> {
    let _ = fs::remove_dir_all(work);
    fs::create_dir_all(work).with_context(|| format!("creating {}", work.display()))?;
    make(image, bytes, uuid)?;
    let script = work.join("script");
    fs::write(&script, commands(tree, work)?).context("writing debugfs's script")?;
    fill(image, &script)?;
    check(image)?;
    fs::remove_dir_all(work).with_context(|| format!("removing {}", work.display()))
}

fn make(image: &Path, bytes: u64, uuid: &str) -> Result<()> {
    let file = fs::File::create(image).with_context(|| format!("creating {}", image.display()))?;
    file.set_len(bytes)?;
    let mut mke2fs = tool("mke2fs");
    mke2fs
        // The machine's own settings would change what is made.
        .env("MKE2FS_CONFIG", "/dev/null")
        .args(["-q", "-F", "-t", "ext4", "-O", FEATURES, "-L", "root"])
        .args(["-b", &BLOCK_BYTES.to_string(), "-I", "256", "-m", "0"])
        .args(["-i", &BYTES_PER_INODE.to_string(), "-U", uuid])
        .args([
            "-E",
            &format!("hash_seed={uuid},root_owner=0:0,lazy_itable_init=0,lazy_journal_init=0"),
        ])
        .arg(image);
    perform(&mut mke2fs).map(drop)
}

fn fill(image: &Path, script: &Path) -> Result<()> {
    let mut debugfs = tool("debugfs");
    debugfs.arg("-w").arg("-f").arg(script).arg(image);
    let words = perform(&mut debugfs)?;
    // debugfs goes on after an error and ends well: what it says is its only result.
    let complaints: Vec<&str> = words
        .lines()
        .filter(|line| !line.starts_with("debugfs 1."))
        .collect();
    if !complaints.is_empty() {
        bail!("debugfs: {}", complaints.join("; "));
    }
    Ok(())
}

fn check(image: &Path) -> Result<()> {
    let mut e2fsck = tool("e2fsck");
    e2fsck.args(["-f", "-n"]).arg(image);
    perform(&mut e2fsck).map(drop)
}

/// debugfs's commands that make every node.
fn commands(tree: &Tree, work: &Path) -> Result<String> {
    let mut script = format!("set_current_time {TIME}\n");
    let mut place = None;
    for (number, (path, node)) in tree.nodes().enumerate() {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        if place != Some(folder) {
            script.push_str(&format!("cd {}\n", word(&format!("/{folder}"))?));
            place = Some(folder);
        }
        let made = word(name)?;
        let kind = match &node.content {
            Content::Folder => {
                script.push_str(&format!("mkdir {made}\n"));
                super::cpio::FOLDER
            }
            Content::Link(target) => {
                script.push_str(&format!("symlink {made} {}\n", word(target)?));
                super::cpio::LINK
            }
            Content::Device { major, minor } => {
                script.push_str(&format!("mknod {made} c {major} {minor}\n"));
                super::cpio::CHARACTER
            }
            Content::Bytes(bytes) => {
                let source = work.join(number.to_string());
                fs::write(&source, bytes)?;
                script.push_str(&format!("write {} {made}\n", shown(&source)?));
                super::cpio::REGULAR
            }
            Content::File { source, .. } => {
                script.push_str(&format!("write {} {made}\n", shown(source)?));
                super::cpio::REGULAR
            }
        };
        let fields = [
            ("mode", format!("0{:o}", kind | node.mode)),
            ("uid", node.uid.to_string()),
            ("gid", node.gid.to_string()),
        ];
        for (field, value) in fields {
            script.push_str(&format!("set_inode_field {made} {field} {value}\n"));
        }
    }
    Ok(script)
}

fn shown(path: &Path) -> Result<String> {
    let path = path.to_str().context("a path that is not UTF-8")?;
    word(path)
}

/// A word of debugfs's commands. It knows quotes but no escapes.
fn word(text: &str) -> Result<String> {
    if text.is_empty() || text.contains(['"', '\n']) {
        bail!("{text:?} cannot be written to an ext4 image: it has a quote or a line's end");
    }
    Ok(format!("\"{text}\""))
}

fn tool(name: &str) -> Command {
    // Debian keeps them where only root's PATH leads.
    let known = ["/usr/sbin", "/sbin"].map(|folder| Path::new(folder).join(name));
    let program = known.into_iter().find(|path| path.is_file());
    let mut command = program.map_or_else(|| Command::new(name), Command::new);
    command.env("E2FSPROGS_FAKE_TIME", TIME);
    command.env("SOURCE_DATE_EPOCH", TIME);
    command.env("LC_ALL", "C").env("TZ", "UTC");
    command.stdin(std::process::Stdio::null());
    command
}

/// Runs a tool to a good end; what it said on stderr.
fn perform(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command
        .output()
        .with_context(|| format!("cannot run {name}; it is in the Debian package e2fsprogs"))?;
    let words = String::from_utf8_lossy(&output.stderr).trim().to_string();
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stdout);
        bail!(
            "{name} failed ({}): {words}\n{}",
            output.status,
            said.trim()
        );
    }
    Ok(words)
}
