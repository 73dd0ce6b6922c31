//! This file takes orders from the console, one a line, and answers each: `ORDER: what came of it`.
//!
//! | order | what is done |
//! |---|---|
//! | `KIND SEED` | injures, and looks who was disturbed |
//! | `strike KIND SEED` | injures, and looks who was hung up on alone |
//! | `left` | looks whether a service is left that nobody starts and stops by requests |
//! | `record FILE` | reads what process 1 keeps of its deaths |
//! | `trace WHO TURN INSTRUCTIONS CALLS AROUND SEED` | traces a turn and chooses its moments |
//! | `fault NUMBER` | injures at one of these |
//!
//! Every answer is one line, written at once, from its mark to its end: others write to the same
//! console.

use anyhow::{Context, Result, bail, ensure};
use heal_campaign::Way;
use heal_campaign::answer::{Course, END, MARK, READY, Traced};
use heal_campaign::inject::{Kind, Processor, among};
use heal_campaign::machine::Machine;
use heal_campaign::moments::{Places, Strides, moments};
use heal_campaign::random::Random;
use heal_campaign::sweep::{PROGRAM_END, Sweep, Turn, Who};
use heal_campaign::trial::Trial;
use std::fs::File;
use std::io::{BufRead, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// What it is upgraded to: itself.
const IMAGE: &str = "/init";

/// The instruction that calls the kernel.
#[cfg(target_arch = "x86_64")]
const CALL: &[u8] = &[0x0f, 0x05];
#[cfg(not(target_arch = "x86_64"))]
const CALL: &[u8] = &[0x01, 0x00, 0x00, 0xd4];

/// Who is injured.
enum Patient {
    /// Under load.
    Loaded(Box<Trial>),
    /// In one turn after the other, with the moments of the last.
    Followed(Box<Sweep>, Turn, Vec<Way>),
}

/// Waits until all services have begun, says so, and takes orders.
pub fn take(services: &str, seed: &str, journal: &str, split: bool, course: &str) -> Result<()> {
    let services = services.parse().context("the services are no number")?;
    let seed: u64 = seed.parse().context("the seed is no number")?;
    let course = Course::of(course)?;
    let kinds = Processor::own()?.kinds(split);
    let journal = Path::new(journal);
    // Whoever comes first makes it.
    File::options().append(true).create(true).open(journal)?;
    let mut machine = Machine::of(1, journal, services)?;
    machine.wait_for_all()?;
    let is_filtered = std::fs::read_to_string("/proc/1/status")?.contains("\nSeccomp:\t2");
    ensure!(
        is_filtered == (course == Course::OldCalls),
        "process 1 runs with the filter of an old kernel, or without it"
    );
    let mut patient = match course {
        Course::Sweep => {
            let sweep = Sweep::begin(machine, IMAGE, Who::First)?;
            Patient::Followed(Box::new(sweep), Turn::Question, Vec::new())
        }
        Course::Deaths | Course::OldCalls | Course::Ladder => {
            let trial = Trial::begin(machine, services, seed, split);
            let trial = match course {
                Course::Ladder => trial.with_events(),
                _ => trial,
            };
            Patient::Loaded(Box::new(trial))
        }
    };
    say(READY);
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let order = line.trim();
        let words: Vec<&str> = order.split(' ').collect();
        let answer = match &mut patient {
            Patient::Loaded(trial) => injure(trial, &kinds, &words),
            Patient::Followed(sweep, turn, ways) => follow(sweep, turn, ways, &words),
        };
        say(&format!(
            "{order}: {}",
            answer.with_context(|| line.clone())?
        ));
    }
    Ok(())
}

fn injure(trial: &mut Trial, kinds: &[Kind], words: &[&str]) -> Result<String> {
    let case = match words {
        ["left"] => {
            let left = if trial.is_occupied()? { "yes" } else { "no" };
            return Ok(left.to_string());
        }
        ["record", file] => {
            let bytes = std::fs::read(file).with_context(|| format!("cannot read {file}"))?;
            let text = String::from_utf8_lossy(&bytes).into_owned();
            return Ok(text.lines().next().unwrap_or_default().to_string());
        }
        ["strike", name, seed] => trial.strike_alone(among(kinds, name)?, &mut random(seed)?),
        [name, seed] => trial.injure(among(kinds, name)?, &mut random(seed)?),
        _ => bail!("that is no order"),
    };
    Ok(format!("{}, {}", case?, trial.requests()))
}

fn random(seed: &str) -> Result<Random> {
    let seed = seed.parse().context("the seed is no number")?;
    Ok(Random::new(seed))
}

fn follow(
    sweep: &mut Sweep,
    turn: &mut Turn,
    ways: &mut Vec<Way>,
    words: &[&str],
) -> Result<String> {
    let number = |word: &str| word.parse().context("a word is no number");
    match words {
        ["trace", who, what, instructions, calls, around, seed] => {
            let (who, instruction) = (Who::of(who)?, number(instructions)?);
            *turn = Turn::of(what)?;
            let strides = Strides {
                instruction,
                delicate: instruction,
                call: number(calls)?,
                around: around.parse()?,
                seed: seed.parse()?,
                is_quick: false,
            };
            sweep.turn_to(who);
            let traced = sweep.trace(*turn, instruction > 0)?;
            *ways = moments(*turn, who, &traced, &mut Memory::of_init()?, &strides);
            let traced = Traced {
                moments: ways.len(),
                instructions: traced.instructions.places.len(),
                calls: traced.calls.places.len() / 2,
            };
            Ok(traced.to_string())
        }
        ["fault", moment] => {
            let way = ways.get(number(moment)?);
            let way = *way.context("there is no such moment")?;
            let (case, is_there) = sweep.case(*turn, way).with_context(|| format!("{way:?}"))?;
            Ok(format!("{case}, {}", u8::from(is_there)))
        }
        _ => bail!("that is no order"),
    }
}

/// Process 1's memory, where its program is.
struct Memory(File);

impl Memory {
    fn of_init() -> Result<Self> {
        File::open("/proc/1/mem").map(Self).context("/proc/1/mem")
    }
}

impl Places for Memory {
    fn is_own(&self, place: u64) -> bool {
        place < PROGRAM_END
    }

    fn is_call(&self, place: u64) -> bool {
        let mut bytes = [0; CALL.len()];
        self.0.read_exact_at(&mut bytes, place).is_ok() && bytes == CALL
    }

    /// Nobody here knows the program's source.
    fn is_delicate(&mut self, _: u64) -> bool {
        false
    }
}

/// Says something to whoever gives orders.
pub fn say(text: &str) {
    let text = text.replace([END, '\n'], " ");
    // Without a console nobody hears it.
    let _ = std::io::stdout().write_all(format!("{MARK}{text}{END}\n").as_bytes());
}
