//! This file is the simulated kernel's messages: queues, receivers, handles.

use super::machine::{Answer, BAD_CAP, Doing, INVALID, Object, State, Twist};
use std::collections::VecDeque;

/// What polling an empty channel answers.
const NOTHING: i64 = 255;

const KIND_NONE: u16 = 0;
const KIND_NOTIFY: u16 = 1;
const KIND_CALL: u16 = 2;

/// A message on its way, or the last one that a handle has received.
#[derive(Clone, Debug, Default)]
pub struct Record {
    pub thread: usize,
    pub kind: u16,
    pub bytes: Vec<u8>,
    /// Where the reply goes, and its room.
    pub reply_at: u64,
    pub reply_room: u64,
}

/// Who blocks in a receive.
#[derive(Clone, Debug)]
pub struct Receiver {
    thread: usize,
    words: [u64; 6],
    handle: usize,
}

/// A channel.
#[derive(Debug, Default)]
pub struct Channel {
    pub creator: usize,
    pub stopped: bool,
    pub queue: VecDeque<Record>,
    pub receivers: VecDeque<Receiver>,
    /// An empty poll left its receiver behind, as the kernel's source does: nobody may send.
    pub haunted: bool,
}

impl State {
    fn channel(&mut self, group: usize, cap: u64) -> Option<(usize, &mut Channel)> {
        let object = self.find(group, cap)?;
        match &mut self.objects[object] {
            Object::Channel(channel) => Some((object, channel)),
            _ => None,
        }
    }

    fn handle(&self, group: usize, cap: u64) -> Option<usize> {
        let object = self.find(group, cap)?;
        matches!(self.objects[object], Object::Handle(_)).then_some(object)
    }

    pub fn create_channel(&mut self, group: usize) -> i64 {
        let channel = Channel {
            creator: group,
            ..Channel::default()
        };
        self.give(group, Object::Channel(channel))
    }

    pub fn stop_channel(&mut self, group: usize, cap: u64) -> i64 {
        let Some((_, channel)) = self.channel(group, cap) else {
            return BAD_CAP;
        };
        if channel.creator != group {
            return INVALID;
        }
        channel.stopped = true;
        let queued = std::mem::take(&mut channel.queue);
        for record in queued.iter().filter(|record| record.kind == KIND_CALL) {
            self.wake(record.thread, INVALID);
        }
        0
    }

    pub fn send(&mut self, thread: usize, words: [u64; 6], kind: u16) -> Answer {
        let group = self.threads[thread].group;
        let [cap, at, length, reply_at, reply_room, limit] = words;
        let Some(bytes) = self.copy_in(group, at, length) else {
            return Some(INVALID);
        };
        let Some((object, channel)) = self.channel(group, cap) else {
            return Some(BAD_CAP);
        };
        if channel.stopped {
            return Some(INVALID);
        }
        assert!(
            !channel.haunted,
            "a message to a receiver that polled once: the kernel dies"
        );
        let record = Record {
            thread,
            kind,
            bytes,
            reply_at,
            reply_room,
        };
        match channel.receivers.pop_front() {
            Some(receiver) => {
                let result = self.deliver(receiver.thread, receiver.words, receiver.handle, record);
                self.wake(receiver.thread, result);
            }
            None => channel.queue.push_back(record),
        }
        let _ = object;
        if kind == KIND_NOTIFY {
            return Some(0);
        }
        let until = self.has(Twist::CallTimesOut).then(|| {
            let span = self.long_in(group, limit + 8).unwrap_or(0);
            self.now_ns + span
        });
        self.threads[thread].doing = Doing::Calls(until);
        None
    }

    pub fn receive(&mut self, thread: usize, words: [u64; 6]) -> Answer {
        let group = self.threads[thread].group;
        let [cap, _, _, handle, _, limit] = words;
        if self.channel(group, cap).is_none() {
            return Some(BAD_CAP);
        }
        let Some(handle) = self.handle(group, handle) else {
            return Some(BAD_CAP);
        };
        let (object, channel) = self.channel(group, cap)?;
        if channel.creator != group || channel.stopped {
            return Some(INVALID);
        }
        if let Some(record) = channel.queue.pop_front() {
            return Some(self.deliver(thread, words, handle, record));
        }
        if limit == 0 {
            channel.haunted = true;
            return Some(NOTHING);
        }
        channel.receivers.push_back(Receiver {
            thread,
            words,
            handle,
        });
        self.threads[thread].doing = Doing::Receives(object);
        None
    }

    fn deliver(&mut self, to: usize, words: [u64; 6], handle: usize, record: Record) -> i64 {
        let group = self.threads[to].group;
        let [_, at, room, _, source_at, _] = words;
        let room = usize::try_from(room).expect("64 bits");
        let mut bytes = record.bytes.clone();
        if !self.has(Twist::NotCut) {
            bytes.truncate(room);
        }
        if self.has(Twist::RestCleared) {
            bytes.resize(room, 0);
        }
        let sender = &self.threads[record.thread];
        let pid = self.groups[sender.group].pid.cast_unsigned();
        let pid = if self.has(Twist::SourceHidden) {
            0
        } else {
            pid
        };
        let kind = if self.has(Twist::SourceIsNotify) {
            KIND_NOTIFY
        } else {
            record.kind
        };
        let mut source = [0; 12];
        source[..4].copy_from_slice(&pid.to_le_bytes());
        source[4..8].copy_from_slice(&2_u32.to_le_bytes());
        source[8..10].copy_from_slice(&kind.to_le_bytes());
        let copied = self.copy_out(group, at, &bytes);
        let copied = copied.and_then(|()| self.copy_out(group, source_at, &source));
        self.objects[handle] = Object::Handle(record);
        if copied.is_some() { 0 } else { -14 }
    }

    /// The kernel walks on from a message that it has just freed when it frees its sender.
    pub fn assert_heard(&self, group: usize) {
        for cap in self.groups[group].caps.iter().flatten() {
            if let Object::Channel(channel) = &self.objects[*cap] {
                let mut queue = channel.queue.iter();
                let is_its = |record: &Record| self.threads[record.thread].group == group;
                assert!(
                    !queue.any(is_its),
                    "a process is freed whose messages are in a channel's queue"
                );
            }
        }
    }

    pub fn reply(&mut self, thread: usize, words: [u64; 6]) -> i64 {
        let group = self.threads[thread].group;
        let [cap, at, length, ..] = words;
        let Some(handle) = self.handle(group, cap) else {
            return BAD_CAP;
        };
        let Object::Handle(record) = &mut self.objects[handle] else {
            return BAD_CAP;
        };
        let client = record.thread;
        let (to, room) = (record.reply_at, record.reply_room);
        let kind = std::mem::replace(&mut record.kind, KIND_NONE);
        let client_group = self.threads[client].group;
        assert!(
            kind == KIND_NONE || !self.groups[client_group].recycled,
            "H2: a reply to a client that was recycled"
        );
        if kind != KIND_CALL {
            return INVALID;
        }
        let Some(mut bytes) = self.copy_in(group, at, length) else {
            return -14;
        };
        bytes.truncate(usize::try_from(room).expect("64 bits"));
        if !self.has(Twist::ReplyLost) && self.threads[client].doing != Doing::Gone {
            let _ = self.copy_out(client_group, to, &bytes);
        }
        self.wake(client, 0);
        0
    }
}
