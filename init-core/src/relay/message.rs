//! This file says what the core can ask of the keeper, and what the keeper answers.

use crate::effect::FinalAction;
use crate::event::{Errno, Event, ExitStatus, MachineRequest};
use crate::ident::{Child, ClientId, Generation, Role, UnitId};
use crate::renewal::{Image, Obstacle};
use crate::time::Instant;
use crate::unit::Signal;
use crate::wire::Text;
use crate::wire::describe::variants;

/// What the core asks for. Nothing in it names a process, a path or an argument: the keeper knows
/// them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request<'f> {
    /// All is done: the next event, or a tick at this time ([`Instant::MAX`]: never). Answered.
    Wait {
        until: Instant,
        /// Events taken in, see [`crate::hal::EventSource::wait`].
        taken_in: u32,
        /// A unit for which the machine had better be reset, or [`UnitId::SYSTEM`].
        sick: UnitId,
    },
    /// A process. Answered.
    Spawn(Child),
    /// A signal to a process, or to its group where the manifest says so.
    Signal { child: Child, signal: Signal },
    /// A signal to all.
    KillAll(Signal),
    /// A client's answer.
    Reply { client: ClientId, frame: Text<'f> },
    /// The end of a client's connection.
    Close(ClientId),
    /// A line of the console.
    Say(Text<'f>),
    /// The boot is over.
    Settle,
    /// Room in the ring. Answered.
    Flush,
    /// Who serves a unit in a role. Answered.
    Owner { unit: UnitId, role: Role },
    /// Nothing is known any more, see [`crate::hal::Platform::forsake`].
    Forsake,
    /// The execution of the program; the next life answers whoever asked for it. Answered, where
    /// it is another and cannot be executed.
    Renew(Image),
    /// A trial of the image that a client asks for. Answered.
    Try(ClientId),
    /// The end of a trial, and the image forgotten.
    EndTrial,
    /// The state that another program left has been found and can be read.
    TakeOver,
    /// The machine's last act.
    Finish {
        action: FinalAction,
        deadline: Instant,
    },
}

variants!(Request<'f>, Self::Flush => {
    0 => Flush,
    1 => Wait { until, taken_in, sick },
    2 => Spawn(child),
    3 => Signal { child, signal },
    4 => KillAll(signal),
    5 => Reply { client, frame },
    6 => Close(client),
    7 => Say(line),
    8 => Settle,
    9 => TakeOver,
    10 => Finish { action, deadline },
    11 => Renew(image),
    12 => Owner { unit, role },
    13 => Forsake,
    14 => Try(client),
    15 => EndTrial,
});

/// Whose words are nobody's.
pub const NOBODY: ClientId = ClientId {
    slot: u8::MAX,
    generation: 0,
};

/// What the keeper answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer<'f> {
    /// It is done.
    Done,
    /// The process has this number.
    Spawned(u32),
    /// There is no process.
    Refused(Errno),
    /// This process does; 0: nobody.
    Owner {
        generation: Generation,
        pid: u32,
    },
    /// A client's frame.
    Frame {
        client: ClientId,
        frame: Text<'f>,
    },
    /// Events of the same names.
    Tick,
    Ready(Child),
    Exited {
        child: Child,
        status: ExitStatus,
    },
    OrphanExited,
    NoChildLeft,
    Machine(MachineRequest),
    ClientGone(ClientId),
    Heartbeat(Child),
    /// With the units that the image knows, see [`super::known`].
    TrialEnded {
        obstacle: Option<Obstacle>,
        known: Text<'f>,
    },
}

variants!(Answer<'f>, Self::Tick => {
    0 => Done,
    1 => Spawned(pid),
    2 => Refused(error),
    3 => TrialEnded { obstacle, known },
    4 => Frame { client, frame },
    5 => Tick,
    6 => Ready(child),
    7 => Exited { child, status },
    8 => OrphanExited,
    9 => NoChildLeft,
    10 => Machine(request),
    11 => ClientGone(client),
    12 => Heartbeat(child),
    13 => Owner { generation, pid },
});

impl Answer<'_> {
    /// An event as it is answered. What comes of an effect, or is decoded by the core itself, does
    /// not come from outside; it would be a moment in which nothing happened.
    pub fn of(event: Event) -> Self {
        match event {
            Event::Ready(child) => Self::Ready(child),
            Event::Exited { child, status } => Self::Exited { child, status },
            Event::OrphanExited => Self::OrphanExited,
            Event::NoChildLeft => Self::NoChildLeft,
            Event::Machine(request) => Self::Machine(request),
            Event::ClientGone(client) => Self::ClientGone(client),
            Event::Heartbeat(child) => Self::Heartbeat(child),
            Event::Tick
            | Event::Boot(_)
            | Event::Spawned { .. }
            | Event::SpawnFailed { .. }
            | Event::Resumed(_)
            | Event::Unawaited { .. }
            // It needs more than itself: see [`super::Desk::deliver`].
            | Event::TrialEnded(_)
            | Event::NotTried(_)
            | Event::NotRenewed(_)
            | Event::Control { .. } => Self::Tick,
        }
    }

    /// Whose words end the letter, and how many bytes they are.
    pub fn tail(self) -> (ClientId, usize) {
        if let Self::Frame { client, frame } = self {
            return (client, frame.0.len());
        }
        if let Self::TrialEnded { known, .. } = self {
            return (NOBODY, known.0.len());
        }
        (NOBODY, 0)
    }

    /// Why it was not done, if it was not.
    pub fn refusal(self) -> Option<Errno> {
        if let Self::Refused(error) = self {
            Some(error)
        } else {
            None
        }
    }

    /// The event that it stands for; a tick for what is none.
    pub fn event(self) -> Event {
        match self {
            Self::Ready(child) => Event::Ready(child),
            Self::Exited { child, status } => Event::Exited { child, status },
            Self::OrphanExited => Event::OrphanExited,
            Self::NoChildLeft => Event::NoChildLeft,
            Self::Machine(request) => Event::Machine(request),
            Self::ClientGone(client) => Event::ClientGone(client),
            Self::Heartbeat(child) => Event::Heartbeat(child),
            Self::TrialEnded { obstacle, .. } => Event::TrialEnded(obstacle),
            Self::Tick
            | Self::Done
            | Self::Spawned(_)
            | Self::Refused(_)
            | Self::Owner { .. }
            | Self::Frame { .. } => Event::Tick,
        }
    }
}
