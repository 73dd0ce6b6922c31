//! This file is a unit's transition function: what each event means in each state.
//!
//! Every pair is written down. A pair that cannot happen is named as such, reported as a fault of
//! ours, and changes nothing.

use super::unit::{Rung, State, Then};
use super::{Core, HEARS};
use crate::effect::{Failure, Fault, Notice};
use crate::event::{Errno, ExitStatus};
use crate::ident::{Role, UnitId};
use crate::time::{Duration, Instant};
use crate::unit::{Program, Readiness, Signal, UnitKind};
use crate::uses::{PROBES, STOP_PROGRAMS};

/// What can happen to one unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UnitEvent {
    /// Its start job's turn has come, or its back-off is over.
    Start,
    /// Its stop job's turn has come.
    Stop,
    /// A process of it exists.
    Spawned(Role, u32),
    /// A process of it could not be created.
    SpawnFailed(Role, Errno),
    /// It says that it is ready, or its program was executed.
    Ready,
    /// Its main process says that it gets on.
    Heartbeat,
    /// A process of it is gone.
    Exited(Role, ExitStatus),
    /// Its deadline has come.
    Deadline,
}

impl Core<'_> {
    /// Moves one unit.
    pub(crate) fn transition(&mut self, id: UnitId, event: UnitEvent, now: Instant) {
        match self.units.get(id).state {
            State::Inactive | State::Failed(_) => self.at_rest(id, event, now),
            State::Starting => self.while_starting(id, event, now),
            State::Up => self.while_up(id, event, now),
            State::Stopping { rung, then } => self.while_stopping(id, rung, then, event, now),
            State::Backoff => self.while_waiting(id, event, now),
            State::GivenUp(then) => self.while_given_up(id, then, event, now),
        }
    }

    fn at_rest(&mut self, id: UnitId, event: UnitEvent, now: Instant) {
        match event {
            UnitEvent::Start => self.begin(id, now),
            UnitEvent::Stop => {}
            UnitEvent::Spawned(..)
            | UnitEvent::SpawnFailed(..)
            | UnitEvent::Ready
            | UnitEvent::Heartbeat
            | UnitEvent::Exited(..)
            | UnitEvent::Deadline => self.unexpected(id),
        }
    }

    fn while_starting(&mut self, id: UnitId, event: UnitEvent, now: Instant) {
        let desc = self.desc(id);
        match event {
            UnitEvent::Start => {}
            UnitEvent::Stop => self.climb_down(id, Then::Rest, now),
            UnitEvent::Spawned(Role::Main, pid) => {
                self.units.get_mut(id).pid = pid;
                match desc.rules.ready {
                    Readiness::Exec if !desc.rules.awaited => self.become_up(id, now),
                    Readiness::Probe(_) if PROBES => self.spawn(id, Role::Probe),
                    Readiness::Exec
                    | Readiness::Exit
                    | Readiness::Newline(_)
                    | Readiness::Letter
                    | Readiness::Probe(_) => {}
                }
            }
            UnitEvent::Spawned(Role::Probe, _) => {}
            UnitEvent::SpawnFailed(Role::Main, error) => {
                self.start_failed(id, Failure::Spawn(error), now);
            }
            UnitEvent::SpawnFailed(Role::Probe, error) if PROBES => {
                self.climb_down(id, Then::Retry(Failure::Spawn(error)), now);
            }
            UnitEvent::Ready => match desc.rules.ready {
                Readiness::Exec | Readiness::Newline(_) | Readiness::Letter => {
                    self.become_up(id, now);
                }
                Readiness::Exit | Readiness::Probe(_) => self.unexpected(id),
            },
            // That it gets on does not say that it is there.
            UnitEvent::Heartbeat => {}
            UnitEvent::Exited(Role::Main, status) => self.ended_starting(id, status, now),
            UnitEvent::Exited(Role::Probe, ExitStatus::Code(0)) if PROBES => {
                self.become_up(id, now)
            }
            UnitEvent::Exited(Role::Probe, status) if PROBES => {
                self.climb_down(id, Then::Retry(Failure::Exited(status)), now);
            }
            UnitEvent::Deadline => self.climb_down(id, Then::Retry(Failure::StartTimeout), now),
            UnitEvent::Spawned(Role::Stop, _)
            | UnitEvent::SpawnFailed(Role::Stop | Role::Probe, _)
            | UnitEvent::Exited(Role::Stop | Role::Probe, _) => self.unexpected(id),
        }
    }

    fn while_up(&mut self, id: UnitId, event: UnitEvent, now: Instant) {
        match event {
            UnitEvent::Start => {}
            UnitEvent::Stop => self.climb_down(id, Then::Rest, now),
            UnitEvent::Exited(Role::Main, status) => {
                self.units.get_mut(id).last_exit = Some(status);
                self.finish_ending(id, Then::Ended(status), now);
            }
            // A descriptor's second newline, or an exec confirmed after a quick exit, says
            // nothing new.
            UnitEvent::Ready => {}
            UnitEvent::Heartbeat => self.wind_watchdog(id, now),
            UnitEvent::Deadline if self.is_watched(id) => self.climb_down(id, Then::Silent, now),
            UnitEvent::Spawned(..)
            | UnitEvent::SpawnFailed(..)
            | UnitEvent::Exited(Role::Stop | Role::Probe, _)
            | UnitEvent::Deadline => self.unexpected(id),
        }
    }

    fn while_stopping(
        &mut self,
        id: UnitId,
        rung: Rung,
        then: Then,
        event: UnitEvent,
        now: Instant,
    ) {
        match event {
            // A start waits in the job until the unit is at rest.
            UnitEvent::Start | UnitEvent::Ready | UnitEvent::Heartbeat => {}
            UnitEvent::Stop => {
                // What was to be tried again is now to rest; the ladder goes on.
                self.units.get_mut(id).state = State::Stopping {
                    rung,
                    then: Then::Rest,
                };
            }
            // It came to be just as it was told to go: tell it again.
            UnitEvent::Spawned(Role::Main, pid) => {
                self.units.get_mut(id).pid = pid;
                self.repeat_rung(id, rung);
            }
            UnitEvent::Spawned(Role::Probe, _) if PROBES => {
                self.signal(id, Role::Probe, Signal::KILL);
            }
            UnitEvent::Spawned(Role::Stop | Role::Probe, _) => {}
            UnitEvent::SpawnFailed(Role::Stop, error) if STOP_PROGRAMS => {
                self.stop_program_ended(id, rung, then, Some(Failure::Spawn(error)), now);
            }
            UnitEvent::Exited(Role::Stop, status) if STOP_PROGRAMS => {
                let failure = (status != ExitStatus::Code(0)).then_some(Failure::Exited(status));
                self.stop_program_ended(id, rung, then, failure, now);
            }
            UnitEvent::Exited(Role::Main, status) => {
                self.units.get_mut(id).last_exit = Some(status);
                self.rest_if_all_gone(id, then, now);
            }
            UnitEvent::SpawnFailed(..) | UnitEvent::Exited(Role::Stop | Role::Probe, _) => {
                self.rest_if_all_gone(id, then, now);
            }
            UnitEvent::Deadline => self.climb_up(id, rung, then, now),
        }
    }

    fn while_waiting(&mut self, id: UnitId, event: UnitEvent, now: Instant) {
        match event {
            UnitEvent::Start | UnitEvent::Deadline => self.begin(id, now),
            UnitEvent::Stop => self.set_state(id, State::Inactive, now),
            UnitEvent::Spawned(..)
            | UnitEvent::SpawnFailed(..)
            | UnitEvent::Ready
            | UnitEvent::Heartbeat
            | UnitEvent::Exited(..) => self.unexpected(id),
        }
    }

    fn while_given_up(&mut self, id: UnitId, then: Then, event: UnitEvent, now: Instant) {
        match event {
            UnitEvent::Stop => self.units.get_mut(id).state = State::GivenUp(Then::Rest),
            // What was about to start when the ladder began: it must go as well.
            UnitEvent::Spawned(role, _) => self.signal(id, role, Signal::KILL),
            // Gone at last.
            UnitEvent::Exited(Role::Main, status) => {
                self.units.get_mut(id).last_exit = Some(status);
                self.rest_if_all_gone(id, then, now);
            }
            UnitEvent::Exited(Role::Stop | Role::Probe, _) | UnitEvent::SpawnFailed(..) => {
                self.rest_if_all_gone(id, then, now);
            }
            UnitEvent::Ready | UnitEvent::Heartbeat => {}
            UnitEvent::Start | UnitEvent::Deadline => self.unexpected(id),
        }
    }

    /// Starts a new incarnation. Nothing of the old one is alive: only [`State::GivenUp`] is at
    /// rest with a process, and that state does not start.
    fn begin(&mut self, id: UnitId, now: Instant) {
        let (desc, definition) = (self.desc(id), self.manifest.definition(id));
        let unit = self.units.get_mut(id);
        unit.generation = unit.generation.next();
        unit.definition = definition;
        unit.started = now;
        if matches!(desc.start, Program::None) {
            return self.become_up(id, now);
        }
        self.tell(Notice::Starting(id));
        self.set_state(id, State::Starting, now);
        if desc.rules.start_timeout != Duration::MAX {
            self.units.set_due(id, now.after(desc.rules.start_timeout));
        }
        self.spawn(id, Role::Main);
    }

    fn become_up(&mut self, id: UnitId, now: Instant) {
        let unit = self.units.get_mut(id);
        let took = now.since(unit.started);
        unit.took = took;
        unit.attempted = false;
        unit.failure = None;
        self.set_state(id, State::Up, now);
        self.wind_watchdog(id, now);
        self.tell(Notice::Ready(id, took));
        self.start_reached(id);
    }

    fn is_watched(&self, id: UnitId) -> bool {
        HEARS && self.desc(id).rules.watchdog != Duration::MAX
    }

    /// From now on it has its watchdog's time again.
    fn wind_watchdog(&mut self, id: UnitId, now: Instant) {
        if self.is_watched(id) {
            let watchdog = self.desc(id).rules.watchdog;
            self.units.set_due(id, now.after(watchdog));
        }
    }

    /// The main program ended before the unit was ready.
    fn ended_starting(&mut self, id: UnitId, status: ExitStatus, now: Instant) {
        let desc = self.desc(id);
        self.units.get_mut(id).last_exit = Some(status);
        let executed = !matches!(status, ExitStatus::NotExecuted { .. });
        match desc.rules.ready {
            Readiness::Exit if self.is_success(id, status) => self.become_up(id, now),
            // Its end proves that it was executed; the confirmation is overtaken.
            Readiness::Exec if executed && desc.rules.kind == UnitKind::Service => {
                self.become_up(id, now);
                self.finish_ending(id, Then::Ended(status), now);
            }
            Readiness::Exec
            | Readiness::Exit
            | Readiness::Newline(_)
            | Readiness::Letter
            | Readiness::Probe(_) => self.start_failed(id, Failure::Exited(status), now),
        }
    }

    /// A start failed by itself; only a probe may be left to end.
    fn start_failed(&mut self, id: UnitId, failure: Failure, now: Instant) {
        self.finish_ending(id, Then::Retry(failure), now);
    }

    fn unexpected(&mut self, id: UnitId) {
        self.fault(Fault::UnexpectedEvent(id));
    }
}
