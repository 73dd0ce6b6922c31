//! This file answers control clients: each request exactly once, now or when its job ends.

use super::Core;
use super::unit::State;
use crate::effect::{Effect, Failure, Fault, Refusal, Reply};
use crate::event::{ControlRequest, MachineRequest};
use crate::ident::{ClientId, UnitId};
use crate::job::Job;
use crate::time::{Duration, Instant};
use crate::unit::UnitKind;

/// A client that waits for a unit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waiter {
    pub(crate) client: ClientId,
    pub(crate) unit: UnitId,
    pub(crate) goal: Goal,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Goal {
    /// It waits for the unit to be ready.
    Up,
    /// It waits for the unit to be at rest.
    Down,
}

impl Core<'_> {
    pub(super) fn client_asked(&mut self, client: ClientId, request: ControlRequest, now: Instant) {
        let outcome = match request {
            ControlRequest::Machine(MachineRequest::Rescue) => self.go_to_rescue(now),
            ControlRequest::Machine(request) => {
                self.machine_asked(request, now);
                Ok(())
            }
            ControlRequest::Start(id) => return self.unit_asked(client, id, Job::Start, now),
            ControlRequest::Stop(id) => return self.unit_asked(client, id, Job::Stop, now),
            ControlRequest::Restart(id) => return self.unit_asked(client, id, Job::Restart, now),
            ControlRequest::ResetFailed(id) => self.reset_failed(id, now),
            ControlRequest::Renew(image) => return self.renewal_asked(client, image, now),
        };
        self.reply_at_once(client, outcome);
    }

    fn reply_at_once(&mut self, client: ClientId, outcome: Result<(), Refusal>) {
        let reply = match outcome {
            Ok(()) => Reply::Done,
            Err(refusal) => Reply::Refused(refusal),
        };
        self.reply(client, reply);
    }

    /// The client waits where something is to be done.
    fn unit_asked(&mut self, client: ClientId, id: UnitId, job: Job, now: Instant) {
        let outcome = self.unit_request(id, job, now);
        if outcome.is_err() || self.units.get(id).job == Job::None {
            return self.reply_at_once(client, outcome);
        }
        let goal = if job == Job::Stop {
            Goal::Down
        } else {
            Goal::Up
        };
        self.wait_for(client, id, goal);
    }

    /// Plans and installs.
    fn unit_request(&mut self, id: UnitId, job: Job, now: Instant) -> Result<(), Refusal> {
        if self.system.is_going_down() {
            return Err(Refusal::ShuttingDown);
        }
        if self.is_being_exchanged() {
            return Err(Refusal::Renewing);
        }
        if id.index() >= self.units.len() {
            return Err(Refusal::NoSuchUnit);
        }
        self.request(id, job, now)?;
        if job == Job::Start && self.desc(id).rules.kind == UnitKind::Target {
            self.system.rescued = Some(id) == self.manifest.rescue_target;
        }
        Ok(())
    }

    fn reset_failed(&mut self, id: UnitId, now: Instant) -> Result<(), Refusal> {
        if id.index() >= self.units.len() {
            return Err(Refusal::NoSuchUnit);
        }
        let unit = self.units.get_mut(id);
        unit.streak = 0;
        unit.window_count = 0;
        if matches!(unit.state, State::Failed(_)) {
            self.set_state(id, State::Inactive, now);
        }
        Ok(())
    }

    fn wait_for(&mut self, client: ClientId, unit: UnitId, goal: Goal) {
        let waiter = Waiter { client, unit, goal };
        let Some(place) = self.waiters.get_mut(usize::from(client.slot)) else {
            return self.fault(Fault::BadIndex);
        };
        // A HAL takes one request of a client at a time; should it not, each has its answer.
        if let Some(before) = place.replace(waiter) {
            self.reply(before.client, Reply::Superseded);
        }
    }

    pub(super) fn forget_client(&mut self, client: ClientId) {
        if self.system.renewer == Some(client) {
            self.system.renewer = None;
        }
        for place in &mut self.waiters {
            if place.is_some_and(|waiter| waiter.client == client) {
                *place = None;
            }
        }
    }

    /// The client, if it waits, waits no longer: in one step, so that it has one answer wherever
    /// process 1 dies.
    pub(super) fn release_client(&mut self, client: ClientId) {
        let mut waiters = self.waiters.iter().flatten();
        if waiters.any(|waiter| waiter.client == client) {
            self.forget_client(client);
            self.reply(client, Reply::Begun);
        }
    }

    /// The first outcome of a unit's start is known: ready (`None`), or a failure.
    pub(crate) fn start_settled(&mut self, id: UnitId, failure: Option<Failure>) {
        let reply = failure.map_or(Reply::Done, |reason| Reply::Failed { unit: id, reason });
        self.answer(id, Goal::Up, reply);
    }

    /// A unit's stop is over.
    pub(crate) fn stop_settled(&mut self, id: UnitId) {
        let reply = match self.units.get(id).state {
            State::GivenUp(_) => Reply::Failed {
                unit: id,
                reason: Failure::Unkillable,
            },
            State::Failed(reason) if self.is_one_shot(id) => Reply::Failed { unit: id, reason },
            State::Failed(_)
            | State::Inactive
            | State::Starting
            | State::Up
            | State::Stopping { .. }
            | State::Backoff => Reply::Done,
        };
        self.answer(id, Goal::Down, reply);
    }

    /// The first attempt of a unit that this one requires failed. Both will be tried again.
    pub(crate) fn start_delayed(&mut self, id: UnitId, culprit: UnitId) {
        let reason = self.units.get(culprit).failure;
        let reason = reason.unwrap_or(Failure::Dependency(culprit));
        let reply = Reply::Failed {
            unit: culprit,
            reason,
        };
        self.answer(id, Goal::Up, reply);
    }

    pub(crate) fn supersede(&mut self, id: UnitId, goal: Goal) {
        self.answer(id, goal, Reply::Superseded);
    }

    fn answer(&mut self, id: UnitId, goal: Goal, reply: Reply) {
        for slot in 0..self.waiters.len() {
            let Some(place) = self.waiters.get_mut(slot) else {
                continue;
            };
            let Some(waiter) = *place else { continue };
            if waiter.unit == id && waiter.goal == goal {
                *place = None;
                self.reply(waiter.client, reply);
            }
        }
    }

    /// Who waits for what, for [`Core::digest`].
    #[cfg(feature = "fake")]
    pub(crate) fn digest_waiters(&self, text: &mut alloc::string::String) {
        for waiter in self.waiters.iter().flatten() {
            let _ = core::fmt::Write::write_fmt(
                text,
                format_args!(" {} {:?}", waiter.unit.0, waiter.goal),
            );
        }
    }

    fn reply(&mut self, client: ClientId, reply: Reply) {
        self.emit(Effect::Reply { client, reply });
    }

    /// Forgets what counts against automatic restarts: a person asked for the start.
    pub(crate) fn forgive(&mut self, id: UnitId) {
        let unit = self.units.get_mut(id);
        unit.streak = 0;
        unit.window_count = 0;
        unit.restarts = 0;
        unit.delay = Duration::ZERO;
    }
}
