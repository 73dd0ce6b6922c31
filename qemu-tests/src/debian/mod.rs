//! This file keeps unpacked Debian packages of one architecture in a cache folder.
//!
//! It guarantees that a set of packages that was fetched once is had again without network and
//! without apt; that a folder below `packages/` is complete or absent; and that runs side by side
//! wait for each other. It must never touch the machine's own package database.

mod apt;
mod settings;

use anyhow::{Context, Result, bail};
use apt::Apt;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::progress::{Step, say};

/// The packages of one architecture.
#[derive(Debug)]
pub struct Store {
    arch: String,
    suite: Option<String>,
    folder: PathBuf,
}

/// One unpacked package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The folder that holds its files.
    pub folder: PathBuf,
}

/// A package that apt chose.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Choice {
    name: String,
    version: String,
}

impl Choice {
    fn parse(line: &str) -> Option<Self> {
        let (name, version) = line.split_once(' ')?;
        Some(Self {
            name: name.to_string(),
            version: version.to_string(),
        })
    }

    /// Debian's file name without the architecture; a colon is written as apt writes it.
    fn stem(&self) -> String {
        format!("{}_{}", self.name, self.version.replace(':', "%3a"))
    }
}

impl Store {
    /// The store for `arch` (`arm64`, `armhf`, `amd64`) below the folder `cache`. With a `suite`,
    /// packages are of that release of Debian instead of the machine's own.
    #[must_use]
    pub fn new(cache: &Path, arch: &str, suite: Option<&str>) -> Self {
        Self {
            arch: arch.to_string(),
            suite: suite.map(str::to_string),
            folder: cache.join("debian").join(arch),
        }
    }

    /// Debian's name of the architecture.
    #[must_use]
    pub fn arch(&self) -> &str {
        &self.arch
    }

    /// The named packages and all that they depend on, unpacked; a package comes after those it
    /// needs. Packages that only maintainer scripts need are left out, because none is run.
    ///
    /// # Errors
    /// apt or dpkg are not installed, a package is unknown, its dependencies cannot be met, or it
    /// cannot be fetched.
    pub fn packages(&self, names: &[String]) -> Result<Vec<Package>> {
        fs::create_dir_all(self.folder.join("packages"))
            .with_context(|| format!("cannot create {}", self.folder.display()))?;
        let _lock = self.lock()?;
        let apt = Apt::new(&self.folder, &self.arch, self.suite.as_deref())?;
        let mut names = names.to_vec();
        names.sort();
        names.dedup();
        if let Some(known) = self.remembered(&apt, &names)
            && self.missing(&known).is_empty()
        {
            return Ok(self.unpacked(&known));
        }
        let just_fetched = apt.refresh_lists(false)?;
        let choices = match self.resolve_and_fetch(&apt, &names) {
            Ok(choices) => choices,
            Err(error) if just_fetched => return Err(error),
            Err(error) => {
                // Lists a few hours old can name versions that the mirror has replaced since.
                say(&format!("{error:#}\nfetching the package lists again"));
                apt.refresh_lists(true)?;
                self.resolve_and_fetch(&apt, &names)?
            }
        };
        self.remember(&apt, &names, &choices)?;
        Ok(self.unpacked(&choices))
    }

    fn resolve_and_fetch(&self, apt: &Apt, names: &[String]) -> Result<Vec<Choice>> {
        let choices = apt.resolve(names)?;
        let missing = self.missing(&choices);
        if !missing.is_empty() {
            let debs = apt.download(&missing)?;
            let _step = Step::begin(format!(
                "debian {}: unpacking {} packages",
                self.arch,
                debs.len()
            ));
            for (choice, deb) in missing.iter().zip(&debs) {
                self.unpack(choice, deb)?;
            }
        }
        Ok(choices)
    }

    fn unpack(&self, choice: &Choice, deb: &Path) -> Result<()> {
        let target = self.place(choice);
        let draft = target.with_file_name(format!(".draft-{}", choice.name));
        if draft.exists() {
            fs::remove_dir_all(&draft).with_context(|| format!("removing {}", draft.display()))?;
        }
        let output = Command::new("dpkg-deb")
            .args(["--extract".as_ref(), deb.as_os_str(), draft.as_os_str()])
            .output()
            .context("cannot run dpkg-deb; it is in the package dpkg")?;
        if !output.status.success() {
            let text = String::from_utf8_lossy(&output.stderr);
            bail!("cannot unpack {}: {}", deb.display(), text.trim());
        }
        fs::rename(&draft, &target).with_context(|| format!("creating {}", target.display()))?;
        fs::remove_file(deb).with_context(|| format!("removing {}", deb.display()))
    }

    fn place(&self, choice: &Choice) -> PathBuf {
        self.folder.join("packages").join(choice.stem())
    }

    fn missing(&self, choices: &[Choice]) -> Vec<Choice> {
        choices
            .iter()
            .filter(|choice| !self.place(choice).is_dir())
            .cloned()
            .collect()
    }

    fn unpacked(&self, choices: &[Choice]) -> Vec<Package> {
        let package = |choice: &Choice| Package {
            name: choice.name.clone(),
            version: choice.version.clone(),
            folder: self.place(choice),
        };
        choices.iter().map(package).collect()
    }

    /// What was chosen for the same names from the same sources.
    fn remembered(&self, apt: &Apt, names: &[String]) -> Option<Vec<Choice>> {
        let text = fs::read_to_string(self.memory(names)).ok()?;
        let choices = text.strip_prefix(&apt.question(names))?;
        choices.lines().map(Choice::parse).collect()
    }

    fn remember(&self, apt: &Apt, names: &[String], choices: &[Choice]) -> Result<()> {
        let mut text = apt.question(names);
        for choice in choices {
            text.push_str(&format!("{} {}\n", choice.name, choice.version));
        }
        let path = self.memory(names);
        let draft = path.with_extension("draft");
        fs::create_dir_all(self.folder.join("chosen"))?;
        fs::write(&draft, text)?;
        fs::rename(&draft, &path).with_context(|| format!("writing {}", path.display()))
    }

    /// The file that remembers the choice for `names`; a clash of two sets only costs a look-up,
    /// because the file repeats its question.
    fn memory(&self, names: &[String]) -> PathBuf {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for byte in names.join(" ").bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        self.folder.join("chosen").join(format!("{hash:016x}"))
    }

    fn lock(&self) -> Result<File> {
        let path = self.folder.join("lock");
        let file = File::create(&path).with_context(|| format!("creating {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                say(&format!(
                    "debian {}: waiting for another run to finish",
                    self.arch
                ));
                file.lock()
                    .with_context(|| format!("locking {}", path.display()))?;
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("locking {}", path.display()));
            }
        }
        Ok(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_colon_in_a_version_is_written_as_apt_writes_it() {
        let choice = Choice::parse("busybox-static 1:1.35.0-4").expect("name and version");
        assert_eq!(choice.stem(), "busybox-static_1%3a1.35.0-4");
    }

    #[test]
    fn an_architecture_that_debian_does_not_have_is_told_clearly() {
        let cache = tempfile::tempdir().expect("a folder");
        let store = Store::new(cache.path(), "pdp11", None);
        let error = store
            .packages(&["busybox-static".to_string()])
            .expect_err("no pdp11");
        let text = format!("{error:#}");
        assert!(text.contains("pdp11"), "{text}");
    }
}
