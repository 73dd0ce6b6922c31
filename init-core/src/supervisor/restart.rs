//! This file is the restart policy: whether, when and how often a unit that ended starts again.
//!
//! The wait begins at `from`, doubles up to `to`, and is `from` again once the unit had been ready
//! for `reset-after`. The start limit counts automatic restarts in a window that opens with the
//! first. An automatic restart does not look at ordering again: what the unit needed was there.
//!
//! Units bound to one that leaves readiness go with it, and so does what requires these: stopped if
//! it will not come back, stopped and started again after it if it will. Units that merely require
//! it stay, as with systemd.

use super::Core;
use super::unit::{State, Then};
use crate::effect::{Failure, Next, Notice};
use crate::event::{ExitStatus, MachineRequest};
use crate::ident::UnitId;
use crate::job::Job;
use crate::time::{Duration, Instant};
use crate::unit::{EdgeKind, LimitAction, Restart, Signal, UnitKind};
use crate::uses::{BINDINGS, LIMIT_ACTIONS};

/// Ends that a service may have without having failed (systemd's clean signals).
fn is_clean(signal: Signal) -> bool {
    matches!(
        signal,
        Signal::HUP | Signal::INT | Signal::TERM | Signal::PIPE
    )
}

impl Core<'_> {
    pub(super) fn is_success(&self, id: UnitId, status: ExitStatus) -> bool {
        let desc = self.desc(id);
        let success = desc.rules.success;
        match status {
            ExitStatus::Code(code) => {
                // (`contains` brings a search for long texts.)
                let mut codes = success.codes.iter().copied();
                code == 0 || codes.any(|each| each == code)
            }
            ExitStatus::Signal { number, .. } => {
                let signal = Signal(number);
                let clean = desc.rules.kind == UnitKind::Service && is_clean(signal);
                let mut signals = success.signals.iter().copied();
                clean || signals.any(|each| each == signal)
            }
            ExitStatus::NotExecuted { .. } => false,
        }
    }

    /// A unit that had been up ended without having been asked to.
    pub(super) fn decide_after_end(&mut self, id: UnitId, status: ExitStatus, now: Instant) {
        let success = self.is_success(id, status);
        let restart = self.wait_before_restart(id, success, now);
        let next = restart.map_or(Next::Nothing, |(wait, nth)| Next::Restart(wait, nth));
        self.tell(Notice::Ended(id, status, next));
        self.come_to_rest(
            id,
            (!success).then_some(Failure::Exited(status)),
            restart,
            now,
        );
        self.take_bound_along(id, restart.is_some(), now);
    }

    /// A unit that had been up gave no sign of life, and is gone now.
    pub(super) fn decide_after_silence(&mut self, id: UnitId, now: Instant) {
        let restart = self.wait_before_restart(id, false, now);
        let failure = Failure::Watchdog;
        self.tell(Notice::Failed(id, failure));
        if let Some((wait, nth)) = restart {
            self.tell(Notice::Retry(id, wait, nth));
        }
        self.come_to_rest(id, Some(failure), restart, now);
        self.take_bound_along(id, restart.is_some(), now);
    }

    /// What is bound to a unit that left readiness goes with it, and comes back with it.
    pub(super) fn take_bound_along(&mut self, id: UnitId, comes_back: bool, now: Instant) {
        if !BINDINGS {
            return;
        }
        let job = if comes_back { Job::Restart } else { Job::Stop };
        for bound in self.manifest.edges(id, EdgeKind::BoundBy) {
            if self.units.get(bound).is_wanted() {
                self.plan_stop(bound);
                self.install_plan(job, now);
            }
        }
    }

    /// A start attempt failed.
    pub(super) fn decide_after_failure(&mut self, id: UnitId, failure: Failure, now: Instant) {
        let restart = self.wait_before_restart(id, false, now);
        self.units.get_mut(id).attempted = true;
        self.tell(Notice::Failed(id, failure));
        if let Some((wait, nth)) = restart {
            self.tell(Notice::Retry(id, wait, nth));
        }
        self.start_settled(id, Some(failure));
        self.come_to_rest(id, Some(failure), restart, now);
    }

    fn come_to_rest(
        &mut self,
        id: UnitId,
        failure: Option<Failure>,
        restart: Option<(Duration, u16)>,
        now: Instant,
    ) {
        self.units.get_mut(id).failure = failure;
        if let Some((wait, _)) = restart {
            self.set_state(id, State::Backoff, now);
            self.units.set_due(id, now.after(wait));
            return;
        }
        let limited = self.is_limited(id, failure.is_none(), now);
        let failure = if limited {
            Some(Failure::StartLimit)
        } else {
            failure
        };
        self.set_state(id, failure.map_or(State::Inactive, State::Failed), now);
        if limited {
            self.tell(Notice::Failed(id, Failure::StartLimit));
            if LIMIT_ACTIONS {
                self.limit_reached(id, now);
            }
        }
    }

    fn limit_reached(&mut self, id: UnitId, now: Instant) {
        match self.desc(id).rules.restart.limit.then {
            LimitAction::Fail => {}
            LimitAction::Rescue if self.is_part_of_rescue(id) => {}
            LimitAction::Rescue => self.machine_asked(MachineRequest::Rescue, now),
            LimitAction::Reboot => self.machine_asked(MachineRequest::Reboot, now),
            LimitAction::PowerOff => self.machine_asked(MachineRequest::PowerOff, now),
        }
    }

    /// Whether the machine went to rescue and the unit belongs to it: then there is nowhere to go,
    /// even if rescue itself was not reached.
    fn is_part_of_rescue(&mut self, id: UnitId) -> bool {
        let Some(target) = self.manifest.rescue_target else {
            return false;
        };
        self.system.rescued && self.plan_start(target).is_ok() && self.plan.is_to_start(id)
    }

    fn wants_restart(&self, id: UnitId, success: bool) -> bool {
        let asked_to_stop = self.units.get(id).job == Job::Stop;
        let by_policy = match self.desc(id).rules.restart.when {
            Restart::Never => false,
            Restart::OnFailure => !success,
            Restart::Always => true,
        };
        by_policy && !asked_to_stop && !self.system.is_going_down()
    }

    fn is_limited(&self, id: UnitId, success: bool, now: Instant) -> bool {
        let limit = self.desc(id).rules.restart.limit;
        let unit = self.units.get(id);
        limit.count > 0
            && self.wants_restart(id, success)
            && unit.window_count >= limit.count
            && now.since(unit.window_opened) < limit.within
    }

    /// How long to wait for the next automatic restart, and which in a row it is; `None`: it will
    /// not be restarted.
    fn wait_before_restart(
        &mut self,
        id: UnitId,
        success: bool,
        now: Instant,
    ) -> Option<(Duration, u16)> {
        if !self.wants_restart(id, success) || self.is_limited(id, success, now) {
            return None;
        }
        let policy = self.desc(id).rules.restart;
        let unit = self.units.get_mut(id);
        let ready_for = match unit.state {
            State::Up => now.since(unit.since),
            State::Stopping {
                then: Then::Silent, ..
            } => now.since(unit.started.after(unit.took)),
            State::Inactive
            | State::Starting
            | State::Stopping { .. }
            | State::Backoff
            | State::Failed(_)
            | State::GivenUp(_) => Duration::ZERO,
        };
        if unit.streak == 0 || ready_for >= policy.backoff.reset_after {
            unit.streak = 0;
            unit.delay = policy.backoff.from;
        } else {
            unit.delay = unit.delay.doubled().min(policy.backoff.to);
        }
        if unit.window_count == 0 || now.since(unit.window_opened) >= policy.limit.within {
            unit.window_opened = now;
            unit.window_count = 0;
        }
        unit.window_count = unit.window_count.saturating_add(1);
        unit.streak = unit.streak.saturating_add(1);
        unit.restarts = unit.restarts.saturating_add(1);
        Some((unit.delay, unit.streak))
    }
}
