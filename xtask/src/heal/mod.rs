//! This file is `cargo xtask heal`: process 1 is made to fault for real, again and again, under
//! load, and what its services and clients noticed is counted.
//!
//! Process 1 of this machine's architecture runs in namespaces of its own, or a board's in a
//! virtual machine, with witnesses as its services. A case is made from its number; the moment
//! within process 1 at which it strikes is the machine's. Columns that must be zero and are not end
//! the command with an error.

mod board;
mod ladder;
mod machine;
mod manifest;
mod places;
pub mod program;
mod sweep;
mod tally;

use crate::cli::{Heal, Witness};
use crate::house;
use anyhow::{Context, Result, bail, ensure};
use heal_campaign::answer::Course;
use heal_campaign::inject::{self, Processor};
use heal_campaign::moments::Strides;
use heal_campaign::table::Targets;
use heal_campaign::witness;
use std::fs::File;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use tally::{Patient, perform};

/// All compositions together.
const TIME_LIMIT: Duration = Duration::from_secs(9 * 60);

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
    course: Course,
}

impl Death {
    /// The composition, in a word.
    fn form(&self) -> &'static str {
        if self.split { "split" } else { "solo" }
    }
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

/// How often the whole ladder is climbed.
const LADDER_ROUNDS: u64 = 10;

/// What a sweep takes: instructions, those of the HAL and the checkpoint, stops at system calls.
const FULL_STRIDES: (usize, usize, usize) = (7, 1, 1);

/// The same on a board, and how many instructions behind each stop.
const BOARD_STRIDES: (usize, usize, usize) = (997, 997, 1);
const BOARD_AROUND: u64 = 8;

/// What CI takes of it.
const QUICK_STRIDES: (usize, usize, usize) = (20_000, 20_000, 7);

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
    if heal.ladder {
        return climb(heal);
    }
    let processor = match &heal.board {
        Some(name) => Processor::of(&house::board(name)?.triple)?,
        None => Processor::own()?,
    };
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
        let all = processor.kinds(death.split);
        let only = heal.only.as_deref();
        let only = only.map(|name| inject::among(&all, name)).transpose()?;
        let kinds = only.map_or(all, |kind| vec![kind]);
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
        let (services, form) = (death.services, death.form());
        let said = |it| format!("{services} services, {form}: {it}");
        findings.extend(told.into_iter().map(said));
    }
    if !findings.is_empty() {
        bail!("it does not heal:\n  {}", findings.join("\n  "));
    }
    Ok(())
}

fn sweep(heal: &Heal) -> Result<()> {
    let split = is_split(heal);
    let death = Death {
        services: heal_campaign::sweep::SERVICES,
        deaths: 0,
        targets: Targets::default(),
        seed: heal.seed,
        heals: true,
        split,
        course: Course::Sweep,
    };
    let is_board = heal.board.is_some();
    let (instruction, delicate, call) = match (heal.quick, heal.stride, is_board) {
        (true, ..) => QUICK_STRIDES,
        (false, Some(stride), _) => (stride, stride, 1),
        (false, None, false) => FULL_STRIDES,
        (false, None, true) => BOARD_STRIDES,
    };
    let strides = Strides {
        instruction,
        delicate,
        call,
        around: if is_board { BOARD_AROUND } else { 0 },
        seed: heal.seed,
        is_quick: heal.quick,
    };
    let only = heal.only.as_deref();
    match &heal.board {
        None => {
            let product = machine::Product::build(&death)?;
            sweep::run(&mut sweep::Here::new(&product)?, split, only, &strides)
        }
        Some(name) => {
            let board = house::board(name)?;
            let processor = Processor::of(&board.triple)?;
            ensure!(
                processor != Processor::Arm32,
                "a 32-bit ARM processor stops nobody after one instruction"
            );
            let product = board::Product::build(&board, &death)?;
            sweep::run(&mut board::Guest::boot(product)?, split, only, &strides)
        }
    }
}

fn climb(heal: &Heal) -> Result<()> {
    let split = is_split(heal);
    let services = heal.services.unwrap_or(QUICK.0);
    let death = Death {
        services,
        deaths: 0,
        targets: Targets::default(),
        seed: heal.seed,
        heals: true,
        split,
        course: Course::Ladder,
    };
    let mut wanted = ladder::Wanted {
        processor: Processor::own()?,
        place: String::new(),
        services,
        split,
        only: heal.only.as_deref(),
        seed: heal.seed,
        rounds: if heal.quick { 1 } else { LADDER_ROUNDS },
    };
    match &heal.board {
        None => {
            let product = machine::Product::build(&death)?;
            ladder::run(&mut ladder::Here::new(&product, split), &wanted)
        }
        Some(name) => {
            let board = house::board(name)?;
            wanted.processor = Processor::of(&board.triple)?;
            wanted.place = format!(" on {name}");
            let product = board::Product::build(&board, &death)?;
            ladder::run(&mut board::Guest::new(product), &wanted)
        }
    }
}

/// Takes a folder for this campaign alone, as long as what is returned is open.
fn lock(folder: &Path) -> Result<File> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let lock = File::create(folder.join("lock"))?;
    lock.try_lock()
        .context("another campaign runs in this checkout; wait for its end")?;
    Ok(lock)
}

/// Whether it is the core that dies.
fn is_split(heal: &Heal) -> bool {
    heal.composition.as_deref() == Some("split")
}

/// Is the service of a campaign.
///
/// # Errors
/// The witnesses' file cannot be written.
pub fn witness(witness: &Witness) -> Result<ExitCode> {
    witness::run(witness.unit, witness.seed, &witness.journal).map(ExitCode::from)
}

fn deaths(heal: &Heal) -> Vec<Death> {
    let death = |split, services, deaths, targets| Death {
        services,
        deaths,
        targets,
        seed: heal.seed,
        heals: !heal.without_healing,
        split,
        course: match heal.old_calls {
            true => Course::OldCalls,
            false => Course::Deaths,
        },
    };
    let chosen = heal.quick || heal.services.is_some() || heal.deaths.is_some();
    if chosen || heal.board.is_some() {
        let (services, number) = if heal.quick || heal.board.is_none() {
            QUICK
        } else {
            BOARD
        };
        return vec![death(
            is_split(heal),
            heal.services.unwrap_or(services),
            heal.deaths.unwrap_or(number),
            Targets::default(),
        )];
    }
    let full = |split: bool| {
        FULL.map(|(services, deaths, targets)| {
            let [median, p99, max] = targets.map(|ms| ms.map(Duration::from_millis));
            death(split, services, deaths, Targets { median, p99, max })
        })
    };
    match heal.composition {
        Some(_) => full(is_split(heal)).to_vec(),
        None => [full(false), full(true)].concat(),
    }
}
