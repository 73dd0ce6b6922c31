//! This file finds the source lines that can panic in a program that was linked nevertheless.
//!
//! It starts at the panic handler and walks the calls backwards through `core`; a call from
//! anywhere else into that region is a place where firmware can panic.

use crate::{house, stack};
use addr2line::Loader;
use anyhow::{Context, Result, anyhow};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What a panic calls in the end.
const HANDLER: &str = "rust_begin_unwind";

/// The places, sorted, each with the function of `core` that it calls.
///
/// # Errors
/// The file cannot be read or is no ELF file with relocations.
pub fn places(file: &Path) -> Result<Vec<String>> {
    let data = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let elf = object::File::parse(&*data).context("the linker wrote no ELF file")?;
    let (names, references) = stack::references(&elf);
    let panicking = panicking(&names, &references);
    let lines = Loader::new(file).map_err(|error| anyhow!("no line tables: {error}"))?;
    let mut places = BTreeSet::new();
    for (at, callee) in &references {
        let caller = names.range(..=at).next_back().map(|(address, _)| address);
        if panicking.contains(callee) && caller.is_none_or(|caller| !panicking.contains(caller)) {
            let callee = names.get(callee).map_or("?", String::as_str);
            let caller = caller
                .and_then(|caller| names.get(caller))
                .map_or("?", String::as_str);
            let place = place(&lines, *at).unwrap_or_else(|| format!("in {caller}"));
            places.insert(format!("{place}  calls {callee}"));
        }
    }
    Ok(places.into_iter().collect())
}

/// The panic handler and the functions of `core` that can reach it.
fn panicking(names: &BTreeMap<u64, String>, references: &[(u64, u64)]) -> BTreeSet<u64> {
    let handlers = names.iter().filter(|(_, name)| name.contains(HANDLER));
    let mut panicking: BTreeSet<u64> = handlers.map(|(address, _)| *address).collect();
    loop {
        let before = panicking.len();
        for (at, callee) in references {
            let Some((caller, name)) = names.range(..=at).next_back() else {
                continue;
            };
            let of_core = name.starts_with("core::") || name.starts_with("<core::");
            if of_core && panicking.contains(callee) {
                panicking.insert(*caller);
            }
        }
        if panicking.len() == before {
            return panicking;
        }
    }
}

/// The innermost source line at `address` that is not of `core`, else the innermost.
fn place(lines: &Loader, address: u64) -> Option<String> {
    let mut frames = lines.find_frames(address).ok()?;
    let mut innermost = None;
    while let Ok(Some(frame)) = frames.next() {
        let Some(location) = frame.location else {
            continue;
        };
        let (Some(file), Some(line)) = (location.file, location.line) else {
            continue;
        };
        let place = format!("{}:{line}", short(file));
        if !file.starts_with("/rustc/") && !file.contains("/library/core/") {
            return Some(place);
        }
        innermost.get_or_insert(place);
    }
    innermost
}

/// A path below the workspace, or from the crate's folder on.
fn short(file: &str) -> String {
    let registry = file
        .split_once("/registry/src/")
        .and_then(|(_, rest)| rest.split_once('/'));
    registry.map_or_else(
        || house::shown(Path::new(file)),
        |(_, crate_file)| crate_file.to_string(),
    )
}
