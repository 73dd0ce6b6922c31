//! This file keeps the readiness descriptors of units that are starting: one place for each unit.

use crate::sys::fd::Fd;
use crate::uses::uses;
use init_core::ident::{Child, Generation, Role, UnitId};
use rustix::fd::{AsFd, BorrowedFd};

/// Bytes that a service may write to its readiness descriptor before its newline.
pub(crate) const READY_BYTES_MAX: usize = 256;

/// The same, as a place keeps it.
const ROOM: u16 = 256;

const _: () = assert!(READY_BYTES_MAX == 256);

/// The readiness descriptors of units that are starting, one place for each unit.
#[derive(Debug)]
pub(crate) struct ReadyTable {
    slots: &'static mut [ReadySlot],
}

/// One unit's readiness descriptor.
#[derive(Debug)]
pub struct ReadySlot {
    fd: Option<Fd>,
    child: Child,
    /// A newline within so many bytes is awaited; otherwise, the descriptor's end.
    room: Option<u16>,
}

impl ReadySlot {
    /// None. (All zero, so that an empty table costs nothing in the file.)
    pub const EMPTY: Self = Self {
        fd: None,
        child: Child {
            unit: UnitId(0),
            generation: Generation(0),
            role: Role::Main,
        },
        room: None,
    };
}

impl ReadyTable {
    pub(crate) fn new(slots: &'static mut [ReadySlot]) -> Self {
        Self { slots }
    }

    pub(crate) fn put(&mut self, child: Child, fd: Fd, waits_for_newline: bool) {
        if let Some(slot) = self.slots.get_mut(child.unit.index()) {
            *slot = ReadySlot {
                fd: Some(fd),
                child,
                room: waits_for_newline.then_some(ROOM),
            };
        }
    }

    /// So many bytes are left to it.
    pub(crate) fn set_room(&mut self, unit: UnitId, left: Option<u16>) {
        if let Some(slot) = self.slots.get_mut(unit.index()) {
            slot.room = left;
        }
    }

    pub(crate) fn close(&mut self, unit: UnitId) {
        if let Some(slot) = self.slots.get_mut(unit.index()) {
            slot.fd = None;
        }
    }

    /// Whether there is one, of this incarnation.
    pub(crate) fn is_of(&self, unit: UnitId, generation: Generation) -> bool {
        let place = self.get(unit);
        place.is_some_and(|(_, child, _)| child.generation == generation)
    }

    pub(crate) fn get(&self, unit: UnitId) -> Option<(BorrowedFd<'_>, Child, Option<u16>)> {
        let slot = self.slots.get(unit.index())?;
        let room = slot.room.filter(|_| uses().newlines);
        Some((slot.fd.as_ref()?.as_fd(), slot.child, room))
    }
}
