//! This file is `cargo xtask heal`: process 1 is made to fault for real, again and again, under
//! load, and what its services and clients noticed is counted.
//!
//! Process 1 of this machine's architecture runs in namespaces of its own with witnesses as its
//! services. A case is made from its number; the moment within process 1 at which it strikes is the
//! machine's. Columns that must be zero and are not end the command with an error.

mod board;
mod machine;
mod manifest;
mod program;
mod sweep;

use crate::cli::{Heal, Witness};
use crate::house;
use anyhow::{Context, Result, bail, ensure};
use heal_campaign::inject::{self, Kind, Processor};
use heal_campaign::table::{Case, Table, Targets};
use heal_campaign::witness;
use qemu_tests::progress::{Step, say};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use sweep::Strides;

/// All compositions together.
const TIME_LIMIT: Duration = Duration::from_secs(9 * 60);

/// Deaths in a row that process 1 did not survive: the rest would tell nothing new.
const FAILURES_MAX: u32 = 10;

/// On an emulated board, which is some ten times slower.
const BOARD_TIME_LIMIT: Duration = Duration::from_secs(60 * 60);

/// What dies, and how often.
#[derive(Clone, Copy, Debug)]
struct Death {
    services: usize,
    deaths: u64,
    targets: Targets,
    seed: u64,
    heals: bool,
    /// The core dies, which is a process of its own.
    split: bool,
}

/// A running process 1 with its services under load, that is injured again and again.
trait Patient {
    /// Injures it once; the seed chooses the moment.
    fn injure(&mut self, kind: Kind, seed: u64) -> Result<Case>;
    /// Boots another in place of one that is over.
    fn again(&mut self) -> Result<()>;
    /// How many requests of clients have ended since it was booted.
    fn requests(&self) -> u64;
    /// The file that holds its console.
    fn console(&self) -> PathBuf;
}

/// The whole campaign: services, deaths, and the times to keep in ms (median, p99, longest).
const FULL: [(usize, u64, [Option<u64>; 3]); 4] = [
    (10, 130, [None, None, None]),
    (50, 1_000, [Some(1), Some(5), None]),
    (100, 130, [Some(1), Some(5), None]),
    (500, 65, [None, None, Some(20)]),
];

/// The campaign on a board, where no time is judged: a machine that emulates another has its own.
const BOARD: (usize, u64) = (50, 1_000);

/// What CI runs; its machines are too busy for times.
const QUICK: (usize, u64) = (20, 60);

/// What CI takes of a sweep: instructions and system calls.
const QUICK_STRIDES: (usize, usize) = (20_000, 7);

/// Runs the campaign that was asked for.
///
/// # Errors
/// It cannot be run here, or something happened that must not.
pub fn run(heal: &Heal) -> Result<()> {
    let is_board = heal.board.is_some();
    ensure!(
        is_board || cfg!(target_arch = "x86_64"),
        "in namespaces faults are written for x86-64 only: run this on such a machine, or on a \
         board (`--board`)"
    );
    if heal.sweep {
        return sweep(heal);
    }
    let processor = match &heal.board {
        Some(name) => Processor::of(&house::board(name)?.triple)?,
        None => Processor::own()?,
    };
    let all = processor.kinds(is_split(heal));
    let only = heal.only.as_deref();
    let only = only.map(|name| inject::among(&all, name)).transpose()?;
    let kinds = only.map_or(all, |kind| vec![kind]);
    let limit = if is_board {
        BOARD_TIME_LIMIT
    } else {
        TIME_LIMIT
    };
    // Whoever names a number wants that many.
    let asked = Duration::from_secs(heal.deaths.unwrap_or(0));
    let until = Instant::now() + limit + asked;
    let mut findings = Vec::new();
    for death in deaths(heal) {
        let told = match &heal.board {
            None => {
                let product = machine::Product::build(&death)?;
                perform(heal, &death, &kinds, until, || {
                    machine::Patient::boot(product, death.seed)
                })?
            }
            Some(name) => {
                let product = board::Product::build(&house::board(name)?, &death)?;
                perform(heal, &death, &kinds, until, || board::Guest::boot(product))?
            }
        };
        let services = death.services;
        findings.extend(
            told.into_iter()
                .map(|it| format!("{services} services: {it}")),
        );
    }
    if !findings.is_empty() {
        bail!("it does not heal:\n  {}", findings.join("\n  "));
    }
    Ok(())
}

fn sweep(heal: &Heal) -> Result<()> {
    let product = machine::Product::build(&Death {
        services: sweep::SERVICES,
        deaths: 0,
        targets: Targets::default(),
        seed: heal.seed,
        heals: true,
        split: false,
    })?;
    let (instruction, call) = match heal.quick {
        true => QUICK_STRIDES,
        false => (heal.stride, 1),
    };
    let seed = heal.seed;
    sweep::run(
        &product,
        Strides {
            instruction,
            call,
            seed,
        },
    )
}

/// Whether it is the core that dies.
fn is_split(heal: &Heal) -> bool {
    heal.composition == "split"
}

/// Is the service of a campaign.
///
/// # Errors
/// The witnesses' file cannot be written.
pub fn witness(witness: &Witness) -> Result<ExitCode> {
    witness::run(witness.unit, witness.seed, &witness.journal).map(ExitCode::from)
}

fn deaths(heal: &Heal) -> Vec<Death> {
    let death = |services, deaths, targets| Death {
        services,
        deaths,
        targets,
        seed: heal.seed,
        heals: !heal.without_healing,
        split: is_split(heal),
    };
    let chosen = heal.quick || heal.services.is_some() || heal.deaths.is_some();
    if chosen || heal.board.is_some() {
        let (services, number) = if heal.quick || heal.board.is_none() {
            QUICK
        } else {
            BOARD
        };
        return vec![death(
            heal.services.unwrap_or(services),
            heal.deaths.unwrap_or(number),
            Targets::default(),
        )];
    }
    let full = FULL.map(|(services, deaths, targets)| {
        let [median, p99, max] = targets.map(|ms| ms.map(Duration::from_millis));
        death(services, deaths, Targets { median, p99, max })
    });
    full.to_vec()
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
fn perform<P: Patient>(
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
    let form = &heal.composition;
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
                replay(heal, death.services, kind, seed),
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
fn replay(heal: &Heal, services: usize, kind: Kind, seed: u64) -> String {
    let board = match &heal.board {
        Some(board) => format!(" --board {board}"),
        None => String::new(),
    };
    let without = match heal.without_healing {
        true => " --without-healing",
        false => "",
    };
    format!(
        "cargo xtask heal{board} --composition {} --services {services} --only {} --seed {seed} \
         --deaths 1{without}",
        heal.composition, kind.name
    )
}
