//! This file is how processes begin and end.

use crate::kernel::{
    AGAIN, Answer, BAD_ADDRESS, BAD_CAP, INVALID, Kernel, NO_MEMORY, NO_PERMISSION,
};
use crate::object::{Doing, Group, Object, Thread};
use crate::space::Space;
use crate::sys::boot::Frame;
use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::Cell;

/// Bytes of the arguments of two calls, and of the most capabilities that are given at once.
const GROUP_ARGS: u64 = 56;
const THREAD_ARGS: u64 = 48;
const GIVEN_MAX: u64 = 16;
/// Bytes of a process's name that are kept.
const NAME_MAX: u64 = 64;

const PRIORITY_MAX: u32 = 255;
const USER: u32 = 2;
const HANDLERS: [u32; 2] = [3, 4];

fn long(args: &[u8], at: usize) -> u64 {
    let bytes = args[at..at + 8].try_into().unwrap_or([0; 8]);
    u64::from_le_bytes(bytes)
}

fn word(args: &[u8], at: usize) -> u32 {
    let bytes = args[at..at + 4].try_into().unwrap_or([0; 4]);
    u32::from_le_bytes(bytes)
}

impl Kernel {
    /// A process without a thread that holds itself and its space; its index.
    pub fn new_group(&mut self, badge: i32, pid: i32, quota: u64) -> Option<usize> {
        let group = Group {
            name: Vec::new(),
            badge,
            pid,
            caps: Vec::new(),
            space: Space::new()?,
            quota,
            used: Rc::new(Cell::new(0)),
            told: false,
            freed: false,
        };
        let index = match self.groups.iter().position(|group| group.freed) {
            Some(index) => {
                self.groups[index] = group;
                index
            }
            None => {
                self.groups.push(group);
                self.groups.len() - 1
            }
        };
        self.groups[index].grant(Object::Group(index));
        self.groups[index].grant(Object::Space);
        Some(index)
    }

    pub fn create_group(&mut self, at: u64) -> i64 {
        if self.group().badge != 1 {
            return NO_PERMISSION;
        }
        let Some(args) = self.group().space.copy_in(at, GROUP_ARGS) else {
            return INVALID;
        };
        let (badge, pid) = (word(&args, 0), word(&args, 32));
        let quota = long(&args, 48);
        let name = self
            .group()
            .space
            .copy_in(long(&args, 8), long(&args, 16).min(NAME_MAX));
        let Some(name) = name else {
            return INVALID;
        };
        let new = self.new_group(badge.cast_signed(), pid.cast_signed(), quota);
        if let Some(index) = new {
            self.groups[index].name = name;
        }
        match new {
            Some(index) => self.group_mut().grant(Object::Group(index)),
            None => NO_MEMORY,
        }
    }

    /// A thread of a process.
    pub fn new_thread(&mut self, group: usize, frame: Frame, priority: u32, doing: Doing) {
        self.last_serial += 1;
        let thread = Thread {
            group,
            serial: self.last_serial,
            frame: Box::new(frame),
            priority,
            doing,
            dying: false,
        };
        let gone = |(_, one): &(usize, &Thread)| matches!(one.doing, Doing::Gone);
        // The current one's registers are still being written to.
        let free = self.threads.iter().enumerate().find(gone);
        match free.map(|(index, _)| index) {
            Some(index) if index != self.current => self.threads[index] = thread,
            _ => self.threads.push(thread),
        }
    }

    pub fn create_thread(&mut self, at: u64) -> i64 {
        let Some(args) = self.group().space.copy_in(at, THREAD_ARGS) else {
            return INVALID;
        };
        let (priority, kind) = (word(&args, 40), word(&args, 44));
        let doing = match kind {
            USER => Doing::Runs,
            _ if HANDLERS.contains(&kind) => Doing::Never,
            _ => return INVALID,
        };
        if priority > PRIORITY_MAX {
            return INVALID;
        }
        let Some(group) = self.find_group(word(&args, 0).into()) else {
            return BAD_CAP;
        };
        if self.groups[group].told {
            return INVALID;
        }
        let frame = Frame::new(
            long(&args, 16),
            long(&args, 8),
            long(&args, 24),
            long(&args, 32),
        );
        self.new_thread(group, frame, priority, doing);
        self.expect_death(group);
        self.reschedule |= priority > self.threads[self.current].priority;
        let own = self.groups[group].grant(Object::Thread);
        if group == self.threads[self.current].group {
            return own;
        }
        self.group_mut().grant(Object::Thread)
    }

    pub fn thread_exit(&mut self) -> Answer {
        let group = self.threads[self.current].group;
        self.threads[self.current].doing = Doing::Gone;
        self.reschedule = true;
        let mut of_group = self.threads.iter().filter(|one| one.group == group);
        if of_group.all(|one| matches!(one.doing, Doing::Gone)) {
            self.end(group, 0);
        }
        None
    }

    pub fn exit_group(&mut self, code: u64) -> Answer {
        let [a, b, c, d, ..] = code.to_le_bytes();
        self.end(
            self.threads[self.current].group,
            i32::from_le_bytes([a, b, c, d]),
        );
        self.threads[self.current].doing = Doing::Gone;
        self.reschedule = true;
        None
    }

    pub fn kill(&mut self, cap: u64) -> i64 {
        let Some(group) = self.find_group(cap) else {
            return INVALID;
        };
        self.end(group, 0);
        0
    }

    /// A process ends; its threads go at the next schedule.
    pub fn end(&mut self, group: usize, code: i32) {
        assert!(group != 0, "the root task ends, with {code}");
        if core::mem::replace(&mut self.groups[group].told, true) {
            return;
        }
        for thread in self.threads.iter_mut().filter(|one| one.group == group) {
            thread.dying = !matches!(thread.doing, Doing::Gone);
        }
        self.tell(self.groups[group].badge, code);
    }

    /// Frees what an ended process held; every notification among it breaks for all.
    pub fn recycle(&mut self, cap: u64) -> i64 {
        if self.group().badge != 1 {
            return NO_PERMISSION;
        }
        let Some(group) = self.find_group(cap) else {
            return BAD_CAP;
        };
        assert!(group != 0, "the root task frees itself");
        for object in self.groups[group].caps.iter().flatten() {
            if let Object::Notification(one) = object {
                one.broken.set(true);
            }
        }
        let mut of_group = self.threads.iter().filter(|one| one.group == group);
        if of_group.any(|one| !matches!(one.doing, Doing::Gone)) {
            self.bury();
            return AGAIN;
        }
        let ended = &mut self.groups[group];
        ended.freed = true;
        ended.caps.clear();
        ended.space.clear();
        let index = usize::try_from(cap & 0xffff_ffff).unwrap_or(usize::MAX);
        if let Some(place) = self.group_mut().caps.get_mut(index) {
            *place = None;
        }
        0
    }

    pub fn transfer_caps(&mut self, words: [u64; 6]) -> i64 {
        let [to, from_at, count, to_at, ..] = words;
        let Some(to) = self.find_group(to) else {
            return BAD_CAP;
        };
        if count > GIVEN_MAX {
            return INVALID;
        }
        for index in 0..count {
            let Some(cap) = self.group().space.word_in(from_at + index * 4) else {
                return BAD_ADDRESS;
            };
            let Some(object) = self.find(cap.into()) else {
                return BAD_CAP;
            };
            let number = i32::try_from(self.groups[to].grant(object)).unwrap_or(-1);
            let at = to_at + index * 4;
            if self
                .group()
                .space
                .copy_out(at, &number.to_le_bytes())
                .is_none()
            {
                return BAD_ADDRESS;
            }
        }
        0
    }
}
