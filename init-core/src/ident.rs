//! This file names things: units, their incarnations, the processes that serve them, clients.
//!
//! Whatever can be replaced carries a generation, so that a late message about the old one is
//! recognised as stale and never taken for the new one.

use serde::{Deserialize, Serialize};

/// A unit: its index in the manifest's unit table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct UnitId(pub u16);

impl UnitId {
    /// Not a unit of the manifest: the machine itself (owner of the shutdown helper process).
    pub const SYSTEM: Self = Self(u16::MAX);

    /// The index in the manifest's unit table.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// Which start of a unit, counted from 1 and wrapping; 0 is "never started".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Generation(pub u16);

impl Generation {
    /// The generation after this one; skips 0.
    pub fn next(self) -> Self {
        match self.0.wrapping_add(1) {
            0 => Self(1),
            next => Self(next),
        }
    }
}

/// What a process does for its unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum Role {
    /// Runs the unit's start program; for a service it is the service.
    Main = 0,
    /// Runs the unit's stop program.
    Stop = 1,
    /// Waits until a unit is ready (a path, a listening socket) and then exits with 0.
    Probe = 2,
}

impl Role {
    /// How many roles there are: a unit has at most one process in each.
    pub const COUNT: usize = 3;
}

/// One process that the core asked for. At any time there is at most one for each unit and role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Child {
    /// The unit served; [`UnitId::SYSTEM`] for the shutdown helper.
    pub unit: UnitId,
    /// The unit's start that it belongs to.
    pub generation: Generation,
    /// What it does for the unit.
    pub role: Role,
}

/// A connected control client; the generation tells a reused slot from the old client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientId {
    /// Below [`crate::limits::CLIENT_COUNT_MAX`].
    pub slot: u8,
    /// Which client on that slot.
    pub generation: u16,
}
