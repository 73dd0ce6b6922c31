//! This file knows what an init must do, and nothing of how this one does it: it sees processes
//! come and go, what process 1 is told and does, what clients are answered, what is said of units.
//!
//! It imports names of things only. Every rule that is broken is kept: each is judged by itself.

use crate::facts::{Living, Nature, ReadyBy, Seen, Standing, Unit, contradicts_itself};
use init_core::ident::{Child, Generation, Role, UnitId};

/// The rules, and what they need to know.
#[derive(Default)]
pub struct Model {
    /// What each unit is to others.
    pub natures: Vec<Nature>,
    units: Vec<Unit>,
    /// Ends of processes of no unit that process 1 was told.
    pub orphans: u32,
    /// Clients so far.
    pub asked: u64,
    /// Requests that were refused.
    pub refusals: u64,
    /// Something failed, ended or was told to.
    disturbed: bool,
    /// Whom process 1 was told something of last, and whether the unit was ready before.
    told: Option<(Child, bool)>,
    /// Process 1 died then, and nobody knows yet whether it had taken it in.
    unsure: Option<UnitId>,
    /// The machine comes to its end.
    pub going_down: bool,
    /// The rules that were broken, in their order, until somebody judges them.
    pub broken: Vec<String>,
}

impl Model {
    /// Rules for these units, of which none runs.
    pub fn new(natures: Vec<Nature>) -> Self {
        let unit = |nature| Unit {
            nature,
            ..Unit::default()
        };
        Self {
            units: natures.iter().cloned().map(unit).collect(),
            natures,
            ..Self::default()
        }
    }

    /// A rule is broken.
    pub fn fail(&mut self, what: impl Into<String>) {
        self.broken.push(what.into());
    }

    fn unit(&mut self, unit: UnitId) -> &mut Unit {
        &mut self.units[unit.index()]
    }

    fn demand(&mut self, holds: bool, unit: UnitId, what: &str) {
        if !holds {
            let Unit { living, seen, .. } = self.unit(unit);
            let known = format!("unit {}: {what}; {living:?}, {seen:?}", unit.0);
            self.fail(known);
        }
    }

    /// Whether a main process keeps others waiting: it may run, and is not one that does not die.
    fn holds(&self, unit: &UnitId, now: u64) -> bool {
        let is_sure = self.unsure != Some(*unit);
        let unit = &self.units[unit.index()];
        let stop_us = unit.nature.stop_us;
        let holds = |main: Living| !main.told && !main.is_given_up(now, stop_us);
        is_sure && unit.living[0].is_some_and(holds)
    }

    fn is_ready(&self, id: &UnitId) -> bool {
        let unit = &self.units[id.index()];
        unit.nature.ready_by.is_none() || unit.ready || self.unsure == Some(*id)
    }

    /// A process exists; `now`: what time process 1 has.
    pub fn spawned(&mut self, child: Child, pid: u32, now: u64) {
        let (id, role) = (child.unit, child.role as usize);
        let unit = &self.units[id.index()];
        let is_gone = |place: &Option<Living>| place.is_none_or(|one| one.told);
        if child.role == Role::Main {
            let alone = unit.living.iter().all(is_gone);
            let steps = |last: Generation| child.generation.0.wrapping_sub(last.0);
            let is_new = unit.last.is_none_or(|last| matches!(steps(last), 1..99));
            self.demand(alone, id, "a second instance");
            self.demand(is_new, id, "a generation that was used before");
            self.may_start(id, now);
        } else {
            let alone = is_gone(&unit.living[role]) && unit.last == Some(child.generation);
            self.demand(alone, id, "a second process in one role");
            if child.role == Role::Stop {
                self.may_stop(id, now);
            }
        }
        let unit = &mut self.units[id.index()];
        let new = unit.living[role].insert(Living::default());
        (new.generation, new.pid) = (child.generation, pid);
        if child.role == Role::Main {
            unit.last = Some(child.generation);
            unit.ready = unit.nature.ready_by == Some(ReadyBy::Start);
        }
    }

    fn may_start(&mut self, id: UnitId, now: u64) {
        let unit = &self.units[id.index()];
        let nature = &unit.nature;
        let apart = !nature.conflicts.iter().any(|it| self.holds(it, now));
        // A restart by itself finds what it needs as it is.
        let state = unit.seen.map(|seen| seen.state);
        let by_itself = state.is_none_or(|state| state == Standing::Restarting);
        let served = by_itself || nature.needs.iter().all(|it| self.is_ready(it));
        let idle = |it: &UnitId| self.units[it.index()].living[0].is_none();
        let mut after = nature.after.iter();
        let in_order = self.disturbed || after.all(|it| idle(it) || self.is_ready(it));
        self.demand(apart, id, "starts beside its conflict");
        self.demand(served, id, "starts without what it needs");
        self.demand(in_order, id, "starts before its turn");
    }

    /// Its stop begins, if it had been ready: not while others that need it run, and when the
    /// machine goes down not while others run that are ordered after it.
    fn may_stop(&mut self, id: UnitId, now: u64) {
        let unit = &self.units[id.index()];
        let nature = &unit.nature;
        let later = match self.going_down {
            true => &nature.before,
            false => &nature.dependents,
        };
        let last = !unit.ready || !later.iter().any(|other| self.holds(other, now));
        self.demand(last, id, "is stopped while what needs it runs");
        let main = self.unit(id).living[0].iter_mut();
        main.for_each(|main| main.leaves = true);
    }

    /// A process could not be made.
    pub fn refused_spawn(&mut self, child: Child) {
        self.disturbed = true;
        self.unit(child.unit).ready &= child.role != Role::Main;
    }

    /// A process is asked to stop, or killed.
    pub fn signalled(&mut self, child: Child, kills: bool, now: u64) {
        self.disturbed = true;
        let unit = self.unit(child.unit);
        let stop_us = unit.nature.stop_us;
        let Some(living) = &mut unit.living[child.role as usize] else {
            return self.demand(false, child.unit, "a signal for nobody");
        };
        let was = *living;
        match kills {
            true => living.killed_at.get_or_insert(now),
            false => living.asked_at.get_or_insert(now),
        };
        if child.role == Role::Main && kills && !was.inherited {
            let asked = was.asked_at.is_some_and(|asked| now >= asked + stop_us);
            self.demand(asked, child.unit, "is killed before its time");
        }
        let once = kills || was.asked_at.is_none();
        self.demand(once, child.unit, "is asked to stop twice");
        if child.role == Role::Main && !kills && !was.leaves {
            self.may_stop(child.unit, now);
        }
    }

    /// A process has ended; process 1 does not know.
    pub fn ended(&mut self, child: Child, well: bool) {
        let unit = &mut self.units[child.unit.index()];
        let expected = child.role != Role::Main || unit.nature.ready_by == Some(ReadyBy::End);
        self.disturbed |= !well || !expected;
        if let Some(living) = &mut unit.living[child.role as usize] {
            living.ended |= living.generation == child.generation;
        }
    }

    /// Process 1 is told that a process is ready, or that it ended.
    pub fn told(&mut self, child: Child, exit: Option<u32>) {
        let unit = &mut self.units[child.unit.index()];
        self.told = Some((child, unit.ready));
        let Some(code) = exit else {
            unit.ready |= unit.nature.ready_by == Some(ReadyBy::Word);
            return;
        };
        if let Some(living) = &mut unit.living[child.role as usize] {
            living.told |= living.generation == child.generation;
        }
        match child.role {
            Role::Main => unit.ready = unit.nature.ready_by == Some(ReadyBy::End) && code == 0,
            Role::Probe if code == 0 => unit.ready |= unit.living[0].is_some(),
            Role::Stop | Role::Probe => {}
        }
    }

    /// What process 1 was told last it has taken in, or that was lost with it.
    pub fn settled(&mut self, lost: bool) {
        self.unsure = None;
        if let (Some((child, ready)), true) = (self.told.take(), lost) {
            let unit = self.unit(child.unit);
            unit.ready = ready;
            let living = unit.living[child.role as usize].iter_mut();
            living.for_each(|one| one.told = false);
        }
    }

    /// Process 1 has taken leave of a process that ended.
    pub fn reaped(&mut self, child: Child, code: u32) {
        let unit = self.unit(child.unit);
        unit.living[child.role as usize].take_if(|one| one.generation == child.generation);
        if child.role == Role::Main {
            unit.last_exit = Some(code);
        }
    }

    /// What process 1 was doing may be lost.
    pub fn process_1_died(&mut self) {
        self.unsure = self.told.map(|(child, _)| child.unit);
        for living in self.units.iter_mut().flat_map(|unit| &mut unit.living) {
            living.iter_mut().for_each(|one| one.inherited = true);
        }
    }

    /// A client is told that its unit is up, or at rest.
    pub fn done(&mut self, unit: UnitId, starts: bool) {
        let mut living = self.units[unit.index()].living.iter().flatten();
        let (ended, ready) = (|one: &Living| one.ended, self.is_ready(&unit));
        let is_so = match starts {
            true => ready || living.any(ended),
            false => living.all(ended),
        };
        self.demand(is_so, unit, "is not as a client is told");
    }

    /// A client is told that its change is refused.
    pub fn refused(&mut self, unit: UnitId, starts: bool, conflict: bool) {
        self.refusals += 1;
        let contradiction = starts && contradicts_itself(&self.natures, unit);
        self.demand(!conflict || contradiction, unit, "is refused for no reason");
    }

    /// A request makes the unit's restarts count from nothing, unless it is refused.
    pub fn forgiven(&mut self, unit: UnitId) {
        if !self.going_down && !contradicts_itself(&self.natures, unit) {
            self.unit(unit).window = (0, 0);
        }
    }

    /// What is said of a unit; `busy`: something about it is just being taken in.
    pub fn see(&mut self, id: UnitId, seen: Seen, busy: bool) {
        let unit = &mut self.units[id.index()];
        let before = unit.seen.replace(seen);
        let is_right = seen.pid == unit.living[0].map(|main| main.pid);
        let is_last = seen.last_exit == unit.last_exit;
        let spared = |main: &Living| !main.told && main.killed_at.is_none();
        let is_left = unit.is(&[Standing::Rest, Standing::Failed]);
        let is_left = is_left && unit.living.iter().flatten().any(spared);
        let ((opened, count), (most, within)) = (unit.window, unit.nature.limit);
        let again = before.is_none_or(|old| (old.state, old.since) != (seen.state, seen.since));
        if seen.state == Standing::Restarting && again {
            let is_open = count > 0 && seen.since - opened < within;
            let next = (opened, count + 1);
            unit.window = if is_open { next } else { (seen.since, 1) };
        }
        let is_rare = most == 0 || unit.window.1 <= most;
        self.demand(busy || is_right, id, "has another process than is said");
        self.demand(busy || is_last, id, "ended otherwise than is said");
        self.demand(busy || !is_left, id, "is given up and was not killed");
        self.demand(is_rare, id, "is restarted more often than it may be");
    }

    /// After all that follows from an event: units that conflict are not up together.
    pub fn check(&mut self) {
        let active = [Standing::Starting, Standing::Up, Standing::Stopping];
        let is_up = |unit: &Unit| unit.is(&active);
        let up = self.units.iter().filter(|unit| is_up(unit));
        let mut others = up.flat_map(|unit| &unit.nature.conflicts);
        let beside = others.find(|other| is_up(&self.units[other.index()]));
        if let Some(beside) = beside.copied() {
            self.demand(false, beside, "is up beside its conflict");
        }
    }

    /// Everybody behaved for long enough: nothing moves any more.
    pub fn check_settled(&mut self) {
        let moving = [Standing::Starting, Standing::Stopping, Standing::Restarting];
        if let Some(at) = self.units.iter().position(|unit| unit.is(&moving)) {
            let state = self.units[at].seen;
            self.fail(format!("unit {at} moves for ever: {state:?}"));
        }
        let is_up = |unit: &Unit| unit.is(&[Standing::Up]);
        let bound = self.units.iter().filter(|unit| is_up(unit));
        let mut to = bound.flat_map(|unit| &unit.nature.bound_to);
        let gone = to.find(|other| !is_up(&self.units[other.index()]));
        if let Some(gone) = gone.copied() {
            self.demand(false, gone, "is outlived by what is bound to it");
        }
    }
}
