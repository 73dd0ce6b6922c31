//! This file measures how many bytes 64-bit ARM code takes where 32-bit ARM code takes one: by
//! programs of the same sources and version in Debian's packages of both architectures, the other
//! inits'.

use super::Measured;
use crate::house;
use anyhow::{Context, Result, ensure};
use object::{Object, ObjectSection};
use qemu_tests::debian::Store;
use std::collections::BTreeMap;
use std::path::Path;

/// What Debian has of inits and supervisors in C, dynamically linked: their own code and nothing
/// else. (systemd's lies in a library.)
const PACKAGES: [&str; 4] = ["runit", "s6", "sysvinit-core", "tini"];

/// Smaller programs are start-up code, most of it.
const BYTES_MIN: u64 = 8_000;

/// By what names the figures are kept.
pub const HUNDREDTHS: &str = "hundredths of the median";
pub const PROGRAMS: &str = "programs";

/// The median over all programs that both architectures have, and how many those are.
///
/// # Errors
/// The packages cannot be had, or have nothing in common.
pub fn measure() -> Result<Measured> {
    let [wide, narrow] = ["arm64", "armhf"].map(|arch| {
        let store = Store::new(&house::target().join("cache"), arch, None);
        programs(&store).with_context(|| format!("the programs of {arch}"))
    });
    let ((wide, wide_versions), (narrow, narrow_versions)) = (wide?, narrow?);
    ensure!(
        wide_versions == narrow_versions,
        "not of the same versions: {wide_versions:?} and {narrow_versions:?}; try again later"
    );
    let of_both = narrow.iter().filter(|(_, bytes)| **bytes >= BYTES_MIN);
    let mut ratios: Vec<u64> = of_both
        .filter_map(|(name, bytes)| Some((wide.get(name)? * 100 + bytes / 2) / bytes))
        .collect();
    ratios.sort_unstable();
    ensure!(!ratios.is_empty(), "no program is in both");
    // Of an even number, what lies between the two in the middle.
    let middle = |skip: usize| ratios[(ratios.len() - skip) / 2];
    let median = (middle(0) + middle(1)).div_ceil(2);
    let count = u64::try_from(ratios.len()).context("a small number")?;
    println!("arm64 code is {median} hundredths of armhf code (median of {count} programs)");
    Ok([(HUNDREDTHS, median), (PROGRAMS, count)]
        .map(|(name, figure)| (name.to_string(), figure))
        .into())
}

/// The bytes of code and constants of each program of the packages, and the packages' versions.
fn programs(store: &Store) -> Result<(BTreeMap<String, u64>, Vec<String>)> {
    let names = PACKAGES.map(String::from);
    let (mut all, mut versions) = (BTreeMap::new(), Vec::new());
    for package in store.packages(&names)? {
        if !names.contains(&package.name) {
            continue;
        }
        // Without what was only built again for one of them.
        let version = package.version.split("+b").next().unwrap_or_default();
        versions.push(format!("{} {version}", package.name));
        for folder in ["bin", "sbin", "usr/bin", "usr/sbin"] {
            let Ok(files) = std::fs::read_dir(package.folder.join(folder)) else {
                continue;
            };
            for file in files {
                let file = file?.path();
                if let Some(bytes) = code(&file)? {
                    let name = file.file_name().unwrap_or_default().to_string_lossy();
                    all.insert(name.into_owned(), bytes);
                }
            }
        }
    }
    versions.sort();
    Ok((all, versions))
}

/// Of a dynamically linked program that is no link.
fn code(file: &Path) -> Result<Option<u64>> {
    if !file.symlink_metadata()?.is_file() {
        return Ok(None);
    }
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let Ok(elf) = object::File::parse(&*bytes) else {
        return Ok(None);
    };
    if elf.section_by_name(".interp").is_none() {
        return Ok(None);
    }
    let sizes = [".text", ".rodata"].map(|name| elf.section_by_name(name).map(|it| it.size()));
    Ok(Some(sizes.into_iter().flatten().sum()))
}
