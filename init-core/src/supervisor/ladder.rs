//! This file is the stop ladder: stop program, signal, SIGKILL, and giving up, each in its time.
//!
//! A unit that is given up frees whoever waited for its stop; a second instance is never started
//! while the first may live.

use super::unit::{Rung, State, Then};
use super::{Core, HEARS};
use crate::effect::{Effect, Failure, Notice};
use crate::ident::{Role, UnitId};
use crate::time::Instant;
use crate::unit::{Program, Readiness, Signal};
use crate::uses::{PROBES, ROLES, STOP_PROGRAMS};

impl Core<'_> {
    /// Begins to stop a unit that is starting or up.
    pub(super) fn climb_down(&mut self, id: UnitId, then: Then, now: Instant) {
        let desc = self.desc(id);
        let alive = self.units.get(id).alive;
        let was_up = self.units.get(id).state == State::Up;
        let has_program = STOP_PROGRAMS && was_up && !matches!(desc.rules.stop, Program::None);
        if PROBES && alive.has(Role::Probe) {
            self.signal(id, Role::Probe, Signal::KILL);
        }
        if alive.is_empty() && !has_program {
            return self.rest(id, then, now);
        }
        if then == Then::Rest {
            self.tell(Notice::Stopping(id));
        }
        if has_program {
            self.enter(id, Rung::Program, then, now);
            self.spawn(id, Role::Stop);
        } else {
            self.enter(id, Rung::Signal, then, now);
            self.signal(id, Role::Main, desc.rules.stopping.signal);
        }
    }

    /// The main program is gone by itself; what else is alive of the unit must go before it rests.
    pub(super) fn finish_ending(&mut self, id: UnitId, then: Then, now: Instant) {
        if self.units.get(id).alive.is_empty() {
            return self.rest(id, then, now);
        }
        self.enter(id, Rung::Kill, then, now);
        self.signal(id, Role::Probe, Signal::KILL);
    }

    /// The present rung's time is over.
    pub(super) fn climb_up(&mut self, id: UnitId, rung: Rung, then: Then, now: Instant) {
        let signal = self.desc(id).rules.stopping.signal;
        let main_alive = self.units.get(id).alive.has(Role::Main);
        match rung {
            Rung::Program if STOP_PROGRAMS && main_alive => {
                self.signal(id, Role::Stop, Signal::KILL);
                self.signal(id, Role::Main, signal);
                self.enter(id, Rung::Signal, then, now);
            }
            Rung::Program | Rung::Signal => {
                self.tell(Notice::Killing(id));
                for role in ROLES {
                    self.signal(id, *role, Signal::KILL);
                }
                self.enter(id, Rung::Kill, then, now);
            }
            Rung::Kill => {
                self.tell(Notice::GivenUp(id));
                self.set_state(id, State::GivenUp(then), now);
            }
        }
    }

    /// The stop program is over, or could not even be created. That it failed matters to a
    /// one-shot only, such as a file system that cannot be unmounted: it is at rest, but not as
    /// asked. (That a service's process is gone is proof enough of its stop.)
    pub(super) fn stop_program_ended(
        &mut self,
        id: UnitId,
        rung: Rung,
        then: Then,
        failure: Option<Failure>,
        now: Instant,
    ) {
        if self.units.get(id).alive.has(Role::Main) {
            // The ladder is climbed once: a stop program that was killed does not lead back.
            if rung == Rung::Program {
                self.signal(id, Role::Main, self.desc(id).rules.stopping.signal);
                self.enter(id, Rung::Signal, then, now);
            }
            return;
        }
        match failure {
            Some(failure) if then == Then::Rest && self.is_one_shot(id) => {
                self.set_state(id, State::Failed(failure), now);
                self.tell(Notice::Failed(id, failure));
            }
            Some(_) | None => self.rest_if_all_gone(id, then, now),
        }
    }

    /// Whether it is up without a process.
    pub(super) fn is_one_shot(&self, id: UnitId) -> bool {
        matches!(self.desc(id).rules.ready, Readiness::Exit)
    }

    pub(super) fn rest_if_all_gone(&mut self, id: UnitId, then: Then, now: Instant) {
        if self.units.get(id).alive.is_empty() {
            self.rest(id, then, now);
        }
    }

    /// Sends again what the rung stands for, to a main process that came late.
    pub(super) fn repeat_rung(&mut self, id: UnitId, rung: Rung) {
        let signal = match rung {
            Rung::Program | Rung::Signal => self.desc(id).rules.stopping.signal,
            Rung::Kill => Signal::KILL,
        };
        self.signal(id, Role::Main, signal);
    }

    /// Signals a process of the unit if it exists.
    pub(super) fn signal(&mut self, id: UnitId, role: Role, signal: Signal) {
        if !self.units.get(id).alive.has(role) {
            return;
        }
        let scope = self.desc(id).scope(role);
        let child = self.child(id, role);
        self.emit(Effect::Signal {
            child,
            signal,
            scope,
        });
    }

    fn enter(&mut self, id: UnitId, rung: Rung, then: Then, now: Instant) {
        self.set_state(id, State::Stopping { rung, then }, now);
        self.units
            .set_due(id, now.after(self.desc(id).rules.stopping.timeout));
    }

    /// Nothing of the unit is alive: rest, or what the restart policy says.
    fn rest(&mut self, id: UnitId, then: Then, now: Instant) {
        match then {
            Then::Rest => {
                self.set_state(id, State::Inactive, now);
                self.tell(Notice::Stopped(id));
            }
            Then::Retry(failure) => self.decide_after_failure(id, failure, now),
            Then::Ended(status) => self.decide_after_end(id, status, now),
            Then::Silent if HEARS => self.decide_after_silence(id, now),
            Then::Silent => self.decide_after_failure(id, Failure::Watchdog, now),
        }
    }
}
