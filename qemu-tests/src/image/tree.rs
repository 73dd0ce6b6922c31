//! This file holds a root file system as data, before it becomes an archive or a folder.
//!
//! Everything belongs to root; what a service owns is made at boot by the manifest's directories.
//! Like Debian itself, the tree has `/bin`, `/sbin` and `/lib*` as links into `/usr`, wherever a
//! package puts its files.

use crate::wildcard;
use anyhow::{Context, Result, bail};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// Top folders that are links into `/usr`.
const MERGED: &[&str] = &["bin", "sbin", "lib", "lib32", "lib64", "libx32"];

/// Folders that every system has, with their modes.
const SKELETON: &[(&str, u32)] = &[
    ("dev", 0o755),
    ("etc", 0o755),
    ("mnt", 0o755),
    ("proc", 0o555),
    ("root", 0o700),
    ("run", 0o755),
    ("sys", 0o555),
    ("tmp", 0o1777),
    ("usr", 0o755),
    ("usr/bin", 0o755),
    ("usr/lib", 0o755),
    ("usr/sbin", 0o755),
    ("var", 0o755),
];

/// Device nodes that must be there before devtmpfs is mounted: path, mode, major, minor.
const DEVICES: &[(&str, u32, u32, u32)] =
    &[("dev/console", 0o600, 5, 1), ("dev/null", 0o666, 1, 3)];

/// Root file system.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    nodes: BTreeMap<String, Node>,
}

/// One thing in a [`Tree`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// What it is.
    pub content: Content,
}

/// What a [`Node`] is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A directory.
    Folder,
    /// A symbolic link to this path.
    Link(String),
    /// A file made here.
    Bytes(Vec<u8>),
    /// A file copied from the machine.
    File {
        /// Where it is copied from.
        source: PathBuf,
        /// Its size.
        bytes: u64,
    },
    /// A character device.
    Device {
        /// Its major number.
        major: u32,
        /// Its minor number.
        minor: u32,
    },
}

/// How files of a source folder get their permission bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Modes {
    /// As they are: an unpacked package.
    Kept,
    /// 0755 for folders and programs, 0644 for the rest: a folder under version control.
    Plain,
}

impl Tree {
    /// An empty system: the usual folders, the links of a merged `/usr`, console and null.
    #[must_use]
    pub fn skeleton() -> Self {
        let mut tree = Self::default();
        for (path, mode) in SKELETON {
            tree.put(path, *mode, Content::Folder);
        }
        tree.put_devices();
        for name in ["bin", "lib", "sbin"] {
            tree.put_link(name, &format!("usr/{name}"));
        }
        tree
    }

    /// What a kernel needs to start a program before there is a root file system: places to mount
    /// at, and the device nodes.
    #[must_use]
    pub fn bare() -> Self {
        let mut tree = Self::default();
        for name in ["dev", "proc", "root"] {
            tree.put(name, 0o755, Content::Folder);
        }
        tree.put_devices();
        tree
    }

    fn put_devices(&mut self) {
        for (path, mode, major, minor) in DEVICES {
            let (major, minor) = (*major, *minor);
            self.put(path, *mode, Content::Device { major, minor });
        }
    }

    /// All nodes in the order of their paths, so a folder comes before what is in it.
    pub fn nodes(&self) -> impl Iterator<Item = (&str, &Node)> {
        self.nodes.iter().map(|(path, node)| (path.as_str(), node))
    }

    /// The node at `path`, which is relative to the root.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&Node> {
        self.nodes.get(&merged(path))
    }

    /// Adds or replaces a file.
    pub fn put_bytes(&mut self, path: &str, mode: u32, bytes: impl Into<Vec<u8>>) {
        self.put_parents(&merged(path));
        self.put(&merged(path), mode, Content::Bytes(bytes.into()));
    }

    /// Adds or replaces a file that is copied from `source`.
    ///
    /// # Errors
    /// `source` cannot be read.
    pub fn put_file(&mut self, path: &str, mode: u32, source: &Path) -> Result<()> {
        let data =
            fs::metadata(source).with_context(|| format!("cannot read {}", source.display()))?;
        let content = Content::File {
            source: source.to_path_buf(),
            bytes: data.len(),
        };
        self.put_parents(&merged(path));
        self.put(&merged(path), mode, content);
        Ok(())
    }

    /// Adds a symbolic link unless something is there already.
    pub fn put_link_if_absent(&mut self, path: &str, target: &str) {
        let path = merged(path);
        if !self.nodes.contains_key(&path) {
            self.put_parents(&path);
            self.put_link(&path, target);
        }
    }

    /// Adds all of `folder`, except paths that match one of `exclude`; what comes later wins.
    ///
    /// # Errors
    /// Something cannot be read, is neither file, folder nor link, or is a file where another
    /// source has a folder.
    pub fn add_folder(&mut self, folder: &Path, modes: Modes, exclude: &[String]) -> Result<()> {
        let exclude: Vec<String> = exclude.iter().map(|pattern| merged(pattern)).collect();
        let mut open = vec![String::new()];
        while let Some(place) = open.pop() {
            let source = folder.join(&place);
            let entries = fs::read_dir(&source)
                .with_context(|| format!("cannot list {}", source.display()))?;
            for entry in entries {
                let entry = entry?;
                let name = entry.file_name();
                let Some(name) = name.to_str() else {
                    bail!("{} has a name that is not UTF-8", entry.path().display());
                };
                let inside = if place.is_empty() {
                    name.to_string()
                } else {
                    format!("{place}/{name}")
                };
                let path = merged(&inside);
                if exclude.iter().any(|pattern| matches(pattern, &path)) {
                    continue;
                }
                let is_folder = self
                    .add_entry(&path, &entry.path(), modes)
                    .with_context(|| format!("adding {}", entry.path().display()))?;
                if is_folder {
                    open.push(inside);
                }
            }
        }
        Ok(())
    }

    fn add_entry(&mut self, path: &str, source: &Path, modes: Modes) -> Result<bool> {
        let data = fs::symlink_metadata(source)?;
        let mode = match modes {
            Modes::Kept => data.permissions().mode() & 0o7777,
            Modes::Plain if data.is_dir() || data.mode() & 0o111 != 0 => 0o755,
            Modes::Plain => 0o644,
        };
        let was_folder = self
            .nodes
            .get(path)
            .is_some_and(|node| node.content == Content::Folder);
        self.put_parents(path);
        if data.is_dir() {
            // A folder that is there already keeps its mode: the skeleton knows better than git.
            if !was_folder && !(MERGED.contains(&path)) {
                self.put(path, mode, Content::Folder);
            }
            return Ok(true);
        }
        if was_folder {
            bail!("/{path} is a folder in another source");
        }
        if data.is_symlink() {
            let target = fs::read_link(source)?;
            let Some(target) = target.to_str() else {
                bail!("its target is not UTF-8")
            };
            self.put_link(path, target);
        } else if data.is_file() {
            let content = Content::File {
                source: source.to_path_buf(),
                bytes: data.len(),
            };
            self.put(path, mode, content);
        } else {
            bail!("it is neither file, folder nor link");
        }
        Ok(false)
    }

    fn put(&mut self, path: &str, mode: u32, content: Content) {
        self.nodes.insert(
            path.to_string(),
            Node {
                mode,
                uid: 0,
                gid: 0,
                content,
            },
        );
    }

    fn put_link(&mut self, path: &str, target: &str) {
        self.put(path, 0o777, Content::Link(target.to_string()));
    }

    fn put_parents(&mut self, path: &str) {
        for (at, _) in path.match_indices('/') {
            let parent = &path[..at];
            if !self.nodes.contains_key(parent) {
                self.put(parent, 0o755, Content::Folder);
            }
        }
        // A package's /lib64 moves to /usr/lib64; programs still ask for /lib64.
        if let Some(rest) = path.strip_prefix("usr/") {
            let top = rest.split('/').next().unwrap_or_default();
            if MERGED.contains(&top) && !self.nodes.contains_key(top) && rest.contains('/') {
                self.put_link(top, &format!("usr/{top}"));
            }
        }
    }

    /// Makes `folder` hold the tree's files, folders and links, for tools that look at a root file
    /// system on the machine. Device nodes and owners are left out. What did not change is left
    /// as it is, so that a build that watches the folder does not run again.
    ///
    /// # Errors
    /// Something cannot be read or written.
    pub fn write_folder(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
        self.remove_others(folder)?;
        for (path, node) in &self.nodes {
            let target = folder.join(path);
            write_node(&target, node).with_context(|| format!("writing {}", target.display()))?;
        }
        Ok(())
    }

    fn remove_others(&self, folder: &Path) -> Result<()> {
        let wanted: BTreeSet<&str> = self.nodes.keys().map(String::as_str).collect();
        let mut open = vec![String::new()];
        while let Some(place) = open.pop() {
            for entry in fs::read_dir(folder.join(&place))? {
                let entry = entry?;
                let name = entry.file_name().to_string_lossy().into_owned();
                let path = if place.is_empty() {
                    name
                } else {
                    format!("{place}/{name}")
                };
                let is_folder = entry.file_type()?.is_dir();
                let keep = wanted.contains(path.as_str())
                    && is_folder
                        == (self.nodes.get(&path).map(|n| &n.content) == Some(&Content::Folder));
                match (keep, is_folder) {
                    (true, true) => open.push(path),
                    (true, false) => {}
                    (false, true) => fs::remove_dir_all(entry.path())?,
                    (false, false) => fs::remove_file(entry.path())?,
                }
            }
        }
        Ok(())
    }
}

fn write_node(target: &Path, node: &Node) -> Result<()> {
    match &node.content {
        Content::Folder => {
            if !target.is_dir() {
                fs::create_dir(target)?;
            }
        }
        Content::Link(to) => {
            if fs::read_link(target).ok().as_deref() != Some(Path::new(to)) {
                remove_if_there(target)?;
                symlink(to, target)?;
            }
        }
        Content::Bytes(bytes) => {
            if fs::read(target).ok().as_ref() != Some(bytes) {
                remove_if_there(target)?;
                fs::write(target, bytes)?;
            }
            fs::set_permissions(target, fs::Permissions::from_mode(node.mode | 0o600))?;
        }
        Content::File { source, .. } => {
            let from = fs::metadata(source)?;
            let same = fs::symlink_metadata(target).is_ok_and(|to| {
                to.is_file() && to.len() == from.len() && to.modified().ok() == from.modified().ok()
            });
            if !same {
                remove_if_there(target)?;
                fs::copy(source, target)?;
                fs::set_permissions(target, fs::Permissions::from_mode(node.mode | 0o600))?;
                fs::File::options()
                    .write(true)
                    .open(target)?
                    .set_modified(from.modified()?)?;
            }
        }
        Content::Device { .. } => {}
    }
    Ok(())
}

fn remove_if_there(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

/// A path relative to the root, with `/usr` merged.
fn merged(path: &str) -> String {
    let path = path.trim_matches('/');
    let top = path.split('/').next().unwrap_or_default();
    if MERGED.contains(&top) && top.len() < path.len() {
        format!("usr/{path}")
    } else {
        path.to_string()
    }
}

/// Whether `path` is what `pattern` names, or lies below it. `*` stands for a part of one name.
fn matches(pattern: &str, path: &str) -> bool {
    let mut names = path.split('/');
    pattern.split('/').all(|part| {
        names
            .next()
            .is_some_and(|name| wildcard::matches(part, name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_names_a_path_and_all_below_it() {
        let cases = [
            ("usr/share/doc", "usr/share/doc", true),
            ("usr/share/doc", "usr/share/doc/x/copyright", true),
            ("usr/share/doc", "usr/share/docs", false),
            ("usr/share/doc", "usr/share", false),
            (
                "usr/lib/*/gconv",
                "usr/lib/aarch64-linux-gnu/gconv/A.so",
                true,
            ),
            ("usr/lib/*/gconv", "usr/lib/gconv", false),
            ("etc/*.example", "etc/a.example", true),
        ];
        for (pattern, path, wanted) in cases {
            assert_eq!(matches(pattern, path), wanted, "{pattern} {path}");
        }
    }

    #[test]
    fn top_folders_move_into_usr_and_leave_a_link() {
        let source = tempfile::tempdir().expect("a folder");
        fs::create_dir_all(source.path().join("lib64")).expect("lib64");
        fs::write(source.path().join("lib64/ld.so"), "x").expect("a file");
        let mut tree = Tree::skeleton();
        tree.add_folder(source.path(), Modes::Kept, &[])
            .expect("added");
        assert!(matches!(
            tree.get("lib64/ld.so"),
            Some(Node {
                content: Content::File { .. },
                ..
            })
        ));
        let top = tree
            .nodes()
            .find(|(path, _)| *path == "lib64")
            .map(|(_, node)| &node.content);
        assert_eq!(top, Some(&Content::Link("usr/lib64".to_string())));
    }

    #[test]
    fn a_later_folder_wins_and_its_modes_are_plain() {
        let source = tempfile::tempdir().expect("a folder");
        fs::create_dir_all(source.path().join("tmp")).expect("tmp");
        fs::write(source.path().join("passwd"), "new").expect("a file");
        let secret = fs::Permissions::from_mode(0o600);
        fs::set_permissions(source.path().join("passwd"), secret).expect("mode");
        let mut tree = Tree::skeleton();
        tree.put_bytes("passwd", 0o600, "old");
        tree.add_folder(source.path(), Modes::Plain, &[])
            .expect("added");
        assert_eq!(tree.get("passwd").map(|node| node.mode), Some(0o644));
        assert_eq!(tree.get("tmp").map(|node| node.mode), Some(0o1777));
    }

    #[test]
    fn a_written_folder_follows_the_tree_and_keeps_what_did_not_change() {
        let target = tempfile::tempdir().expect("a folder");
        let mut tree = Tree::default();
        tree.put_bytes("etc/one", 0o644, "1");
        tree.put_bytes("etc/two", 0o644, "2");
        tree.write_folder(target.path()).expect("written");
        let time = |name: &str| {
            fs::metadata(target.path().join(name))
                .and_then(|data| data.modified())
                .expect(name)
        };
        let before = time("etc/one");
        tree.nodes.remove("etc/two");
        tree.write_folder(target.path()).expect("written again");
        assert_eq!(time("etc/one"), before);
        assert!(!target.path().join("etc/two").exists());
    }
}
