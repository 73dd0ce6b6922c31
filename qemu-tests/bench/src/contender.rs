//! This file says who lives a life of the benchmark: how its process 1 is started and how it is
//! steered, as templates that a plan fills.

use crate::plan::Plan;
use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};

/// The name of the program of our own that marks the limit.
pub const FLOOR: &str = "floor";
/// sysMaster as it is shipped.
pub const OURS: &str = "sysmaster";

/// The same with services that wait before they are started again: it is in no table of its own.
pub const LATE: &str = "sysmaster-late";

/// Something that runs services as process 1.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Contender {
    /// What it is called in files and rows.
    pub name: String,
    /// Whether it can start one service after another.
    pub has_order: bool,
    /// Process 1: its file, then its arguments with its name.
    pub process_1: Vec<String>,
    /// How it is steered.
    #[serde(default)]
    pub commands: Commands,
}

/// The tools that steer a contender, run within its machine: a file, then its arguments with its
/// name.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Commands {
    /// The state of one service.
    pub status: Option<Vec<String>>,
    /// The state of all.
    pub list: Option<Vec<String>>,
    /// Stops one, and returns when it has stopped.
    pub stop: Option<Vec<String>>,
    /// Starts it again.
    pub start: Option<Vec<String>>,
    /// Takes the machine down.
    pub power_off: Option<Vec<String>>,
}

/// A contender that can be started with a plan's services.
#[derive(Debug)]
pub struct Ready {
    /// Its root file system.
    pub root: PathBuf,
    /// Files to be copied over it.
    pub files: PathBuf,
    /// Process 1 and its arguments.
    pub command: Vec<String>,
}

impl Contender {
    /// What lies ready for a plan in the benchmark's folder.
    ///
    /// # Errors
    /// Nothing does.
    pub fn ready(&self, folder: &Path, plan: &Plan) -> Result<Ready> {
        let own = root(folder, &format!("{}-{}", self.name, plan.label()));
        let common = root(folder, &self.name);
        let root = if own.is_dir() { own } else { common };
        ensure!(root.is_dir(), "{} is not ready for {plan:?}", self.name);
        let files = files(folder, &self.name, plan);
        // Some need none.
        fs::create_dir_all(&files).with_context(|| format!("cannot make {}", files.display()))?;
        Ok(Ready {
            root,
            files,
            command: filled(&self.process_1, plan, 0),
        })
    }
}

/// Where a root file system lies: of a contender, or of one with a plan's services in it.
#[must_use]
pub fn root(folder: &Path, name: &str) -> PathBuf {
    folder.join("roots").join(name)
}

/// Where the files lie that make a contender run a plan's services.
#[must_use]
pub fn files(folder: &Path, name: &str, plan: &Plan) -> PathBuf {
    let name = format!("{name}-{}", plan.label());
    folder.join("files").join(name)
}

/// A command about the service with that index, filled.
#[must_use]
pub fn filled(words: &[String], plan: &Plan, index: usize) -> Vec<String> {
    let fill = |text: &str, index: usize| {
        text.replace("{index}", &index.to_string())
            .replace("{verb}", plan.verb(index))
            .replace("{services}", &plan.services.to_string())
    };
    let all = |word: &String| match word.strip_prefix("{every}") {
        Some(word) => (0..plan.services).map(|index| fill(word, index)).collect(),
        None => vec![fill(word, index)],
    };
    words.iter().flat_map(all).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: Plan = Plan {
        services: 3,
        deaf: 1,
        is_chain: true,
    };

    #[test]
    fn a_command_about_all_names_each() {
        let words = ["a", "{every}/s/{verb}{index}", "{services}"].map(str::to_string);
        let wanted = ["a", "/s/stay0", "/s/stay1", "/s/deaf2", "3"];
        assert_eq!(filled(&words, &PLAN, 0), wanted);
    }

    #[test]
    fn a_root_with_a_plans_services_in_it_goes_before_the_common_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let contender = Contender {
            name: "one".to_string(),
            ..Contender::default()
        };
        assert!(contender.ready(folder.path(), &PLAN).is_err());
        for name in ["one", "one-3-chain-deaf-1"] {
            let root = root(folder.path(), name);
            fs::create_dir_all(&root).expect("room");
            let ready = contender.ready(folder.path(), &PLAN).expect("it is there");
            assert_eq!(ready.root, root);
        }
    }
}
