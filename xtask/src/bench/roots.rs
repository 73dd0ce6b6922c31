//! This file makes root file systems for contenders.

use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// Lets everybody execute a file.
///
/// # Errors
/// It is not there.
pub fn make_executable(file: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(file, fs::Permissions::from_mode(0o755))
        .with_context(|| format!("cannot make {} executable", file.display()))
}

/// The folders that every root has.
pub fn make_root(root: &Path) -> Result<()> {
    for folder in [
        "etc", "run", "var", "dev", "tmp", "proc", "sys", "bench", "mnt",
    ] {
        fs::create_dir_all(root.join(folder))?;
    }
    for (link, target) in [("bin", "usr/bin"), ("sbin", "usr/sbin"), ("lib", "usr/lib")] {
        fs::create_dir_all(root.join(target))?;
        std::os::unix::fs::symlink(target, root.join(link))?;
    }
    fs::create_dir_all(root.join("var/log"))?;
    std::os::unix::fs::symlink("/run", root.join("var/run"))?;
    fs::create_dir_all(root.join("usr/lib64"))?;
    std::os::unix::fs::symlink("usr/lib64", root.join("lib64"))?;
    Ok(())
}

/// Puts a folder's content into another, as links to the same files where that can be.
///
/// # Errors
/// Something cannot be read or written.
pub fn merge(from: &Path, to: &Path) -> Result<()> {
    let entries = fs::read_dir(from).with_context(|| format!("listing {}", from.display()))?;
    for entry in entries {
        let entry = entry?;
        let (source, target): (PathBuf, PathBuf) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type()?;
        if kind.is_dir() {
            fs::create_dir_all(&target)?;
            merge(&source, &target)?;
        } else if kind.is_symlink() {
            if !target.is_symlink() {
                std::os::unix::fs::symlink(fs::read_link(&source)?, &target)?;
            }
        } else if kind.is_file() && !target.exists() && fs::hard_link(&source, &target).is_err() {
            fs::copy(&source, &target).with_context(|| format!("copying {}", source.display()))?;
        }
    }
    Ok(())
}
