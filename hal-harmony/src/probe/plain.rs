//! This file answers the rows that need no process: notifications, memory, what is refused.

use super::got::Got;
use super::walk::{Hands, NO_CAP, PAGE, page, word};
use crate::abi::Kernel;
use crate::abi::layout::PMO_DATA;
use crate::abi::number::Number;

/// Whether a call gave a capability: 1, or its error.
pub fn is_cap(result: i64) -> i64 {
    if result > 0 { 1 } else { result }
}

/// Passes milliseconds on the processor's counter; gives way meanwhile if asked to.
pub fn pass<K: Kernel>(kernel: &K, milliseconds: u64, mut meanwhile: impl FnMut()) {
    let begun = kernel.counter();
    let ticks = kernel.frequency().saturating_mul(milliseconds) / 1_000;
    // A counter may stand still too.
    for _ in 0..10_000_000_u32 {
        if kernel.counter().wrapping_sub(begun) > ticks {
            break;
        }
        meanwhile();
    }
}

pub fn clock_runs<K: Kernel>(hands: &Hands<'_, K>) -> i64 {
    let before = hands.raw.clock_ns();
    pass(hands.raw.0, 2, || {});
    i64::from(hands.raw.clock_ns() > before)
}

impl<K: Kernel> Hands<'_, K> {
    fn notification(&self) -> i64 {
        self.raw.plain(Number::CREATE_NOTIFC, &[])
    }

    fn notify(&self, notification: i64) -> i64 {
        self.raw.plain(Number::NOTIFY, &[notification])
    }

    pub fn notification_create(&self) -> i64 {
        is_cap(self.notification())
    }

    /// After this many notifies: what so many waits that do not block come to.
    pub fn wait_after<const WAITS: usize>(&self, notifies: u32) -> Got {
        let one = self.notification();
        for _ in 0..notifies {
            let _ = self.notify(one);
        }
        Got::from([(); WAITS].map(|()| self.raw.wait(one, 0, None)))
    }

    pub fn notify_once(&self) -> i64 {
        self.notify(self.notification())
    }

    pub fn notify_bad_cap(&self) -> i64 {
        self.notify(NO_CAP)
    }

    pub fn wait_timed_out(&self) -> Got {
        let one = self.notification();
        let kernel = self.raw.0;
        let begun = kernel.counter();
        let result = self.raw.wait(one, 1, Some(30));
        let ticks = kernel.counter().wrapping_sub(begun);
        let ms = ticks.saturating_mul(1_000).checked_div(kernel.frequency());
        let in_time = ms.is_some_and(|ms| (30..=200).contains(&ms));
        Got::from([result, i64::from(in_time)])
    }

    pub fn memory_create(&self, size: i64, kind: i64) -> i64 {
        self.raw.plain(Number::CREATE_PMO, &[size, kind])
    }

    pub fn memory_write_read(&self) -> Got {
        let memory = page(self.raw);
        let mut back = [0; 4];
        let written = self.raw.write(memory, 8, b"word");
        let read = self.raw.read(memory, 8, &mut back);
        Got::from([written, read, i64::from(back == *b"word")])
    }

    pub fn memory_write_range(&self) -> i64 {
        let over = PAGE.saturating_sub(4);
        self.raw.write(page(self.raw), over, b"too long")
    }

    pub fn memory_read_range(&self) -> i64 {
        let over = PAGE.saturating_sub(4);
        self.raw.read(page(self.raw), over, &mut [0; 8])
    }

    /// Maps into the own process, read and write.
    pub fn map_own(&self, memory: i64, at: i64) -> i64 {
        self.raw.plain(Number::MAP_PMO, &[0, memory, at, 3, -1])
    }

    pub fn unmap_own(&self, memory: i64) -> i64 {
        self.raw.plain(Number::UNMAP_PMO, &[0, memory, self.window])
    }

    pub fn map_unaligned(&self) -> i64 {
        let beside = self.window.saturating_add(PAGE.saturating_mul(16));
        self.map_own(page(self.raw), beside.saturating_add(1))
    }

    pub fn revoke(&self) -> Got {
        let memory = page(self.raw);
        let revoked = self.raw.plain(Number::REVOKE_CAP, &[memory, 0]);
        Got::from([revoked, self.raw.write(memory, 0, b"gone")])
    }

    /// A data object that a process with this quota was given, and what that came to.
    pub fn charge(&self, group: i64, bytes: i64) -> i64 {
        let memory = self.memory_create(bytes, word(PMO_DATA));
        self.raw.plain(Number::TRANSFER_PMO_OWNER, &[memory, group])
    }
}
