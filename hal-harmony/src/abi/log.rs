//! This file takes the log's frames (defmt) into a ring, and carries them to the console: each as
//! a line of hexadecimal digits, so that whatever else is written there stays readable. The host
//! has the words, in the program's ELF file: `cargo xtask run` decodes it.
//!
//! The root task's first thread writes the log and carries it; another one that logged would wait
//! until a frame is whole.

use super::{Calls, Kernel, Svc};
use crate::frames::Frames;
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, Ordering};
use defmt::Encoder;

/// A boot of forty units; what is said while nobody carries it evicts the oldest.
const RING_BYTES: usize = 2_048;
/// What a line begins with; the digits of a frame follow.
const MARK: u8 = b'~';
/// Of the longest frame: two names of 64 bytes and what is around them, in digits.
const LINE_BYTES_MAX: usize = 512;

struct Log {
    taken: AtomicBool,
    state: UnsafeCell<(Frames<RING_BYTES>, Encoder)>,
}

// SAFETY: the state is reached by whoever set the flag, until it is cleared.
unsafe impl Sync for Log {}

static LOG: Log = Log {
    taken: AtomicBool::new(false),
    state: UnsafeCell::new((Frames::new(), Encoder::new())),
};

impl Log {
    fn lock(&self) {
        while self.taken.swap(true, Ordering::Acquire) {
            Calls::new(Svc).give_way();
        }
    }

    fn unlock(&self) {
        self.taken.store(false, Ordering::Release);
    }

    /// For whoever has locked it.
    fn with<T>(&self, perform: impl FnOnce(&mut Frames<RING_BYTES>, &mut Encoder) -> T) -> T {
        // SAFETY: see `Sync`; the reference ends with this call.
        let (frames, encoder) = unsafe { &mut *self.state.get() };
        perform(frames, encoder)
    }
}

/// What defmt writes to.
#[defmt::global_logger]
struct Logger;

// SAFETY: `acquire` waits until nobody else is between it and `release`.
unsafe impl defmt::Logger for Logger {
    fn acquire() {
        LOG.lock();
        LOG.with(|frames, encoder| {
            frames.open();
            encoder.start_frame(|bytes| frames.push(bytes));
        });
    }

    unsafe fn flush() {}

    unsafe fn release() {
        LOG.with(|frames, encoder| {
            encoder.end_frame(|bytes| frames.push(bytes));
            frames.close();
        });
        LOG.unlock();
        // What a core has said outlives it: nothing waits in its memory.
        if crate::SPLIT {
            carry(u32::MAX);
        }
    }

    unsafe fn write(bytes: &[u8]) {
        LOG.with(|frames, encoder| encoder.write(bytes, |bytes| frames.push(bytes)));
    }
}

defmt::timestamp!("{=u64:us}", microseconds());

/// Of the counter: both modes of time agree with it.
fn microseconds() -> u64 {
    crate::clock::microseconds(Svc.counter(), Svc.frequency())
}

/// Carries at most so many frames to the console.
pub(crate) fn carry(count_max: u32) {
    let calls = Calls::new(Svc);
    for _ in 0..count_max {
        let mut line = Line {
            room: [0; LINE_BYTES_MAX],
            count: 0,
        };
        line.push(MARK);
        LOG.lock();
        let (found, lost) = LOG.with(|frames, _| {
            let lost = frames.lost();
            (frames.take(|byte| line.digits(byte)), lost)
        });
        LOG.unlock();
        if lost > 0 {
            defmt::println!("{=u32} frames of the log were lost", lost);
        }
        if !found {
            return;
        }
        line.push(b'\n');
        calls.print(line.room.get(..line.count).unwrap_or(&[]));
    }
}

/// A line in the making; what is too long for it is cut, and does not decode.
struct Line {
    room: [u8; LINE_BYTES_MAX],
    count: usize,
}

impl Line {
    fn push(&mut self, byte: u8) {
        if let Some(place) = self.room.get_mut(self.count) {
            *place = byte;
            self.count = self.count.saturating_add(1);
        }
    }

    fn digits(&mut self, byte: u8) {
        for half in [byte >> 4, byte & 15] {
            let digit = match half {
                0..=9 => half.wrapping_add(b'0'),
                _ => half.wrapping_add(b'a' - 10),
            };
            self.push(digit);
        }
    }
}
