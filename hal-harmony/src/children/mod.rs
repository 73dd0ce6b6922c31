//! This file is the table of which process serves which child, and of what is owed to each.
//!
//! What happened to a process is kept in its own place until it is told, so that nothing can be
//! lost for want of room. A place is free again when the kernel has freed the process.

mod slot;

pub use slot::Slot;

use crate::abi::{FIRST_BADGE, Group};
use init_core::event::{Event, ExitStatus};
use init_core::ident::{Child, Generation, Role, UnitId};
use slot::{Ended, Owed, Running, Said, State, status};

/// The core, where it is a process of its own: it serves no unit.
pub const CORE: Child = Child {
    unit: UnitId::SYSTEM,
    generation: Generation(0),
    role: Role::Main,
};

/// All processes.
#[derive(Debug)]
pub struct Children {
    slots: &'static mut [Slot],
    last_badge: i32,
    /// The place of which something was told last that it owed.
    last_owed: usize,
}

impl Children {
    /// An empty table.
    pub fn new(slots: &'static mut [Slot]) -> Self {
        Self {
            slots,
            last_badge: FIRST_BADGE.saturating_sub(1),
            last_owed: 0,
        }
    }

    /// A badge that no process has which is not freed; `None` when the table is full.
    pub fn next_badge(&mut self) -> Option<i32> {
        self.slots
            .iter()
            .find(|slot| matches!(slot.0, State::Free))?;
        // One more try than there are processes finds a badge.
        for _ in 0..=self.slots.len() {
            self.last_badge = self.last_badge.checked_add(1).unwrap_or(FIRST_BADGE);
            if self
                .running(|one| one.group.pid() == self.last_badge)
                .is_none()
            {
                return Some(self.last_badge);
            }
        }
        None
    }

    /// A process was started; its start is to be told, or not.
    pub fn insert(&mut self, child: Child, group: Group, owes_ready: bool) {
        self.put(State::Running(Running {
            child,
            group,
            killed: false,
            owes: Owed {
                ready: owes_ready,
                heartbeat: false,
            },
            listens: false,
            is_to_stop: false,
        }));
    }

    /// A process was made and could not be started.
    pub fn insert_stillborn(&mut self, group: Group) {
        self.put(State::Stillborn(group));
    }

    fn put(&mut self, state: State) {
        let free = |slot: &&mut Slot| matches!(slot.0, State::Free);
        if let Some(slot) = self.slots.iter_mut().find(free) {
            slot.0 = state;
        }
    }

    fn running(&self, is_wanted: impl Fn(&Running) -> bool) -> Option<&Running> {
        self.slots.iter().find_map(|slot| match &slot.0 {
            State::Running(one) if is_wanted(one) => Some(one),
            State::Running(_) | State::Free | State::Ended(_) | State::Stillborn(_) => None,
        })
    }

    fn running_mut(&mut self, is_wanted: impl Fn(&Running) -> bool) -> Option<&mut Running> {
        self.slots.iter_mut().find_map(|slot| match &mut slot.0 {
            State::Running(one) if is_wanted(one) => Some(one),
            State::Running(_) | State::Free | State::Ended(_) | State::Stillborn(_) => None,
        })
    }

    /// The child that a process serves or served; `None`: the kernel has freed it.
    pub fn sender(&self, pid: i32) -> Option<Child> {
        self.find(|_, its| its == pid).map(|(child, _)| child)
    }

    /// A process that runs as far as we know, to be answered.
    pub fn group_of(&self, pid: i32) -> Option<&Group> {
        let one = self.running(|one| one.group.pid() == pid)?;
        Some(&one.group)
    }

    /// A process asks whether it is to go on; whether it is not.
    pub fn asks(&mut self, pid: i32) -> bool {
        let one = self.running_mut(|one| one.group.pid() == pid);
        one.is_some_and(|one| {
            one.listens = true;
            one.is_to_stop
        })
    }

    /// The child is to stop. One that listens will hear of it; another is given back, from now on
    /// known as killed by us.
    pub fn ask_to_stop(&mut self, child: Child) -> Option<&Group> {
        let one = self.running_mut(|one| one.child == child)?;
        one.is_to_stop = true;
        one.killed |= !one.listens;
        (!one.listens).then_some(&one.group)
    }

    /// The process that serves a child, or did so and has not been told as ended.
    pub fn pid_of(&self, child: Child) -> Option<u32> {
        self.find(|one, _| one == child).map(|(_, pid)| pid)
    }

    /// The process that serves a unit in a role, with its generation.
    pub fn owner(&self, unit: UnitId, role: Role) -> Option<(Generation, u32)> {
        let found = self.find(|one, _| one.unit == unit && one.role == role);
        found.map(|(child, pid)| (child.generation, pid))
    }

    fn find(&self, is_wanted: impl Fn(Child, i32) -> bool) -> Option<(Child, u32)> {
        let is_wanted = |child, pid: i32| {
            let found = Some((child, pid.unsigned_abs()));
            found.filter(|_| is_wanted(child, pid))
        };
        self.slots.iter().find_map(|slot| match &slot.0 {
            State::Running(one) => is_wanted(one.child, one.group.pid()),
            State::Ended(one) => is_wanted(one.child, one.group.pid()),
            State::Free | State::Stillborn(_) => None,
        })
    }

    /// Something of a child is to be told that cannot be told now.
    pub fn owe(&mut self, event: Event) {
        let (wanted, is_ready) = match event {
            Event::Ready(child) => (child, true),
            Event::Heartbeat(child) => (child, false),
            _ => return,
        };
        let owed = self.slots.iter_mut().find_map(|slot| match &mut slot.0 {
            State::Running(one) => (one.child == wanted).then_some(&mut one.owes),
            State::Ended(one) => (one.child == wanted).then_some(&mut one.owes),
            State::Free | State::Stillborn(_) => None,
        });
        if let Some(owed) = owed {
            owed.ready |= is_ready;
            owed.heartbeat |= !is_ready;
        }
    }

    /// All are to stop; those that do not listen, from now on known as killed by us.
    pub fn ask_all_to_stop(&mut self) -> impl Iterator<Item = &Group> {
        self.slots.iter_mut().filter_map(|slot| match &mut slot.0 {
            State::Running(one) if one.child != CORE => {
                one.is_to_stop = true;
                one.killed |= !one.listens;
                (!one.listens).then_some(&one.group)
            }
            State::Running(_) | State::Free | State::Ended(_) | State::Stillborn(_) => None,
        })
    }

    /// The process of a child, from now on known as killed by us.
    pub fn group_to_kill(&mut self, child: Child) -> Option<&Group> {
        let one = self.running_mut(|one| one.child == child)?;
        one.killed = true;
        Some(&one.group)
    }

    /// All processes of units, from now on known as killed by us.
    pub fn all_to_kill(&mut self) -> impl Iterator<Item = &Group> {
        self.slots.iter_mut().filter_map(|slot| match &mut slot.0 {
            State::Running(one) if one.child != CORE => {
                one.killed = true;
                Some(&one.group)
            }
            State::Running(_) | State::Free | State::Ended(_) | State::Stillborn(_) => None,
        })
    }

    /// The kernel told an exit. One of nobody is not ours to tell.
    pub fn ended(&mut self, badge: i32, code: i32) {
        for slot in self.slots.iter_mut() {
            match core::mem::take(&mut slot.0) {
                State::Running(one) if one.group.pid() == badge => {
                    slot.0 = State::Ended(Ended {
                        child: one.child,
                        group: one.group,
                        status: status(code, one.killed),
                        said: Said::Unmarked,
                        owes: one.owes,
                    });
                }
                other => slot.0 = other,
            }
        }
    }

    /// Whether a mark is to be sent: somebody ended, and no mark is on its way.
    pub fn wants_mark(&self) -> bool {
        let has = |said| {
            let is_it = |slot: &Slot| matches!(&slot.0, State::Ended(one) if one.said == said);
            self.slots.iter().any(is_it)
        };
        has(Said::Unmarked) && !has(Said::Marked)
    }

    /// A mark was sent after all that have ended had said.
    pub fn marked(&mut self) {
        self.pass(Said::Unmarked, Said::Marked);
    }

    /// That mark has come.
    pub fn heard(&mut self) {
        self.pass(Said::Marked, Said::Heard);
    }

    fn pass(&mut self, from: Said, to: Said) {
        for slot in self.slots.iter_mut() {
            if let State::Ended(one) = &mut slot.0
                && one.said == from
            {
                one.said = to;
            }
        }
    }

    /// What is owed of a child that has ended; it is told, once.
    pub fn take_owed_of_ended(&mut self) -> Option<Event> {
        self.slots.iter_mut().find_map(|slot| match &mut slot.0 {
            State::Ended(one) => one.owes.take(one.child),
            State::Running(_) | State::Free | State::Stillborn(_) => None,
        })
    }

    /// What is owed of a child that runs; it is told, once. One after the other has its turn, so
    /// that nobody who says much is in others' way.
    pub fn take_owed(&mut self) -> Option<Event> {
        let count = self.slots.len();
        for _ in 0..count {
            self.last_owed = self.last_owed.saturating_add(1);
            if self.last_owed >= count {
                self.last_owed = 0;
            }
            if let Some(Slot(State::Running(one))) = self.slots.get_mut(self.last_owed)
                && let Some(event) = one.owes.take(one.child)
            {
                return Some(event);
            }
        }
        None
    }

    /// Lets `free` free who has ended and was heard, of those that are wanted; the first child that
    /// it frees, and how that had ended.
    pub fn take_ended(
        &mut self,
        is_wanted: impl Fn(Child) -> bool,
        free: impl Fn(Group) -> Result<(), Group>,
    ) -> Option<(Child, ExitStatus)> {
        for slot in self.slots.iter_mut() {
            match core::mem::take(&mut slot.0) {
                State::Ended(one) if one.said == Said::Heard && is_wanted(one.child) => {
                    match free(one.group) {
                        Ok(()) => return Some((one.child, one.status)),
                        Err(group) => slot.0 = State::Ended(Ended { group, ..one }),
                    }
                }
                State::Stillborn(group) => {
                    if let Err(group) = free(group) {
                        slot.0 = State::Stillborn(group);
                    }
                }
                other => slot.0 = other,
            }
        }
        None
    }

    /// Whether something has ended that the kernel has not freed.
    pub fn has_ended(&self) -> bool {
        let ended = |slot: &Slot| matches!(slot.0, State::Ended { .. } | State::Stillborn(_));
        self.slots.iter().any(ended)
    }

    /// Whether a child's process has ended and was not freed.
    pub fn is_ending(&self, child: Child) -> bool {
        let is_it = |slot: &Slot| matches!(&slot.0, State::Ended(one) if one.child == child);
        self.slots.iter().any(is_it)
    }

    /// Whether there is nobody, but for the core.
    pub fn is_empty(&self) -> bool {
        self.slots.iter().all(|slot| match &slot.0 {
            State::Free => true,
            State::Running(one) => one.child == CORE,
            State::Ended(one) => one.child == CORE,
            State::Stillborn(_) => false,
        })
    }
}
