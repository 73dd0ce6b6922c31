//! This file puts a product's root file system together and writes what a machine boots.
//!
//! An image folder holds `kernel`, `initramfs.cpio`, `contents.txt` (every path with its size) and
//! `run.sh` (boots it under QEMU). The same input gives the same bytes.

mod cpio;
mod disk;
mod ext4;
mod tree;

pub use disk::Disk;
pub use tree::{Content, Modes, Node, Tree};

use crate::debian::Store;
use crate::kernel::{self, Kernel};
use crate::machine::{Options, qemu_words};
use anyhow::{Context, Result, bail};
use manifests::board::Board;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Where the disk's root file system has what boots it.
const BOOT_KERNEL: &str = "boot/kernel";
/// See above.
const BOOT_INITRAMFS: &str = "boot/initramfs.cpio";

/// Names by which process 1's file is also called: its control tool, and the short forms.
const CONTROL_NAMES: &[&str] = &["sctl", "poweroff", "reboot", "halt"];

/// What a root file system is made of; later sources win over earlier ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recipe {
    /// Debian packages; what they depend on is added.
    pub packages: Vec<String>,
    /// Folders copied over the packages, in this order.
    pub folders: Vec<PathBuf>,
    /// Paths of packages that are left out, `*` for a part of one name.
    pub exclude: Vec<String>,
    /// Kernel modules; what they need is added.
    pub modules: Vec<String>,
}

/// A written image.
#[derive(Debug, Clone)]
pub struct Image {
    /// The kernel to boot.
    pub kernel: PathBuf,
    /// The initial root file system.
    pub initramfs: PathBuf,
    /// One line about its size.
    pub summary: String,
}

/// A written disk, and how it is booted where no boot loader reads it.
#[derive(Debug, Clone)]
pub struct Bootable {
    /// The disk.
    pub disk: Disk,
    /// The kernel, and an initramfs that goes over to the disk.
    pub image: Image,
    /// Words on the kernel command line that name the root.
    pub append: Vec<String>,
    /// QEMU's arguments that connect the disk. What the guest writes is forgotten in the end.
    pub arguments: Vec<String>,
}

/// Puts the root file system together, without process 1.
///
/// # Errors
/// Packages cannot be had, a folder cannot be read, or a module is unknown.
pub fn root_file_system(recipe: &Recipe, store: &Store, kernel: &Kernel) -> Result<Tree> {
    let mut tree = Tree::skeleton();
    for package in store.packages(&recipe.packages)? {
        tree.add_folder(&package.folder, Modes::Kept, &recipe.exclude)?;
    }
    let modules = kernel.modules(&recipe.modules)?;
    for module in &modules {
        tree.put_file(&module.place, 0o644, &module.file)?;
    }
    if !modules.is_empty() {
        let place = format!("lib/modules/{}/modules.dep", kernel.release);
        tree.put_bytes(&place, 0o644, kernel::dependency_list(&modules));
    }
    for folder in &recipe.folders {
        tree.add_folder(folder, Modes::Plain, &[])?;
    }
    Ok(tree)
}

/// Writes the files of a tree as one archive, a RAM disk.
///
/// # Errors
/// One cannot be read, or the archive not be written.
pub fn write_archive(tree: &Tree, path: &Path) -> Result<()> {
    cpio::write(tree, path)
}

/// Adds process 1 and its other names to a root file system.
///
/// # Errors
/// `program` cannot be read.
pub fn add_init(tree: &mut Tree, program: &Path) -> Result<()> {
    tree.put_file("init", 0o755, program)?;
    for name in CONTROL_NAMES {
        tree.put_link_if_absent(&format!("sbin/{name}"), "/init");
    }
    Ok(())
}

/// Writes the image of `tree` into the folder `out`.
///
/// # Errors
/// The tree has no `/init`, or something cannot be read or written.
pub fn write(tree: &Tree, kernel: &Kernel, board: &Board, out: &Path) -> Result<Image> {
    if tree.get("init").is_none() {
        bail!("the root file system has no /init, so the kernel would find no process 1");
    }
    fs::create_dir_all(out).with_context(|| format!("creating {}", out.display()))?;
    let image = Image {
        kernel: out.join("kernel"),
        initramfs: out.join("initramfs.cpio"),
        summary: summary(tree),
    };
    fs::copy(&kernel.image, &image.kernel)
        .with_context(|| format!("copying {}", kernel.image.display()))?;
    cpio::write(tree, &image.initramfs)?;
    fs::write(out.join("contents.txt"), contents(tree)).context("writing contents.txt")?;
    let script = out.join("run.sh");
    fs::write(&script, run_script(board)).context("writing run.sh")?;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
    Ok(image)
}

/// Writes the disk of `tree` into the folder `out`, at least `bytes_min` long. `early` is the
/// program that goes over to the disk.
///
/// # Errors
/// The board has no disk, or something cannot be read or written.
pub fn write_disk(
    mut tree: Tree,
    kernel: &Kernel,
    board: &Board,
    early: &Path,
    out: &Path,
    bytes_min: u64,
) -> Result<Bootable> {
    let Some(disk) = &board.disk else {
        bail!(
            "the board {} says nothing of a disk: see board.toml, [disk]",
            board.name
        );
    };
    let append: Vec<String> = [
        format!("root={}", disk.root),
        "rootfstype=ext4".to_string(),
        "rw".to_string(),
        "rootwait".to_string(),
        "init=/init".to_string(),
    ]
    .into();
    let initramfs = out.join("disk-initramfs.cpio");
    cpio::write(
        &early_tree(early, &kernel.modules(&disk.modules)?)?,
        &initramfs,
    )?;
    tree.put_file(BOOT_KERNEL, 0o644, &kernel.image)?;
    tree.put_file(BOOT_INITRAMFS, 0o644, &initramfs)?;
    let line = [std::slice::from_ref(&board.kernel.append), &append[..]]
        .concat()
        .join(" ");
    tree.put_bytes("boot/extlinux/extlinux.conf", 0o644, boot_entry(&line));
    let file = out.join("disk.img");
    // The tree's own bytes give the disk its identity.
    let seed = fs::read(out.join("contents.txt")).context("reading contents.txt")?;
    let disk_file = disk::write(&tree, &file, bytes_min, &seed)?;
    let script = out.join("run-disk.sh");
    let bootable = Bootable {
        disk: disk_file,
        image: Image {
            kernel: out.join("kernel"),
            initramfs,
            summary: summary(&tree),
        },
        append,
        arguments: disk_arguments(disk, &file),
    };
    fs::write(&script, disk_script(board, disk, &bootable.append))?;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
    Ok(bootable)
}

/// The initramfs that goes over to the disk.
fn early_tree(early: &Path, modules: &[kernel::Module]) -> Result<Tree> {
    let mut tree = Tree::bare();
    tree.put_file("init", 0o755, early)?;
    let mut list = String::new();
    for module in modules {
        let name = format!("{}.ko", module.name);
        tree.put_file(&name, 0o644, &module.file)?;
        list.push_str(&format!("/{name}\n"));
    }
    tree.put_bytes("modules", 0o644, list);
    Ok(tree)
}

/// What boot loaders that follow the Boot Loader Specification of U-Boot's "distro boot" read.
fn boot_entry(line: &str) -> String {
    format!(
        "default product\ntimeout 1\nlabel product\n  kernel /{BOOT_KERNEL}\n  \
         initrd /{BOOT_INITRAMFS}\n  append {line}\n"
    )
}

fn disk_arguments(disk: &manifests::board::Disk, file: &Path) -> Vec<String> {
    let drive = format!(
        "if=none,id=disk,format=raw,snapshot=on,file={}",
        file.display()
    );
    [&["-drive".to_string(), drive], &disk.qemu_args[..]].concat()
}

/// Boots the disk from wherever its folder was moved to.
fn disk_script(board: &Board, disk: &manifests::board::Disk, append: &[String]) -> String {
    let options = Options {
        append: append.to_vec(),
        arguments: disk_arguments(disk, Path::new("disk.img")),
        ..Options::default()
    };
    let initramfs = Path::new("disk-initramfs.cpio");
    let words = qemu_words(board, Path::new("kernel"), initramfs, &options);
    script(board, "Boots disk.img, which stays as it is, on", &words)
}

/// Boots the image from wherever its folder was moved to.
fn run_script(board: &Board) -> String {
    let kernel = Path::new("kernel");
    let words = qemu_words(
        board,
        kernel,
        Path::new("initramfs.cpio"),
        &Options::default(),
    );
    script(board, "Boots this image on", &words)
}

fn script(board: &Board, what: &str, words: &[String]) -> String {
    let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
    format!(
        "#!/bin/sh\n# {what} {}. Leave with Ctrl-A X.\n\
         cd \"$(dirname \"$0\")\" || exit 1\nexec {}\n",
        board.name,
        words.join(" ")
    )
}

/// A word as a shell reads it back.
#[must_use]
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./,:+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_string()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

fn node_bytes(node: &Node) -> u64 {
    match &node.content {
        Content::File { bytes, .. } => *bytes,
        Content::Bytes(bytes) => u64::try_from(bytes.len()).unwrap_or(u64::MAX),
        Content::Folder | Content::Link(_) | Content::Device { .. } => 0,
    }
}

fn summary(tree: &Tree) -> String {
    let files = tree
        .nodes()
        .filter(|(_, node)| node_bytes(node) > 0)
        .count();
    let bytes: u64 = tree.nodes().map(|(_, node)| node_bytes(node)).sum();
    let init = tree.get("init").map_or(0, node_bytes);
    format!(
        "{files} files, {:.1} MiB; process 1 has {:.1} KiB",
        bytes as f64 / f64::from(1 << 20),
        init as f64 / 1024.0
    )
}

fn contents(tree: &Tree) -> String {
    let mut text = format!("{}\n\n", summary(tree));
    for (path, node) in tree.nodes() {
        let end = match &node.content {
            Content::Folder => "/".to_string(),
            Content::Link(target) => format!(" -> {target}"),
            Content::Device { major, minor } => format!(" character device {major},{minor}"),
            Content::Bytes(_) | Content::File { .. } => String::new(),
        };
        text.push_str(&format!(
            "{:04o} {:>9} /{path}{end}\n",
            node.mode,
            node_bytes(node)
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_survives_the_shell() {
        let cases = [
            ("-m", "-m"),
            ("console=ttyS0 quiet", "'console=ttyS0 quiet'"),
            ("it's", "'it'\\''s'"),
            ("", "''"),
        ];
        for (word, wanted) in cases {
            assert_eq!(quoted(word), wanted);
        }
    }

    #[test]
    fn the_archive_is_the_same_each_time_and_holds_every_node() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut tree = Tree::skeleton();
        tree.put_bytes("init", 0o755, "#!/bin/sh\n");
        tree.put_link_if_absent("sbin/sctl", "/init");
        let paths = [folder.path().join("a"), folder.path().join("b")];
        for path in &paths {
            cpio::write(&tree, path).expect("written");
        }
        let [a, b] = paths.map(|path| fs::read(path).expect("read back"));
        assert_eq!(a, b);
        assert!(a.starts_with(b"070701") && a.len().is_multiple_of(512));
        let text = String::from_utf8_lossy(&a);
        for name in [
            "dev/console\0",
            "usr/sbin/sctl\0",
            "#!/bin/sh\n",
            "TRAILER!!!\0",
        ] {
            assert!(text.contains(name), "{name:?}");
        }
    }
}
