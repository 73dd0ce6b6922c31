//! This file keeps what is awaited of units that are starting: one place for each unit.
//!
//! Of a program's execution the kernel tells by a mark in the unit's word (see `sys/futex.rs`),
//! not by a descriptor: those that are on the way to their program are a list, and the words are
//! looked at.

use crate::child::Way;
use crate::sys::fd::Fd;
use crate::uses::uses;
use init_core::ident::{Child, Generation, Role, UnitId};
use rustix::fd::{AsFd, BorrowedFd};

/// Bytes that a service may write to its readiness descriptor before its newline.
pub(crate) const READY_BYTES_MAX: usize = 256;

/// The same, as a place keeps it.
const ROOM: u16 = 256;

const _: () = assert!(READY_BYTES_MAX == 256);

/// The longest time between two looks at who is on the way, in milliseconds: below a second. Each
/// look in vain makes it longer by one.
const PAUSE_MS_MAX: u16 = 999;

/// The end of the list. (Zero, so that an empty table costs nothing in the file.)
const NOBODY: u16 = 0;

/// What is awaited of units that are starting, one place for each unit.
#[derive(Debug)]
pub(crate) struct ReadyTable {
    slots: &'static mut [ReadySlot],
    /// The unit, plus 1, that came last of those whose program is about to be executed.
    last: u16,
    /// How long to sleep if the next look is in vain.
    pause_ms: u16,
}

/// What is awaited of one unit.
#[derive(Debug)]
pub struct ReadySlot {
    /// The pipe that a newline comes through.
    fd: Option<Fd>,
    child: Child,
    awaited: Awaited,
    /// It is in the list. Who need not be there any more is, until somebody looks.
    is_listed: bool,
    /// The next in the list, plus 1.
    next: u16,
}

/// How a unit becomes ready, as far as this platform sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Awaited {
    /// Nothing is awaited.
    Nothing,
    /// By the execution of its program.
    Execution,
    /// By a newline within so many bytes.
    Newline(u16),
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
        awaited: Awaited::Nothing,
        is_listed: false,
        next: NOBODY,
    };
}

impl ReadyTable {
    pub(crate) fn new(slots: &'static mut [ReadySlot]) -> Self {
        Self {
            slots,
            last: NOBODY,
            pause_ms: 0,
        }
    }

    /// A newline is awaited, through this pipe.
    pub(crate) fn await_newline(&mut self, child: Child, fd: Fd) {
        if let Some(slot) = self.slots.get_mut(child.unit.index()) {
            slot.fd = Some(fd);
            slot.child = child;
            slot.awaited = Awaited::Newline(ROOM);
        }
    }

    /// The execution of its program is awaited.
    #[inline(never)]
    pub(crate) fn await_execution(&mut self, child: Child) {
        let Some(slot) = self.slots.get_mut(child.unit.index()) else {
            return;
        };
        slot.child = child;
        slot.awaited = Awaited::Execution;
        self.pause_ms = 0;
        if !slot.is_listed {
            slot.is_listed = true;
            slot.next = self.last;
            self.last = child.unit.0.wrapping_add(1);
        }
    }

    /// The execution is told once more, if that is awaited.
    pub(crate) fn tell_again(&mut self, unit: UnitId) {
        if let Some((child, Awaited::Execution)) = self.get(unit) {
            self.await_execution(child);
        }
    }

    /// So many bytes are left to it.
    pub(crate) fn set_room(&mut self, unit: UnitId, left: u16) {
        if let Some(slot) = self.slots.get_mut(unit.index()) {
            slot.awaited = Awaited::Newline(left);
        }
    }

    pub(crate) fn close(&mut self, unit: UnitId) {
        if let Some(slot) = self.slots.get_mut(unit.index()) {
            if uses().newlines {
                slot.fd = None;
            }
            slot.awaited = Awaited::Nothing;
        }
    }

    /// Whether something is awaited of this incarnation.
    pub(crate) fn is_of(&self, unit: UnitId, generation: Generation) -> bool {
        let slot = self.slots.get(unit.index());
        slot.is_some_and(|slot| {
            slot.awaited != Awaited::Nothing && slot.child.generation == generation
        })
    }

    /// Whom something is awaited of, and what.
    pub(crate) fn get(&self, unit: UnitId) -> Option<(Child, Awaited)> {
        let slot = self.slots.get(unit.index())?;
        let awaited = match slot.awaited {
            Awaited::Newline(_) if !uses().newlines => Awaited::Nothing,
            awaited => awaited,
        };
        Some((slot.child, awaited))
    }

    /// The pipe that a newline comes through.
    pub(crate) fn pipe(&self, unit: UnitId) -> Option<BorrowedFd<'_>> {
        let slot = self.slots.get(unit.index())?;
        slot.fd.as_ref().filter(|_| uses().newlines).map(Fd::as_fd)
    }

    /// Takes one out of the list that has come to its program. Who never will is taken out as well:
    /// its exit says why.
    pub(crate) fn take_arrived(&mut self, way: impl Fn(Child) -> Way) -> Option<Child> {
        let (mut before, mut at) = (NOBODY, self.last);
        while at != NOBODY {
            let slot = self.slot_mut(at)?;
            let (child, next) = (slot.child, slot.next);
            let is_awaited = slot.awaited == Awaited::Execution;
            let way = if is_awaited { way(child) } else { Way::Failed };
            if way == Way::Open {
                before = at;
            } else {
                slot.is_listed = false;
                match self.slot_mut(before) {
                    Some(before) => before.next = next,
                    None => self.last = next,
                }
                if way == Way::Executed {
                    return Some(child);
                }
            }
            at = next;
        }
        None
    }

    fn slot_mut(&mut self, at: u16) -> Option<&mut ReadySlot> {
        self.slots.get_mut(usize::from(at).wrapping_sub(1))
    }

    /// Who came last of those on the way, and how many milliseconds to sleep until the next look:
    /// none at first.
    pub(crate) fn on_the_way(&mut self) -> Option<(Child, u16)> {
        let last = self.last;
        let child = self.slot_mut(last)?.child;
        let pause = self.pause_ms;
        self.pause_ms = pause.max(1);
        Some((child, pause))
    }

    /// A pause has passed, and nothing else has happened: the next one is longer.
    pub(crate) fn lengthen_pause(&mut self) {
        self.pause_ms = self.pause_ms.saturating_add(1).min(PAUSE_MS_MAX);
    }
}
