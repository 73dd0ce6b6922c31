//! This file reads what the benchmark knows of other inits: `qemu-tests/peers/NAME/peer.toml` says
//! where a peer comes from, how it is told to run the benchmark's services, and how it is steered.
//!
//! A peer is data: a folder of somebody's own builds can add one. It guarantees that every template
//! is filled with what it names and with nothing else, and that an unknown key is refused.

use anyhow::{Context, Result, ensure};
use bench_lives::contender::Commands;
use bench_lives::plan::Plan;
use serde::Deserialize;
use std::fs;
use std::path::{Path, PathBuf};

/// Folders of a peer's machine that are written anew for each run.
const WRITTEN: [&str; 3] = ["etc/", "run/", "var/"];

/// Another init.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Peer {
    /// The name of its folder.
    #[serde(skip)]
    pub name: String,
    /// Its folder; files of one's own builds lie below `root`.
    #[serde(skip)]
    pub folder: PathBuf,
    /// How the tables call it.
    pub title: String,
    /// Debian packages that it is made of; the version of the first is its version.
    #[serde(default)]
    pub packages: Vec<String>,
    /// What of the packages is left out: services that only a whole system has.
    #[serde(default)]
    pub without: Vec<String>,
    /// A release of Debian, where the machine's own does not have it.
    pub suite: Option<String>,
    /// The version, where no package says it.
    pub version: Option<String>,
    /// The file that becomes process 1.
    pub program: String,
    /// Its arguments, its name first.
    pub arguments: Vec<String>,
    /// Files of the processes that stay beside process 1 and the services.
    #[serde(default)]
    pub helpers: Vec<String>,
    /// Files of the tools that steer it.
    #[serde(default)]
    pub tools: Vec<String>,
    /// What each service is the leader of: `session`, `group` or `nothing`.
    pub leads: Leads,
    /// What it does by default with a service that ended.
    pub restart: String,
    /// What is different from the others' task, if so: its rows are shown and not ranked.
    pub differs: Option<String>,
    /// The files that it reads.
    #[serde(default)]
    pub file: Vec<File>,
    /// Fills `{after}` of a service that starts after another. Without it the peer has no order.
    pub after: Option<String>,
    /// How it is steered.
    #[serde(default)]
    pub commands: Commands,
}

/// What a supervisor makes of each service, so that signals reach its children.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Leads {
    /// A session of its own.
    Session,
    /// A process group of its own.
    Group,
    /// It stays in its supervisor's.
    Nothing,
}

/// A file of its machine.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct File {
    /// Where; with `{index}` in it there is one for each service.
    path: String,
    /// What it holds before the services.
    #[serde(default)]
    text: String,
    /// What it holds for each service.
    #[serde(default)]
    each: String,
    /// What it holds after the services.
    #[serde(default)]
    end: String,
    /// It is a symbolic link to this instead.
    link: Option<String>,
    /// It can be executed.
    #[serde(default)]
    executable: bool,
}

impl Peer {
    /// The peer in a folder.
    ///
    /// # Errors
    /// Its `peer.toml` cannot be read, or is no description of a peer.
    pub fn load(folder: &Path) -> Result<Self> {
        let file = folder.join("peer.toml");
        let text =
            fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let mut peer: Self =
            toml::from_str(&text).with_context(|| format!("in {}", file.display()))?;
        peer.name = folder
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        peer.folder = folder.to_path_buf();
        for file in &peer.file {
            let is_written = WRITTEN.iter().any(|begin| file.path.starts_with(begin));
            let path = &file.path;
            let place = folder.display();
            ensure!(
                is_written && !path.contains(".."),
                "in {place}: the file {path:?} does not lie below etc, run or var"
            );
        }
        ensure!(
            !peer.arguments.is_empty(),
            "in {}: `arguments` begins with the program's name",
            folder.display()
        );
        Ok(peer)
    }

    /// All peers below a folder, sorted by name.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn load_all(folder: &Path) -> Result<Vec<Self>> {
        let entries = fs::read_dir(folder)
            .with_context(|| format!("cannot list the peers in {}", folder.display()))?;
        let mut peers = Vec::new();
        for entry in entries {
            let path = entry?.path();
            if path.join("peer.toml").is_file() {
                peers.push(Self::load(&path)?);
            }
        }
        peers.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(peers)
    }

    /// Writes the files that make it run the plan's services into an empty folder.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn write(&self, plan: &Plan, into: &Path) -> Result<()> {
        for file in &self.file {
            if file.path.contains("{index}") {
                for index in 0..plan.services {
                    let path = into.join(self.fill(&file.path, plan, index));
                    file.put(
                        &path,
                        |text| self.fill(text, plan, index),
                        |_| String::new(),
                    )?;
                }
            } else {
                let each = |text: &str| {
                    (0..plan.services)
                        .map(|index| self.fill(text, plan, index))
                        .collect()
                };
                file.put(&into.join(&file.path), str::to_string, each)?;
            }
        }
        Ok(())
    }

    fn fill(&self, text: &str, plan: &Plan, index: usize) -> String {
        let after = match (&self.after, index.checked_sub(1)) {
            (Some(after), Some(before)) if plan.is_chain => after
                .replace("{verb}", plan.verb(before))
                .replace("{before}", &before.to_string()),
            _ => String::new(),
        };
        text.replace("{after}", &after)
            .replace("{index}", &index.to_string())
            .replace("{verb}", plan.verb(index))
    }
}

impl File {
    fn put(
        &self,
        path: &Path,
        fill: impl Fn(&str) -> String,
        each: impl Fn(&str) -> String,
    ) -> Result<()> {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let failed = || format!("cannot write {}", path.display());
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).with_context(failed)?;
        }
        if let Some(link) = &self.link {
            return symlink(fill(link), path).with_context(failed);
        }
        let text = [fill(&self.text), each(&self.each), fill(&self.end)].concat();
        fs::write(path, text).with_context(failed)?;
        let mode = if self.executable { 0o755 } else { 0o644 };
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).with_context(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: Plan = Plan {
        services: 3,
        deaf: 1,
        is_chain: true,
    };

    fn ours() -> Vec<Peer> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers");
        Peer::load_all(&folder).unwrap_or_else(|error| panic!("{error:#}"))
    }

    fn all_text(folder: &Path, text: &mut String) {
        for entry in fs::read_dir(folder).expect("it was written") {
            let path = entry.expect("it is there").path();
            text.push_str(&format!("{}\n", path.display()));
            if path.is_symlink() {
                let target = fs::read_link(&path).expect("it is a link");
                text.push_str(&format!("{}\n", target.display()));
            } else if path.is_dir() {
                all_text(&path, text);
            } else {
                text.push_str(&fs::read_to_string(&path).expect("it is text"));
            }
        }
    }

    #[test]
    fn every_peer_is_told_of_every_service_and_no_template_is_left() {
        for peer in ours() {
            let folder = tempfile::tempdir().expect("a folder");
            peer.write(&PLAN, folder.path())
                .unwrap_or_else(|error| panic!("{}: {error:#}", peer.name));
            let mut text = String::new();
            all_text(folder.path(), &mut text);
            for what in ["stay", "deaf", "/bench/probe"] {
                assert!(text.contains(what), "{}: no {what}\n{text}", peer.name);
            }
            for left in ["{index}", "{verb}", "{after}", "{before}", "{every}"] {
                assert!(!text.contains(left), "{}: {left} is left", peer.name);
            }
        }
    }

    #[test]
    fn a_chain_needs_words_for_it_and_begins_with_one_that_waits_for_nobody() {
        let peer = ours().into_iter().find(|peer| peer.name == "dinit");
        let peer = peer.expect("dinit has an order");
        let line = peer.fill("{after}x{index}", &PLAN, 0);
        assert_eq!(line, "x0");
        assert!(peer.fill("{after}", &PLAN, 2).contains("stay1"));
    }

    #[test]
    fn a_file_outside_of_what_is_written_and_an_unknown_key_are_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let base = "title = \"x\"\nprogram = \"x\"\narguments = [\"x\"]\nleads = \"group\"\n\
                    restart = \"x\"\n";
        let load = |text: &str| {
            fs::write(folder.path().join("peer.toml"), format!("{base}{text}")).expect("room");
            format!("{:#}", Peer::load(folder.path()).expect_err("it is bad"))
        };
        let out = load("[[file]]\npath = \"usr/bin/x\"\n");
        assert!(out.contains("\"usr/bin/x\" does not lie below"), "{out}");
        let unknown = load("[[file]]\npath = \"etc/x\"\ncolour = 1\n");
        assert!(unknown.contains("unknown field `colour`"), "{unknown}");
    }
}
