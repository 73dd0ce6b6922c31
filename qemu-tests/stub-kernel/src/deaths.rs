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

/// One of so many deaths is by a fault of its own, as far as anybody can see.
const FAULT_EVERY: u64 = 10;
/// And one of so many is not ended, but never runs again once it is told something.
const HANG_EVERY: u64 = 60;
/// Both happen to cores that have lived so long only: by then a core has dealt with what the one
/// before left, so no two faults in a row are of the same.
const FAULT_FROM_US: u64 = 12_000;

/// The codes of both ends.
const FAULT: i32 = -1;
const KILLED: i32 = 0;

/// After this time cores are poisoned: each ends of what it is told first, so soon that it cannot
/// have noted that.
const POISON_FROM_MS: u64 = 400;
const POISON_US: u64 = 3;

/// Where a core keeps how much it has asked for in all, in memory that it shares with the root task
/// (`hal-harmony/src/split`), and what is added to that: more than there is room for.
const ASKED_AT: u64 = 0x7800_0010;
const TOO_MUCH: u32 = 5_000;

/// What a core ends of.
#[derive(Clone, Copy)]
enum Cause {
    /// Its life was to last so many microseconds.
    Span(u64),
    Poison,
}

/// What is to be done to cores.
pub struct Deaths {
    count: u64,
    left: u64,
    /// Of those so far.
    faults: u64,
    hangs: u64,
    /// Who is to hang.
    hanging: Option<usize>,
    poisons: u64,
    /// How often what it shares is to be damaged after that.
    damages: u64,
    random: u64,
    /// The tick at which the core of this index is ended, and of what.
    next: Option<(usize, u64, Cause)>,
}

fn ticks(us: u64) -> u64 {
    us * cpu::frequency() / 1_000_000
}

impl Deaths {
    /// So many, so many by poison, and so much damage.
    pub fn new([count, poisons, damages]: [u64; 3]) -> Self {
        Self {
            count,
            left: count,
            faults: 0,
            hangs: 0,
            hanging: None,
            poisons,
            damages,
            // Another number of them is another history.
            random: 0x9e37_79b9_7f4a_7c15 ^ count.wrapping_mul(0xd134_2543_de82_ef95),
            next: None,
        }
    }

    /// When the next comes.
    pub fn tick(&self) -> Option<u64> {
        self.next.map(|(_, tick, _)| tick)
    }

    /// How one that lived so long ends; `None`: it hangs.
    fn kind(&mut self, us: u64) -> Option<i32> {
        let done = self.count - self.left;
        if us < FAULT_FROM_US {
            return Some(KILLED);
        }
        if done / HANG_EVERY > self.hangs {
            self.hangs += 1;
            return None;
        }
        if done / FAULT_EVERY > self.faults {
            self.faults += 1;
            return Some(FAULT);
        }
        Some(KILLED)
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
        self.deaths.next = Some((group, cpu::ticks() + ticks(us), Cause::Span(us)));
    }

    /// A thread of a process was answered: if that is a core, it was told something.
    pub fn poison(&mut self, group: usize) {
        if self.deaths.hanging == Some(group) {
            self.deaths.hanging = None;
            let its = self.threads.iter_mut().filter(|one| one.group == group);
            let mut runs = its.filter(|one| matches!(one.doing, Doing::Runs));
            if let Some(thread) = runs.next() {
                thread.doing = Doing::Never;
            }
        }
        let is_time = cpu::ticks() >= ticks(POISON_FROM_MS * 1_000);
        if !is_time || self.groups[group].name != NAME || self.deaths.poisons == 0 {
            return;
        }
        self.deaths.poisons -= 1;
        self.deaths.next = Some((group, cpu::ticks() + ticks(POISON_US), Cause::Poison));
    }

    /// A process calls: if that is a core, what it shares may be damaged now.
    pub fn damage(&mut self, group: usize) {
        let Deaths {
            poisons, damages, ..
        } = self.deaths;
        if self.groups[group].name != NAME || poisons > 0 || damages == 0 {
            return;
        }
        let space = &self.groups[group].space;
        let asked = space
            .word_in(ASKED_AT)
            .expect("the words that a core shares");
        let damaged = asked.wrapping_add(TOO_MUCH).to_le_bytes();
        space.copy_out(ASKED_AT, &damaged).expect("the same");
        self.deaths.damages -= 1;
    }

    /// Ends the core whose time has come.
    pub fn end_core(&mut self) {
        let Some((group, tick, cause)) = self.deaths.next else {
            return;
        };
        if cpu::ticks() < tick {
            return;
        }
        self.deaths.next = None;
        if self.groups[group].name != NAME || self.groups[group].told {
            return;
        }
        self.reschedule = true;
        let Cause::Span(us) = cause else {
            return self.end(group, FAULT);
        };
        self.deaths.left -= 1;
        let left = self.deaths.left;
        match self.deaths.kind(us) {
            Some(code) => self.end(group, code),
            None => self.deaths.hanging = Some(group),
        }
        if left == 0 {
            cpu::print(b"stub: ended the core for the last time\n");
        }
    }
}
