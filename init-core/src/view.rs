//! This file lets others look at the core: what is seen of its units and of the machine.

use crate::effect::Failure;
use crate::ident::{Role, UnitId};
use crate::job::Job;
use crate::status::{MachinePhase, MachineStatus, UnitState, UnitStatus};
use crate::supervisor::Core;
use crate::supervisor::unit::State;
use crate::system::Phase;
use crate::time::Duration;
use crate::unit::{LogLevel, UnitDesc};

impl Core<'_> {
    /// What is known of a unit; `None`: there is no such unit.
    pub fn status(&self, id: UnitId) -> Option<UnitStatus> {
        self.manifest.unit(id)?;
        let unit = self.units.get(id);
        let (state, failure) = match unit.state {
            State::Inactive => (UnitState::Inactive, None),
            State::Starting => (UnitState::Starting, None),
            State::Up => (UnitState::Active, None),
            State::Stopping { .. } => (UnitState::Stopping, None),
            State::Backoff => (UnitState::Restarting, unit.failure),
            State::Failed(failure) => (UnitState::Failed, Some(failure)),
            State::GivenUp(_) => (UnitState::Failed, Some(Failure::Unkillable)),
        };
        let waits = unit.job == Job::Start && unit.is_at_rest();
        Some(UnitStatus {
            state: if waits { UnitState::Waiting } else { state },
            since: unit.since,
            pid: (unit.alive.has(Role::Main) && unit.pid != 0).then_some(unit.pid),
            ready_after: (unit.took != Duration::MAX).then_some(unit.took),
            restarts: unit.restarts,
            last_exit: unit.last_exit,
            failure,
            stale: self.is_stale(id),
        })
    }

    /// What is known of the machine.
    pub fn machine_status(&self) -> MachineStatus {
        let (ready, failed, _) = self.tally();
        let phase = match self.system.phase {
            Phase::Off | Phase::Booting => MachinePhase::Booting,
            Phase::Up => MachinePhase::Up,
            Phase::Stopping | Phase::Leftovers | Phase::Final => MachinePhase::ShuttingDown,
        };
        MachineStatus {
            phase,
            ready,
            failed,
            boot_took: self.system.boot_took,
        }
    }

    /// The name of a unit that is critical and has failed, if there is one.
    #[inline(never)]
    pub fn sick(&self) -> Option<&'static str> {
        let mut units = self.units.ids().zip(self.manifest.units);
        let is_sick = |id, desc: &UnitDesc| {
            desc.rules.critical && matches!(self.units.get(id).state, State::Failed(_))
        };
        let found = units.find(|(id, desc)| is_sick(*id, desc));
        found.map(|(_, desc)| desc.name)
    }

    /// Processes of no unit that were reaped since boot, where the platform tells of them.
    pub fn orphan_count(&self) -> u32 {
        self.orphan_count
    }

    /// Events from outside that were taken in, and are committed: an event that a platform was
    /// delivering when process 1 died is to be delivered again if it is not among them. Wraps.
    pub fn event_count(&self) -> u32 {
        self.event_count
    }

    /// Late reports about incarnations that were gone.
    pub fn stale_count(&self) -> u32 {
        self.stale_count
    }

    /// How much is to be said on the console.
    pub fn log_level(&self) -> LogLevel {
        self.system.log_level.unwrap_or(self.manifest.log_level)
    }

    /// Units that are up, that failed and rest, and that will be started again.
    pub(crate) fn tally(&self) -> (u16, u16, u16) {
        let (mut ready, mut failed, mut retrying) = (0_u16, 0_u16, 0_u16);
        for unit in self.units.iter() {
            match unit.state {
                State::Up => ready = ready.wrapping_add(1),
                State::Failed(_) | State::GivenUp(_) => failed = failed.wrapping_add(1),
                State::Backoff => retrying = retrying.wrapping_add(1),
                State::Inactive | State::Starting | State::Stopping { .. } => {}
            }
        }
        (ready, failed, retrying)
    }
}
