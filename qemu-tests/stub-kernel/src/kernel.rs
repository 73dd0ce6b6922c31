//! This file is the stub as a whole: what a trap and an interrupt lead to.

use crate::deaths::Deaths;
use crate::exits::Recycler;
use crate::number::Number;
use crate::object::{Doing, Group, Notification, Object, Thread, ThreadId};
use crate::space::{EXECUTE, READ, WRITE};
use crate::sys::boot::Frame;
use crate::sys::{cpu, page};
use alloc::rc::Rc;
use alloc::vec::Vec;

/// What a call came to: a result, or the caller sleeps or is no more.
pub type Answer = Option<i64>;

pub const NO_PERMISSION: i64 = -1;
pub const AGAIN: i64 = -11;
pub const NO_MEMORY: i64 = -12;
pub const BAD_ADDRESS: i64 = -14;
pub const INVALID: i64 = -22;
pub const TIMED_OUT: i64 = -110;
pub const BAD_CAP: i64 = -200;
const BAD_CALL: i64 = -202;

/// Classes of causes.
const SVC: u64 = 0x15;
const INSTRUCTION_ABORT: u64 = 0x20;
const DATA_ABORT: u64 = 0x24;

/// All that there is.
pub struct Kernel {
    pub groups: Vec<Group>,
    pub threads: Vec<Thread>,
    pub current: usize,
    pub last_serial: u64,
    pub recycler: Option<Recycler>,
    /// Exits for which the ring had no room, latest first.
    pub surplus: Vec<(i32, i32)>,
    /// Another thread may have to run.
    pub reschedule: bool,
    /// The tick at which the current thread has had its share.
    pub share_ends: u64,
    pub has_clock: bool,
    pub deaths: Deaths,
}

impl Kernel {
    pub fn new() -> Self {
        cpu::listen();
        Self {
            groups: Vec::new(),
            threads: Vec::new(),
            current: 0,
            last_serial: 0,
            recycler: None,
            surplus: Vec::new(),
            reschedule: false,
            share_ends: 0,
            has_clock: !page::clock_stands_still(),
            deaths: Deaths::new(page::core_deaths()),
        }
    }

    /// The root task's first instruction comes next.
    pub fn begin(&mut self) -> *const Frame {
        self.load_root();
        self.reschedule = true;
        self.leave()
    }

    /// A program trapped.
    pub fn trap(&mut self) -> *const Frame {
        let (cause, address) = cpu::cause();
        match cause >> 26 {
            SVC => self.call(),
            INSTRUCTION_ABORT => self.touched(address, EXECUTE),
            DATA_ABORT if cause & 1 << 6 != 0 => self.touched(address, WRITE),
            DATA_ABORT => self.touched(address, READ),
            class => {
                let badge = self.group().badge;
                let pc = self.threads[self.current].frame.pc;
                panic!(
                    "H3: badge {badge} does at {pc:#x} what cannot be done (class {class:#x}, \
                     address {address:#x})"
                );
            }
        }
        self.leave()
    }

    /// The timer: somebody's time has come, or the current thread has had its share.
    pub fn interrupt(&mut self) -> *const Frame {
        cpu::acknowledge();
        self.leave()
    }

    fn call(&mut self) {
        let frame = &self.threads[self.current].frame;
        let x = &frame.x;
        let words = [x[0], x[1], x[2], x[3], x[4], x[5]];
        let answer = match Number::from_register(x[8]) {
            Some(number) => self.answer(number, words),
            None => Some(self.unnamed(x[8])),
        };
        if let Some(result) = answer {
            self.threads[self.current].frame.x[0] = result.cast_unsigned();
        }
    }

    /// Calls that are not of the HAL's table.
    fn unnamed(&self, number: u64) -> i64 {
        match number {
            1 => cpu::typed().into(),
            _ => BAD_CALL,
        }
    }

    fn touched(&mut self, address: u64, may: u64) {
        let group = self.threads[self.current].group;
        if self.groups[group].space.touch(address, may) {
            return;
        }
        let pc = self.threads[self.current].frame.pc;
        assert!(
            group != 0,
            "the root task faults at {pc:#x}, address {address:#x}"
        );
        self.end(group, -1);
        self.reschedule = true;
    }

    /// The current thread's process.
    pub fn group(&self) -> &Group {
        &self.groups[self.threads[self.current].group]
    }

    /// The same, to be changed.
    pub fn group_mut(&mut self) -> &mut Group {
        let group = self.threads[self.current].group;
        &mut self.groups[group]
    }

    /// What the current thread's process calls by this number.
    pub fn find(&self, cap: u64) -> Option<Object> {
        // The word is C's int.
        let index = usize::try_from(cap & 0xffff_ffff).ok()?;
        self.group().caps.get(index)?.clone()
    }

    pub fn find_group(&self, cap: u64) -> Option<usize> {
        match self.find(cap)? {
            Object::Group(index) => Some(index),
            _ => None,
        }
    }

    pub fn find_notification(&self, cap: u64) -> Option<Rc<Notification>> {
        match self.find(cap)? {
            Object::Notification(one) if !one.broken.get() => Some(one),
            _ => None,
        }
    }

    /// Who runs.
    pub fn current_id(&self) -> ThreadId {
        ThreadId {
            index: self.current,
            serial: self.threads[self.current].serial,
        }
    }

    /// The thread, if it is still the same.
    pub fn alive(&mut self, id: ThreadId) -> Option<&mut Thread> {
        let thread = self.threads.get_mut(id.index)?;
        let same = thread.serial == id.serial && !matches!(thread.doing, Doing::Gone);
        same.then_some(thread)
    }

    /// Wakes a thread with a result.
    pub fn wake(&mut self, id: ThreadId, result: i64) {
        let runs = self.threads[self.current].priority;
        if let Some(thread) = self.alive(id) {
            thread.doing = Doing::Runs;
            thread.frame.x[0] = result.cast_unsigned();
            self.reschedule |= thread.priority > runs;
        }
    }
}
