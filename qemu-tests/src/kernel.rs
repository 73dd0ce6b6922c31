//! This file finds a board's kernel among Debian's packages, and the modules that a product wants.
//!
//! Debian ships no dependency list with a kernel (a maintainer script makes it), so dependencies
//! are read from the modules themselves.

use crate::debian::Store;
use anyhow::{Context, Result, anyhow, bail};
use lzma_rust2::XzReader;
use object::{Object, ObjectSection};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

/// A kernel ready to be booted.
#[derive(Debug, Clone)]
pub struct Kernel {
    /// Its release, as `uname -r` tells it.
    pub release: String,
    /// The file that QEMU boots.
    pub image: PathBuf,
    /// Its folder of modules.
    modules: PathBuf,
}

/// One kernel module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Module {
    /// Its name, with underscores.
    pub name: String,
    /// The file.
    pub file: PathBuf,
    /// Its path in the image, such as `lib/modules/6.1.0/kernel/fs/ext4/ext4.ko`.
    pub place: String,
    /// Names of the modules that must be loaded before it.
    needs: Vec<String>,
}

impl Kernel {
    /// Fetches the kernel that the packages bring.
    ///
    /// # Errors
    /// The packages cannot be had, or none or several kernels are among them.
    pub fn fetch(store: &Store, packages: &[String]) -> Result<Self> {
        let mut found = Vec::new();
        let mut modules = Vec::new();
        for package in store.packages(packages)? {
            for (release, image) in images(&package.folder) {
                found.push(Self {
                    modules: package.folder.join("lib/modules").join(&release),
                    release,
                    image,
                });
            }
            modules.push(package.folder.join("usr/lib/modules"));
        }
        // From trixie's successor on, modules are a package of their own.
        for kernel in &mut found {
            let elsewhere = modules.iter().map(|folder| folder.join(&kernel.release));
            let mut elsewhere = elsewhere.filter(|folder| folder.join("kernel").is_dir());
            if let Some(folder) = elsewhere.next() {
                kernel.modules = folder;
            }
        }
        match found.len() {
            1 => Ok(found.remove(0)),
            count => bail!(
                "{} bring {count} kernels, wanted is one",
                packages.join(", ")
            ),
        }
    }

    /// The named modules and all they need, each once, in an order in which they can be loaded.
    /// A module that is built into the kernel is left out.
    ///
    /// # Errors
    /// A module is unknown or its file cannot be read.
    pub fn modules(&self, names: &[String]) -> Result<Vec<Module>> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let files = self.module_files()?;
        let builtin = self.builtin()?;
        let mut order = Vec::new();
        let mut seen = BTreeSet::new();
        let mut open: Vec<(String, bool)> = names
            .iter()
            .rev()
            .map(|name| (canonical(name), false))
            .collect();
        let mut needs = BTreeMap::new();
        while let Some((name, expanded)) = open.pop() {
            if builtin.contains(&name) || (!expanded && !seen.insert(name.clone())) {
                continue;
            }
            let file = files
                .get(&name)
                .ok_or_else(|| anyhow!("the kernel {} has no module {name:?}", self.release))?;
            let file = &unpacked(file)?;
            if expanded {
                let needs = needs.remove(&name).unwrap_or_default();
                order.push(self.module(name, file, needs)?);
                continue;
            }
            let direct = dependencies(file)?;
            open.push((name.clone(), true));
            open.extend(direct.iter().rev().map(|need| (need.clone(), false)));
            needs.insert(name, direct);
        }
        Ok(order)
    }

    fn module(&self, name: String, file: &Path, needs: Vec<String>) -> Result<Module> {
        let below = file
            .strip_prefix(&self.modules)
            .context("a module outside its folder")?;
        let place = format!("lib/modules/{}/{}", self.release, below.display());
        Ok(Module {
            name,
            file: file.to_path_buf(),
            place,
            needs,
        })
    }

    /// Every module file by its name.
    fn module_files(&self) -> Result<BTreeMap<String, PathBuf>> {
        let mut files = BTreeMap::new();
        let mut open = vec![self.modules.join("kernel")];
        while let Some(folder) = open.pop() {
            let entries = fs::read_dir(&folder)
                .with_context(|| format!("cannot list the modules in {}", folder.display()))?;
            for entry in entries {
                let path = entry?.path();
                let name = path
                    .file_name()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned();
                if path.is_dir() {
                    open.push(path);
                } else if let Some((name, _)) = name.split_once(".ko") {
                    files.insert(canonical(name), path);
                }
            }
        }
        Ok(files)
    }

    fn builtin(&self) -> Result<BTreeSet<String>> {
        let path = self.modules.join("modules.builtin");
        let text =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let name = |line: &str| {
            let file = line.rsplit('/').next().unwrap_or_default();
            canonical(file.split(".ko").next().unwrap_or_default())
        };
        Ok(text.lines().map(name).collect())
    }
}

/// The kernels in an unpacked package, each with its release: `boot/vmlinuz-RELEASE`, or
/// `usr/lib/modules/RELEASE/vmlinuz`.
fn images(package: &Path) -> Vec<(String, PathBuf)> {
    let names = |folder: PathBuf| {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| {
            (
                entry.file_name().to_string_lossy().into_owned(),
                entry.path(),
            )
        })
    };
    let boot = names(package.join("boot"))
        .filter_map(|(name, path)| Some((name.strip_prefix("vmlinuz-")?.to_string(), path)));
    let beside = names(package.join("usr/lib/modules"))
        .map(|(release, folder)| (release, folder.join("vmlinuz")))
        .filter(|(_, image)| image.is_file());
    boot.chain(beside).collect()
}

/// The text of `modules.dep` for modules in the order of [`Kernel::modules`]: where `modprobe`
/// looks dependencies up.
#[must_use]
pub fn dependency_list(modules: &[Module]) -> String {
    // Paths are relative to the folder of the release: lib/modules/RELEASE/ is cut off.
    let short = |module: &Module| {
        module
            .place
            .splitn(4, '/')
            .nth(3)
            .unwrap_or_default()
            .to_string()
    };
    let mut text = String::new();
    for module in modules {
        let mut all: BTreeSet<&str> = BTreeSet::new();
        let mut open: Vec<&str> = module.needs.iter().map(String::as_str).collect();
        while let Some(name) = open.pop() {
            if let Some(need) = modules.iter().find(|need| need.name == name)
                && all.insert(name)
            {
                open.extend(need.needs.iter().map(String::as_str));
            }
        }
        // modprobe loads from right to left, so whatever is needed first comes last.
        let needs = modules
            .iter()
            .rev()
            .filter(|need| all.contains(need.name.as_str()));
        let needs: Vec<String> = needs.map(short).collect();
        text.push_str(&format!("{}: {}\n", short(module), needs.join(" ")));
    }
    text
}

/// A module's name as the kernel writes it.
fn canonical(name: &str) -> String {
    name.replace('-', "_")
}

/// The module's file as it is loaded. Where the package brings it compressed, it is unpacked beside
/// that, once: the tools that load it in the guest need not know how.
fn unpacked(file: &Path) -> Result<PathBuf> {
    if file.extension().is_none_or(|extension| extension != "xz") {
        return Ok(file.to_path_buf());
    }
    let plain = file.with_extension("");
    if plain.is_file() {
        return Ok(plain);
    }
    let packed = fs::File::open(file).with_context(|| format!("reading {}", file.display()))?;
    let mut bytes = Vec::new();
    XzReader::new(BufReader::new(packed), false)
        .read_to_end(&mut bytes)
        .with_context(|| format!("unpacking {}", file.display()))?;
    // Somebody else may be at the same: what has the name is whole.
    let part = file.with_extension(format!("{}.part", std::process::id()));
    fs::write(&part, bytes).with_context(|| format!("writing {}", part.display()))?;
    fs::rename(&part, &plain).with_context(|| format!("writing {}", plain.display()))?;
    Ok(plain)
}

fn dependencies(file: &Path) -> Result<Vec<String>> {
    let bytes = fs::read(file).with_context(|| format!("reading {}", file.display()))?;
    let object = object::File::parse(bytes.as_slice())
        .with_context(|| format!("{} is no module", file.display()))?;
    let info = object
        .section_by_name(".modinfo")
        .and_then(|section| section.data().ok())
        .ok_or_else(|| anyhow!("{} has no .modinfo", file.display()))?;
    let fields = info
        .split(|byte| *byte == 0)
        .filter_map(|field| std::str::from_utf8(field).ok());
    let names = fields.filter_map(|field| field.strip_prefix("depends="));
    Ok(names
        .flat_map(|list| list.split(','))
        .filter(|n| !n.is_empty())
        .map(canonical)
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(name: &str, needs: &[&str]) -> Module {
        Module {
            name: name.to_string(),
            file: PathBuf::new(),
            place: format!("lib/modules/6.1/kernel/{name}.ko"),
            needs: needs.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn what_a_module_needs_first_stands_last_in_its_line() {
        let modules = [
            module("crc", &[]),
            module("mbcache", &[]),
            module("jbd2", &["crc"]),
            module("ext4", &["mbcache", "jbd2", "crc"]),
        ];
        let text = dependency_list(&modules);
        let line = text.lines().last().unwrap_or_default();
        assert_eq!(
            line,
            "kernel/ext4.ko: kernel/jbd2.ko kernel/mbcache.ko kernel/crc.ko"
        );
        assert!(text.starts_with("kernel/crc.ko: \n"), "{text}");
    }

    /// "a module", as `xz --check=crc32` packs it.
    const PACKED: [u8; 60] = [
        0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00, 0x00, 0x01, 0x69, 0x22, 0xde, 0x36, 0x02, 0x00, 0x21,
        0x01, 0x16, 0x00, 0x00, 0x00, 0x74, 0x2f, 0xe5, 0xa3, 0x01, 0x00, 0x07, 0x61, 0x20, 0x6d,
        0x6f, 0x64, 0x75, 0x6c, 0x65, 0x00, 0x5b, 0xc1, 0x38, 0x0b, 0x00, 0x01, 0x1c, 0x08, 0x44,
        0x60, 0x2a, 0xc8, 0x90, 0x42, 0x99, 0x0d, 0x01, 0x00, 0x00, 0x00, 0x00, 0x01, 0x59, 0x5a,
    ];

    #[test]
    fn a_packed_module_is_unpacked_beside_itself_and_a_damaged_one_is_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("crc.ko.xz");
        fs::write(&file, PACKED).expect("there is room");
        let plain = unpacked(&file).expect("it is whole");
        assert_eq!(plain, folder.path().join("crc.ko"));
        assert_eq!(fs::read(&plain).expect("it was written"), b"a module");
        assert_eq!(unpacked(&plain).expect("it is there"), plain);
        let damaged = folder.path().join("jbd2.ko.xz");
        fs::write(&damaged, &PACKED[..PACKED.len() / 2]).expect("there is room");
        let told = format!("{:#}", unpacked(&damaged).expect_err("half is missing"));
        assert!(told.contains("jbd2.ko.xz"), "{told}");
        assert!(!folder.path().join("jbd2.ko").exists());
    }
}
