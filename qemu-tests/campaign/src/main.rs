//! This program is the services of the campaign on a board, and who injures process 1 there.
//!
//! `campaign witness UNIT SEED FILE` is a service. `campaign injure SERVICES SEED FILE COMPOSITION`
//! waits until all have begun, puts process 1 under load, and says that it is ready. Then it reads
//! lines `KIND SEED`, injures once for each, and answers what came of it. Every answer is one line,
//! written at once, from its mark to its end: others write to the same console.

use anyhow::{Context, Result, bail};
use heal_campaign::answer::{END, MARK, READY};
use heal_campaign::inject::{Processor, among};
use heal_campaign::machine::Machine;
use heal_campaign::random::Random;
use heal_campaign::table::Case;
use heal_campaign::trial::Trial;
use heal_campaign::witness;
use std::fs::File;
use std::io::{BufRead, Write};
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["witness", unit, seed, journal] => be_witness(unit, seed, journal),
        ["injure", services, seed, journal, form] => {
            injure(services, seed, journal, *form == "split").map(|()| 0)
        }
        _ => Err(anyhow::anyhow!(
            "witness UNIT SEED FILE, or injure SERVICES SEED FILE FORM"
        )),
    };
    match done {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn be_witness(unit: &str, seed: &str, journal: &str) -> Result<u8> {
    let unit = unit.parse().context("the unit is no number")?;
    let seed = seed.parse().context("the seed is no number")?;
    witness::run(unit, seed, Path::new(journal))
}

fn injure(services: &str, seed: &str, journal: &str, split: bool) -> Result<()> {
    let services = services.parse().context("the services are no number")?;
    let seed = seed.parse().context("the seed is no number")?;
    let kinds = Processor::own()?.kinds(split);
    let journal = Path::new(journal);
    // Whoever comes first makes it.
    File::options().append(true).create(true).open(journal)?;
    let mut machine = Machine::of(1, journal, services)?;
    machine.wait_for_all()?;
    let mut trial = Trial::begin(machine, services, seed, split);
    say(READY);
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let Some((name, seed)) = line.trim().split_once(' ') else {
            bail!("{line:?} is no kind with its seed");
        };
        let mut random = Random::new(seed.parse().context("the seed is no number")?);
        let case: Case = trial.injure(among(&kinds, name)?, &mut random)?;
        say(&format!("{name} {seed}: {case}, {}", trial.requests()));
    }
    Ok(())
}

fn say(text: &str) {
    let text = text.replace([END, '\n'], " ");
    // Without a console nobody hears it.
    let _ = std::io::stdout().write_all(format!("{MARK}{text}{END}\n").as_bytes());
}
