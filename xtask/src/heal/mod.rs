//! This file is `cargo xtask heal`: process 1 is made to fault for real, again and again, under
//! load, and what its services and clients noticed is counted.
//!
//! Process 1 of this machine's architecture runs in namespaces of its own with witnesses as its
//! services. A case is made from its number; the moment within process 1 at which it strikes is the
//! machine's. Columns that must be zero and are not end the command with an error.

pub mod client;
mod follow;
pub mod inject;
mod load;
mod machine;
mod record;
mod sweep;
mod table;
mod trial;
mod witness;

use crate::cli::{Heal, Witness};
use crate::fuzz::cases::Random;
use crate::house;
use anyhow::{Result, bail, ensure};
use inject::Kind;
use machine::Product;
use qemu_tests::progress::{Step, say};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use sweep::Strides;
use table::{Table, Targets};
use trial::Trial;

/// All compositions together.
const TIME_LIMIT: Duration = Duration::from_secs(9 * 60);

/// Deaths in a row that process 1 did not survive: the rest would tell nothing new.
const FAILURES_MAX: u32 = 10;

/// A number of services, and what is done to process 1 that runs them.
#[derive(Clone, Copy, Debug)]
struct Composition {
    services: usize,
    deaths: u64,
    targets: Targets,
}

/// The whole campaign: services, deaths, and the times to keep in ms (median, p99, longest).
const FULL: [(usize, u64, [Option<u64>; 3]); 4] = [
    (10, 130, [None, None, None]),
    (50, 1_000, [Some(1), Some(5), None]),
    (100, 130, [Some(1), Some(5), None]),
    (500, 65, [None, None, Some(20)]),
];

/// What CI runs; its machines are too busy for times.
const QUICK: (usize, u64) = (20, 60);

/// What CI takes of a sweep: instructions and system calls.
const QUICK_STRIDES: (usize, usize) = (20_000, 7);

/// Runs the campaign that was asked for.
///
/// # Errors
/// It cannot be run here, or something happened that must not.
pub fn run(heal: &Heal) -> Result<()> {
    ensure!(
        cfg!(target_arch = "x86_64"),
        "faults are written for x86-64 only: run this on such a machine"
    );
    if heal.sweep {
        let product = Product::build(sweep::SERVICES, heal.seed, true, false)?;
        let (instruction, call) = match heal.quick {
            true => QUICK_STRIDES,
            false => (heal.stride, 1),
        };
        let seed = heal.seed;
        return sweep::run(
            &product,
            Strides {
                instruction,
                call,
                seed,
            },
        );
    }
    let all = inject::kinds(is_split(heal));
    let only = heal.only.as_deref();
    let only = only.map(|name| inject::among(&all, name)).transpose()?;
    let kinds = only.map_or(all, |kind| vec![kind]);
    let until = Instant::now() + TIME_LIMIT;
    let mut findings = Vec::new();
    for composition in compositions(heal) {
        let told = perform(heal, composition, &kinds, until)?;
        let services = composition.services;
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

fn compositions(heal: &Heal) -> Vec<Composition> {
    if heal.quick || heal.services.is_some() || heal.deaths.is_some() {
        let (services, deaths) = QUICK;
        return vec![Composition {
            services: heal.services.unwrap_or(services),
            deaths: heal.deaths.unwrap_or(deaths),
            targets: Targets::default(),
        }];
    }
    let full = FULL.map(|(services, deaths, targets)| {
        let [median, p99, max] = targets.map(|ms| ms.map(Duration::from_millis));
        Composition {
            services,
            deaths,
            targets: Targets { median, p99, max },
        }
    });
    full.to_vec()
}

/// Injures process 1 of one composition as often as it says, and prints the table.
fn perform(
    heal: &Heal,
    composition: Composition,
    kinds: &[Kind],
    until: Instant,
) -> Result<Vec<String>> {
    let Composition {
        services, deaths, ..
    } = composition;
    let split = is_split(heal);
    let product = Product::build(services, heal.seed, !heal.without_healing, split)?;
    let who = if split { "the core" } else { "process 1" };
    let step = Step::begin(format!("{deaths} deaths of {who} with {services} services"));
    let mut table = Table::default();
    let mut trial = Trial::begin(&product, services, heal.seed)?;
    let (mut failures, mut requests, mut done) = (0, 0, 0);
    for number in 0..deaths {
        let seed = heal.seed.wrapping_add(number);
        let index = usize::try_from(seed % kinds.len() as u64)?;
        let Some(kind) = kinds.get(index).copied() else {
            break;
        };
        let case = trial.injure(kind, &mut Random::new(seed))?;
        table.add(kind.name, kind.dies_slowly, &case);
        done += 1;
        if !case.is_good() && !std::mem::replace(&mut trial.has_failed, true) {
            say(&format!(
                "\nfirst failure: {}, case {number}: {case:?}\nlike it:\n  {}\nprocess 1's \
                 console: {}",
                kind.name,
                replay(heal, services, kind, seed),
                house::shown(&product.console())
            ));
        }
        step.percent(u8::try_from(done * 100 / deaths)?);
        match case.recovery {
            Some(_) => failures = 0,
            None => {
                failures += 1;
                requests += trial.requests();
                trial.again(&product, heal.seed)?;
            }
        }
        if failures == FAILURES_MAX || Instant::now() > until {
            break;
        }
    }
    requests += trial.requests();
    drop((trial, step));
    let form = &heal.composition;
    println!("\n{services} services, {form}, {requests} requests of clients beside it");
    let names: Vec<_> = inject::kinds(split).iter().map(|kind| kind.name).collect();
    table.print(&names);
    let mut findings = table.findings(composition.targets);
    if failures == FAILURES_MAX {
        findings.push(format!(
            "given up: process 1 died {FAILURES_MAX} times in a row"
        ));
    } else if done < deaths {
        findings.push(format!("no time for more than {done} of {deaths} deaths"));
    }
    Ok(findings)
}

/// The command that makes the same fault again.
fn replay(heal: &Heal, services: usize, kind: Kind, seed: u64) -> String {
    let without = match heal.without_healing {
        true => " --without-healing",
        false => "",
    };
    format!(
        "cargo xtask heal --composition {} --services {services} --only {} --seed {seed} \
         --deaths 1{without}",
        heal.composition, kind.name
    )
}
