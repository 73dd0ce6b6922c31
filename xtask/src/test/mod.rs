//! This file is `cargo xtask test`: every check of the house, the quick ones first.
//!
//! Each step says its name and its time; a failure does not hide the steps after it. What keeps one
//! processor busy comes in the middle, some steps at a time, and what must be alone in the end. The
//! last line counts the steps, in the form that CI services read.

mod boots;
mod commands;
mod guide;
mod lanes;
mod lend;
mod lint;
mod skips;
mod steps;

use crate::cli::Test;
use anyhow::{Result, bail};
use std::time::{Duration, Instant};

/// One check.
struct Step {
    name: String,
    /// Whether it boots virtual machines or builds firmware, which takes minutes.
    slow: bool,
    /// The steps of one chain are performed in their order, beside those of another; `None`: alone.
    chain: Option<String>,
    perform: Box<dyn Fn() -> Result<Outcome>>,
}

impl Step {
    fn quick(name: &str, perform: impl Fn() -> Result<Outcome> + 'static) -> Self {
        Self {
            name: name.to_string(),
            slow: false,
            chain: None,
            perform: Box::new(perform),
        }
    }

    fn slow(name: impl Into<String>, perform: impl Fn() -> Result<Outcome> + 'static) -> Self {
        Self {
            name: name.into(),
            slow: true,
            chain: None,
            perform: Box::new(perform),
        }
    }

    /// The same in a chain. What two steps of different chains make must not be one file.
    fn of(self, chain: &str) -> Self {
        Self {
            chain: Some(chain.to_string()),
            ..self
        }
    }
}

/// How a step ended, if it did not fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// All is as it should be; what was seen, in a few words.
    Passed(String),
    /// It could not be looked at here, and why.
    Skipped(String),
}

/// What the summary tells of one step.
struct Line {
    name: String,
    result: Result<Outcome>,
    time: Duration,
    /// What it said, where that was held back until it had ended.
    words: String,
}

/// So many lines of what a failed step said come once more in the end, where they are looked for.
const REPEATED: usize = 25;

/// How the first of them begins, of scenarios and of cargo's tests; of others they are the last.
const FAILURES: [&str; 2] = ["FAILED  ", "failures:"];

/// Performs the steps that `test` chooses.
///
/// # Errors
/// A step failed.
pub fn run(test: &Test) -> Result<()> {
    let begin = Instant::now();
    let steps: Vec<Step> = steps::all()?
        .into_iter()
        .filter(|step| !(test.quick && step.slow))
        .filter(|step| {
            test.only
                .as_ref()
                .is_none_or(|part| step.name.contains(part))
        })
        .collect();
    if let Some(name) = &test.step {
        return lanes::perform(&steps, name);
    }
    if steps.is_empty() {
        bail!(
            "no step's name contains {:?}",
            test.only.as_deref().unwrap_or_default()
        );
    }
    let mut lines = Vec::new();
    for some in steps.chunk_by(|one, next| one.chain.is_some() && next.chain.is_some()) {
        match some {
            [step] if step.chain.is_none() => {
                let line = alone(step, lines.len() + 1, steps.len());
                lines.push(line);
            }
            chained => lines.extend(lanes::run(chained, lines.len(), steps.len())),
        }
    }
    summary(&lines, begin.elapsed())
}

/// Performs a step with nothing beside it, the one of this number of so many.
fn alone(step: &Step, number: usize, count: usize) -> Line {
    println!("\n== {number} of {count}: {}", step.name);
    let started = Instant::now();
    let result = (step.perform)();
    let time = started.elapsed();
    if let Err(error) = &result {
        println!("FAILED: {error:#}");
    }
    println!("== {:.1} s", time.as_secs_f64());
    Line {
        name: step.name.clone(),
        result,
        time,
        words: String::new(),
    }
}

fn summary(lines: &[Line], total: Duration) -> Result<()> {
    println!("\n{:<44} {:>7}", "step", "seconds");
    for Line {
        name, result, time, ..
    } in lines
    {
        let result = match result {
            Ok(Outcome::Passed(note)) => format!("passed  {note}"),
            Ok(Outcome::Skipped(cause)) => format!("skipped: {cause}"),
            Err(_) => "FAILED, see above".to_string(),
        };
        println!(
            "{name:<44} {:>7.1}  {}",
            time.as_secs_f64(),
            result.trim_end()
        );
    }
    let count = |wanted: fn(&Line) -> bool| lines.iter().filter(|line| wanted(line)).count();
    let failed = count(|line| line.result.is_err());
    let skipped = count(|line| matches!(line.result, Ok(Outcome::Skipped(_))));
    let passed = lines.len() - failed - skipped;
    println!("{:<44} {:>7.1}", "together", total.as_secs_f64());
    println!("\n{passed} passed, {failed} failed, {skipped} skipped");
    lines.iter().for_each(repeat);
    if failed > 0 {
        let names = lines.iter().filter(|line| line.result.is_err());
        let names: Vec<&str> = names.map(|line| line.name.as_str()).collect();
        bail!(
            "{failed} of {} steps failed: {}",
            lines.len(),
            names.join("; ")
        );
    }
    Ok(())
}

/// Says again what a step failed of.
fn repeat(line: &Line) {
    let Err(error) = &line.result else { return };
    println!("\nFAILED: {}: {error:#}", line.name);
    let words: Vec<&str> = line.words.lines().collect();
    let begins = |line: &&str| FAILURES.iter().any(|it| line.trim_start().starts_with(it));
    let first = words.iter().position(begins);
    let first = first.unwrap_or(words.len().saturating_sub(REPEATED));
    for words in words.iter().skip(first).take(REPEATED) {
        println!("  {words}");
    }
}
