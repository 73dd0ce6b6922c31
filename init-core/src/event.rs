//! This file lists everything that can reach the core. Whatever is not here cannot change a
//! decision.

use crate::ident::{Child, ClientId, UnitId};
use crate::renewal::{Handover, Image, Obstacle};
use crate::unit::{LogLevel, Signal};
use serde::{Deserialize, Serialize};

/// Something that happened. Time is not among them: it comes with every event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The HAL is ready and the machine is to come up. Sent once, first.
    Boot(BootOptions),
    /// A process was started for [`crate::effect::Effect::Spawn`]; exactly one
    /// [`Self::Exited`] will follow. The number is for people to read only.
    Spawned {
        /// Which one.
        child: Child,
        /// The system's number of the process.
        pid: u32,
    },
    /// No process could be started for [`crate::effect::Effect::Spawn`]; no exit will follow.
    SpawnFailed {
        /// Which one.
        child: Child,
        /// Why.
        error: Errno,
    },
    /// The process signals readiness: its program was executed, or it wrote its newline or letter.
    Ready(Child),
    /// The process says that it gets on.
    Heartbeat(Child),
    /// The process is gone and has been reaped.
    Exited {
        /// Which one.
        child: Child,
        /// How it ended.
        status: ExitStatus,
    },
    /// A process that no unit owns is gone and has been reaped. It is only counted: a platform on
    /// which many may end at once need not tell.
    OrphanExited,
    /// After [`crate::effect::Effect::KillAll`]: process 1 has no child left.
    NoChildLeft,
    /// Somebody entitled asks something of the machine: a signal, a key combination.
    Machine(MachineRequest),
    /// A control client asks something about a unit. One at a time for each client.
    Control {
        /// Who; the answer is [`crate::effect::Effect::Reply`].
        client: ClientId,
        /// What.
        request: ControlRequest,
    },
    /// A control client is gone; no answer is owed.
    ClientGone(ClientId),
    /// The trial of an image is over, and what is against it. Before that, `Core::note_known`.
    TrialEnded(Option<Obstacle>),
    /// No trial could be begun for [`crate::effect::Effect::Try`].
    NotTried(Errno),
    /// The program could not be executed for [`crate::effect::Effect::Renew`]: this is still the
    /// old one.
    NotRenewed(Errno),
    /// A new life found the core's state. Sent once, first.
    Resumed(Handover),
    /// As [`Self::Control`], of a client that does not wait for the end: if it has no answer by
    /// then, it is told that its request has begun. One event, so that process 1 cannot die between
    /// the two.
    Unawaited {
        /// Who.
        client: ClientId,
        /// What.
        request: ControlRequest,
    },
    /// A deadline passed or nothing happened: look at the time.
    Tick,
}

impl Event {
    /// Whether it comes from outside, and not as the outcome of an effect, from the clock, or with
    /// what came before.
    pub const fn is_from_outside(self) -> bool {
        match self {
            Self::Spawned { .. }
            | Self::SpawnFailed { .. }
            | Self::Resumed(_)
            | Self::NotTried(_)
            | Self::NotRenewed(_)
            | Self::Tick => false,
            Self::Boot(_)
            | Self::Ready(_)
            | Self::Heartbeat(_)
            | Self::Exited { .. }
            | Self::OrphanExited
            | Self::NoChildLeft
            | Self::Machine(_)
            | Self::Control { .. }
            | Self::Unawaited { .. }
            | Self::ClientGone(_)
            | Self::TrialEnded(_) => true,
        }
    }
}

/// A kernel's error number, Linux numbering.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Errno(pub u16);

impl Errno {
    /// Of [`ExitStatus::PUT_ASIDE`]: a number that no kernel gives.
    pub const PUT_ASIDE: Self = Self(41);
}

/// What the kernel command line chose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BootOptions {
    /// Start this instead of the default target.
    pub target: Option<UnitId>,
    /// Say this much.
    pub log_level: Option<LogLevel>,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ExitStatus {
    /// By itself, with this exit code.
    Code(u8),
    /// By a signal.
    Signal {
        /// Which.
        number: u8,
        /// Whether it left a core file.
        core_dumped: bool,
    },
    /// Before its program was executed.
    NotExecuted {
        /// Which step failed.
        step: SpawnStep,
        /// Why.
        error: Errno,
    },
}

impl ExitStatus {
    /// Told of a process of whose end nothing else could be told, as cores ended of it.
    pub const PUT_ASIDE: Self = Self::NotExecuted {
        step: SpawnStep::Exec,
        error: Errno::PUT_ASIDE,
    };
}

/// What a child does between its creation and its program, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[repr(u8)]
pub enum SpawnStep {
    /// A session and process group of its own.
    Session = 1,
    /// Signal mask and dispositions.
    Signals,
    /// Resource limits.
    Limits,
    /// Niceness.
    Nice,
    /// Out-of-memory score.
    OomScore,
    /// Descriptor 0.
    Stdin,
    /// Descriptor 1.
    Stdout,
    /// Descriptor 2.
    Stderr,
    /// The readiness descriptor.
    ReadyDescriptor,
    /// Supplementary groups.
    Groups,
    /// Primary group.
    Group,
    /// User.
    User,
    /// Working directory.
    Directory,
    /// Executing the program.
    Exec,
}

impl SpawnStep {
    /// Every step, in its order.
    const ALL: [Self; 14] = [
        Self::Session,
        Self::Signals,
        Self::Limits,
        Self::Nice,
        Self::OomScore,
        Self::Stdin,
        Self::Stdout,
        Self::Stderr,
        Self::ReadyDescriptor,
        Self::Groups,
        Self::Group,
        Self::User,
        Self::Directory,
        Self::Exec,
    ];

    /// Its number, from 1.
    #[expect(clippy::as_conversions, reason = "a fieldless enum's own number")]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The step of that number.
    pub fn of_number(number: u8) -> Option<Self> {
        let index = usize::from(number).checked_sub(1)?;
        Self::ALL.get(index).copied()
    }
}

/// What can be asked of the whole machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MachineRequest {
    /// Stop everything, then switch the power off.
    PowerOff,
    /// Stop everything, then start the machine again.
    Reboot,
    /// Stop everything, then stop the processor.
    Halt,
    /// Stop everything, then start the kernel that was loaded for kexec.
    Kexec,
    /// Go to the rescue target.
    Rescue,
    /// Ctrl-Alt-Del was pressed: do what the manifest says.
    CtrlAltDel,
    /// Nothing: an accepted signal that has no meaning here.
    Ignore,
}

impl MachineRequest {
    /// The same, where Ctrl-Alt-Del asks for this.
    #[inline]
    pub const fn resolved(self, ctrl_alt_del: Self) -> Self {
        match self {
            Self::CtrlAltDel => ctrl_alt_del,
            Self::PowerOff
            | Self::Reboot
            | Self::Halt
            | Self::Kexec
            | Self::Rescue
            | Self::Ignore => self,
        }
    }
}

/// What a control client can ask the core. (Status queries are answered from the core's state by
/// the control session and are no events.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControlRequest {
    /// Start a unit and what it requires; answered when it is ready or has failed.
    Start(UnitId),
    /// Stop a unit and what requires it; answered when it is inactive.
    Stop(UnitId),
    /// Stop, then start; answered when it is ready again.
    Restart(UnitId),
    /// Forget a failure and the start count.
    ResetFailed(UnitId),
    /// The machine as a whole; answered at once.
    Machine(MachineRequest),
    /// Execute a program in process 1; answered by its next life.
    Renew(Image),
}

/// A signal that a HAL received, as asked of the machine by long custom: busybox init (USR1 halt,
/// USR2 power-off, TERM reboot), sysvinit and systemd (RTMIN+3..6 halt, power-off, reboot, kexec;
/// RTMIN+1 rescue; INT is the kernel's Ctrl-Alt-Del), containers (TERM; a HAL that runs in a
/// container maps reboot to its own exit).
pub const fn machine_request(signal: Signal) -> MachineRequest {
    match signal.0 {
        2 => MachineRequest::CtrlAltDel,
        10 => MachineRequest::Halt,
        12 => MachineRequest::PowerOff,
        15 => MachineRequest::Reboot,
        // SIGRTMIN is 32 for the kernel and 34 for users of glibc and musl, who send RTMIN+n.
        35 => MachineRequest::Rescue,
        37 => MachineRequest::Halt,
        38 => MachineRequest::PowerOff,
        39 => MachineRequest::Reboot,
        40 => MachineRequest::Kexec,
        _ => MachineRequest::Ignore,
    }
}
