//! This room supervises: it holds the state of every unit and moves it, one event at a time.
//!
//! [`Core::step`] takes an event in; [`Core::next_effect`] gives out what is to be done and, in
//! between, lets one unit after another look at its job again. A unit never calls another: it puts
//! it into the run queue. So each call does a bounded amount of work and nothing recurses.

mod adoption;
mod clients;
mod ladder;
mod restart;
mod transition;
pub mod unit;
mod units;

use crate::checkpoint::Checkpoint;
use crate::checkpoint::words::KEEPS;
use crate::effect::{Effect, Failure, Fault, Notice};
use crate::event::{Event, ExitStatus};
use crate::ident::{Child, Generation, Role, UnitId};
use crate::job::{Job, Plan};
use crate::limits::CLIENT_COUNT_MAX;
use crate::renewal::Obstacle;
use crate::ring::Ring;
use crate::system::{Phase, Tracked};
use crate::time::Instant;
use crate::unit::{Manifest, UnitDesc};
pub(crate) use clients::{Goal, Waiter};
pub(crate) use transition::UnitEvent;
use unit::{State, Unit};
use units::{NOBODY, Units};

/// Effects that one event or one look at a job can leave: notices, three processes, and a reply to
/// each client, twice over.
pub(crate) const EFFECT_COUNT_MAX: usize = 32;

const _: () = assert!(EFFECT_COUNT_MAX >= 4 * CLIENT_COUNT_MAX);

/// Whether services can tell that they get on; if not, nobody listens and it costs nothing.
const HEARS: bool = cfg!(any(feature = "letters", feature = "fake"));

/// The decisions of an init. It has no clock and does no input or output.
#[derive(Debug)]
pub struct Core<'a> {
    pub(crate) manifest: &'static Manifest,
    /// Of the manifest, for those who look up a unit's.
    descs: &'static [UnitDesc],
    pub(crate) units: Units<'a>,
    pub(crate) plan: Plan<'a>,
    pub(crate) system: Tracked,
    queue: Queue,
    pub(crate) effects: Ring<Effect, EFFECT_COUNT_MAX>,
    pub(crate) checkpoint: Checkpoint<'a>,
    pub(crate) waiters: [Option<Waiter>; CLIENT_COUNT_MAX],
    /// Late reports about incarnations that are gone.
    pub(crate) stale_count: u32,
    /// Processes of no unit that were reaped.
    pub(crate) orphan_count: u32,
    /// Events from outside that were taken in; wraps.
    pub(crate) event_count: u32,
}

/// Units whose job is to be looked at: a list threaded through the units.
#[derive(Debug)]
struct Queue {
    head: UnitId,
    tail: UnitId,
}

impl<'a> Core<'a> {
    #[inline(never)]
    pub(crate) fn new(manifest: &'static Manifest, units: &'a mut [Unit], plan: Plan<'a>) -> Self {
        Self {
            manifest,
            descs: manifest.units,
            units: Units::new(units),
            plan,
            system: Tracked::new(),
            queue: Queue {
                head: NOBODY,
                tail: NOBODY,
            },
            effects: Ring::new(),
            checkpoint: Checkpoint::nowhere(),
            waiters: [None; CLIENT_COUNT_MAX],
            stale_count: 0,
            orphan_count: 0,
            event_count: 0,
        }
    }

    /// Makes this core, in its own memory, one that knows nothing: the next incarnation, of which
    /// a test needs many thousands.
    #[cfg(feature = "fake")]
    pub fn forget_all(&mut self) {
        // Every field by its name, so that none is passed on by an oversight.
        let Self {
            manifest: _,
            descs: _,
            units,
            // Emptied whenever a request is planned.
            plan: _,
            system,
            queue,
            effects,
            checkpoint,
            waiters,
            stale_count,
            orphan_count,
            event_count,
        } = self;
        units.forget_all();
        *system = Tracked::new();
        queue.head = NOBODY;
        queue.tail = NOBODY;
        *effects = Ring::new();
        *checkpoint = Checkpoint::nowhere();
        *waiters = [None; CLIENT_COUNT_MAX];
        (*stale_count, *orphan_count, *event_count) = (0, 0, 0);
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
        self.record(event, now);
        if KEEPS && event.is_from_outside() {
            self.event_count = self.event_count.wrapping_add(1);
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
            Event::Heartbeat(_) if !HEARS => {}
            Event::Heartbeat(child) => self.child_event(child, UnitEvent::Heartbeat, now),
            Event::Ready(child) => self.fault(Fault::UnexpectedEvent(child.unit)),
            Event::Exited {
                child,
                status: ExitStatus::PUT_ASIDE,
            } if KEEPS => self.lose(child, now),
            Event::Exited { child, status } => {
                self.child_event(child, UnitEvent::Exited(child.role, status), now);
            }
            Event::OrphanExited => self.orphan_count = self.orphan_count.saturating_add(1),
            Event::NoChildLeft => self.no_child_left(now),
            Event::Machine(request) => self.machine_asked(request, now),
            Event::Control { client, request } => self.client_asked(client, request, now),
            Event::ClientGone(client) => self.forget_client(client),
            Event::Unawaited { client, request } => {
                self.client_asked(client, request, now);
                self.release_client(client);
            }
            Event::Resumed(why) => self.resumed(why, now),
            Event::TrialEnded(obstacle) => self.trial_ended(obstacle, now),
            Event::NotTried(error) => {
                self.trial_ended(Some(Obstacle::NotRead(error)), now);
            }
            Event::NotRenewed(error) => self.not_renewed(error, now),
            // Nothing changes by itself; deadlines are taken below, each with its own commit.
            Event::Tick => return,
        }
        self.commit();
    }

    /// The next thing to be done, or `None` when all is done until the next event or deadline.
    pub fn next_effect(&mut self, now: Instant) -> Option<Effect> {
        self.checkpoint.all_done();
        loop {
            if let Some(effect) = self.effects.pop() {
                self.checkpoint.begun();
                return Some(effect);
            }
            if self.system.phase == Phase::Final {
                return None;
            }
            if let Some(id) = self.dequeue() {
                self.look_at_job(id, now);
            } else if let Some(id) = self.units.take_due(now) {
                self.transition(id, UnitEvent::Deadline, now);
            } else if !self.system_turn(now) {
                self.record_rest(now);
                return None;
            }
            // Most looks at a job change nothing. What events count was committed with them, and
            // who waits does so until an effect.
            if !self.effects.is_empty() || self.units.has_touched() || self.system.has_changed() {
                self.commit();
            }
        }
    }

    /// Whether the driver may take in another event before [`Self::next_effect`] has said `None`:
    /// what is left to do waits in the run queue, and the effects' queue is empty. Asked when all
    /// that was given out is performed, which is noted: an heir does not take the last one for one
    /// that may have to be settled.
    pub fn may_pause(&mut self) -> bool {
        self.checkpoint.all_done();
        self.effects.is_empty()
    }

    /// When to wake although nothing happened.
    pub fn next_deadline(&self) -> Option<Instant> {
        if self.system.phase == Phase::Final {
            return None;
        }
        let due = self.units.earliest_due().min(self.system.deadline());
        (due != Instant::MAX).then_some(due)
    }

    /// A report about a process: only the present incarnation's counts.
    fn child_event(&mut self, child: Child, event: UnitEvent, now: Instant) {
        if child.unit.index() >= self.units.len() {
            return self.fault(Fault::BadIndex);
        }
        if !self.knows(child) {
            self.stale_count = self.stale_count.saturating_add(1);
            return;
        }
        let unit = self.units.get_mut(child.unit);
        if matches!(event, UnitEvent::Exited(..) | UnitEvent::SpawnFailed(..)) {
            unit.alive.remove(child.role);
            if child.role == Role::Main {
                unit.pid = 0;
            }
        }
        self.transition(child.unit, event, now);
    }

    /// A process is gone, and cores ended of whatever else they were told of it: its unit has
    /// failed, and is not tried again by itself. Apart from what takes others in, which may be at
    /// fault.
    #[cold]
    #[inline(never)]
    fn lose(&mut self, child: Child, now: Instant) {
        let id = child.unit;
        if id.index() >= self.units.len() || !self.knows(child) {
            return;
        }
        let unit = self.units.get_mut(id);
        unit.alive.remove(child.role);
        if child.role == Role::Main {
            unit.pid = 0;
        }
        if !unit.alive.is_empty() {
            // Its deadlines see to it.
            return;
        }
        let failure = Failure::Exited(ExitStatus::PUT_ASIDE);
        unit.failure = Some(failure);
        self.tell(Notice::Failed(id, failure));
        self.start_settled(id, Some(failure));
        self.set_state(id, State::Failed(failure), now);
        self.take_bound_along(id, false, now);
    }

    /// Whether a process is one of its unit's, or is to become that.
    #[inline(never)]
    pub(crate) fn knows(&self, child: Child) -> bool {
        let unit = self.units.get(child.unit);
        unit.generation == child.generation && unit.alive.has(child.role)
    }

    #[inline(never)]
    pub(crate) fn desc(&self, id: UnitId) -> &'static UnitDesc {
        let desc = self.descs.get(id.index());
        desc.unwrap_or(&UnitDesc::NOTHING)
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

    /// The only writer of a unit's state: drops the old state's deadline and wakes those that may
    /// wait for the change.
    pub(crate) fn set_state(&mut self, id: UnitId, state: State, now: Instant) {
        let unit = self.units.get_mut(id);
        unit.state = state;
        unit.since = now;
        self.units.drop_due(id);
        self.enqueue(id);
        self.wake_neighbours(id);
    }

    /// The only writer of a unit's job.
    pub(crate) fn set_job(&mut self, id: UnitId, job: Job) {
        self.units.get_mut(id).job = job;
        self.enqueue(id);
    }

    /// Puts a unit into the run queue if it has a job.
    pub(crate) fn enqueue(&mut self, id: UnitId) {
        let unit = self.units.link(id);
        if unit.queued || unit.job == Job::None {
            return;
        }
        unit.queued = true;
        unit.next_queued = NOBODY.0;
        if self.queue.head == NOBODY {
            self.queue.head = id;
        } else {
            self.units.link(self.queue.tail).next_queued = id.0;
        }
        self.queue.tail = id;
    }

    fn dequeue(&mut self) -> Option<UnitId> {
        let id = self.queue.head;
        if id == NOBODY {
            return None;
        }
        let unit = self.units.link(id);
        unit.queued = false;
        self.queue.head = UnitId(unit.next_queued);
        Some(id)
    }

    pub(crate) fn emit(&mut self, effect: Effect) {
        if self.effects.push(effect) {
            self.checkpoint.emitted(effect);
        } else {
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

#[cfg(test)]
mod tests;
