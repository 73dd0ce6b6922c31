//! This file performs steps three at a time: those that build with one processor, or keep one busy
//! with a virtual machine.
//!
//! Each is a process of its own, so that what it says can be printed in one go when it has ended,
//! and not between the lines of others.

use super::{Line, Outcome, Step, commands};
use crate::process;
use anyhow::{Context, Result, anyhow, bail};
use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Instant;

/// How many are performed at a time: one more than the smallest machine has processors that this is
/// meant for, since whoever waits for a virtual machine is idle for a third of its time.
const LANE_COUNT: usize = 3;

/// What the last line of a step that ended well begins with.
const PASSED: &str = "== passed:";
const SKIPPED: &str = "== skipped:";

/// What is left to do, and what was done.
struct Work {
    /// The names of the steps of each chain.
    chains: VecDeque<Vec<String>>,
    /// How many steps have begun, with those before these.
    begun: usize,
    lines: Vec<Line>,
}

/// Performs these of `total` steps, chain by chain, when `begun` were performed already.
pub fn run(steps: &[Step], begun: usize, total: usize) -> Vec<Line> {
    let mut chains: VecDeque<(Option<&str>, Vec<String>)> = VecDeque::new();
    for step in steps {
        let chain = step.chain.as_deref();
        match chains.iter_mut().find(|(name, _)| *name == chain) {
            Some((_, names)) => names.push(step.name.clone()),
            None => chains.push_back((chain, vec![step.name.clone()])),
        }
    }
    let work = Mutex::new(Work {
        chains: chains.into_iter().map(|(_, names)| names).collect(),
        begun,
        lines: Vec::new(),
    });
    std::thread::scope(|scope| {
        for _ in 0..LANE_COUNT {
            scope.spawn(|| lane(&work, total));
        }
    });
    work.into_inner()
        .map_or_else(|error| error.into_inner().lines, |work| work.lines)
}

fn lane(work: &Mutex<Work>, total: usize) {
    let next = || work.lock().ok()?.chains.pop_front();
    while let Some(chain) = next() {
        for name in chain {
            if let Ok(mut work) = work.lock() {
                work.begun += 1;
                println!("\n-- {} of {total} begins: {name}", work.begun);
            }
            let started = Instant::now();
            let (words, result) = elsewhere(&name);
            let time = started.elapsed();
            // One at a time, also with what they print.
            let Ok(mut work) = work.lock() else { return };
            println!("\n== {name}\n{}", words.trim_end());
            if let Err(error) = &result {
                println!("FAILED: {error:#}");
            }
            println!("== {:.1} s", time.as_secs_f64());
            work.lines.push(Line {
                name,
                result,
                time,
                words,
            });
        }
    }
}

/// Performs a step in a process of its own: what it said, and how it ended.
fn elsewhere(name: &str) -> (String, Result<Outcome>) {
    let told = commands::ourselves(&["test", "--step", name]).and_then(|mut command| {
        // Cargo keeps one processor busy, and leaves the other to the other lanes.
        process::told(command.env("CARGO_BUILD_JOBS", "1"))
    });
    let (words, status) = match told {
        Ok(told) => told,
        Err(error) => return (String::new(), Err(error)),
    };
    let (before, last) = words.trim_end().rsplit_once('\n').unwrap_or(("", &words));
    match ending(last).filter(|_| status.success()) {
        Some(outcome) => (before.to_string(), Ok(outcome)),
        None => (words, Err(anyhow!("see above ({status})"))),
    }
}

/// What the last line of a step says.
fn ending(line: &str) -> Option<Outcome> {
    let rest = |begin| {
        line.strip_prefix(begin)
            .map(|rest: &str| rest.trim().to_string())
    };
    rest(PASSED)
        .map(Outcome::Passed)
        .or_else(|| rest(SKIPPED).map(Outcome::Skipped))
}

/// Performs the step of this name, for a lane of another process.
///
/// # Errors
/// It failed, or there is none.
pub fn perform(steps: &[Step], name: &str) -> Result<()> {
    let step = steps.iter().find(|step| step.name == name);
    let step = step.with_context(|| format!("no step is called {name:?}"))?;
    match (step.perform)() {
        Ok(Outcome::Passed(note)) => println!("{PASSED} {note}"),
        Ok(Outcome::Skipped(cause)) => println!("{SKIPPED} {cause}"),
        Err(error) => bail!("{error:#}"),
    }
    Ok(())
}
