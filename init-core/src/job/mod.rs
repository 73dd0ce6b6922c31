//! This room turns requests into jobs, and runs each job when its order allows.
//!
//! A request becomes one consistent set of jobs ([`Plan`]) or a refusal that changes nothing. A
//! unit has at most one job; a new one merges with it by the rules of [`Core::install`]. A job
//! runs when
//! - start: all units that it requires are up, no unit that it is ordered after still has a first
//!   attempt before it, and no unit that conflicts or is ordered before it is still to stop;
//! - stop: no unit that is ordered after it is still to stop.
//!
//! Everything that these rules allow runs in parallel. They cannot deadlock: stops wait for stops
//! along the (acyclic) order only, starts for stops and for starts along the order.

mod plan;

pub(crate) use plan::Plan;
pub use plan::{Mark, Scratch};

use crate::effect::{Failure, Fault, Notice, Refusal};
use crate::ident::UnitId;
use crate::supervisor::unit::State;
use crate::supervisor::{Core, Goal, UnitEvent};
use crate::time::Instant;
use crate::unit::{EdgeKind, EdgeKinds};
use crate::uses::CONFLICTS;

/// What a unit was asked to become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Job {
    /// Nothing is asked.
    None,
    /// Up.
    Start,
    /// At rest.
    Stop,
    /// At rest, then up.
    Restart,
}

impl Job {
    /// Whether the unit is to stop first, so that others wait for it.
    fn is_stopping(self) -> bool {
        match self {
            Self::Stop | Self::Restart => true,
            Self::None | Self::Start => false,
        }
    }
}

/// Whether a start job may run.
enum StartCheck {
    Go,
    Wait,
    /// It waits for a second attempt of this unit.
    Delayed(UnitId),
    Fail(Failure),
}

impl Core<'_> {
    /// Plans and installs a request about one unit, whole or not at all.
    pub(crate) fn request(&mut self, id: UnitId, job: Job, now: Instant) -> Result<(), Refusal> {
        match job {
            Job::None => {}
            Job::Start => {
                self.plan_start(id)?;
                self.forgive(id);
                self.install_plan(Job::Stop, now);
            }
            Job::Stop => {
                self.plan_stop(id);
                self.install_plan(Job::Stop, now);
            }
            Job::Restart => {
                // Refused before anything is touched; then what runs and needs it goes with it.
                self.plan_start(id)?;
                self.forgive(id);
                self.plan_stop(id);
                self.install_plan(Job::Restart, now);
                self.plan_start(id)?;
                self.install_plan(Job::Stop, now);
            }
        }
        Ok(())
    }

    /// Starts a target and stops everything that it does not need.
    pub(crate) fn isolate(&mut self, target: UnitId, now: Instant) -> Result<(), Refusal> {
        self.plan_start(target)?;
        for id in self.units.ids() {
            if !self.plan.is_to_start(id) && self.units.get(id).is_wanted() {
                self.install(id, Job::Stop, now);
            }
        }
        self.install_plan(Job::Stop, now);
        Ok(())
    }

    /// Stops every unit. For shutdown.
    pub(crate) fn stop_all(&mut self, now: Instant) {
        for id in self.units.ids() {
            if !self.units.get(id).is_idle() {
                self.install(id, Job::Stop, now);
            }
        }
    }

    /// Installs what was planned; a unit marked to stop gets `stop_as`.
    pub(crate) fn install_plan(&mut self, stop_as: Job, now: Instant) {
        for at in 0..self.plan.len() {
            let Some((id, mark)) = self.plan.entry(at) else {
                continue;
            };
            match mark {
                Mark::None => {}
                Mark::StartSoft | Mark::StartHard => self.install(id, Job::Start, now),
                Mark::Stop => {
                    let unit = self.units.get(id);
                    if unit.is_wanted() {
                        self.install(id, stop_as, now);
                    } else if !unit.is_idle() || matches!(unit.state, State::GivenUp(_)) {
                        self.install(id, Job::Stop, now);
                    }
                }
            }
        }
    }

    /// Gives a unit a job, merged with the one it has:
    /// a start joins a start or a restart, and turns a stop into a restart; a stop replaces all; a
    /// restart replaces a start or a stop. A start of a unit that is on its way to rest without a
    /// job waits until it is there. Clients whose goal is no longer pursued are told.
    pub(crate) fn install(&mut self, id: UnitId, job: Job, now: Instant) {
        let unit = self.units.get(id);
        let new = match (unit.job, job) {
            (_, Job::None) | (Job::Start | Job::Restart, Job::Start) | (Job::Stop, Job::Stop) => {
                unit.job
            }
            (Job::None, Job::Start) if unit.state == State::Up => Job::None,
            (Job::None, Job::Start) if unit.is_leaving() => Job::Restart,
            (Job::None, Job::Start) => Job::Start,
            (Job::None | Job::Start | Job::Restart, Job::Stop) => Job::Stop,
            (Job::Stop, Job::Start) => Job::Restart,
            (_, Job::Restart) if unit.is_at_rest() => Job::Start,
            (_, Job::Restart) => Job::Restart,
        };
        if new == unit.job && new != Job::Start {
            return;
        }
        if job == Job::Stop {
            self.supersede(id, Goal::Up);
        } else {
            self.supersede(id, Goal::Down);
        }
        // Whoever asks for a start does not wait for the back-off, and forgets the failure.
        let forgets = matches!(self.units.get(id).state, State::Backoff | State::Failed(_));
        if new == Job::Start && forgets {
            self.set_state(id, State::Inactive, now);
        }
        let was_stopping = self.units.get(id).job.is_stopping();
        self.units.get_mut(id).attempted = false;
        self.set_job(id, new);
        if was_stopping && !new.is_stopping() {
            // Whoever waited for the stop of a unit at rest waits no longer.
            self.wake_neighbours(id);
        }
    }

    /// Looks whether a unit's job can run, is done, or has to wait.
    pub(crate) fn look_at_job(&mut self, id: UnitId, now: Instant) {
        let unit = self.units.get(id);
        match (unit.job, unit.state) {
            (Job::None, _) => {}
            (Job::Start, State::Up) => self.start_reached(id),
            (Job::Start, State::Inactive | State::Failed(_)) => self.look_at_start(id, now),
            (Job::Start, State::Starting | State::Stopping { .. } | State::Backoff) => {}
            // Never a second instance; what is left of the first decides what follows it.
            (Job::Start | Job::Restart, State::GivenUp(_)) => {
                self.start_settled(id, Some(Failure::Unkillable));
                self.finish(id);
            }
            (Job::Stop, State::GivenUp(_)) => {
                self.transition(id, UnitEvent::Stop, now);
                self.stop_settled(id);
                self.finish(id);
            }
            (Job::Stop, State::Inactive | State::Failed(_)) => {
                self.stop_settled(id);
                self.finish(id);
            }
            (Job::Restart, State::Inactive | State::Failed(_)) => {
                self.set_job(id, Job::Start);
                self.wake_neighbours(id);
            }
            (
                Job::Stop | Job::Restart,
                State::Starting | State::Up | State::Stopping { .. } | State::Backoff,
            ) => {
                if self.may_stop(id) {
                    self.transition(id, UnitEvent::Stop, now);
                }
            }
        }
    }

    /// The unit is up. Settled at once: the unit may end before its job would be looked at.
    pub(crate) fn start_reached(&mut self, id: UnitId) {
        if self.units.get(id).job == Job::Start {
            self.start_settled(id, None);
            self.finish(id);
        }
    }

    fn look_at_start(&mut self, id: UnitId, now: Instant) {
        if let (true, State::Failed(failure)) =
            (self.units.get(id).attempted, self.units.get(id).state)
        {
            // The restart policy has given up.
            self.start_settled(id, Some(failure));
            return self.finish(id);
        }
        match self.check_start(id) {
            StartCheck::Wait => {}
            StartCheck::Delayed(needed) => self.delay_start(id, needed),
            StartCheck::Go => self.transition(id, UnitEvent::Start, now),
            StartCheck::Fail(failure) => {
                self.set_state(id, State::Failed(failure), now);
                self.tell(Notice::Failed(id, failure));
                self.start_settled(id, Some(failure));
                self.finish(id);
            }
        }
    }

    /// A unit that this one requires failed its first attempt, so this one's is over, too.
    fn delay_start(&mut self, id: UnitId, needed: UnitId) {
        let culprit = match self.units.get(needed).failure {
            Some(Failure::Dependency(culprit)) => culprit,
            Some(_) | None => needed,
        };
        let unit = self.units.get_mut(id);
        if !unit.attempted {
            unit.attempted = true;
            unit.failure = Some(Failure::Dependency(culprit));
            self.start_delayed(id, culprit);
            self.wake_neighbours(id);
        }
    }

    fn check_start(&self, id: UnitId) -> StartCheck {
        let mut wait = false;
        let mut delayed_by = None;
        for needed in self.manifest.edges(id, EdgeKinds::NEEDS) {
            let other = self.units.get(needed);
            if other.state == State::Up && !other.job.is_stopping() {
                continue;
            }
            if other.is_idle() {
                return StartCheck::Fail(Failure::Dependency(needed));
            }
            if other.attempted {
                delayed_by = Some(needed);
            }
            wait = true;
        }
        let any = |kind, blocks: fn(&crate::supervisor::unit::Unit) -> bool| {
            self.manifest
                .edges(id, kind)
                .any(|other| blocks(self.units.get(other)))
        };
        wait |= any(EdgeKind::After, |other| {
            other.job != Job::None && !other.attempted
        });
        wait |= any(EdgeKind::Before, |other| other.job.is_stopping());
        wait |= CONFLICTS
            && any(EdgeKind::Conflicts, |other| {
                other.job.is_stopping() || !other.is_at_rest()
            });
        match (delayed_by, wait) {
            (Some(needed), _) => StartCheck::Delayed(needed),
            (None, true) => StartCheck::Wait,
            (None, false) => StartCheck::Go,
        }
    }

    fn may_stop(&self, id: UnitId) -> bool {
        let mut later = self.manifest.edges(id, EdgeKind::Before);
        !later.any(|other| self.units.get(other).job.is_stopping())
    }

    fn finish(&mut self, id: UnitId) {
        self.set_job(id, Job::None);
        self.wake_neighbours(id);
    }

    /// Lets the jobs that may wait for this unit look again.
    pub(crate) fn wake_neighbours(&mut self, id: UnitId) {
        for other in self.manifest.edges(id, EdgeKinds::NEIGHBOURS) {
            self.enqueue(other);
        }
    }

    pub(crate) fn plan_fault(&mut self) {
        self.fault(Fault::BadIndex);
    }
}
