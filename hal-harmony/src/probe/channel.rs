//! This file answers the rows about message channels.

use super::child::{STEPS_AT, Step};
use super::got::Got;
use super::plain::{is_cap, pass};
use super::walk::{A_WHILE, Child, Hands, NO_CAP, word};
use crate::abi::Kernel;
use crate::abi::number::Number;

/// What a caller sends, at this offset of its page; it is given the reply at the next, its limit
/// lies at the last.
const SENT_AT: i64 = 0x800;
const REPLIED_AT: i64 = 0x900;
const LIMIT_AT: i64 = 0xa00;
/// A receiver that blocks.
const FOREVER: i64 = -1;
const UNTOUCHED: u8 = 0xee;

/// The channel that the rows share, and the process that waits for a reply.
#[derive(Debug, Default)]
pub struct Line {
    pub channel: i64,
    pub handle: i64,
    pub caller: Option<Child>,
}

/// Bytes in front that a receiver was given.
fn touched(data: &[u8]) -> i64 {
    let count = data.iter().take_while(|byte| **byte != UNTOUCHED).count();
    i64::try_from(count).unwrap_or(-1)
}

impl Line {
    pub fn open<K: Kernel>(&mut self, hands: &Hands<'_, K>) -> i64 {
        self.channel = hands.raw.plain(Number::CREATE_CHANNEL, &[]);
        is_cap(self.channel)
    }

    pub fn handle<K: Kernel>(&mut self, hands: &Hands<'_, K>) -> i64 {
        self.handle = hands.raw.plain(Number::CREATE_MSG_HDL, &[]);
        is_cap(self.handle)
    }

    pub fn notify<K: Kernel>(&self, hands: &Hands<'_, K>) -> i64 {
        hands.raw.send(self.channel, b"8 bytes.")
    }

    pub fn receive<K: Kernel>(&self, hands: &Hands<'_, K>) -> Got {
        let mut data = [UNTOUCHED; 8];
        let (result, source) = hands
            .raw
            .receive(self.channel, &mut data, self.handle, FOREVER);
        Got::from([
            result,
            i64::from(data == *b"8 bytes."),
            i64::from(source.kind),
        ])
    }

    pub fn reply<K: Kernel>(&self, hands: &Hands<'_, K>) -> i64 {
        hands.raw.reply(self.handle, b"answered")
    }

    /// So many bytes are sent and so many received: the result and how many were written.
    pub fn through<K: Kernel, const SENT: usize, const ROOM: usize>(
        &self,
        hands: &Hands<'_, K>,
    ) -> Got {
        let mut data = [UNTOUCHED; 16];
        let _ = hands.raw.send(self.channel, &[1; SENT]);
        let room = data.get_mut(..ROOM).unwrap_or(&mut []);
        let (result, _) = hands.raw.receive(self.channel, room, self.handle, FOREVER);
        Got::from([result, touched(&data)])
    }

    pub fn bad_cap<K: Kernel>(hands: &Hands<'_, K>) -> i64 {
        hands.raw.send(NO_CAP, b"nobody")
    }

    /// A process that was given channel and handle receives.
    pub fn receive_by_other<K: Kernel>(&self, hands: &mut Hands<'_, K>) -> i64 {
        let own = hands.raw.plain(Number::CREATE_MSG_HDL, &[]);
        let child = self.spawn(
            hands,
            |channel, handle| {
                let at = word(STEPS_AT);
                let (to, source) = (at.saturating_add(SENT_AT), at.saturating_add(REPLIED_AT));
                Step::call(Number::RECEIVE, &[channel, to, 8, handle, source, 0])
            },
            own,
        );
        let _ = hands.code_of(child);
        let _ = hands.recycle(child);
        hands.result(child.steps, 0)
    }

    fn spawn<K: Kernel>(
        &self,
        hands: &mut Hands<'_, K>,
        step: impl Fn(i64, i64) -> Step,
        handle: i64,
    ) -> Child {
        let steps = super::walk::page(hands.raw);
        let child = hands.child_on(steps);
        let channel = hands.raw.give(child.group, self.channel);
        let handle = match handle {
            0 => 0,
            handle => hands.raw.give(child.group, handle),
        };
        hands.write_steps(steps, 0, &[step(channel, handle), Step::exit(0)]);
        let _ = hands.raw.write(steps, SENT_AT, b"a caller");
        // A limit of 1 ms.
        let _ = hands.raw.write(steps, LIMIT_AT, &0_i64.to_le_bytes());
        let nanoseconds = LIMIT_AT.saturating_add(8);
        let _ = hands
            .raw
            .write(steps, nanoseconds, &1_000_000_i64.to_le_bytes());
        let thread = hands.thread(child.group, 0, hands.priority);
        let _ = hands.raw.thread(&thread);
        child
    }

    fn caller<K: Kernel>(&self, hands: &mut Hands<'_, K>) -> Child {
        let child = self.spawn(
            hands,
            |channel, _| {
                let at = |offset: i64| word(STEPS_AT).saturating_add(offset);
                let words = [channel, at(SENT_AT), 8, at(REPLIED_AT), 8, at(LIMIT_AT)];
                Step::call(Number::CALL, &words)
            },
            0,
        );
        hands.give_way(A_WHILE);
        child
    }

    pub fn call<K: Kernel>(&mut self, hands: &mut Hands<'_, K>) -> Got {
        let child = self.caller(hands);
        self.caller = Some(child);
        let mut data = [UNTOUCHED; 8];
        let (result, source) = hands
            .raw
            .receive(self.channel, &mut data, self.handle, FOREVER);
        let is_its = u32::try_from(child.badge) == Ok(source.pid) && data == *b"a caller";
        Got::from([result, i64::from(source.kind), i64::from(is_its)])
    }

    pub fn still_waits<K: Kernel>(&self, hands: &Hands<'_, K>) -> i64 {
        let Some(child) = self.caller else { return 0 };
        pass(hands.raw.0, 5, || hands.give_way(1));
        i64::from(hands.done(child.steps, &[0]) == 0)
    }

    pub fn answered<K: Kernel>(&mut self, hands: &mut Hands<'_, K>) -> Got {
        let replied = self.reply(hands);
        let Some(child) = self.caller.take() else {
            return Got::from(replied);
        };
        let mut data = [0; 8];
        hands.give_way(A_WHILE);
        let _ = hands.raw.read(child.steps, REPLIED_AT, &mut data);
        let result = hands.result(child.steps, 0);
        let _ = hands.code_of(child);
        Got::from([replied, result, i64::from(data == *b"answered")])
        // Freed by nobody: the next row replies once more, and a client that is gone ends all.
    }

    pub fn stop<K: Kernel>(&self, hands: &mut Hands<'_, K>) -> Got {
        let child = self.caller(hands);
        let stopped = hands.raw.plain(Number::STOP_CHANNEL, &[self.channel]);
        let _ = hands.code_of(child);
        let result = hands.result(child.steps, 0);
        let _ = hands.recycle(child);
        Got::from([stopped, result])
    }

    /// Nobody uses this channel again: kernels are known that keep the receiver in it.
    pub fn poll<K: Kernel>(hands: &Hands<'_, K>) -> i64 {
        let channel = hands.raw.plain(Number::CREATE_CHANNEL, &[]);
        let handle = hands.raw.plain(Number::CREATE_MSG_HDL, &[]);
        hands.raw.receive(channel, &mut [0; 8], handle, 0).0
    }
}
