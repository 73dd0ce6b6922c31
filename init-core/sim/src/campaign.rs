//! This file performs many histories, on all processors, up to the first that breaks a rule.

use crate::generate::{SEEDS_PER_PRODUCT, script};
use crate::run::{Broken, Tally};
use crate::script::Script;
use crate::shrink::shrink;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Lets a script happen; `Err`: the first rule that was broken.
pub type Perform = Box<dyn FnMut(&Script) -> Result<Tally, Broken>>;

/// Makes what performs, one for each worker.
pub type Make = dyn Fn() -> Perform + Sync;

/// A history that breaks a rule.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Its seed.
    pub seed: u64,
    /// The rule.
    pub broken: Broken,
}

/// What came of many histories.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What happened in those that broke no rule.
    pub tally: Tally,
    /// The first one that broke one.
    pub failure: Option<Failure>,
}

/// The seed that each worker is at, plus 1; 0: none.
static AT: [AtomicU64; 64] = [const { AtomicU64::new(0) }; 64];

/// The histories that are being performed.
pub fn present() -> Vec<u64> {
    let seeds = AT.iter().map(|seed| seed.load(Ordering::Relaxed));
    seeds.filter_map(|seed| seed.checked_sub(1)).collect()
}

/// Performs histories from this seed on, as many as that.
pub fn run(from: u64, count: u64, make: &Make) -> Outcome {
    let end = from.saturating_add(count);
    // Blocks that share a product, taken in turn; none after the first failure is begun.
    let next = AtomicU64::new(from / SEEDS_PER_PRODUCT);
    let last = AtomicU64::new(end);
    let outcome = Mutex::new(Outcome {
        tally: Tally::default(),
        failure: None,
    });
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for at in &AT[..threads.min(AT.len())] {
            let (next, last, outcome) = (&next, &last, &outcome);
            scope.spawn(move || {
                worker((from, next, last), outcome, at, make());
                at.store(0, Ordering::Relaxed);
            });
        }
    });
    outcome
        .into_inner()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn worker(
    (from, next, last): (u64, &AtomicU64, &AtomicU64),
    outcome: &Mutex<Outcome>,
    at: &AtomicU64,
    mut perform: Perform,
) {
    loop {
        let block = next.fetch_add(1, Ordering::Relaxed) * SEEDS_PER_PRODUCT;
        if block >= last.load(Ordering::Relaxed) {
            return;
        }
        let mut tally = Tally::default();
        for seed in block.max(from)..block + SEEDS_PER_PRODUCT {
            if seed >= last.load(Ordering::Relaxed) {
                break;
            }
            at.store(seed.saturating_add(1), Ordering::Relaxed);
            match perform(&script(seed)) {
                Ok(one) => tally.add(one),
                Err(broken) => {
                    last.fetch_min(seed, Ordering::Relaxed);
                    let mut outcome = outcome.lock().unwrap_or_else(|e| e.into_inner());
                    let is_first = |known: &Failure| seed < known.seed;
                    if outcome.failure.as_ref().is_none_or(is_first) {
                        outcome.failure = Some(Failure { seed, broken });
                    }
                    break;
                }
            }
        }
        outcome
            .lock()
            .unwrap_or_else(|e| e.into_inner())
            .tally
            .add(tally);
    }
}

impl Tally {
    /// Adds another.
    pub fn add(&mut self, other: Self) {
        self.histories += other.histories;
        self.turns += other.turns;
        self.deaths += other.deaths;
        self.requests += other.requests;
        self.compared += other.compared;
    }
}

/// The shortest script found that breaks a rule as this one does, and how it does.
pub fn shorten(script: &Script, mut perform: Perform) -> (Script, Option<Broken>) {
    let short = shrink(script, &mut |candidate| perform(candidate).is_err());
    let broken = perform(&short).err();
    (short, broken)
}
