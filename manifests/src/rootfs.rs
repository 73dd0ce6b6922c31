//! This file looks programs up in an unpacked root file system, as the device will see it.
//!
//! Symbolic links are followed inside the image, never out of it. It executes nothing.

use std::fs;
use std::io::Read;
use std::path::{Component, Path, PathBuf};

/// Links that are followed for one path; Linux's own limit.
const LINKS_MAX: usize = 40;
/// Bytes of a file that decide what it is: an ELF header or a `#!` line.
const HEAD_BYTES: usize = 256;

/// What stands in the way of executing a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// There is nothing at that path.
    Missing,
    /// It is a directory or a device.
    NotAFile,
    /// Nobody may execute it.
    NotExecutable,
    /// It is neither ELF nor a script.
    Unknown,
    /// It is for this other machine.
    Machine(String),
    /// Its interpreter (`#!`, or the ELF's loader) is missing.
    Interpreter(String),
}

/// ELF's numbers and classes of the processors, by Debian's names.
const MACHINES: &[(&str, u16, u8)] = &[
    ("amd64", 62, 2),
    ("arm64", 183, 2),
    ("armhf", 40, 1),
    ("i386", 3, 1),
    ("riscv64", 243, 2),
    ("loong64", 258, 2),
];

/// An unpacked root file system.
#[derive(Debug, Clone, Copy)]
pub struct Rootfs<'a> {
    root: &'a Path,
}

impl<'a> Rootfs<'a> {
    /// The image below `root`.
    #[must_use]
    pub fn new(root: &'a Path) -> Self {
        Self { root }
    }

    /// The file that `path` leads to, on the machine that builds.
    #[must_use]
    pub fn find(self, path: &str) -> Option<PathBuf> {
        let mut todo: Vec<String> = parts(Path::new(path));
        todo.reverse();
        let mut at = PathBuf::new();
        let mut links = 0;
        while let Some(part) = todo.pop() {
            if part == ".." {
                at.pop();
                continue;
            }
            let next = self.root.join(&at).join(&part);
            let kind = fs::symlink_metadata(&next).ok()?.file_type();
            if !kind.is_symlink() {
                at.push(part);
                continue;
            }
            links += 1;
            if links > LINKS_MAX {
                return None;
            }
            let target = fs::read_link(&next).ok()?;
            if target.is_absolute() {
                at = PathBuf::new();
            }
            todo.extend(parts(&target).into_iter().rev());
        }
        Some(self.root.join(at))
    }

    /// Whether the device can execute `path`.
    ///
    /// # Errors
    /// What stands in the way.
    pub fn check(self, path: &str, debian_arch: &str) -> Result<(), Obstacle> {
        let head = self.executable(path)?;
        if let Some(line) = head.strip_prefix(b"#!") {
            let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
            let line = String::from_utf8_lossy(line).into_owned();
            let interpreter = line.split_whitespace().next().unwrap_or_default();
            return match self.executable(interpreter) {
                Ok(_) => Ok(()),
                Err(_) => Err(Obstacle::Interpreter(interpreter.to_string())),
            };
        }
        check_elf(&head, debian_arch)
    }

    fn executable(self, path: &str) -> Result<Vec<u8>, Obstacle> {
        use std::os::unix::fs::PermissionsExt;
        let file = self.find(path).ok_or(Obstacle::Missing)?;
        let data = fs::metadata(&file).map_err(|_| Obstacle::Missing)?;
        if !data.is_file() {
            return Err(Obstacle::NotAFile);
        }
        if data.permissions().mode() & 0o111 == 0 {
            return Err(Obstacle::NotExecutable);
        }
        let mut head = Vec::new();
        let limit = u64::try_from(HEAD_BYTES).unwrap_or(u64::MAX);
        let read = fs::File::open(&file).and_then(|file| file.take(limit).read_to_end(&mut head));
        read.map(|_| head).map_err(|_| Obstacle::Missing)
    }

    /// The paths of all executable files' names, for suggestions: those of the usual folders.
    #[must_use]
    pub fn programs(self) -> Vec<String> {
        let mut found = Vec::new();
        for folder in ["/usr/bin", "/usr/sbin", "/bin", "/sbin", "/usr/local/bin"] {
            let Some(place) = self.find(folder) else {
                continue;
            };
            for entry in fs::read_dir(place).into_iter().flatten().flatten() {
                found.push(format!("{folder}/{}", entry.file_name().to_string_lossy()));
            }
        }
        found.sort();
        found
    }
}

fn parts(path: &Path) -> Vec<String> {
    let part = |component: Component<'_>| match component {
        Component::Normal(name) => Some(name.to_string_lossy().into_owned()),
        Component::ParentDir => Some(String::from("..")),
        _ => None,
    };
    path.components().filter_map(part).collect()
}

fn check_elf(head: &[u8], debian_arch: &str) -> Result<(), Obstacle> {
    let (Some(b"\x7fELF"), Some(class)) = (head.get(..4), head.get(4)) else {
        return Err(Obstacle::Unknown);
    };
    let little = head.get(5) == Some(&1);
    let machine = match (head.get(18), head.get(19)) {
        (Some(low), Some(high)) if little => u16::from_le_bytes([*low, *high]),
        (Some(high), Some(low)) => u16::from_be_bytes([*high, *low]),
        _ => return Err(Obstacle::Unknown),
    };
    let of = |(_, number, bits): &&(&str, u16, u8)| *number == machine && bits == class;
    match MACHINES.iter().find(of) {
        Some((name, ..)) if *name == debian_arch && little => Ok(()),
        Some((name, ..)) => Err(Obstacle::Machine((*name).to_string())),
        None => Err(Obstacle::Machine(format!("ELF machine {machine}"))),
    }
}
