//! This file holds a history before it happens: a product, lives, steps; and its text, a line each.

use crate::product::{Life, UnitSpec, name, named_unit, value_of, word_of};
use init_core::event::MachineRequest;
use init_core::protocol::Change;
use std::fmt::{Display, Formatter, Result as Formatted};

/// The words of a line.
pub type Words<'a> = std::str::SplitWhitespace<'a>;

/// Where a life of process 1 ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Death {
    /// After so many more writes to the region: where the next is tried, or, if that is not held
    /// against the same without deaths and their number is odd, at the next crossing.
    Write(u32),
    /// At so many more crossings between the driver and the kernel, on the way in or out.
    Call(u32),
}

/// Something that happens to the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing, for so many microseconds.
    Wait(u64),
    /// A new client asks for a change, and waits for its end or not.
    Ask(Change, usize, bool),
    /// A new client asks something of the machine.
    Act(MachineRequest),
    /// A new client asks for process 1's program to be executed again.
    Reexec,
    /// A new client asks how a unit is.
    Look(usize),
    /// A new client sends so many bytes of no sense, made from a seed.
    Garbage(u64, usize),
    /// The n-th client, counted among those that are there, leaves.
    Leave(usize),
    /// The n-th client reads no more.
    Stall(usize),
    /// The main process of a unit ends with this code.
    Crash(usize, u8),
    /// So many processes of no unit appear; they end after a while, or when they are told to.
    Orphans(u32, Option<u64>),
    /// Somebody entitled asks something of the machine by a signal.
    Signal(MachineRequest),
    /// The next so many processes cannot be made.
    Exhaust(u32),
    /// So many times, process 1 wakes up for nothing.
    Wake(u32),
    /// For so long, process 1 is told nothing of what happens.
    Deaf(u64),
    /// The next time that process 1 sleeps, it is not let run before so long after it should.
    Hold(u64),
    /// Each of the next so many crossings between the driver and the kernel takes so many
    /// microseconds.
    Slow(u32, u64),
    /// From now on, the machine has a watchdog that waits so many microseconds.
    Watchdog(u64),
    /// From now on, things that happened in the meantime are told in another order; 0: in theirs.
    Shuffle(u64),
    /// Process 1 dies, and the lives after it.
    Die(Vec<Death>),
    /// While process 1 is dead the next time, this bit of this word of its region is turned.
    Damage(u32, u32),
    /// The same, of this word of a unit's record.
    DamageRecord(usize, u32, u32),
}

/// A history before it happens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Script {
    /// The units of the product.
    pub units: Vec<UnitSpec>,
    /// What processes do, where it is not the usual.
    pub lives: Vec<Life>,
    /// What happens.
    pub steps: Vec<Step>,
    /// What a machine takes its own chances from, where it has more than a script has words for.
    pub chance: u64,
}

const CHANGES: &[(&str, Change)] = &[
    ("start", Change::Start),
    ("stop", Change::Stop),
    ("restart", Change::Restart),
    ("reset-failed", Change::ResetFailed),
];

const REQUESTS: &[(&str, MachineRequest)] = &[
    ("power-off", MachineRequest::PowerOff),
    ("reboot", MachineRequest::Reboot),
    ("halt", MachineRequest::Halt),
    ("kexec", MachineRequest::Kexec),
    ("rescue", MachineRequest::Rescue),
    ("ctrl-alt-del", MachineRequest::CtrlAltDel),
    ("ignore", MachineRequest::Ignore),
];

impl Display for Step {
    fn fmt(&self, f: &mut Formatter<'_>) -> Formatted {
        match self {
            Self::Wait(us) => write!(f, "wait {us}"),
            Self::Ask(change, unit, wait) => {
                let tail = if *wait { "" } else { " no-wait" };
                write!(f, "ask {} {}{tail}", word_of(CHANGES, *change), name(*unit))
            }
            Self::Act(request) => write!(f, "act {}", word_of(REQUESTS, *request)),
            Self::Reexec => write!(f, "reexec"),
            Self::Look(unit) => write!(f, "look {}", name(*unit)),
            Self::Garbage(seed, bytes) => write!(f, "garbage {seed} {bytes}"),
            Self::Leave(nth) => write!(f, "leave {nth}"),
            Self::Stall(nth) => write!(f, "stall {nth}"),
            Self::Crash(unit, code) => write!(f, "crash {} {code}", name(*unit)),
            Self::Orphans(count, None) => write!(f, "orphans {count}"),
            Self::Orphans(count, Some(us)) => write!(f, "orphans {count} {us}"),
            Self::Signal(request) => write!(f, "signal {}", word_of(REQUESTS, *request)),
            Self::Exhaust(count) => write!(f, "exhaust {count}"),
            Self::Wake(count) => write!(f, "wake {count}"),
            Self::Deaf(us) => write!(f, "deaf {us}"),
            Self::Hold(us) => write!(f, "hold {us}"),
            Self::Slow(count, us) => write!(f, "slow {count} {us}"),
            Self::Watchdog(us) => write!(f, "watchdog {us}"),
            Self::Shuffle(seed) => write!(f, "shuffle {seed}"),
            Self::Die(deaths) => {
                write!(f, "die")?;
                for death in deaths {
                    match death {
                        Death::Write(count) => write!(f, " write={count}")?,
                        Death::Call(count) => write!(f, " call={count}")?,
                    }
                }
                Ok(())
            }
            Self::Damage(word, bit) => write!(f, "damage {word} {bit}"),
            Self::DamageRecord(unit, word, bit) => {
                write!(f, "damage-record {} {word} {bit}", name(*unit))
            }
        }
    }
}

/// Takes a number.
///
/// # Errors
/// There is none.
pub fn number<T: std::str::FromStr>(words: &mut Words<'_>) -> Result<T, String> {
    let word = words.next().unwrap_or_default();
    word.parse().map_err(|_| format!("{word:?} is no number"))
}

impl Step {
    /// Reads a line that begins with this word.
    ///
    /// # Errors
    /// What is not understood.
    pub fn parse(first: &str, words: &mut Words<'_>) -> Result<Self, String> {
        let request = |words: &mut Words<'_>| value_of(REQUESTS, words.next().unwrap_or_default());
        let step = match first {
            "wait" => Self::Wait(number(words)?),
            "ask" => {
                let change = value_of(CHANGES, words.next().unwrap_or_default())?;
                let unit = named_unit(words)?;
                Self::Ask(change, unit, words.next() != Some("no-wait"))
            }
            "act" => Self::Act(request(words)?),
            "reexec" => Self::Reexec,
            "look" => Self::Look(named_unit(words)?),
            "garbage" => Self::Garbage(number(words)?, number(words)?),
            "leave" => Self::Leave(number(words)?),
            "stall" => Self::Stall(number(words)?),
            "crash" => Self::Crash(named_unit(words)?, number(words)?),
            "orphans" => Self::Orphans(number(words)?, number(words).ok()),
            "signal" => Self::Signal(request(words)?),
            "exhaust" => Self::Exhaust(number(words)?),
            "wake" => Self::Wake(number(words)?),
            "deaf" => Self::Deaf(number(words)?),
            "hold" => Self::Hold(number(words)?),
            "slow" => Self::Slow(number(words)?, number(words)?),
            "watchdog" => Self::Watchdog(number(words)?),
            "shuffle" => Self::Shuffle(number(words)?),
            "die" => Self::Die(words.map(death).collect::<Result<_, _>>()?),
            "damage" => Self::Damage(number(words)?, number(words)?),
            "damage-record" => {
                Self::DamageRecord(named_unit(words)?, number(words)?, number(words)?)
            }
            _ => return Err(format!("{first:?} is nothing that happens")),
        };
        match words.next() {
            None => Ok(step),
            Some(word) => Err(format!("{word:?} is too much")),
        }
    }
}

fn death(word: &str) -> Result<Death, String> {
    let (kind, count) = word.split_once('=').unwrap_or((word, ""));
    let count = count.parse().map_err(|_| format!("{word:?}: no number"))?;
    match kind {
        "write" => Ok(Death::Write(count)),
        "call" => Ok(Death::Call(count)),
        _ => Err(format!("{word:?} is no way to die")),
    }
}

impl Display for Script {
    fn fmt(&self, f: &mut Formatter<'_>) -> Formatted {
        if self.chance > 0 {
            writeln!(f, "chance {}", self.chance)?;
        }
        for unit in &self.units {
            writeln!(f, "{unit}")?;
        }
        for life in &self.lives {
            writeln!(f, "{life}")?;
        }
        for step in &self.steps {
            writeln!(f, "{step}")?;
        }
        Ok(())
    }
}

impl std::str::FromStr for Script {
    type Err = String;

    /// Lines that begin with `#` are for people.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut script = Self::default();
        for (at, line) in text.lines().enumerate() {
            let mut words = line.split_whitespace();
            let outcome = match words.next() {
                None => Ok(()),
                Some(first) if first.starts_with('#') => Ok(()),
                Some("chance") => number(&mut words).map(|chance| script.chance = chance),
                Some("unit") => UnitSpec::parse(&mut words).map(|unit| script.units.push(unit)),
                Some("life") => Life::parse(&mut words).map(|life| script.lives.push(life)),
                Some(first) => Step::parse(first, &mut words).map(|step| script.steps.push(step)),
            };
            outcome.map_err(|why| format!("line {}: {why}", at + 1))?;
        }
        if script.units.len() < 2 || script.units.iter().take(2).any(|unit| unit.number > 1) {
            return Err("the first two units are u0 and rescue, the targets".into());
        }
        Ok(script)
    }
}

impl Script {
    /// Whether nothing but ends of process 1 at writes could make it differ from what happens
    /// without them.
    pub fn is_plain(&self) -> bool {
        self.steps.iter().all(|step| match step {
            Step::Die(deaths) => deaths.iter().all(|death| matches!(death, Death::Write(_))),
            Step::Damage(..) | Step::DamageRecord(..) | Step::Shuffle(_) => false,
            Step::Deaf(_) | Step::Exhaust(_) => false,
            Step::Wake(_) | Step::Hold(_) | Step::Slow(..) => false,
            Step::Leave(_) | Step::Stall(_) => false,
            _ => true,
        })
    }

    /// The same without an end of process 1.
    pub fn without_deaths(&self) -> Self {
        let mut script = self.clone();
        script.steps.retain(|step| !matches!(step, Step::Die(_)));
        script
    }

    /// Whether the region is damaged.
    pub fn damages(&self) -> bool {
        let damage = |step: &Step| matches!(step, Step::Damage(..) | Step::DamageRecord(..));
        self.steps.iter().any(damage)
    }
}
