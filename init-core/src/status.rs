//! This file says what can be seen of a unit and of the machine from outside: answers to queries
//! and reports. Nothing here decides anything.

use crate::effect::Failure;
use crate::event::ExitStatus;
use crate::time::{Duration, Instant};
use serde::{Deserialize, Serialize};

/// Where a unit stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum UnitState {
    /// Not started, or stopped.
    Inactive,
    /// To be started: waits for what it is ordered after.
    Waiting,
    /// Started and not yet ready.
    Starting,
    /// Ready; for a task or mount: has succeeded.
    Active,
    /// It ended and waits for its restart.
    Restarting,
    /// Being stopped.
    Stopping,
    /// It failed, and no restart is due.
    Failed,
}

/// One unit as seen from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnitStatus {
    /// Where it stands.
    pub state: UnitState,
    /// When it came there.
    pub since: Instant,
    /// Its main process, while there is one.
    pub pid: Option<u32>,
    /// How long its last start took until it was ready.
    pub ready_after: Option<Duration>,
    /// Automatic restarts since it was last started on request.
    pub restarts: u16,
    /// How its last main process ended.
    pub last_exit: Option<ExitStatus>,
    /// Why it failed, while [`UnitState::Failed`] or [`UnitState::Restarting`].
    pub failure: Option<Failure>,
    /// It runs by another definition than the manifest has.
    pub stale: bool,
}

/// Where the machine as a whole stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MachinePhase {
    /// The boot's target has not been reached yet.
    Booting,
    /// Boot is over.
    Up,
    /// Going down.
    ShuttingDown,
}

/// The machine as seen from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MachineStatus {
    /// Where it stands.
    pub phase: MachinePhase,
    /// Units that are active.
    pub ready: u16,
    /// Units that have failed.
    pub failed: u16,
    /// How long the boot took, once it is over.
    pub boot_took: Option<Duration>,
}
