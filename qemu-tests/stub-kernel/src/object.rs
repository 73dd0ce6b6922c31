//! This file says what there is: processes, threads, and what capabilities stand for.

use crate::channel::{Channel, Record};
use crate::memory::Memory;
use crate::space::Space;
use crate::sys::boot::Frame;
use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};

/// A notification.
#[derive(Default)]
pub struct Notification {
    pub count: Cell<u32>,
    /// A process that held it was freed.
    pub broken: Cell<bool>,
}

/// What a capability stands for.
#[derive(Clone)]
pub enum Object {
    Memory(Rc<Memory>),
    /// By index.
    Group(usize),
    Space,
    Thread,
    Notification(Rc<Notification>),
    Channel(Rc<Channel>),
    Handle(Rc<RefCell<Record>>),
}

impl Object {
    /// Whether both stand for one thing. Address spaces and threads are nobody's to take away.
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Memory(one), Self::Memory(other)) => Rc::ptr_eq(one, other),
            (Self::Group(one), Self::Group(other)) => one == other,
            (Self::Notification(one), Self::Notification(other)) => Rc::ptr_eq(one, other),
            (Self::Channel(one), Self::Channel(other)) => Rc::ptr_eq(one, other),
            (Self::Handle(one), Self::Handle(other)) => Rc::ptr_eq(one, other),
            _ => false,
        }
    }
}

/// A process.
pub struct Group {
    pub name: Vec<u8>,
    pub badge: i32,
    pub pid: i32,
    pub caps: Vec<Option<Object>>,
    pub space: Space,
    pub quota: u64,
    /// Bytes that it is charged with, also known to the objects that it is charged for.
    pub used: Rc<Cell<u64>>,
    /// Its exit is known.
    pub told: bool,
    pub freed: bool,
}

impl Group {
    /// Lets it hold an object; the capability.
    pub fn grant(&mut self, object: Object) -> i64 {
        self.caps.push(Some(object));
        i64::try_from(self.caps.len() - 1).unwrap_or(i64::MAX)
    }
}

/// What a thread does.
pub enum Doing {
    Runs,
    /// For a notification, until then on the counter.
    Waits(Rc<Notification>, Option<u64>),
    /// For a message.
    Receives,
    /// For a reply.
    Calls,
    /// For somebody to call it, which nobody can here.
    Never,
    Gone,
}

/// A thread.
pub struct Thread {
    pub group: usize,
    /// Which of all threads there ever were.
    pub serial: u64,
    pub frame: Box<Frame>,
    pub priority: u32,
    pub doing: Doing,
    /// Goes at the next schedule.
    pub dying: bool,
}

/// A thread that may be gone.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct ThreadId {
    pub index: usize,
    pub serial: u64,
}
