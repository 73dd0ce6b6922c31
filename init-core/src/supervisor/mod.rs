//! This room supervises: it holds the state of every unit and moves it, one event at a time.
//!
//! [`Core::step`] takes an event in; [`Core::next_effect`] gives out what is to be done and, in
//! between, lets one unit after another look at its job again. A unit never calls another: it puts
//! it into the run queue. So each call does a bounded amount of work and nothing recurses.

mod clients;
mod ladder;
mod restart;
mod transition;
pub mod unit;

use crate::effect::{Effect, Fault, Notice};
use crate::event::Event;
use crate::ident::{Child, Generation, Role, UnitId};
use crate::job::{Job, Plan};
use crate::limits::CLIENT_COUNT_MAX;
use crate::ring::Ring;
use crate::system::{Phase, System};
use crate::time::Instant;
use crate::timer::Deadlines;
use crate::unit::{Manifest, UnitDesc};
pub(crate) use clients::Goal;
use clients::Waiter;
pub(crate) use transition::UnitEvent;
use unit::{State, Unit};

/// Effects that one event or one look at a job can leave: notices, three processes, and a reply to
/// each client, twice over.
const EFFECT_COUNT_MAX: usize = 32;

const _: () = assert!(EFFECT_COUNT_MAX >= 4 * CLIENT_COUNT_MAX);

/// The decisions of an init. It has no clock and does no input or output.
#[derive(Debug)]
pub struct Core<'a> {
    pub(crate) manifest: &'static Manifest,
    pub(crate) units: Units<'a>,
    pub(crate) plan: Plan<'a>,
    pub(crate) deadlines: Deadlines<'a>,
    pub(crate) system: System,
    queue: Queue,
    effects: Ring<Effect, EFFECT_COUNT_MAX>,
    waiters: [Option<Waiter>; CLIENT_COUNT_MAX],
    /// Units that are not idle.
    pub(crate) busy_count: u16,
    /// Units that move right now.
    pub(crate) moving_count: u16,
    /// Late reports about incarnations that are gone.
    pub(crate) stale_count: u32,
    /// Processes of no unit that were reaped.
    pub(crate) orphan_count: u32,
}

/// The table of units. A look-up is total: ids are checked at the door ([`Core::step`]), and one
/// that leads nowhere all the same finds a spare unit that nothing else reads.
#[derive(Debug)]
pub(crate) struct Units<'a> {
    slots: &'a mut [Unit],
    spare: Unit,
}

impl Units<'_> {
    pub(crate) fn get(&self, id: UnitId) -> &Unit {
        self.slots.get(id.index()).unwrap_or(&self.spare)
    }
    pub(crate) fn get_mut(&mut self, id: UnitId) -> &mut Unit {
        self.slots.get_mut(id.index()).unwrap_or(&mut self.spare)
    }
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Unit> {
        self.slots.iter()
    }
}

/// Units whose job is to be looked at: a list threaded through the units.
#[derive(Debug)]
struct Queue {
    head: UnitId,
    tail: UnitId,
}

/// The end of the run queue.
const NOBODY: UnitId = UnitId(u16::MAX);

impl<'a> Core<'a> {
    pub(crate) fn new(
        manifest: &'static Manifest,
        units: &'a mut [Unit],
        plan: Plan<'a>,
        deadlines: Deadlines<'a>,
    ) -> Self {
        units.fill(Unit::NEW);
        Self {
            manifest,
            units: Units {
                slots: units,
                spare: Unit::NEW,
            },
            plan,
            deadlines,
            system: System::new(),
            queue: Queue {
                head: NOBODY,
                tail: NOBODY,
            },
            effects: Ring::new(),
            waiters: [None; CLIENT_COUNT_MAX],
            busy_count: 0,
            moving_count: 0,
            stale_count: 0,
            orphan_count: 0,
        }
    }

    /// The compiled manifest.
    pub fn manifest(&self) -> &'static Manifest {
        self.manifest
    }

    /// Takes in what happened. Drain [`Self::next_effect`] afterwards. After the machine's last act
    /// nothing is taken in and nothing is asked for.
    pub fn step(&mut self, event: Event, now: Instant) {
        if self.system.phase == Phase::Final {
            return;
        }
        match event {
            Event::Boot(options) => self.boot(options, now),
            Event::Spawned { child, pid } => {
                self.child_event(child, UnitEvent::Spawned(child.role, pid), now);
            }
            Event::SpawnFailed { child, error } => {
                self.child_event(child, UnitEvent::SpawnFailed(child.role, error), now);
            }
            Event::Ready(child) if child.role == Role::Main => {
                self.child_event(child, UnitEvent::Ready, now);
            }
            Event::Ready(child) => self.fault(Fault::UnexpectedEvent(child.unit)),
            Event::Exited { child, status } => {
                self.child_event(child, UnitEvent::Exited(child.role, status), now);
            }
            Event::OrphanExited => self.orphan_count = self.orphan_count.saturating_add(1),
            Event::NoChildLeft => self.no_child_left(now),
            Event::Machine(request) => self.machine_asked(request, now),
            Event::Control { client, request } => self.client_asked(client, request, now),
            Event::ClientGone(client) => self.forget_client(client),
            Event::Tick => {}
        }
    }

    /// The next thing to be done, or `None` when all is done until the next event or deadline.
    pub fn next_effect(&mut self, now: Instant) -> Option<Effect> {
        loop {
            if let Some(effect) = self.effects.pop() {
                return Some(effect);
            }
            if self.system.phase == Phase::Final {
                return None;
            }
            if let Some(id) = self.dequeue() {
                self.look_at_job(id, now);
            } else if let Some(id) = self.deadlines.take_due(now) {
                self.transition(id, UnitEvent::Deadline, now);
            } else if !self.system_turn(now) {
                return None;
            }
        }
    }

    /// Whether the driver may take in another event before [`Self::next_effect`] has said `None`:
    /// what is left to do waits in the run queue, and the effects' queue is empty.
    pub fn may_pause(&self) -> bool {
        self.effects.is_empty()
    }

    /// When to wake although nothing happened.
    pub fn next_deadline(&self) -> Option<Instant> {
        if self.system.phase == Phase::Final {
            return None;
        }
        match (self.deadlines.earliest(), self.system.deadline()) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// A report about a process: only the present incarnation's counts.
    fn child_event(&mut self, child: Child, event: UnitEvent, now: Instant) {
        if child.unit.index() >= self.units.len() {
            return self.fault(Fault::BadIndex);
        }
        let unit = self.units.get_mut(child.unit);
        let expected = unit.generation == child.generation && unit.alive.has(child.role);
        if !expected {
            self.stale_count = self.stale_count.saturating_add(1);
            return;
        }
        if matches!(event, UnitEvent::Exited(..) | UnitEvent::SpawnFailed(..)) {
            unit.alive.remove(child.role);
            if child.role == Role::Main {
                unit.pid = 0;
            }
        }
        self.transition(child.unit, event, now);
    }

    pub(crate) fn desc(&self, id: UnitId) -> &'static UnitDesc {
        self.manifest.unit(id).unwrap_or(&UnitDesc::NOTHING)
    }

    pub(crate) fn generation_of(&self, id: UnitId) -> Generation {
        self.units.get(id).generation
    }

    pub(crate) fn child(&self, id: UnitId, role: Role) -> Child {
        Child {
            unit: id,
            generation: self.generation_of(id),
            role,
        }
    }

    /// Asks for a process of the unit.
    pub(crate) fn spawn(&mut self, id: UnitId, role: Role) {
        self.units.get_mut(id).alive.insert(role);
        let child = self.child(id, role);
        self.emit(Effect::Spawn(child));
    }

    /// The only writer of a unit's state: keeps the counts, drops the old state's deadline and
    /// wakes those that may wait for the change.
    pub(crate) fn set_state(&mut self, id: UnitId, state: State, now: Instant) {
        self.deadlines.clear(id);
        self.count(id, now, |unit, now| {
            unit.state = state;
            unit.since = now;
        });
        self.enqueue(id);
        self.wake_neighbours(id);
    }

    /// The only writer of a unit's job.
    pub(crate) fn set_job(&mut self, id: UnitId, job: Job, now: Instant) {
        self.count(id, now, |unit, _| unit.job = job);
        self.enqueue(id);
    }

    fn count(&mut self, id: UnitId, now: Instant, change: impl FnOnce(&mut Unit, Instant)) {
        let unit = self.units.get_mut(id);
        let (was_busy, was_moving) = (!unit.is_idle(), unit.is_moving());
        change(unit, now);
        let (is_busy, is_moving) = (!unit.is_idle(), unit.is_moving());
        adjust(&mut self.busy_count, was_busy, is_busy);
        adjust(&mut self.moving_count, was_moving, is_moving);
    }

    /// Puts a unit into the run queue if it has a job.
    pub(crate) fn enqueue(&mut self, id: UnitId) {
        let unit = self.units.get_mut(id);
        if unit.queued || unit.job == Job::None {
            return;
        }
        unit.queued = true;
        unit.next_queued = NOBODY.0;
        if self.queue.head == NOBODY {
            self.queue.head = id;
        } else {
            self.units.get_mut(self.queue.tail).next_queued = id.0;
        }
        self.queue.tail = id;
    }

    fn dequeue(&mut self) -> Option<UnitId> {
        let id = self.queue.head;
        if id == NOBODY {
            return None;
        }
        let unit = self.units.get_mut(id);
        unit.queued = false;
        self.queue.head = UnitId(unit.next_queued);
        Some(id)
    }

    pub(crate) fn emit(&mut self, effect: Effect) {
        if !self.effects.push(effect) {
            // Cannot happen: each event and each look at a job leaves fewer than the bound, and
            // the queue is drained before the next. Told, because an effect was lost.
            let fault = Notice::Fault(Fault::QueueFull);
            self.effects.replace_last(Effect::Notice(fault));
        }
    }

    pub(crate) fn tell(&mut self, notice: Notice) {
        self.emit(Effect::Notice(notice));
    }

    pub(crate) fn fault(&mut self, fault: Fault) {
        self.tell(Notice::Fault(fault));
    }
}

fn adjust(count: &mut u16, was: bool, is: bool) {
    match (was, is) {
        (false, true) => *count = count.saturating_add(1),
        (true, false) => *count = count.saturating_sub(1),
        (false, false) | (true, true) => {}
    }
}

#[cfg(test)]
mod tests;
