//! This file turns the machine's apt settings into private ones for another architecture.
//!
//! It copies the sources without their limits to some architectures, and nothing else; keys,
//! proxies and passwords stay where they are.

use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Debian's own packages win over others of the same name, whatever their versions.
pub(super) const PREFERENCES: &str = "Package: *\nPin: release o=Debian\nPin-Priority: 990\n";

/// What of the machine's apt configuration we need to know.
pub(super) struct Machine {
    list: PathBuf,
    parts: PathBuf,
    /// Indexes besides the package lists, fetched by default and useless here.
    other_indexes: Vec<String>,
}

impl Machine {
    /// Asks apt.
    pub(super) fn read() -> Result<Self> {
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

    /// Copies the machine's sources without their limits to some architectures, and of another
    /// release where `suite` names one; returns all text.
    pub(super) fn copy_sources(&self, target: &Path, suite: Option<&str>) -> Result<String> {
        let mut files = vec![self.list.clone()];
        if let Ok(entries) = fs::read_dir(&self.parts) {
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
            // A source that only root may read is not Debian's.
            let Ok(text) = fs::read_to_string(path) else {
                continue;
            };
            let end = path
                .extension()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            let is_list = end == "list";
            let text = if is_list {
                any_arch_list(&text)
            } else {
                any_arch_deb822(&text)
            };
            let text = match suite {
                Some(suite) if is_list => of_suite_list(&text, suite),
                Some(suite) => of_suite_deb822(&text, suite),
                None => text,
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

    /// The text of the private configuration, whose files lie in `folder`.
    pub(super) fn configuration(&self, folder: &Path, arch: &str) -> String {
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
        for name in &self.other_indexes {
            text.push_str(&format!(
                "Acquire::IndexTargets::deb::{name}::DefaultEnabled \"false\";\n"
            ));
        }
        text
    }
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

/// One-line sources with another release; those of updates (`bookworm-updates`) are left out.
fn of_suite_list(text: &str, suite: &str) -> String {
    let mut result = String::new();
    for line in text.lines() {
        // deb [options] address release component..
        let options_end = line.find(']').map_or(0, |at| at + 1);
        let (options, rest) = line.split_at(options_end);
        let mut words: Vec<&str> = rest.split_whitespace().collect();
        let at = if options.is_empty() { 2 } else { 1 };
        match words.get_mut(at) {
            Some(release) if !release.contains('-') => *release = suite,
            _ => continue,
        }
        result.push_str(&format!("{options} {}\n", words.join(" ")));
    }
    result
}

/// The same in deb822 form.
fn of_suite_deb822(text: &str, suite: &str) -> String {
    let mut result = String::new();
    for stanza in text.split("\n\n") {
        let is_suites = |line: &&str| line.to_ascii_lowercase().starts_with("suites:");
        let suites = stanza.lines().find(is_suites).unwrap_or_default();
        if !suites
            .split_whitespace()
            .skip(1)
            .any(|name| !name.contains('-'))
        {
            continue;
        }
        for line in stanza.lines().filter(|line| !line.is_empty()) {
            let line = if is_suites(&line) {
                format!("Suites: {suite}\n")
            } else {
                format!("{line}\n")
            };
            result.push_str(&line);
        }
        result.push('\n');
    }
    result
}

/// Writes a file unless it says the same already.
pub(super) fn write_if_changed(path: &Path, text: &str) -> Result<()> {
    if fs::read_to_string(path).is_ok_and(|old| old == text) {
        return Ok(());
    }
    fs::write(path, text).with_context(|| format!("writing {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_release_replaces_the_machines_and_has_no_updates() {
        let list = "# x\ndeb http://a bookworm main\ndeb [signed-by=/k] http://a bookworm main\n\
                    deb http://a bookworm-updates main\n";
        assert_eq!(
            of_suite_list(list, "forky"),
            " deb http://a forky main\ndeb [signed-by=/k] http://a forky main\n"
        );
        let sources = "Types: deb\n# y\nSuites: bookworm bookworm-updates\nComponents: main\n\n\
                       Types: deb\nSuites: bookworm-security\n";
        assert_eq!(
            of_suite_deb822(sources, "forky"),
            "Types: deb\n# y\nSuites: forky\nComponents: main\n\n"
        );
    }

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
}
