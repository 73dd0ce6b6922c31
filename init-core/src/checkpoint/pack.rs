//! This file says how the core's values lie in words, and takes nothing back that it did not write.
//!
//! `unpack` gives `None` for words that no `pack` wrote: damage, or another version's.

use super::words::Sheet;
use crate::effect::{Effect, Failure, FinalAction, Refusal, Reply};
use crate::event::{Errno, ExitStatus, SpawnStep};
use crate::ident::{Child, ClientId, Generation, Role, UnitId};
use crate::job::Job;
use crate::supervisor::unit::{Alive, Rung, State, Then, Unit};
use crate::time::{Duration, Instant};
use crate::unit::{KillScope, Signal};

/// Words of one unit.
pub const UNIT_WORDS: usize = 20;
/// Words of one effect.
pub const EFFECT_WORDS: usize = 4;

/// No unit's start took this long.
const NEVER: u64 = u64::MAX;

/// Packs a unit and its deadline.
pub fn pack_unit(unit: &Unit, deadline: Instant, sheet: &mut Sheet) {
    let (state, rung, then, outcome) = state_parts(unit.state);
    let flags = u8::from(unit.attempted);
    sheet.put(u32::from_le_bytes([
        state,
        rung,
        then,
        job_number(unit.job),
    ]));
    let [low, high] = unit.generation.0.to_le_bytes();
    sheet.put(u32::from_le_bytes([flags, unit.alive.bits(), low, high]));
    sheet.put(outcome);
    sheet.put(unit.failure.map_or(0, failure_number));
    sheet.put(unit.last_exit.map_or(0, status_number));
    sheet.put(unit.pid);
    sheet.put_pair(unit.restarts, unit.streak);
    sheet.put(u32::from(unit.window_count));
    sheet.put_long(unit.since.as_us());
    sheet.put_long(unit.started.as_us());
    sheet.put_long(unit.took.map_or(NEVER, Duration::as_us));
    sheet.put_long(unit.delay.as_us());
    sheet.put_long(unit.window_opened.as_us());
    sheet.put_long(deadline.as_us());
}

/// The unit and its deadline.
pub fn unpack_unit(sheet: &mut Sheet) -> Option<(Unit, Instant)> {
    let [state, rung, then, job] = sheet.take().to_le_bytes();
    let [flags, alive, low, high] = sheet.take().to_le_bytes();
    let outcome = sheet.take();
    let failure = sheet.take();
    let last_exit = sheet.take();
    let pid = sheet.take();
    let (restarts, streak) = sheet.take_pair();
    let window_count = u16::try_from(sheet.take()).ok()?;
    let since = Instant::from_us(sheet.take_long());
    let started = Instant::from_us(sheet.take_long());
    let took = sheet.take_long();
    let delay = Duration::from_us(sheet.take_long());
    let window_opened = Instant::from_us(sheet.take_long());
    let deadline = Instant::from_us(sheet.take_long());
    let unit = Unit {
        state: state_of(state, rung, then, outcome)?,
        job: job_of(job)?,
        attempted: flag(flags)?,
        generation: Generation(u16::from_le_bytes([low, high])),
        alive: Alive::of_bits(alive)?,
        pid,
        since,
        started,
        took: (took != NEVER).then_some(Duration::from_us(took)),
        failure: optional(failure, failure_of)?,
        last_exit: optional(last_exit, status_of)?,
        restarts,
        streak,
        delay,
        window_opened,
        window_count,
        ..Unit::NEW
    };
    Some((unit, deadline))
}

/// Packs an effect. What people are told is counted, not kept.
pub fn pack_effect(effect: Effect, sheet: &mut Sheet) {
    match effect {
        Effect::Notice(_) => sheet.put(0),
        Effect::Spawn(child) => {
            sheet.put(1);
            put_child(child, sheet);
        }
        Effect::Signal {
            child,
            signal,
            scope,
        } => {
            sheet.put(2);
            put_child(child, sheet);
            let group = u16::from(scope == KillScope::Group);
            sheet.put_pair(signal.0.into(), group);
        }
        Effect::KillAll(signal) => {
            sheet.put(3);
            sheet.put(signal.0.into());
        }
        Effect::Reply { client, reply } => {
            let (word, first, second) = reply_parts(reply);
            sheet.put(u32::from_le_bytes([4, client.slot, word, 0]));
            sheet.put_pair(client.generation, first);
            sheet.put(second);
        }
        Effect::HangUp(client) => {
            sheet.put(u32::from_le_bytes([6, client.slot, 0, 0]));
            sheet.put_pair(client.generation, 0);
        }
        Effect::Final(action) => {
            sheet.put(5);
            sheet.put(action_number(action));
        }
    }
}

/// What an effect's words say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// To be performed.
    Effect(Effect),
    /// A notice whose text is gone.
    Notice,
}

/// The effect.
pub fn unpack_effect(sheet: &mut Sheet) -> Option<Kept> {
    let [kind, slot, word, _] = sheet.take().to_le_bytes();
    let effect = match kind {
        0 => return Some(Kept::Notice),
        1 => Effect::Spawn(take_child(sheet)?),
        2 => {
            let child = take_child(sheet)?;
            let (signal, group) = sheet.take_pair();
            let scope = match group {
                0 => KillScope::Process,
                1 => KillScope::Group,
                _ => return None,
            };
            Effect::Signal {
                child,
                signal: signal_of(signal.into())?,
                scope,
            }
        }
        3 => Effect::KillAll(signal_of(sheet.take())?),
        4 => {
            let (generation, first) = sheet.take_pair();
            Effect::Reply {
                client: ClientId { slot, generation },
                reply: reply_of(word, first, sheet.take())?,
            }
        }
        5 => Effect::Final(action_of(sheet.take())?),
        6 => {
            let (generation, _) = sheet.take_pair();
            Effect::HangUp(ClientId { slot, generation })
        }
        _ => return None,
    };
    Some(Kept::Effect(effect))
}

fn put_child(child: Child, sheet: &mut Sheet) {
    sheet.put_pair(child.unit.0, child.generation.0);
    sheet.put(match child.role {
        Role::Main => 0,
        Role::Stop => 1,
        Role::Probe => 2,
    });
}

fn take_child(sheet: &mut Sheet) -> Option<Child> {
    let (unit, generation) = sheet.take_pair();
    let role = match sheet.take() {
        0 => Role::Main,
        1 => Role::Stop,
        2 => Role::Probe,
        _ => return None,
    };
    Some(Child {
        unit: UnitId(unit),
        generation: Generation(generation),
        role,
    })
}

/// State, rung, what follows, and the failure or exit that goes with it.
fn state_parts(state: State) -> (u8, u8, u8, u32) {
    match state {
        State::Inactive => (0, 0, 0, 0),
        State::Starting => (1, 0, 0, 0),
        State::Up => (2, 0, 0, 0),
        State::Stopping { rung, then } => {
            let rung = match rung {
                Rung::Program => 0,
                Rung::Signal => 1,
                Rung::Kill => 2,
            };
            let (then, outcome) = then_parts(then);
            (3, rung, then, outcome)
        }
        State::Backoff => (4, 0, 0, 0),
        State::Failed(failure) => (5, 0, 0, failure_number(failure)),
        State::GivenUp(then) => {
            let (then, outcome) = then_parts(then);
            (6, 0, then, outcome)
        }
    }
}

fn state_of(state: u8, rung: u8, then: u8, outcome: u32) -> Option<State> {
    Some(match state {
        0 => State::Inactive,
        1 => State::Starting,
        2 => State::Up,
        3 => State::Stopping {
            rung: match rung {
                0 => Rung::Program,
                1 => Rung::Signal,
                2 => Rung::Kill,
                _ => return None,
            },
            then: then_of(then, outcome)?,
        },
        4 => State::Backoff,
        5 => State::Failed(failure_of(outcome)?),
        6 => State::GivenUp(then_of(then, outcome)?),
        _ => return None,
    })
}

fn then_parts(then: Then) -> (u8, u32) {
    match then {
        Then::Rest => (0, 0),
        Then::Retry(failure) => (1, failure_number(failure)),
        Then::Ended(status) => (2, status_number(status)),
    }
}

fn then_of(then: u8, outcome: u32) -> Option<Then> {
    match then {
        0 => Some(Then::Rest),
        1 => failure_of(outcome).map(Then::Retry),
        2 => status_of(outcome).map(Then::Ended),
        _ => None,
    }
}

fn job_number(job: Job) -> u8 {
    match job {
        Job::None => 0,
        Job::Start => 1,
        Job::Stop => 2,
        Job::Restart => 3,
    }
}

fn job_of(number: u8) -> Option<Job> {
    Some(match number {
        0 => Job::None,
        1 => Job::Start,
        2 => Job::Stop,
        3 => Job::Restart,
        _ => return None,
    })
}

/// Never 0, and never the number of a failure of another kind.
pub(super) fn status_number(status: ExitStatus) -> u32 {
    match status {
        ExitStatus::Code(code) => u32::from_le_bytes([1, code, 0, 0]),
        ExitStatus::Signal {
            number,
            core_dumped,
        } => u32::from_le_bytes([2, number, u8::from(core_dumped), 0]),
        ExitStatus::NotExecuted { step, error } => {
            let [low, high] = error.0.to_le_bytes();
            u32::from_le_bytes([3, step.number(), low, high])
        }
    }
}

pub(super) fn status_of(number: u32) -> Option<ExitStatus> {
    let [kind, first, second, third] = number.to_le_bytes();
    Some(match (kind, second, third) {
        (1, 0, 0) => ExitStatus::Code(first),
        (2, dumped, 0) => ExitStatus::Signal {
            number: first,
            core_dumped: flag(dumped)?,
        },
        (3, low, high) => ExitStatus::NotExecuted {
            step: SpawnStep::of_number(first)?,
            error: Errno(u16::from_le_bytes([low, high])),
        },
        _ => return None,
    })
}

/// Never 0.
pub(super) fn failure_number(failure: Failure) -> u32 {
    let (kind, word) = match failure {
        Failure::Exited(status) => return status_number(status),
        Failure::Spawn(error) => (4, error.0),
        Failure::StartTimeout => (5, 0),
        Failure::Dependency(unit) => (6, unit.0),
        Failure::StartLimit => (7, 0),
        Failure::Unkillable => (8, 0),
    };
    let [low, high] = word.to_le_bytes();
    u32::from_le_bytes([kind, 0, low, high])
}

pub(super) fn failure_of(number: u32) -> Option<Failure> {
    let [kind, zero, low, high] = number.to_le_bytes();
    let word = u16::from_le_bytes([low, high]);
    Some(match (kind, zero, word) {
        (1..=3, ..) => return status_of(number).map(Failure::Exited),
        (4, 0, error) => Failure::Spawn(Errno(error)),
        (5, 0, 0) => Failure::StartTimeout,
        (6, 0, unit) => Failure::Dependency(UnitId(unit)),
        (7, 0, 0) => Failure::StartLimit,
        (8, 0, 0) => Failure::Unkillable,
        _ => return None,
    })
}

fn reply_parts(reply: Reply) -> (u8, u16, u32) {
    match reply {
        Reply::Done => (0, 0, 0),
        Reply::Superseded => (1, 0, 0),
        Reply::Refused(Refusal::Conflict(first, second)) => (2, first.0, second.0.into()),
        Reply::Refused(Refusal::ShuttingDown) => (3, 0, 0),
        Reply::Refused(Refusal::NoSuchUnit) => (4, 0, 0),
        Reply::Refused(Refusal::NoRescueTarget) => (5, 0, 0),
        Reply::Failed { unit, reason } => (6, unit.0, failure_number(reason)),
    }
}

fn reply_of(word: u8, first: u16, second: u32) -> Option<Reply> {
    Some(match word {
        0 => Reply::Done,
        1 => Reply::Superseded,
        2 => {
            let second = UnitId(u16::try_from(second).ok()?);
            Reply::Refused(Refusal::Conflict(UnitId(first), second))
        }
        3 => Reply::Refused(Refusal::ShuttingDown),
        4 => Reply::Refused(Refusal::NoSuchUnit),
        5 => Reply::Refused(Refusal::NoRescueTarget),
        6 => Reply::Failed {
            unit: UnitId(first),
            reason: failure_of(second)?,
        },
        _ => return None,
    })
}

/// The last act's number.
pub fn action_number(action: FinalAction) -> u32 {
    match action {
        FinalAction::PowerOff => 0,
        FinalAction::Reboot => 1,
        FinalAction::Halt => 2,
        FinalAction::Kexec => 3,
    }
}

/// The last act of that number.
pub fn action_of(number: u32) -> Option<FinalAction> {
    Some(match number {
        0 => FinalAction::PowerOff,
        1 => FinalAction::Reboot,
        2 => FinalAction::Halt,
        3 => FinalAction::Kexec,
        _ => return None,
    })
}

fn signal_of(number: u32) -> Option<Signal> {
    let number = u8::try_from(number).ok()?;
    (1..=64).contains(&number).then_some(Signal(number))
}

/// 0 or 1.
pub fn flag(byte: u8) -> Option<bool> {
    match byte {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}

/// 0 stands for nothing. `None`: the number stands for nothing that exists.
fn optional<T>(number: u32, of: fn(u32) -> Option<T>) -> Option<Option<T>> {
    if number == 0 {
        return Some(None);
    }
    of(number).map(Some)
}
