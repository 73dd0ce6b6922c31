//! This file holds the rules of the house against its sources: what no compiler checks.
//!
//! Each finding is one line, `path:line: what is wrong`, so that editors can jump to it.

mod lints;
mod robustness;
mod rules;
mod text;

use crate::house;
use anyhow::{Context, Result, bail};
use std::fmt;
use std::path::{Path, PathBuf};

/// Folders that hold nothing of ours.
const FOREIGN: [&str; 3] = ["target", ".git", "node_modules"];

/// Beginnings of the folders of crates that run on a device, beside the core.
const FIRMWARE: [&str; 3] = ["hal-", "board/", "extends/"];

/// One breach of a rule; lines count from one, 0 is the file as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    path: PathBuf,
    line: usize,
    what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}: {}",
            self.path.display(),
            self.line.max(1),
            self.what
        )
    }
}

/// One file of the house.
#[derive(Debug)]
struct Source {
    /// Relative to the workspace.
    path: PathBuf,
    text: String,
}

impl Source {
    fn finding(&self, line: usize, what: impl Into<String>) -> Finding {
        Finding {
            path: self.path.clone(),
            line,
            what: what.into(),
        }
    }

    fn is_rust(&self) -> bool {
        self.path
            .extension()
            .is_some_and(|extension| extension == "rs")
    }
}

/// Whether a file is of what runs on a device: the core, the HALs, boards and extensions.
fn is_firmware(path: &str) -> bool {
    let is_ours = |room: &&str| path.starts_with(*room);
    let has_sources = path.contains("/src/");
    path.starts_with("init-core/src/") || (has_sources && FIRMWARE.iter().any(is_ours))
}

/// Checks the whole house; returns how many files were read.
///
/// # Errors
/// A file cannot be read, or a rule is broken (every breach is printed first).
pub fn check() -> Result<usize> {
    let sources = sources(&house::root())?;
    let mut findings = rules::check(&house::root(), &sources)?;
    findings.extend(robustness::check(&sources));
    findings.extend(lints::check(&sources));
    for source in &sources {
        findings.extend(text::check(source));
    }
    for finding in &findings {
        println!("{finding}");
    }
    if !findings.is_empty() {
        bail!(
            "{} breaches of the house's rules, see above",
            findings.len()
        );
    }
    Ok(sources.len())
}

/// Every text file below `root`, sorted by path.
fn sources(root: &Path) -> Result<Vec<Source>> {
    let mut folders = vec![root.to_path_buf()];
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder)
            .with_context(|| format!("cannot list {}", folder.display()))?;
        for entry in entries {
            let entry = entry?;
            let path = entry.path();
            let kind = entry.file_type()?;
            let name = entry.file_name();
            if kind.is_dir() && !FOREIGN.iter().any(|foreign| name == *foreign) {
                folders.push(path);
            } else if kind.is_file() {
                let bytes = std::fs::read(&path)
                    .with_context(|| format!("cannot read {}", path.display()))?;
                // A file that is no text (an image, a fuzzer's input) has no lines to judge.
                if let Ok(text) = String::from_utf8(bytes) {
                    let path = path.strip_prefix(root).unwrap_or(&path).to_path_buf();
                    sources.push(Source { path, text });
                }
            }
        }
    }
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(sources)
}
