//! This file is messages: queues, receivers, handles.

use crate::kernel::{Answer, BAD_ADDRESS, BAD_CAP, INVALID, Kernel};
use crate::object::{Doing, Object, ThreadId};
use alloc::collections::VecDeque;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};

/// What polling an empty channel answers.
const NOTHING: i64 = 255;

pub const NOTIFY: u16 = 1;
pub const CALL: u16 = 2;

/// A message on its way, or the last one that a handle has received.
#[derive(Clone, Default)]
pub struct Record {
    sender: ThreadId,
    pid: i32,
    group: usize,
    /// 0: none, or answered.
    kind: u16,
    bytes: Vec<u8>,
    reply_at: u64,
    reply_room: u64,
}

/// Who blocks in a receive.
struct Receiver {
    thread: ThreadId,
    words: [u64; 6],
    handle: Rc<RefCell<Record>>,
}

/// A channel.
#[derive(Default)]
pub struct Channel {
    creator: usize,
    stopped: Cell<bool>,
    queue: RefCell<VecDeque<Record>>,
    receivers: RefCell<VecDeque<Receiver>>,
    /// An empty poll left its receiver behind: who sends now ends that kernel.
    haunted: Cell<bool>,
}

impl Kernel {
    fn channel(&self, cap: u64) -> Option<Rc<Channel>> {
        match self.find(cap)? {
            Object::Channel(channel) => Some(channel),
            _ => None,
        }
    }

    fn handle(&self, cap: u64) -> Option<Rc<RefCell<Record>>> {
        match self.find(cap)? {
            Object::Handle(handle) => Some(handle),
            _ => None,
        }
    }

    pub fn create_channel(&mut self) -> i64 {
        let channel = Channel {
            creator: self.threads[self.current].group,
            ..Channel::default()
        };
        self.group_mut().grant(Object::Channel(Rc::new(channel)))
    }

    pub fn stop_channel(&mut self, cap: u64) -> i64 {
        let Some(channel) = self.channel(cap) else {
            return BAD_CAP;
        };
        if channel.creator != self.threads[self.current].group {
            return INVALID;
        }
        channel.stopped.set(true);
        let queued = core::mem::take(&mut *channel.queue.borrow_mut());
        for record in queued.iter().filter(|record| record.kind == CALL) {
            self.wake(record.sender, INVALID);
        }
        0
    }

    /// Sends; a call then waits for its reply, whatever its limit.
    pub fn send(&mut self, words: [u64; 6], kind: u16) -> Answer {
        let [cap, at, length, reply_at, reply_room, _] = words;
        let Some(bytes) = self.group().space.copy_in(at, length) else {
            return Some(INVALID);
        };
        let Some(channel) = self.channel(cap) else {
            return Some(BAD_CAP);
        };
        if channel.stopped.get() {
            return Some(INVALID);
        }
        let haunted = channel.haunted.get();
        assert!(!haunted, "a message to a receiver that polled once");
        let record = Record {
            sender: self.current_id(),
            pid: self.group().pid,
            group: self.threads[self.current].group,
            kind,
            bytes,
            reply_at,
            reply_room,
        };
        if kind == CALL {
            self.damage(record.group);
            self.threads[self.current].doing = Doing::Calls;
            self.reschedule = true;
        }
        let receiver = loop {
            match channel.receivers.borrow_mut().pop_front() {
                Some(one) if self.alive(one.thread).is_none() => {}
                other => break other,
            }
        };
        match receiver {
            Some(one) => {
                let result = self.deliver(one.thread, one.words, &one.handle, record);
                self.wake(one.thread, result);
            }
            None => channel.queue.borrow_mut().push_back(record),
        }
        (kind == NOTIFY).then_some(0)
    }

    pub fn receive(&mut self, words: [u64; 6]) -> Answer {
        let [cap, _, _, handle, _, limit] = words;
        let (Some(channel), Some(handle)) = (self.channel(cap), self.handle(handle)) else {
            return Some(BAD_CAP);
        };
        if channel.creator != self.threads[self.current].group || channel.stopped.get() {
            return Some(INVALID);
        }
        let thread = self.current_id();
        if let Some(record) = channel.queue.borrow_mut().pop_front() {
            return Some(self.deliver(thread, words, &handle, record));
        }
        if limit == 0 {
            channel.haunted.set(true);
            return Some(NOTHING);
        }
        channel.receivers.borrow_mut().push_back(Receiver {
            thread,
            words,
            handle,
        });
        self.threads[self.current].doing = Doing::Receives;
        self.reschedule = true;
        None
    }

    /// Copies a message to its receiver: cut to the room that there is, without a length.
    fn deliver(
        &self,
        to: ThreadId,
        words: [u64; 6],
        handle: &RefCell<Record>,
        record: Record,
    ) -> i64 {
        let [_, at, room, _, source_at, _] = words;
        let space = &self.groups[self.threads[to.index].group].space;
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        let cut = &record.bytes[..record.bytes.len().min(room)];
        let serial = u32::try_from(record.sender.index).unwrap_or(u32::MAX);
        let mut source = [0; 12];
        source[..4].copy_from_slice(&record.pid.to_le_bytes());
        source[4..8].copy_from_slice(&serial.to_le_bytes());
        source[8..10].copy_from_slice(&record.kind.to_le_bytes());
        let copied = space.copy_out(at, cut);
        let copied = copied.and_then(|()| space.copy_out(source_at, &source));
        *handle.borrow_mut() = record;
        copied.map_or(BAD_ADDRESS, |()| 0)
    }

    pub fn reply(&mut self, words: [u64; 6]) -> i64 {
        let [cap, at, length, ..] = words;
        let Some(handle) = self.handle(cap) else {
            return BAD_CAP;
        };
        let record = handle.borrow().clone();
        if record.kind != CALL {
            return INVALID;
        }
        handle.borrow_mut().kind = 0;
        let client = &self.groups[record.group];
        let freed = client.freed || client.pid != record.pid;
        assert!(!freed, "H2: a reply to a process that was freed");
        let Some(mut bytes) = self.group().space.copy_in(at, length) else {
            return BAD_ADDRESS;
        };
        bytes.truncate(usize::try_from(record.reply_room).unwrap_or(0));
        let _ = client.space.copy_out(record.reply_at, &bytes);
        self.wake(record.sender, 0);
        self.poison(record.group);
        0
    }
}
