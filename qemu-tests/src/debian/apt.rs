//! This file asks apt questions about another architecture, through a private configuration.
//!
//! The machine's own sources, keys and proxies are used as they are; its package lists, its list of
//! installed packages and its caches are neither read nor written. A source that is not Debian's,
//! or that does not answer, must never keep Debian's packages from being found.

use super::Choice;
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
    /// Writes the private configuration below `folder`.
    pub(super) fn new(folder: &Path, arch: &str) -> Result<Self> {
        let folder = fs::canonicalize(folder)
            .with_context(|| format!("cannot find {}", folder.display()))?
            .join("apt");
        for part in ["lists/partial", "cache/archives/partial", "sources", "debs"] {
            let path = folder.join(part);
            fs::create_dir_all(&path).with_context(|| format!("creating {}", path.display()))?;
        }
        let machine = machine_settings()?;
        let sources = copy_sources(&machine, &folder.join("sources"))?;
        let conf = configuration(&folder, arch, &machine.other_indexes);
        write_if_changed(&folder.join("apt.conf"), &conf)?;
        write_if_changed(&folder.join("preferences"), PREFERENCES)?;
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
            if success {
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

/// Debian's own packages win over others of the same name, whatever their versions.
const PREFERENCES: &str = "Package: *\nPin: release o=Debian\nPin-Priority: 990\n";

/// What of the machine's apt configuration we need to know.
struct Machine {
    list: PathBuf,
    parts: PathBuf,
    /// Indexes besides the package lists, fetched by default and useless here.
    other_indexes: Vec<String>,
}

fn machine_settings() -> Result<Machine> {
    let run = |arguments: &[&str]| -> Result<String> {
        let output = Command::new("apt-config").args(arguments).output().context(
            "cannot run apt-config: packages are fetched with apt, so a Debian machine is needed",
        )?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let text = run(&[
        "shell",
        "LIST",
        "Dir::Etc::sourcelist/f",
        "PARTS",
        "Dir::Etc::sourceparts/d",
    ])?;
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        PathBuf::from(line.unwrap_or_default().trim_matches('\''))
    };
    let dump = run(&["dump", "Acquire::IndexTargets::deb"])?;
    let other = dump.lines().filter_map(|line| {
        let name = line
            .strip_prefix("Acquire::IndexTargets::deb::")?
            .split(' ')
            .next()?;
        (!name.contains("::") && name != "Packages").then(|| name.to_string())
    });
    Ok(Machine {
        list: value("LIST="),
        parts: value("PARTS="),
        other_indexes: other.collect(),
    })
}

/// Copies the machine's sources without their limits to some architectures; returns all text.
fn copy_sources(machine: &Machine, target: &Path) -> Result<String> {
    let mut files = vec![machine.list.clone()];
    if let Ok(entries) = fs::read_dir(&machine.parts) {
        files.extend(entries.filter_map(Result::ok).map(|entry| entry.path()));
    }
    files.retain(|path| {
        path.is_file()
            && path
                .extension()
                .is_some_and(|end| end == "list" || end == "sources")
    });
    files.sort();
    let mut all = String::new();
    let mut names = Vec::new();
    for (index, path) in files.iter().enumerate() {
        let text = fs::read_to_string(path)
            .with_context(|| format!("cannot read the package source {}", path.display()))?;
        let end = path
            .extension()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let text = if end == "list" {
            any_arch_list(&text)
        } else {
            any_arch_deb822(&text)
        };
        let name = format!("{index}.{end}");
        write_if_changed(&target.join(&name), &text)?;
        names.push(name);
        all.push_str(&text);
    }
    for entry in fs::read_dir(target)?.filter_map(Result::ok) {
        if !names.iter().any(|name| entry.file_name() == name.as_str()) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(all)
}

/// A one-line source without its `arch=` option.
fn any_arch_list(text: &str) -> String {
    let mut result = String::new();
    for line in text.lines() {
        let words = line.split(' ').map(|word| {
            let bare = word.trim_start_matches('[');
            match (
                bare.starts_with("arch="),
                word.starts_with('['),
                word.ends_with(']'),
            ) {
                (false, _, _) => word,
                (true, true, true) | (true, false, false) => "",
                (true, true, false) => "[",
                (true, false, true) => "]",
            }
        });
        let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
        result.push_str(&words.join(" "));
        result.push('\n');
    }
    result
}

/// A source in deb822 form without its `Architectures` field.
fn any_arch_deb822(text: &str) -> String {
    let mut result = String::new();
    let mut inside = false;
    for line in text.lines() {
        let continued = line.starts_with([' ', '\t']);
        inside = if continued {
            inside
        } else {
            line.to_ascii_lowercase().starts_with("architectures:")
        };
        if !inside {
            result.push_str(line);
            result.push('\n');
        }
    }
    result
}

fn configuration(folder: &Path, arch: &str, other_indexes: &[String]) -> String {
    let at = folder.display();
    let mut text = format!(
        r#"#clear APT::Architectures;
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Post-Invoke;
APT::Architecture "{arch}";
APT::Architectures {{ "{arch}"; }};
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::Retries "3";
Acquire::http::Timeout "30";
Acquire::https::Timeout "30";
Dir::State "{at}";
Dir::State::lists "{at}/lists";
Dir::State::status "{at}/status";
Dir::Cache "{at}/cache";
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "{at}/sources";
Dir::Etc::preferences "{at}/preferences";
Dir::Etc::preferencesparts "/dev/null";
"#
    );
    for name in other_indexes {
        text.push_str(&format!(
            "Acquire::IndexTargets::deb::{name}::DefaultEnabled \"false\";\n"
        ));
    }
    text
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

fn write_if_changed(path: &Path, text: &str) -> Result<()> {
    if fs::read_to_string(path).is_ok_and(|old| old == text) {
        return Ok(());
    }
    fs::write(path, text).with_context(|| format!("writing {}", path.display()))
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
    fn a_source_loses_only_its_limit_to_architectures() {
        let cases = [
            ("deb [arch=amd64] http://a b c", "deb http://a b c\n"),
            (
                "deb [arch=amd64 signed-by=/k] http://a b c",
                "deb [ signed-by=/k] http://a b c\n",
            ),
            (
                "deb [signed-by=/k arch=amd64] http://a b c",
                "deb [signed-by=/k ] http://a b c\n",
            ),
            ("deb http://a b c", "deb http://a b c\n"),
        ];
        for (text, wanted) in cases {
            assert_eq!(any_arch_list(text), wanted);
        }
        let text = "Types: deb\nArchitectures: amd64\n i386\nSuites: x\nSigned-By:\n key\n";
        assert_eq!(
            any_arch_deb822(text),
            "Types: deb\nSuites: x\nSigned-By:\n key\n"
        );
    }

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
