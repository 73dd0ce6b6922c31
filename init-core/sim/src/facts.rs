//! This file holds the words in which the model is told what there is and what is said of it.

use init_core::ident::{Generation, UnitId};
use std::collections::BTreeSet;

/// What a unit is to others, and when it is ready.
#[derive(Clone, Debug, Default)]
pub struct Nature {
    /// What makes it ready; `None`: it has no process.
    pub ready_by: Option<ReadyBy>,
    /// Units that it requires or is bound to.
    pub needs: Vec<UnitId>,
    /// Units that it is bound to.
    pub bound_to: Vec<UnitId>,
    /// Units that require it or are bound to it.
    pub dependents: Vec<UnitId>,
    /// Units that it starts after.
    pub after: Vec<UnitId>,
    /// Units that start after it.
    pub before: Vec<UnitId>,
    /// Units that it is never up with.
    pub conflicts: Vec<UnitId>,
    /// Between two rungs of the stop ladder, in microseconds.
    pub stop_us: u64,
    /// Automatic restarts in a window, at most (0: no limit), and its length in microseconds.
    pub limit: (u16, u64),
}

/// What makes a unit ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadyBy {
    /// That its process exists.
    Start,
    /// That the process says so, or its execution is confirmed.
    Word,
    /// That a second process has found it so.
    Probe,
    /// That the process has ended well.
    End,
}

/// A process that exists, or that process 1 has not taken leave of.
#[derive(Clone, Copy, Debug, Default)]
pub struct Living {
    /// Of which start of its unit.
    pub generation: Generation,
    /// Its number.
    pub pid: u32,
    /// It has ended.
    pub ended: bool,
    /// Process 1 was told that it has.
    pub told: bool,
    /// When it was first asked to stop.
    pub asked_at: Option<u64>,
    /// When it was first sent SIGKILL.
    pub killed_at: Option<u64>,
    /// Its stop has begun.
    pub leaves: bool,
    /// Process 1 died since it exists: what it was to be sent may be lost.
    pub inherited: bool,
}

impl Living {
    /// Whether it has had the time that follows SIGKILL. Of one that a life was about to kill as it
    /// ended that time has begun when the next life kills it.
    pub fn is_given_up(&self, now: u64, stop_us: u64) -> bool {
        let due = self.asked_at.filter(|_| self.inherited);
        let due = due.map_or(u64::MAX, |asked| asked + stop_us);
        let killed = self.killed_at.map(|killed| killed.min(due));
        killed.is_some_and(|killed| now >= killed + stop_us)
    }
}

/// What the model knows of a unit.
#[derive(Default)]
pub struct Unit {
    /// What it is to others.
    pub nature: Nature,
    /// Its processes, by role.
    pub living: [Option<Living>; 3],
    /// Its last start.
    pub last: Option<Generation>,
    /// It was ready, and is.
    pub ready: bool,
    /// How its last main process ended.
    pub last_exit: Option<u32>,
    /// What was last said of it.
    pub seen: Option<Seen>,
    /// When the start limit's window opened, and restarts in it.
    pub window: (u64, u16),
}

impl Unit {
    /// Whether it is said to stand at one of these.
    pub fn is(&self, states: &[Standing]) -> bool {
        self.seen.is_some_and(|seen| states.contains(&seen.state))
    }
}

/// What is said of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Where it stands.
    pub state: Standing,
    /// Since when, in microseconds.
    pub since: u64,
    /// Its main process.
    pub pid: Option<u32>,
    /// How its last main process ended.
    pub last_exit: Option<u32>,
}

/// Where a unit stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// At rest.
    Rest,
    /// At rest after a failure.
    Failed,
    /// To be started.
    Waiting,
    /// Started.
    Starting,
    /// Ready.
    Up,
    /// To be started again by itself.
    Restarting,
    /// Being stopped.
    Stopping,
}

/// A unit, and all that it cannot do without.
pub fn closure(natures: &[Nature], unit: UnitId) -> BTreeSet<UnitId> {
    let (mut closure, mut open) = (BTreeSet::new(), vec![unit]);
    while let Some(unit) = open.pop() {
        if closure.insert(unit) {
            open.extend(&natures[unit.index()].needs);
        }
    }
    closure
}

/// Whether a unit cannot do without two that conflict.
pub fn contradicts_itself(natures: &[Nature], unit: UnitId) -> bool {
    let closure = closure(natures, unit);
    let conflicts = |unit: &UnitId| &natures[unit.index()].conflicts;
    let mut conflicts = closure.iter().flat_map(conflicts);
    conflicts.any(|other| closure.contains(other))
}
