//! This file asks apt questions about another architecture, through a private configuration.
//!
//! The machine's own sources, keys and proxies are used as they are; its package lists, its list of
//! installed packages and its caches are neither read nor written. A source that is not Debian's,
//! or that does not answer, must never keep Debian's packages from being found.

use super::Choice;
use super::settings::{self, Machine, write_if_changed};
use crate::progress::Step;
use anyhow::{Context, Result, anyhow, bail};
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Packages that only maintainer scripts need. No script is run, so apt is told that they are
/// there, unless a product names one of them.
const SCRIPT_PACKAGES: &[&str] = &[
    "adduser",
    "coreutils",
    "debconf",
    "dpkg",
    "init-system-helpers",
    "initramfs-tools",
    "kmod",
    "linux-base",
    "lsb-base",
    "passwd",
    "perl-base",
    "sysvinit-utils",
    "ucf",
    "udev",
];

/// Package lists older than this are fetched again before something new is looked up.
const LISTS_AGE_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// How often a failed download is tried, and how long to wait before the next try.
const PAUSES: [Duration; 3] = [
    Duration::ZERO,
    Duration::from_secs(3),
    Duration::from_secs(10),
];

/// A private view of the machine's apt.
pub(super) struct Apt {
    arch: String,
    folder: PathBuf,
    /// The machine's sources as we hand them to apt.
    sources: String,
}

impl Apt {
    /// Writes the private configuration below `folder`, for another release if `suite` names one.
    pub(super) fn new(folder: &Path, arch: &str, suite: Option<&str>) -> Result<Self> {
        let folder = fs::canonicalize(folder)
            .with_context(|| format!("cannot find {}", folder.display()))?
            .join("apt");
        for part in ["lists/partial", "cache/archives/partial", "sources", "debs"] {
            let path = folder.join(part);
            fs::create_dir_all(&path).with_context(|| format!("creating {}", path.display()))?;
        }
        let machine = Machine::read()?;
        let sources = machine.copy_sources(&folder.join("sources"), suite)?;
        let conf = machine.configuration(&folder, arch);
        write_if_changed(&folder.join("apt.conf"), &conf)?;
        write_if_changed(&folder.join("preferences"), settings::PREFERENCES)?;
        Ok(Self {
            arch: arch.to_string(),
            folder,
            sources,
        })
    }

    /// What a remembered choice depends on: the packages asked for, and where from.
    pub(super) fn question(&self, names: &[String]) -> String {
        format!("{}\n{}\n---\n", names.join(" "), self.sources.trim())
    }

    /// Fetches the package lists if there are none, they are a day old, or `force`; tells whether.
    pub(super) fn refresh_lists(&self, force: bool) -> Result<bool> {
        let stamp = self.folder.join("lists.stamp");
        let fresh = fs::read_to_string(&stamp).is_ok_and(|text| text == self.sources)
            && fs::metadata(&stamp)
                .and_then(|data| data.modified())
                .is_ok_and(|at| at.elapsed().is_ok_and(|age| age < LISTS_AGE_MAX));
        if fresh && !force {
            return Ok(false);
        }
        let step = Step::begin(format!("debian {}: fetching the package lists", self.arch));
        self.write_status(&[])?;
        let mut complaint = String::new();
        for pause in PAUSES {
            std::thread::sleep(pause);
            let (success, text) = self.run_with_progress(&["update"], &self.folder, &step)?;
            // A third-party source may fail for an architecture it lacks; Debian's must not.
            if self.has_debian_lists()? {
                fs::write(&stamp, &self.sources)?;
                return Ok(true);
            }
            complaint = text;
            // apt calls an update without network a success.
            if success && !complaint.contains("Failed to fetch") {
                break;
            }
        }
        drop(step);
        bail!(
            "apt finds no Debian packages for {}.\n{}\nCheck that `apt-get update` works on this \
             machine and that its sources include Debian's main archive.",
            self.arch,
            indent(&complaint)
        )
    }

    /// The packages that installing `names` on an empty machine would bring, dependencies first.
    pub(super) fn resolve(&self, names: &[String]) -> Result<Vec<Choice>> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        self.write_status(names)?;
        let output = self
            .command("apt-get")
            .args([
                "--quiet=2",
                "--simulate",
                "install",
                "--no-install-recommends",
                "--",
            ])
            .args(names)
            .output()
            .context("cannot run apt-get")?;
        if !output.status.success() {
            let text = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
            bail!(
                "apt cannot resolve the packages {} for {}:\n{}",
                names.join(", "),
                self.arch,
                indent(&String::from_utf8_lossy(&text))
            );
        }
        let text = String::from_utf8(output.stdout).context("apt-get's answer")?;
        Ok(text.lines().filter_map(parse_inst).collect())
    }

    /// Fetches the packages; the answer has their files in the same order.
    pub(super) fn download(&self, choices: &[Choice]) -> Result<Vec<PathBuf>> {
        let debs = self.folder.join("debs");
        let text = format!("debian {}: fetching {} packages", self.arch, choices.len());
        let step = Step::begin(text);
        let wanted = choices
            .iter()
            .map(|choice| format!("{}={}", choice.name, choice.version));
        let wanted: Vec<String> = wanted.collect();
        let mut arguments = vec!["download", "--"];
        arguments.extend(wanted.iter().map(String::as_str));
        let mut complaint = String::new();
        for pause in PAUSES {
            std::thread::sleep(pause);
            let (success, text) = self.run_with_progress(&arguments, &debs, &step)?;
            if success {
                drop(step);
                return choices
                    .iter()
                    .map(|choice| find_deb(&debs, choice))
                    .collect();
            }
            complaint = text;
        }
        drop(step);
        bail!(
            "apt cannot fetch {}:\n{}",
            wanted.join(", "),
            indent(&complaint)
        )
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .arg(format!(
                "--config-file={}",
                self.folder.join("apt.conf").display()
            ))
            .env("LC_ALL", "C")
            .env_remove("APT_CONFIG")
            .stdin(Stdio::null());
        command
    }

    /// Runs apt-get in `folder`; tells whether it succeeded and what it complained about.
    fn run_with_progress(
        &self,
        arguments: &[&str],
        folder: &Path,
        step: &Step,
    ) -> Result<(bool, String)> {
        let mut child = self
            .command("apt-get")
            .args(["--quiet=2", "--option=APT::Status-Fd=1"])
            .args(arguments)
            .current_dir(folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot run apt-get")?;
        let mut stderr = child
            .stderr
            .take()
            .ok_or_else(|| anyhow!("apt-get has no stderr"))?;
        let complaint = std::thread::spawn(move || {
            let mut text = Vec::new();
            // What cannot be read is not shown; the exit status still counts.
            let _ = stderr.read_to_end(&mut text);
            String::from_utf8_lossy(&text).into_owned()
        });
        if let Some(stdout) = child.stdout.take() {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if let Some(percent) = parse_percent(&line) {
                    step.percent(percent);
                }
            }
        }
        let status = child.wait().context("waiting for apt-get")?;
        let complaint = complaint.join().unwrap_or_default();
        Ok((status.success(), complaint))
    }

    fn has_debian_lists(&self) -> Result<bool> {
        let output = self
            .command("apt-get")
            .args([
                "indextargets",
                "--format",
                "$(ORIGIN) $(ARCHITECTURE) $(FILENAME)",
            ])
            .arg("Created-By: Packages")
            .output()
            .context("cannot run apt-get")?;
        let text = String::from_utf8_lossy(&output.stdout);
        let wanted = format!("Debian {} ", self.arch);
        let mut files = text.lines().filter_map(|line| line.strip_prefix(&wanted));
        Ok(files.any(|file| Path::new(file).exists()))
    }

    /// The list of installed packages: stand-ins for what no script will need.
    fn write_status(&self, wanted: &[String]) -> Result<()> {
        let mut text = String::new();
        for name in SCRIPT_PACKAGES {
            if !wanted.iter().any(|wanted| wanted == name) {
                text.push_str(&format!(
                    "Package: {name}\nStatus: install ok installed\nVersion: 99999\n\
                     Architecture: all\nMulti-Arch: foreign\nMaintainer: none\n\
                     Description: stand-in\n\n"
                ));
            }
        }
        write_if_changed(&self.folder.join("status"), &text)
    }
}

/// `Inst libc6 (2.36-9 Debian:12/stable [arm64]) []` names a package that would be installed.
fn parse_inst(line: &str) -> Option<Choice> {
    let (name, rest) = line.strip_prefix("Inst ")?.split_once(' ')?;
    let version = rest.split_once('(')?.1.split([' ', ')']).next()?;
    Some(Choice {
        name: name.to_string(),
        version: version.to_string(),
    })
}

/// `dlstatus:3:17.6:Retrieving file 3 of 9` tells how far a download is.
fn parse_percent(line: &str) -> Option<u8> {
    let text = line.strip_prefix("dlstatus:")?.split(':').nth(1)?;
    text.split('.').next()?.parse().ok()
}

fn find_deb(folder: &Path, choice: &Choice) -> Result<PathBuf> {
    let start = format!("{}_", choice.stem());
    let entries = fs::read_dir(folder)?.filter_map(Result::ok);
    let mut names = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(&start));
    let entry = names
        .next()
        .ok_or_else(|| anyhow!("apt-get fetched no {start}*.deb into {}", folder.display()))?;
    Ok(entry.path())
}

fn indent(text: &str) -> String {
    let lines: Vec<String> = text
        .trim()
        .lines()
        .map(|line| format!("    {line}"))
        .collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn apts_plan_is_read() {
        let line = "Inst libc6 (2.36-9+deb12u14 Debian:12.15/oldstable [arm64]) []";
        let choice = parse_inst(line).expect("a package");
        assert_eq!(
            (choice.name.as_str(), choice.version.as_str()),
            ("libc6", "2.36-9+deb12u14")
        );
        assert_eq!(parse_inst("Conf libc6 (2.36-9 Debian [arm64])"), None);
    }

    #[test]
    fn progress_is_read_from_apts_status_lines() {
        assert_eq!(
            parse_percent("dlstatus:3:17.6148:Retrieving file 3 of 3"),
            Some(17)
        );
        assert_eq!(parse_percent("pmstatus:x"), None);
    }
}
