//! This file lets the probe ask what the HAL never asks: calls by number with words, or with
//! borrowed memory. It judges nothing. It is not for the HAL, and nobody outside can reach it.

use super::Kernel;
use super::layout::{CapGroupArgs, RingPage, Source, ThreadArgs, Timespec};
use super::number::Number;

/// A kernel, asked for anything.
#[derive(Debug)]
pub(crate) struct Raw<'k, K>(pub &'k K);

impl<K> Clone for Raw<'_, K> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K> Copy for Raw<'_, K> {}

/// The low half of a result is C's `int`.
fn judge(result: u64) -> i64 {
    let [a, b, c, d, ..] = result.to_le_bytes();
    i64::from(i32::from_le_bytes([a, b, c, d]))
}

fn at<T: ?Sized>(of: &T) -> i64 {
    word(core::ptr::from_ref(of).addr())
}

fn at_mut<T: ?Sized>(of: &mut T) -> i64 {
    word(core::ptr::from_mut(of).expose_provenance())
}

fn word(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

/// Two groups of words, as the kernel's registers take them.
fn registers(words: &[i64]) -> [u64; 6] {
    let mut registers = [0; 6];
    for (register, word) in registers.iter_mut().zip(words) {
        *register = u64::from_le_bytes(word.to_le_bytes());
    }
    registers
}

impl<K: Kernel> Raw<'_, K> {
    fn call(&self, number: Number, words: &[i64]) -> i64 {
        // SAFETY: every address among the words is one of memory that the function which put it
        // there borrows until the call has returned, in the way that its row says.
        judge(unsafe { self.0.call(number, registers(words)) })
    }

    /// A call none of whose words is an address of the root task's.
    pub fn plain(&self, number: Number, words: &[i64]) -> i64 {
        self.call(number, words)
    }

    pub fn register(&self, notification: i64, ring: &'static RingPage) -> i64 {
        self.call(Number::REGISTER_RECYCLE, &[notification, at(ring)])
    }

    pub fn wait(&self, notification: i64, block: i64, milliseconds: Option<i64>) -> i64 {
        let span = milliseconds.map(|ms| Timespec {
            seconds: 0,
            nanoseconds: ms.saturating_mul(1_000_000),
        });
        let limit = span.as_ref().map_or(0, at);
        self.call(Number::WAIT, &[notification, block, limit])
    }

    pub fn clock_ns(&self) -> i64 {
        let mut time = Timespec::default();
        let _ = self.call(Number::CLOCK_GETTIME, &[1, at_mut(&mut time)]);
        let seconds = time.seconds.saturating_mul(1_000_000_000);
        seconds.saturating_add(time.nanoseconds)
    }

    pub fn write(&self, memory: i64, offset: i64, data: &[u8]) -> i64 {
        self.call(
            Number::WRITE_PMO,
            &[memory, offset, at(data), word(data.len())],
        )
    }

    pub fn read(&self, memory: i64, offset: i64, data: &mut [u8]) -> i64 {
        let length = word(data.len());
        self.call(Number::READ_PMO, &[memory, offset, at_mut(data), length])
    }

    /// Its badge is its pid.
    pub fn group(&self, badge: i32, heap_bytes: u64) -> i64 {
        const NAME: &[u8] = b"probe";
        let args = CapGroupArgs {
            badge,
            name: u64::from_le_bytes(at(NAME).to_le_bytes()),
            name_bytes: 5,
            pcid: 0,
            pid: badge,
            puuid: 0,
            heap_bytes,
        };
        self.call(Number::CREATE_CAP_GROUP, &[at(&args)])
    }

    pub fn thread(&self, args: &ThreadArgs) -> i64 {
        self.call(Number::CREATE_THREAD, &[at(args)])
    }

    /// The capability's number in the other process.
    pub fn give(&self, group: i64, capability: i64) -> i64 {
        let from = i32::try_from(capability).unwrap_or(-1);
        let mut to = 0i32;
        let result = self.call(
            Number::TRANSFER_CAPS,
            &[group, at(&from), 1, at_mut(&mut to)],
        );
        if result < 0 { result } else { i64::from(to) }
    }

    pub fn send(&self, channel: i64, data: &[u8]) -> i64 {
        self.call(
            Number::NOTIFY_CHANNEL,
            &[channel, at(data), word(data.len())],
        )
    }

    pub fn receive(&self, channel: i64, data: &mut [u8], handle: i64, limit: i64) -> (i64, Source) {
        let mut source = Source::default();
        let length = word(data.len());
        let words = [
            channel,
            at_mut(data),
            length,
            handle,
            at_mut(&mut source),
            limit,
        ];
        (self.call(Number::RECEIVE, &words), source)
    }

    pub fn reply(&self, handle: i64, data: &[u8]) -> i64 {
        self.call(Number::REPLY, &[handle, at(data), word(data.len())])
    }
}
