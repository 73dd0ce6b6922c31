//! This file gives a copy of the house what cargo has compiled here of other people's crates, so
//! that the copy's first build compiles its own.
//!
//! A build folder for both will not do: cargo takes a package for the same wherever its workspace
//! lies, and would look at the copy's sources from then on, and see no change of ours.

use anyhow::{Context, Result};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::Path;

/// The folder in which cargo notes what it compiled: one folder each, NAME-HASH.
const NOTES: &str = ".fingerprint";

/// Characters of the hash.
const HASH_LENGTH: usize = 16;

/// Copies what `from` has of the packages that `lock`, a `Cargo.lock`, gets from a registry to
/// `to`; both are folders of one profile. Times stay, as cargo goes by them. Nothing is done where
/// `to` has been built in.
///
/// # Errors
/// `lock` is no such file, or something cannot be read or written.
pub fn lend(lock: &str, from: &Path, to: &Path) -> Result<()> {
    if to.join(NOTES).exists() {
        return Ok(());
    }
    let names = others(lock)?;
    let mut hashes = BTreeSet::new();
    for note in fs::read_dir(from.join(NOTES))? {
        let note = note?.file_name();
        if let Some((name, hash)) = note.to_str().and_then(parts)
            && names.contains(name)
        {
            hashes.insert(hash.to_string());
        }
    }
    for folder in ["deps", "build", NOTES] {
        fs::create_dir_all(to.join(folder))?;
        for entry in fs::read_dir(from.join(folder))? {
            let name = entry?.file_name();
            let stem = Path::new(&name).file_stem().and_then(|stem| stem.to_str());
            if stem
                .and_then(parts)
                .is_some_and(|(_, hash)| hashes.contains(hash))
            {
                copy(&from.join(folder).join(&name), &to.join(folder).join(&name))?;
            }
        }
    }
    Ok(())
}

/// The packages that come from a registry.
fn others(lock: &str) -> Result<BTreeSet<String>> {
    let lock: toml::Table = lock.parse().context("Cargo.lock")?;
    let packages = lock.get("package").and_then(toml::Value::as_array);
    let text = |package: &toml::Value, key| Some(package.get(key)?.as_str()?.to_string());
    let packages = packages.into_iter().flatten();
    let theirs = packages.filter(|package| text(package, "source").is_some());
    Ok(theirs.filter_map(|package| text(package, "name")).collect())
}

/// The name and the hash of what cargo calls NAME-HASH.
fn parts(name: &str) -> Option<(&str, &str)> {
    name.rsplit_once('-')
        .filter(|(_, hash)| hash.len() == HASH_LENGTH)
}

/// Copies a file or a folder with its times.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let about = fs::metadata(from)?;
    if about.is_dir() {
        fs::create_dir_all(to)?;
        for entry in fs::read_dir(from)? {
            let name = entry?.file_name();
            copy(&from.join(&name), &to.join(&name))?;
        }
        return Ok(());
    }
    fs::copy(from, to).with_context(|| format!("copying {}", from.display()))?;
    File::options()
        .write(true)
        .open(to)?
        .set_modified(about.modified()?)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_is_lent_and_nothing_of_ours() {
        let lock = "[[package]]\nname = \"theirs\"\nsource = \"registry\"\n\
                    [[package]]\nname = \"ours\"\n";
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        let file = |name: &str| {
            let path = from.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, name).unwrap();
            path
        };
        let theirs = [
            ".fingerprint/theirs-0123456789abcdef/invoked",
            "deps/libtheirs-0123456789abcdef.rlib",
            "deps/theirs-0123456789abcdef.d",
            "build/theirs-0123456789abcdef/out/made",
        ];
        let ours = [
            ".fingerprint/ours-fedcba9876543210/invoked",
            "deps/libours-fedcba9876543210.rlib",
            "deps/short-01.d",
        ];
        let long_ago = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1);
        for name in theirs {
            let file = File::options().write(true).open(file(name)).unwrap();
            file.set_modified(long_ago).unwrap();
        }
        for name in ours {
            file(name);
        }
        lend(lock, &from, &to).unwrap();
        for name in theirs {
            let about = fs::metadata(to.join(name)).unwrap();
            assert_eq!(about.modified().unwrap(), long_ago, "{name}");
        }
        for name in ours {
            assert!(!to.join(name).exists(), "{name}");
        }
    }
}
