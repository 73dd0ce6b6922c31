//! This file plants defects into the core and driver, one at a time, in a copy of their sources
//! below `target`, and lets the simulation find each.

use super::{Machine, build};
use crate::cli::Sim;
use crate::{house, process};
use anyhow::{Context, Result, bail};
use qemu_tests::progress::say;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// The table of defects.
const TABLE: &str = "xtask/src/sim/mutants.toml";

/// Histories in which each is to be found, if none are asked for: of the core, and of Harmony's
/// HAL.
const SEEDS: u64 = 20_000;
const HARMONY_SEEDS: u64 = 300;

/// A history that does not come to its end in this time is found: others take a millisecond, and
/// a tenth of a second on Harmony's kernel.
const HANG_LIMIT: Duration = Duration::from_secs(20);

/// A defect.
struct Mutant {
    name: String,
    /// Part of the house's tests.
    quick: bool,
    /// Found by histories of exchanges.
    exchange: bool,
    file: PathBuf,
    text: String,
    with: String,
    breaks: String,
}

/// Plants those that were chosen; prints how each was found.
///
/// # Errors
/// One was not found, or the text that it replaces is not in the sources, once.
pub fn run(sim: &Sim) -> Result<()> {
    let wanted = |mutant: &Mutant| match &sim.mutant {
        Some(part) => mutant.name.contains(part),
        None if sim.harmony => mutant.machine() == Machine::Harmony,
        None if sim.exchange => mutant.machine() == Machine::Exchange,
        None => mutant.machine() != Machine::Harmony && (mutant.quick || !sim.quick),
    };
    let all = table()?;
    let chosen: Vec<&Mutant> = all.iter().filter(|mutant| wanted(mutant)).collect();
    if chosen.is_empty() {
        bail!("no planted defect has such a name");
    }
    let tree = Tree::new()?;
    for mutant in &all {
        mutant.check(&tree)?;
    }
    say(&format!(
        "{:<26} {:>6} {:>7}  rule",
        "defect", "seed", "seconds"
    ));
    let mut missed = Vec::new();
    for mutant in &chosen {
        let begun = Instant::now();
        let found = plant(mutant, &tree, sim)?;
        let seconds = begun.elapsed().as_secs_f64();
        let (seed, rule) = found.unwrap_or_else(|| {
            missed.push(mutant.name.as_str());
            ("-".to_string(), format!("NOT FOUND: {}", mutant.breaks))
        });
        println!("{:<26} {seed:>6} {seconds:>7.1}  {rule}", mutant.name);
    }
    println!("{} of {} found", chosen.len() - missed.len(), chosen.len());
    if !missed.is_empty() {
        bail!("not found: {}", missed.join(", "));
    }
    Ok(())
}

/// Builds the tree with a defect and lets the simulation run; the seed that finds it, and the rule.
fn plant(mutant: &Mutant, tree: &Tree, sim: &Sim) -> Result<Option<(String, String)>> {
    let file = tree.root.join(&mutant.file);
    let original = fs::read_to_string(&file)?;
    fs::write(&file, original.replace(&mutant.text, &mutant.with))?;
    let found = build(&tree.root, "sim-mutants", mutant.machine())
        .with_context(|| format!("{} does not build", mutant.name))
        .and_then(|program| search(&program, sim, mutant.machine()));
    fs::write(&file, original)?;
    found
}

fn search(program: &Path, sim: &Sim, machine: Machine) -> Result<Option<(String, String)>> {
    let seeds = sim.seeds.unwrap_or(match machine {
        Machine::Own | Machine::Exchange => SEEDS,
        Machine::Harmony => HARMONY_SEEDS,
    });
    let mut command = Command::new(program);
    command.args(machine.first()).arg("--no-shrinking");
    command.arg("--seeds").arg(seeds.to_string());
    command.arg("--from").arg(sim.from.unwrap_or(1).to_string());
    command.arg("--limit").arg(HANG_LIMIT.as_secs().to_string());
    let output = process::output(&mut command)?;
    let words = String::from_utf8_lossy(&output.stdout);
    let line = words.lines().find_map(|line| line.strip_prefix("seed "));
    let found = line.and_then(|line| line.split_once(" breaks a rule: "));
    match found {
        Some((seed, rule)) => {
            let rule: String = rule.chars().take(60).collect();
            Ok(Some((seed.to_string(), rule)))
        }
        None if output.status.success() => Ok(None),
        None => bail!(
            "the simulation failed: {}",
            String::from_utf8_lossy(&output.stderr)
        ),
    }
}

impl Mutant {
    /// Whose histories are to find it.
    fn machine(&self) -> Machine {
        match self.file.starts_with("hal-harmony") {
            true => Machine::Harmony,
            false if self.exchange => Machine::Exchange,
            false => Machine::Own,
        }
    }

    /// The text is where it is said to be, once.
    fn check(&self, tree: &Tree) -> Result<()> {
        let file = tree.root.join(&self.file);
        let source = fs::read_to_string(&file).with_context(|| format!("{}", file.display()))?;
        match source.matches(&self.text).count() {
            1 => Ok(()),
            count => bail!(
                "{TABLE}: {}: its text is {count} times in {}",
                self.name,
                self.file.display()
            ),
        }
    }
}

/// A copy of the sources that the simulation is made of.
struct Tree {
    root: PathBuf,
}

impl Tree {
    fn new() -> Result<Self> {
        let root = house::target().join("mutants");
        if root.exists() {
            fs::remove_dir_all(&root)?;
        }
        for part in ["init-core", "hal-harmony"] {
            copy(&house::root().join(part), &root.join(part))?;
        }
        fs::copy(house::root().join("Cargo.lock"), root.join("Cargo.lock"))?;
        let text = fs::read_to_string(house::root().join("Cargo.toml"))?;
        let mut workspace: toml::Table = text.parse()?;
        let members = ["init-core", "init-core/sim", "hal-harmony"];
        let members = toml::Value::from(members.to_vec());
        let table = workspace
            .get_mut("workspace")
            .and_then(|table| table.as_table_mut());
        let table = table.context("Cargo.toml has no workspace")?;
        table.insert("members".to_string(), members);
        table.remove("default-members");
        fs::write(root.join("Cargo.toml"), workspace.to_string())?;
        Ok(Self { root })
    }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        match entry.file_type()?.is_dir() {
            true => copy(&entry.path(), &target)?,
            false => drop(fs::copy(entry.path(), target)?),
        }
    }
    Ok(())
}

fn table() -> Result<Vec<Mutant>> {
    let text = fs::read_to_string(house::root().join(TABLE)).context(TABLE)?;
    let table: toml::Table = text.parse().context(TABLE)?;
    let all = table.get("mutant").and_then(|all| all.as_array());
    let all = all.with_context(|| format!("{TABLE} lists no [[mutant]]"))?;
    all.iter().map(mutant).collect()
}

fn mutant(value: &toml::Value) -> Result<Mutant> {
    let word = |key: &str| {
        let word = value.get(key).and_then(|word| word.as_str());
        let found = word.with_context(|| format!("{TABLE}: a mutant has no {key}: {value}"))?;
        anyhow::Ok(found.trim_matches('\n').to_string())
    };
    let is = |key: &str| value.get(key).and_then(|it| it.as_bool()) == Some(true);
    Ok(Mutant {
        name: word("name")?,
        quick: is("quick"),
        exchange: is("exchange"),
        file: word("file")?.into(),
        text: word("text")?,
        with: word("with")?,
        breaks: word("breaks")?,
    })
}
