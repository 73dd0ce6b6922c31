//! This file lists everything that the core can ask for. A driver performs each exactly once and in
//! order, and feeds back the event that the effect's documentation names.

use crate::event::{Errno, ExitStatus, MachineRequest};
use crate::ident::{Child, ClientId, UnitId};
use crate::renewal::{Handover, Image, Obstacle};
use crate::time::Duration;
use crate::unit::{KillScope, Signal};
use serde::{Deserialize, Serialize};

/// Something to be done outside the core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Start the process. Feeds back `Spawned` (then `Exited`, once) or `SpawnFailed`.
    Spawn(Child),
    /// Send a signal. A process that is already gone is no error.
    Signal {
        /// To whom.
        child: Child,
        /// What.
        signal: Signal,
        /// To the process or its group.
        scope: KillScope,
    },
    /// Send a signal to every process but process 1. Feeds back `NoChildLeft`, at once or later,
    /// when none is left.
    KillAll(Signal),
    /// Answer a client's request. A client that is gone or does not read is no error.
    Reply {
        /// Whom.
        client: ClientId,
        /// What.
        reply: Reply,
    },
    /// Disconnect a client whose answer may or may not have been sent when process 1 died.
    HangUp(ClientId),
    /// Tell people what happened.
    Notice(Notice),
    /// Try the image that this client named, in a child. Feeds back `TrialEnded`, once, or
    /// `NotTried`.
    Try(ClientId),
    /// End the trial if there is one, which is told as any end of it, and forget the image.
    EndTrial,
    /// Execute this program in process 1. Alone: all that was asked for before it is done. Where it
    /// succeeds the next life is told so by `Resumed`, else `NotRenewed` is fed back.
    Renew(Image),
    /// End of everything: the machine's last act. Nothing is performed after it.
    Final(FinalAction),
}

/// The machine's last act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinalAction {
    /// Switch the power off.
    PowerOff,
    /// Start the machine again.
    Reboot,
    /// Stop the processor.
    Halt,
    /// Start the loaded kernel.
    Kexec,
}

impl FinalAction {
    /// What a request for the machine comes to, if that is its end.
    pub const fn of(request: MachineRequest) -> Option<Self> {
        match request {
            MachineRequest::PowerOff => Some(Self::PowerOff),
            MachineRequest::Reboot => Some(Self::Reboot),
            MachineRequest::Halt => Some(Self::Halt),
            MachineRequest::Kexec => Some(Self::Kexec),
            MachineRequest::Rescue | MachineRequest::CtrlAltDel | MachineRequest::Ignore => None,
        }
    }
}

/// The answer to a [`crate::event::ControlRequest`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// Done as asked.
    Done,
    /// Nothing was changed: the request contradicts itself or what is going on.
    Refused(Refusal),
    /// It was tried; this unit did not get there.
    Failed {
        /// The unit that failed: the one asked for, or one that it requires.
        unit: UnitId,
        /// Why.
        reason: Failure,
    },
    /// A later request took its place.
    Superseded,
    /// Begun; the client does not wait for the end.
    Begun,
    /// Process 1 keeps its program.
    NotUpgraded(Obstacle),
}

/// Why a request changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// Starting the first needs the second, and starting the first stops the second.
    Conflict(UnitId, UnitId),
    /// The machine is shutting down.
    ShuttingDown,
    /// There is no such unit.
    NoSuchUnit,
    /// The manifest names no rescue target.
    NoRescueTarget,
    /// Process 1 is about to replace its program.
    Renewing,
    /// Process 1 keeps nothing that another life could go on with.
    NoHeirs,
    /// The product does not ask for process 1 to be exchanged.
    NoUpgrade,
}

/// Why a unit failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Failure {
    /// Its process could not be created.
    Spawn(Errno),
    /// Its main program ended so.
    Exited(ExitStatus),
    /// It was not ready in time.
    StartTimeout,
    /// A unit that it requires failed or was stopped.
    Dependency(UnitId),
    /// It ended too often.
    StartLimit,
    /// It did not even die of SIGKILL in time (a process in an uninterruptible sleep).
    Unkillable,
    /// Its watchdog heard nothing of it in time.
    Watchdog,
}

/// What people are told. A HAL's log adds time and renders it (`crate::report`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Notice {
    /// A unit's start has begun.
    Starting(UnitId),
    /// A unit is ready, this long after its own start began.
    Ready(UnitId, Duration),
    /// A unit failed.
    Failed(UnitId, Failure),
    /// A unit's main program ended, and what follows from it.
    Ended(UnitId, ExitStatus, Next),
    /// A start that failed is tried again after this wait, the n-th in a row.
    Retry(UnitId, Duration, u16),
    /// A unit's stop has begun.
    Stopping(UnitId),
    /// A unit is inactive.
    Stopped(UnitId),
    /// A stop signal was not enough; SIGKILL was sent.
    Killing(UnitId),
    /// A stop was given up: the process does not die.
    GivenUp(UnitId),
    /// The boot's target was reached or cannot be reached: units ready, units failed, time taken.
    BootDone {
        /// The target.
        target: UnitId,
        /// How many units are ready.
        ready: u16,
        /// How many units failed and rest.
        failed: u16,
        /// How many units failed or ended and will be started again.
        retrying: u16,
        /// Since `Boot`.
        took: Duration,
    },
    /// The machine begins to go down.
    ShutdownBegun(FinalAction),
    /// All units are stopped; these many processes were left over and have been asked to end.
    LeftoversAsked,
    /// Leftover processes were killed.
    LeftoversKilled,
    /// File systems are detached next; the last thing said before the final action.
    ShutdownFinal(FinalAction, Duration),
    /// The shutdown's total deadline passed; the final action follows regardless.
    ShutdownOverdue,
    /// The machine cannot go to this target; it stays as it is or goes to the rescue target.
    TargetRefused(UnitId, Refusal),
    /// A start limit's consequence or a signal moved the machine to the rescue target.
    Rescue,
    /// Another life of process 1 goes on where the one before was; which it is, and why.
    Resumed(u32, Handover),
    /// An image was not executed, or not for long.
    NotUpgraded(Obstacle),
    /// Something was to be told when process 1 died, and is lost.
    Lost,
    /// A rule of the core itself was broken at this place; it went on.
    Fault(Fault),
}

/// What follows from an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing.
    Nothing,
    /// A restart after this wait, the n-th in a row.
    Restart(Duration, u16),
}

/// A broken rule of the core: something that was thought impossible happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// An event arrived in a state that does not expect it.
    UnexpectedEvent(UnitId),
    /// An index led nowhere.
    BadIndex,
    /// A queue that cannot fill was full.
    QueueFull,
    /// What was to be done when process 1 died could not be read.
    DamagedEffect,
    /// What was known of the unit when process 1 died could not be read.
    DamagedUnit(UnitId),
}
