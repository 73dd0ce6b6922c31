//! This file ends the process by the name of a core again and again, at times that nobody could
//! foresee and that are the same in every run.

use crate::kernel::Kernel;
use crate::object::Doing;
use crate::sys::cpu;

/// Who is ended.
pub const NAME: &[u8] = b"init-core";

/// Spans within which a core is ended after its begin, in millionths of a second: in its first
/// instructions, while it finds its state, in its first work, and mostly while it sleeps.
const SPANS_US: [u64; 4] = [60, 600, 6_000, 24_000];

/// Every so many deaths are by a fault of its own, as far as anybody can see.
const FAULT_EVERY: u64 = 5;

/// What is to be done to cores.
pub struct Deaths {
    left: u64,
    random: u64,
    /// The tick at which the core of this index is ended.
    next: Option<(usize, u64)>,
}

impl Deaths {
    /// So many.
    pub fn new(count: u64) -> Self {
        Self {
            left: count,
            random: 0x9e37_79b9_7f4a_7c15,
            next: None,
        }
    }

    /// When the next comes.
    pub fn tick(&self) -> Option<u64> {
        self.next.map(|(_, tick)| tick)
    }

    /// The lowest bits of a xorshift generator's next number.
    fn below(&mut self, end: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % end.max(1)
    }
}

impl Kernel {
    /// A process got its first thread.
    pub fn expect_death(&mut self, group: usize) {
        if self.groups[group].name != NAME || self.deaths.left == 0 {
            return;
        }
        let which = usize::try_from(self.deaths.below(4)).unwrap_or(0);
        let us = self.deaths.below(SPANS_US[which]);
        let tick = cpu::ticks() + us * cpu::frequency() / 1_000_000;
        self.deaths.next = Some((group, tick));
    }

    /// Ends the core whose time has come.
    pub fn end_core(&mut self) {
        let Some((group, tick)) = self.deaths.next else {
            return;
        };
        if cpu::ticks() < tick {
            return;
        }
        self.deaths.next = None;
        if self.groups[group].name != NAME || self.groups[group].told {
            return;
        }
        self.deaths.left -= 1;
        let works = self
            .threads
            .iter()
            .any(|one| one.group == group && matches!(one.doing, Doing::Runs));
        let is_fault = works && self.deaths.left.is_multiple_of(FAULT_EVERY);
        self.end(group, if is_fault { -1 } else { 0 });
        self.reschedule = true;
        if self.deaths.left == 0 {
            cpu::print(b"stub: ended the core for the last time\n");
        }
    }
}
