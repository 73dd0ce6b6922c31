//! This file injures a patient as often as it was asked for, and judges what came of it.

use super::Death;
use crate::cli::Heal;
use crate::house;
use anyhow::{Context, Result};
use heal_campaign::inject::Kind;
use heal_campaign::table::{Case, Table};
use qemu_tests::progress::{Step, say};
use std::path::PathBuf;
use std::time::Instant;

/// Deaths in a row that process 1 did not survive: the rest would tell nothing new.
const FAILURES_MAX: u32 = 10;

/// A running process 1 with its services under load, that is injured again and again.
pub trait Patient {
    /// Injures it once; the seed chooses the moment.
    fn injure(&mut self, kind: Kind, seed: u64) -> Result<Case>;
    /// Boots another in place of one that is over, which is ended first.
    fn again(&mut self) -> Result<()>;
    /// How many requests of clients have ended since it was booted; none where the boot failed.
    fn requests(&self) -> u64;
    /// The file that holds its console.
    fn console(&self) -> PathBuf;
}

/// What came of a composition so far.
#[derive(Debug, Default)]
struct Tally {
    table: Table,
    done: u64,
    /// Deaths in a row that process 1 did not survive.
    failures: u32,
    /// Requests that clients of machines that are over had made.
    requests: u64,
    has_failed: bool,
}

/// Injures process 1 as often as it says, and prints the table.
pub fn perform<P: Patient>(
    heal: &Heal,
    death: &Death,
    kinds: &[Kind],
    until: Instant,
    boot: impl FnOnce() -> Result<P>,
) -> Result<Vec<String>> {
    let Death {
        services, deaths, ..
    } = *death;
    let who = if death.split { "the core" } else { "process 1" };
    let step = Step::begin(format!("{deaths} deaths of {who} with {services} services"));
    let mut patient = boot()?;
    let mut tally = Tally::default();
    let mut end = Ok(());
    while end.is_ok()
        && tally.done < deaths
        && tally.failures < FAILURES_MAX
        && Instant::now() < until
    {
        end = tally.add_one(heal, death, kinds, &mut patient);
        step.percent(u8::try_from(tally.done * 100 / deaths)?);
    }
    tally.requests += patient.requests();
    drop((patient, step));
    let form = death.form();
    let place = match &heal.board {
        Some(board) => format!(" on {board}"),
        None => String::new(),
    };
    let requests = tally.requests;
    println!("\n{services} services, {form}{place}, {requests} requests of clients beside it");
    let names: Vec<_> = kinds.iter().map(|kind| kind.name).collect();
    tally.table.print(&names);
    let mut findings = tally.table.findings(death.targets);
    if let Err(error) = end {
        findings.push(format!("it could not go on: {error:#}"));
    } else if tally.failures == FAILURES_MAX {
        findings.push(format!(
            "given up: process 1 died {FAILURES_MAX} times in a row"
        ));
    } else if tally.done < deaths {
        let done = tally.done;
        findings.push(format!("no time for more than {done} of {deaths} deaths"));
    }
    Ok(findings)
}

impl Tally {
    /// Injures once more.
    fn add_one(
        &mut self,
        heal: &Heal,
        death: &Death,
        kinds: &[Kind],
        patient: &mut impl Patient,
    ) -> Result<()> {
        let number = self.done;
        let seed = death.seed.wrapping_add(number);
        let index = usize::try_from(seed % kinds.len() as u64)?;
        let kind = *kinds.get(index).context("there are no faults")?;
        let case = patient.injure(kind, seed)?;
        self.table.add(kind.name, kind.dies_slowly, &case);
        self.done += 1;
        if !case.is_good() && !std::mem::replace(&mut self.has_failed, true) {
            say(&format!(
                "\nfirst failure: {}, case {number}: {case:?}\nlike it:\n  {}\nprocess 1's \
                 console: {}",
                kind.name,
                replay(heal, death, kind, seed),
                house::shown(&patient.console())
            ));
        }
        if case.recovery.is_some() {
            self.failures = 0;
            return Ok(());
        }
        self.failures += 1;
        if self.failures < FAILURES_MAX {
            self.requests += patient.requests();
            patient.again()?;
        }
        Ok(())
    }
}

/// The command that makes the same fault again.
fn replay(heal: &Heal, death: &Death, kind: Kind, seed: u64) -> String {
    let board = match &heal.board {
        Some(board) => format!(" --board {board}"),
        None => String::new(),
    };
    let without = match heal.without_healing {
        true => " --without-healing",
        false => "",
    };
    let old = if heal.old_calls { " --old-calls" } else { "" };
    let (form, services) = (death.form(), death.services);
    let name = kind.name;
    format!(
        "cargo xtask heal{board} --composition {form} --services {services} --only {name} \
         --seed {seed} --deaths 1{without}{old}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::bail;
    use heal_campaign::answer::Course;
    use heal_campaign::inject::Processor;
    use heal_campaign::table::Targets;
    use std::time::Duration;

    /// Every life of it has ended so many requests.
    const REQUESTS: u64 = 7;

    /// A patient of which is written what comes of its n-th injury.
    struct Scripted {
        script: fn(u64) -> Result<Case>,
        boots: bool,
        lives: bool,
    }

    impl Patient for Scripted {
        fn injure(&mut self, _: Kind, seed: u64) -> Result<Case> {
            (self.script)(seed)
        }

        fn again(&mut self) -> Result<()> {
            self.lives = self.boots;
            match self.boots {
                true => Ok(()),
                false => bail!("it does not boot"),
            }
        }

        fn requests(&self) -> u64 {
            if self.lives { REQUESTS } else { 0 }
        }

        fn console(&self) -> PathBuf {
            PathBuf::from("console")
        }
    }

    fn good() -> Case {
        Case {
            recovery: Some(Duration::from_millis(1)),
            ..Case::default()
        }
    }

    fn heal() -> Heal {
        Heal {
            quick: false,
            services: None,
            deaths: None,
            only: None,
            board: None,
            composition: None,
            seed: 0,
            without_healing: false,
            old_calls: false,
            ladder: false,
            sweep: false,
            stride: None,
        }
    }

    fn death(deaths: u64) -> Death {
        Death {
            services: 5,
            deaths,
            targets: Targets::default(),
            seed: 0,
            heals: true,
            split: false,
            course: Course::Deaths,
        }
    }

    fn kinds() -> Vec<Kind> {
        let processor = Processor::of("x86_64-unknown-linux-musl");
        processor.expect("it is known").kinds(false)
    }

    fn findings(deaths: u64, script: fn(u64) -> Result<Case>, time: Duration) -> Vec<String> {
        let until = Instant::now() + time;
        let boot = || {
            Ok(Scripted {
                script,
                boots: true,
                lives: true,
            })
        };
        perform(&heal(), &death(deaths), &kinds(), until, boot).expect("it boots")
    }

    #[test]
    fn a_campaign_ends_as_it_must_and_forgets_nothing() {
        type Row = (u64, fn(u64) -> Result<Case>, &'static [&'static str]);
        let table: [Row; 5] = [
            (3, |_| Ok(good()), &[]),
            (
                25,
                |_| Ok(Case::default()),
                &[
                    "10 deaths not recovered from",
                    "given up: process 1 died 10 times in a row",
                ],
            ),
            (
                25,
                |number| match number {
                    9 => Ok(good()),
                    _ => Ok(Case::default()),
                },
                &[
                    "19 deaths not recovered from",
                    "given up: process 1 died 10 times in a row",
                ],
            ),
            (
                25,
                |number| match number % 2 {
                    0 => Ok(Case::default()),
                    _ => Ok(good()),
                },
                &["13 deaths not recovered from"],
            ),
            (
                3,
                |number| match number {
                    0 => Ok(Case { hung: 2, ..good() }),
                    _ => bail!("ill"),
                },
                &["2 clients hung", "it could not go on: ill"],
            ),
        ];
        for (deaths, script, wanted) in table {
            assert_eq!(findings(deaths, script, Duration::from_secs(600)), wanted);
        }
        assert_eq!(
            findings(3, |_| Ok(good()), Duration::ZERO),
            ["no time for more than 0 of 3 deaths"]
        );
    }

    #[test]
    fn the_requests_of_a_life_are_counted_once() {
        for (boots, wanted) in [(true, 2 * REQUESTS), (false, REQUESTS)] {
            let mut patient = Scripted {
                script: |_| Ok(Case::default()),
                boots,
                lives: true,
            };
            let mut tally = Tally::default();
            let added = tally.add_one(&heal(), &death(2), &kinds(), &mut patient);
            assert_eq!(added.is_ok(), boots);
            assert_eq!(tally.requests + patient.requests(), wanted, "{boots}");
        }
    }
}
