//! This file holds the machine as a whole: coming up, running, going down.
//!
//! Going down is a walk that nothing can stop: units in reverse order, leftover processes, and the
//! final action; the manifest's total deadline bounds it. A further request while going down may
//! change what the final action is, never whether it comes.

use crate::effect::{Effect, FinalAction, Notice, Refusal};
use crate::event::{BootOptions, MachineRequest};
use crate::ident::{ClientId, UnitId};
use crate::job::Job;
use crate::renewal::Renewal;
use crate::supervisor::Core;
use crate::time::{Duration, Instant};
use crate::unit::{LogLevel, Signal};
use core::ops::{Deref, DerefMut};

/// After SIGKILL to all leftovers: until they are waited for no longer. A process that SIGKILL
/// does not end sleeps in the kernel and will not end later either.
const KILLED_GRACE: Duration = Duration::from_secs(1);

/// Left for detaching file systems and writing caches when the total deadline has already passed.
const FINISH_MIN: Duration = Duration::from_secs(2);

/// Where the machine is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Before the boot event.
    Off,
    /// The boot's jobs are not settled.
    Booting,
    /// Up.
    Up,
    /// The units are being stopped.
    Stopping,
    /// What no unit owns is being ended.
    Leftovers,
    /// The final action was asked for.
    Final,
}

/// The machine's own state.
#[derive(Clone, Copy, Debug)]
pub(crate) struct System {
    pub(crate) phase: Phase,
    pub(crate) log_level: Option<LogLevel>,
    pub(crate) target: UnitId,
    /// The machine went to the rescue target, and no other target was asked for since.
    pub(crate) rescued: bool,
    pub(crate) booted_at: Instant,
    pub(crate) boot_took: Option<Duration>,
    pub(crate) action: FinalAction,
    /// When the shutdown was asked for, and its total deadline.
    pub(crate) begun: Instant,
    pub(crate) total: Instant,
    /// When the present phase's patience ends; [`Instant::MAX`]: it has no limit of its own.
    pub(crate) patience: Instant,
    pub(crate) killed: bool,
    pub(crate) renewal: Renewal,
    /// Who waits for the end of that.
    pub(crate) renewer: Option<ClientId>,
    /// When that has taken too long; [`Instant::MAX`]: never.
    pub(crate) renewal_due: Instant,
}

impl System {
    pub(crate) const fn new() -> Self {
        Self {
            phase: Phase::Off,
            log_level: None,
            target: UnitId(0),
            rescued: false,
            booted_at: Instant::ZERO,
            boot_took: None,
            action: FinalAction::PowerOff,
            begun: Instant::ZERO,
            total: Instant::MAX,
            patience: Instant::MAX,
            killed: false,
            renewal: Renewal::None,
            renewer: None,
            renewal_due: Instant::MAX,
        }
    }

    pub(crate) fn is_going_down(&self) -> bool {
        matches!(
            self.phase,
            Phase::Stopping | Phase::Leftovers | Phase::Final
        )
    }

    /// When to look at the phase again; [`Instant::MAX`]: it has no limit.
    pub(crate) fn deadline(&self) -> Instant {
        match self.phase {
            Phase::Off | Phase::Final => Instant::MAX,
            Phase::Booting | Phase::Up => self.renewal_due,
            Phase::Stopping => self.total,
            Phase::Leftovers => self.total.min(self.patience),
        }
    }
}

/// The machine's state, and whether it may have changed since that was asked last.
#[derive(Debug)]
pub(crate) struct Tracked {
    system: System,
    has_changed: bool,
}

impl Tracked {
    pub(crate) const fn new() -> Self {
        Self {
            system: System::new(),
            has_changed: true,
        }
    }

    /// The state, to be written down or read: that is no change of it.
    pub(crate) const fn as_kept(&mut self) -> &mut System {
        &mut self.system
    }

    pub(crate) const fn has_changed(&self) -> bool {
        self.has_changed
    }

    pub(crate) fn take_changed(&mut self) -> bool {
        core::mem::replace(&mut self.has_changed, false)
    }
}

impl Deref for Tracked {
    type Target = System;

    fn deref(&self) -> &System {
        &self.system
    }
}

impl DerefMut for Tracked {
    fn deref_mut(&mut self) -> &mut System {
        self.has_changed = true;
        &mut self.system
    }
}

impl Core<'_> {
    pub(crate) fn boot(&mut self, options: BootOptions, now: Instant) {
        if self.system.phase != Phase::Off {
            return;
        }
        let target = options.target.unwrap_or(self.manifest.default_target);
        self.system.phase = Phase::Booting;
        self.system.log_level = options.log_level;
        self.system.target = target;
        self.system.booted_at = now;
        self.system.rescued = Some(target) == self.manifest.rescue_target;
        if let Err(refusal) = self.request(target, Job::Start, now) {
            self.tell(Notice::TargetRefused(target, refusal));
            if let Err(refusal) = self.go_to_rescue(now) {
                self.tell(Notice::TargetRefused(target, refusal));
            }
        }
    }

    /// A request for the machine that needs no answer.
    pub(crate) fn machine_asked(&mut self, request: MachineRequest, now: Instant) {
        let request = request.resolved(self.manifest.ctrl_alt_del);
        if let Some(action) = FinalAction::of(request) {
            self.go_down(action, now);
        } else if request == MachineRequest::Rescue
            && let Err(refusal) = self.go_to_rescue(now)
        {
            self.tell(Notice::TargetRefused(self.system.target, refusal));
        }
    }

    pub(crate) fn go_to_rescue(&mut self, now: Instant) -> Result<(), Refusal> {
        if self.system.is_going_down() {
            return Err(Refusal::ShuttingDown);
        }
        let target = self.manifest.rescue_target.ok_or(Refusal::NoRescueTarget)?;
        self.isolate(target, now)?;
        self.system.rescued = true;
        self.tell(Notice::Rescue);
        Ok(())
    }

    fn go_down(&mut self, action: FinalAction, now: Instant) {
        if self.system.phase == Phase::Final {
            return;
        }
        self.system.action = action;
        if self.system.is_going_down() {
            return;
        }
        self.system.phase = Phase::Stopping;
        self.system.begun = now;
        self.system.total = now.after(self.manifest.shutdown.timeout);
        self.tell(Notice::ShutdownBegun(action));
        self.drop_renewal();
        self.stop_all(now);
    }

    /// What the machine does when no unit has anything to do; whether there was anything.
    pub(crate) fn system_turn(&mut self, now: Instant) -> bool {
        let overdue = now >= self.system.total;
        match self.system.phase {
            Phase::Off | Phase::Final => false,
            Phase::Up => self.renewal_turn(now),
            Phase::Booting => {
                (!self.units.is_any_busy(false) && self.report_boot(now)) || self.renewal_turn(now)
            }
            Phase::Stopping if overdue => self.enter_leftovers(true, now),
            Phase::Stopping => !self.units.is_any_busy(true) && self.enter_leftovers(false, now),
            Phase::Leftovers if overdue || now >= self.system.patience => {
                self.end_patience(overdue, now)
            }
            Phase::Leftovers => false,
        }
    }

    fn report_boot(&mut self, now: Instant) -> bool {
        self.system.phase = Phase::Up;
        let (ready, failed, retrying) = self.tally();
        let took = now.since(self.system.booted_at);
        self.system.boot_took = Some(took);
        self.tell(Notice::BootDone {
            target: self.system.target,
            ready,
            failed,
            retrying,
            took,
        });
        true
    }

    fn enter_leftovers(&mut self, overdue: bool, now: Instant) -> bool {
        self.system.phase = Phase::Leftovers;
        self.system.killed = false;
        if overdue {
            self.tell(Notice::ShutdownOverdue);
            self.kill_leftovers(now);
        } else {
            self.system.patience = now.after(self.manifest.shutdown.leftover_grace);
            self.tell(Notice::LeftoversAsked);
            self.emit(Effect::KillAll(Signal::TERM));
        }
        true
    }

    fn kill_leftovers(&mut self, now: Instant) {
        self.system.killed = true;
        self.system.patience = now.after(KILLED_GRACE);
        self.system.total = self.system.total.max(self.system.patience);
        self.tell(Notice::LeftoversKilled);
        self.emit(Effect::KillAll(Signal::KILL));
    }

    fn end_patience(&mut self, overdue: bool, now: Instant) -> bool {
        if self.system.killed {
            return self.finish_machine(now);
        }
        if overdue {
            self.tell(Notice::ShutdownOverdue);
        }
        self.kill_leftovers(now);
        true
    }

    pub(crate) fn no_child_left(&mut self, now: Instant) {
        if self.system.phase == Phase::Leftovers {
            self.finish_machine(now);
        }
    }

    fn finish_machine(&mut self, now: Instant) -> bool {
        self.system.phase = Phase::Final;
        let took = now.since(self.system.begun);
        self.tell(Notice::ShutdownFinal(self.system.action, took));
        self.emit(Effect::Final(self.system.action));
        true
    }

    /// Until when the final action's own preparations may take.
    pub(crate) fn finish_deadline(&self, now: Instant) -> Instant {
        self.system.total.max(now.after(FINISH_MIN))
    }
}
