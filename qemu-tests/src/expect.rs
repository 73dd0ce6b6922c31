//! This file reads what a product must show on its console to count as working, and looks for it.
//!
//! Beside `PRODUCT.toml` may lie `expect/PRODUCT.toml`. A product is judged by what its services
//! write, never by what process 1 says of them. In each line `*` stands for any characters and
//! `{nonce}` for the word that the host chose for this boot; the line may be part of a longer one.

use crate::wildcard;
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How deep files may include each other.
const INCLUDE_DEPTH_MAX: usize = 8;

/// One thing that a product does.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Expectation {
    /// What is shown when all lines have come.
    pub what: String,
    /// Lines that must come in this order.
    pub lines: Vec<String>,
}

/// The file as written.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct File {
    include: Option<PathBuf>,
    #[serde(default)]
    core_deaths: u32,
    #[serde(default)]
    core_poisons: u32,
    #[serde(default)]
    core_damages: u32,
    #[serde(default)]
    expect: Vec<Expectation>,
}

/// What is done to a product, and what it must show then.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scenario {
    /// How often its core is ended while it runs, where that is a process that can be.
    pub core_deaths: u32,
    /// How many cores in a row end of what they are told.
    pub core_poisons: u32,
    /// How many cores after those are found to have damaged what they share.
    pub core_damages: u32,
    /// What it must show.
    pub expect: Vec<Expectation>,
}

impl Scenario {
    /// How many cores come to their end by all that.
    #[must_use]
    pub fn core_ends(&self) -> u32 {
        self.core_deaths + self.core_poisons + self.core_damages
    }
}

/// How an expectation stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// All lines came; when the last one did, and what it was.
    Met(Duration, String),
    /// This line has not come yet.
    Missing(String),
}

/// Where the expectations of a product lie.
#[must_use]
pub fn file_of(product: &Path) -> PathBuf {
    let folder = product.parent().unwrap_or(Path::new(""));
    folder
        .join("expect")
        .join(product.file_name().unwrap_or_default())
}

/// Reads the expectations of a product; a product without such a file has none.
///
/// # Errors
/// A file cannot be read, is not what it should be, or includes itself.
pub fn load(product: &Path, nonce: &str) -> Result<Vec<Expectation>> {
    Ok(scenario(product, nonce)?.expect)
}

/// As [`load`], with what is done to it.
///
/// # Errors
/// As [`load`].
pub fn scenario(product: &Path, nonce: &str) -> Result<Scenario> {
    let mut scenario = Scenario::default();
    let mut next = Some(file_of(product)).filter(|path| path.exists());
    for _ in 0..INCLUDE_DEPTH_MAX {
        let Some(path) = next else {
            return Ok(scenario);
        };
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        let file: File = toml::from_str(&text).with_context(|| format!("in {}", path.display()))?;
        next = file.include.map(|include| path.with_file_name(include));
        scenario.core_deaths = scenario.core_deaths.max(file.core_deaths);
        scenario.core_poisons = scenario.core_poisons.max(file.core_poisons);
        scenario.core_damages = scenario.core_damages.max(file.core_damages);
        scenario.expect.extend(file.expect);
        for line in scenario
            .expect
            .iter_mut()
            .flat_map(|expectation| &mut expectation.lines)
        {
            *line = line.replace("{nonce}", nonce);
        }
    }
    bail!(
        "{}: more than {INCLUDE_DEPTH_MAX} includes",
        file_of(product).display()
    )
}

impl Expectation {
    /// Looks for the lines in what the console has shown so far.
    #[must_use]
    pub fn judge(&self, console: &[(Duration, String)]) -> Standing {
        let mut rest = console.iter();
        let mut at = Duration::ZERO;
        let mut last = String::new();
        for wanted in &self.lines {
            let Some((time, line)) = rest.find(|(_, line)| wildcard::occurs(wanted, line)) else {
                return Standing::Missing(wanted.clone());
            };
            at = *time;
            last.clone_from(line);
        }
        Standing::Met(at, last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn console(lines: &[(u64, &str)]) -> Vec<(Duration, String)> {
        lines
            .iter()
            .map(|(ms, line)| (Duration::from_millis(*ms), line.to_string()))
            .collect()
    }

    fn expectation(lines: &[&str]) -> Expectation {
        let lines = lines.iter().map(ToString::to_string).collect();
        Expectation {
            what: String::new(),
            lines,
        }
    }

    #[test]
    fn lines_must_come_in_order() {
        let wanted = expectation(&["run 1", "run 2"]);
        let good = console(&[(1, "x run 1"), (2, "other"), (3, "run 2 y")]);
        let met = Standing::Met(Duration::from_millis(3), "run 2 y".to_string());
        assert_eq!(wanted.judge(&good), met);
        let bad = console(&[(1, "run 2"), (2, "run 1")]);
        assert_eq!(wanted.judge(&bad), Standing::Missing("run 2".to_string()));
    }

    #[test]
    fn the_products_of_the_house_have_expectations_that_can_be_read() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../manifests/products");
        let own = load(&folder.join("gateway.toml"), "n0nce").expect("gateway");
        let included = load(&folder.join("broken-broker.toml"), "n0nce").expect("broken-broker");
        assert_eq!(own, included);
        assert!(own.len() >= 4);
        for line in own.iter().flat_map(|expectation| &expectation.lines) {
            assert!(
                line.contains("n0nce"),
                "{line:?} could come from another boot"
            );
        }
    }

    #[test]
    fn a_product_without_the_file_expects_nothing() {
        assert_eq!(
            load(Path::new("no/such/product.toml"), "x").expect("nothing"),
            []
        );
    }
}
