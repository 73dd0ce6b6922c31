//! This file is the other end of the channel: what a service can do with the number that it is
//! given. It is for services; the root task has no use for it.

use super::calls::{bytes, judge, word};
use super::number::Number;
use super::{Kernel, MESSAGE_BYTES};

/// A channel that was lent to this process.
#[derive(Clone, Debug)]
pub struct Line<K> {
    kernel: K,
    channel: i32,
}

impl<K: Kernel> Line<K> {
    /// The channel of this number: what a service finds in its first argument register.
    pub const fn new(kernel: K, channel: i32) -> Self {
        Self { kernel, channel }
    }

    /// Sends a message and does not wait; `false`: the kernel did not take it.
    pub fn tell(&self, message: &[u8; MESSAGE_BYTES]) -> bool {
        let at = bytes(message.as_ptr().expose_provenance());
        let arguments = [word(self.channel), at, bytes(MESSAGE_BYTES), 0, 0, 0];
        // SAFETY: the kernel reads the message, which is there until it returns.
        let result = unsafe { self.kernel.call(Number::NOTIFY_CHANNEL, arguments) };
        judge(result).is_ok()
    }

    /// Sends a message and sleeps until it is answered, for ever: this kernel knows no limit.
    /// `None`: the kernel did not take it.
    pub fn ask(&self, message: &[u8; MESSAGE_BYTES]) -> Option<[u8; MESSAGE_BYTES]> {
        let mut answer = [0; MESSAGE_BYTES];
        let arguments = [
            word(self.channel),
            bytes(message.as_ptr().expose_provenance()),
            bytes(MESSAGE_BYTES),
            bytes(answer.as_mut_ptr().expose_provenance()),
            bytes(MESSAGE_BYTES),
            0,
        ];
        // SAFETY: the kernel reads one and writes the other; both are there until it returns.
        let result = unsafe { self.kernel.call(Number::CALL, arguments) };
        judge(result).is_ok().then_some(answer)
    }

    /// Lets others of the same priority run.
    pub fn give_way(&self) {
        // SAFETY: there are no addresses.
        let _ = unsafe { self.kernel.call(Number::YIELD, [0; 6]) };
    }

    /// Ends this process.
    pub fn exit(&self, code: u8) {
        let arguments = [u64::from(code), 0, 0, 0, 0, 0];
        // SAFETY: there are no addresses.
        let _ = unsafe { self.kernel.call(Number::EXIT_GROUP, arguments) };
    }
}
