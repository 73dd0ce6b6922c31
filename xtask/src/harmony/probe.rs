//! This file runs the probe on the stub kernel and holds what it writes to the table.

use super::stub::{self, Variant};
use crate::house;
use anyhow::{Context, Result, bail};
use qemu_tests::expect::Scenario;
use qemu_tests::progress::say;

/// The line in front of the transcript, and the last one of it.
const BEFORE: &str = "stub: not Harmony";
const LAST: &str = "rows differ skipped: ";

/// What a kernel that is as the table says makes the probe write, as the simulated one does.
fn expected(table: &str, variant: Variant) -> Result<String> {
    let (mut text, mut count, mut differ, mut skipped) = (String::new(), 0, 0, 0);
    let lines = table.lines().filter(|line| !line.starts_with('#'));
    for line in lines.skip(1) {
        let cells: Vec<&str> = line.split('\t').collect();
        let [name, needs, _, _, wanted] = cells[..] else {
            bail!(
                "the conformance table has a line of {} cells: {line}",
                cells.len()
            );
        };
        let got = match (variant, needs, name) {
            (Variant::NoClock, "clock", _) => {
                skipped += 1;
                "skipped"
            }
            (Variant::NoClock, _, "clock-runs") => {
                differ += 1;
                "0"
            }
            _ => wanted,
        };
        count += 1;
        text.push_str(&format!("{name} {wanted} {got}\n"));
    }
    Ok(text + &format!("{LAST}{count},{differ},{skipped}\n"))
}

/// Boots the probe; its transcript.
fn transcript(variant: Variant) -> Result<String> {
    let board = house::board("oh-tee-virt")?;
    let out = house::target().join("images/oh-tee-virt/probe");
    // The tables of a product are not part of it; any will do.
    let product = house::product(super::BARE)?;
    let files = super::build("probe", &board, &product, &out)?;
    let kernel = stub::link(&board, &files, variant, &Scenario::default())?;
    let console = stub::run(&board, &kernel, variant)?.replace('\r', "");
    let lines = console.lines().skip_while(|line| !line.starts_with(BEFORE));
    let mut text = String::new();
    for line in lines.skip(1) {
        text.push_str(line);
        text.push('\n');
        if line.starts_with(LAST) {
            return Ok(text);
        }
    }
    bail!("the probe did not come to its end:\n{console}")
}

/// Runs the probe with a clock and without, and compares each transcript with the table, to the
/// letter.
///
/// # Errors
/// A row differs, or the stub dies.
pub fn compare() -> Result<()> {
    let table = house::root().join("hal-harmony/conformance.tsv");
    let table = std::fs::read_to_string(&table)
        .with_context(|| format!("cannot read {}", table.display()))?;
    for variant in [Variant::Normal, Variant::NoClock] {
        let wanted = expected(&table, variant)?;
        let got = transcript(variant)?;
        if got != wanted {
            let differ = got
                .lines()
                .zip(wanted.lines())
                .filter(|(got, wanted)| got != wanted);
            let differ: Vec<String> = differ
                .map(|(got, wanted)| format!("  {got}\n    wanted {wanted}"))
                .collect();
            bail!(
                "the stub ({variant:?}) is not as the table says:\n{}",
                differ.join("\n")
            );
        }
        let last = got.lines().last().unwrap_or_default();
        say(&format!("probe on the stub, {variant:?}: {last}"));
    }
    Ok(())
}

/// Prints the transcript that the probe writes on the stub.
///
/// # Errors
/// It cannot be built or run.
pub fn print() -> Result<()> {
    print!("{}", transcript(Variant::Normal)?);
    Ok(())
}
