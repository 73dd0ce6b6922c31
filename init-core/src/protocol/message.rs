//! This file defines what a control client and process 1 say to each other.
//!
//! One request, exactly one response. Text is borrowed from the frame. A change here changes
//! `schema.txt` (a test holds that), and with it the hash in every frame.

use crate::effect::{Failure, Refusal};
use crate::event::{ExitStatus, MachineRequest};
use crate::renewal::Obstacle;
use crate::report::Operands;
use crate::status::{MachinePhase, UnitState};
use crate::unit::UnitKind;
use crate::wire::{Problem, Text};
use serde::{Deserialize, Serialize};

/// What a client asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
pub enum Request<'a> {
    /// Who is there, and how is the machine? Answered by [`Response::Machine`].
    Machine,
    /// Units from this index on. Answered by [`Response::Units`].
    Units {
        /// The first index wanted.
        from: u16,
    },
    /// One unit. Answered by [`Response::Unit`], or [`Refusal::NoSuchUnit`].
    Unit {
        /// Its name.
        name: Text<'a>,
    },
    /// Change a unit's state.
    Change {
        /// How.
        change: Change,
        /// Its name.
        name: Text<'a>,
        /// Answer when it is done (or has failed), not when it has begun.
        wait: bool,
    },
    /// Ask something of the machine as a whole; answered at once.
    Act(MachineRequest),
    /// Execute the program of process 1 again. Its next life answers.
    Reexec,
    /// Execute another image in process 1. Its next life answers, or this one says why not.
    Upgrade {
        /// The image's absolute path; empty: the path of process 1's own program.
        image: Text<'a>,
    },
    /// What the flight recorder holds. Answered by [`Response::Recording`].
    #[cfg(feature = "recorder")]
    Recording {
        /// The first word wanted.
        from: u32,
    },
    /// Let the core of another image take the place of the core, which is a process of its own.
    /// That one answers, or the one before says why not.
    #[cfg(feature = "exchange")]
    Exchange {
        /// As in [`Self::Upgrade`].
        image: Text<'a>,
    },
}

impl Request<'_> {
    /// Whether nothing becomes of it but an answer, so that it can be asked again.
    pub(crate) fn is_question(&self) -> bool {
        match self {
            Self::Machine | Self::Units { .. } | Self::Unit { .. } => true,
            #[cfg(feature = "recorder")]
            Self::Recording { .. } => true,
            #[cfg(feature = "exchange")]
            Self::Exchange { .. } => false,
            Self::Change { .. } | Self::Act(_) | Self::Reexec | Self::Upgrade { .. } => false,
        }
    }
}

/// What can be asked of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// Start it and what it requires.
    Start,
    /// Stop it and what requires it.
    Stop,
    /// Stop, then start it.
    Restart,
    /// Forget its failure and its start count.
    ResetFailed,
}

/// What process 1 answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
pub enum Response<'a> {
    /// Who is there, and how the machine is.
    Machine(MachineRecord<'a>),
    /// As many [`UnitRecord`]s as fit follow in the same frame, in the order of their indices;
    /// none when there is none from the index asked for.
    Units {
        /// How many units there are in all.
        total: u16,
    },
    /// One unit, with what only the manifest knows.
    Unit(UnitRecord<'a>, Detail<'a>),
    /// Done as asked.
    Done,
    /// Begun; nobody waits for the end.
    Begun,
    /// Nothing was changed.
    Refused {
        /// Why.
        refusal: Refusal,
        /// Names of the units in [`Refusal::Conflict`], else empty.
        first: Text<'a>,
        /// The other one.
        second: Text<'a>,
    },
    /// It was tried; this unit did not get there.
    Failed {
        /// Its name: the one asked for, or one that it requires.
        unit: Text<'a>,
        /// Why.
        failure: Failure,
        /// What the failure was about.
        about: Operands<'a>,
    },
    /// A later request took its place.
    Superseded,
    /// The request could not be read. Process 1 hangs up after this.
    Error(Malformed),
    /// Process 1 keeps its program.
    NotUpgraded {
        /// Why.
        obstacle: Obstacle,
        /// The name of the unit in [`Obstacle::Stuck`], else empty.
        unit: Text<'a>,
    },
    /// As much of the flight recorder as fits.
    #[cfg(feature = "recorder")]
    Recording {
        /// Of the manifest that process 1 was compiled from.
        manifest: u32,
        /// Events recorded in all; wraps.
        count: u32,
        /// The sum of the state after them.
        sum: u32,
        /// Words of the recorder; 0: there is none.
        total: u32,
        /// Those from the one that was asked for on, each in four bytes, least significant first.
        words: Text<'a>,
    },
}

/// The machine as clients see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
pub struct MachineRecord<'a> {
    /// Version of process 1.
    pub version: Text<'a>,
    /// The product.
    pub product: Text<'a>,
    /// The board that it was compiled for.
    pub board: Text<'a>,
    /// Where the machine stands.
    pub phase: MachinePhase,
    /// Units in all.
    pub units: u16,
    /// Units that are active.
    pub ready: u16,
    /// Units that have failed.
    pub failed: u16,
    /// How long the boot took, once it is over.
    pub boot_ms: Option<u64>,
    /// Since the kernel's start.
    pub uptime_ms: u64,
}

/// A unit as clients see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
pub struct UnitRecord<'a> {
    /// Index in the manifest.
    pub index: u16,
    /// Name.
    pub name: Text<'a>,
    /// Kind.
    pub kind: UnitKind,
    /// Where it stands.
    pub state: UnitState,
    /// Its main process, while there is one.
    pub pid: Option<u32>,
    /// How long it has been in this state.
    pub age_ms: u64,
    /// How long its last start took until it was ready.
    pub ready_ms: Option<u64>,
    /// Automatic restarts since it was last started on request.
    pub restarts: u16,
    /// How its last main process ended.
    pub last_exit: Option<ExitStatus>,
    /// It runs by another definition than the manifest has.
    pub stale: bool,
}

/// What only a look at one unit shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
pub struct Detail<'a> {
    /// The program that it starts; empty when there is none.
    pub program: Text<'a>,
    /// Whether the device is not healthy without it.
    pub critical: bool,
    /// Why it failed.
    pub failure: Option<Failure>,
    /// What the failure was about.
    pub about: Operands<'a>,
}

/// Why a frame could not be read, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Malformed {
    /// What is wrong.
    pub problem: Problem,
    /// Bytes from the frame's start up to where reading stopped.
    pub offset: u16,
}
