//! This file finds a board's kernel among Debian's packages, and the modules that a product wants.
//!
//! Debian ships no dependency list with a kernel (a maintainer script makes it), so dependencies
//! are read from the modules themselves.

use crate::debian::Store;
use anyhow::{Context, Result, anyhow, bail};
use object::{Object, ObjectSection};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
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

fn dependencies(file: &Path) -> Result<Vec<String>> {
    let bytes = fs::read(file).with_context(|| format!("reading {}", file.display()))?;
    let object = object::File::parse(bytes.as_slice()).with_context(|| {
        format!(
            "{} is no plain module (compressed ones are not read)",
            file.display()
        )
    })?;
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
}
