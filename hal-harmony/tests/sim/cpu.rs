//! This file is the simulated processor: the few instructions of which the tests' programs are
//! made. Any other is undefined, and of those the kernel dies.

use super::machine::{Doing, State, Thread, Twist};
use hal_harmony::abi::number::Number;

/// Time that an instruction takes: a slow machine, so that waiting costs the test little.
const INSTRUCTION_NS: u64 = 1_000;

fn register(word: u32, shift: u32) -> usize {
    usize::try_from(word >> shift & 31).expect("64 bits")
}

/// A signed field, as a distance in bytes.
fn distance(word: u32, shift: u32, bits: u32) -> u64 {
    let field = word >> shift << (32 - bits);
    let words = field.cast_signed() >> (32 - bits);
    i64::from(words * 4).cast_unsigned()
}

impl State {
    /// Runs a thread until its time is over or it does not run any more.
    pub fn run(&mut self, thread: usize, slice: u32) {
        for _ in 0..slice {
            if self.threads[thread].doing != Doing::Runs {
                return;
            }
            self.now_ns += INSTRUCTION_NS;
            self.time_out();
            if self.is_preempted(thread) {
                return;
            }
            let group = self.threads[thread].group;
            let pc = self.threads[thread].pc;
            let done = match self.fetch(group, pc) {
                Some(word) => {
                    self.threads[thread].pc = pc + 4;
                    self.execute(thread, group, word, pc)
                }
                None => None,
            };
            if done.is_none() {
                self.fault(group);
                return;
            }
        }
    }

    /// A thread of the root task has been woken meanwhile and is the more important one.
    pub fn is_preempted(&self, thread: usize) -> bool {
        let own = self.threads[thread].priority;
        let is_woken = |one: &Thread| one.group == 0 && one.doing == Doing::Runs;
        let mut woken = self.threads.iter().filter(|one| is_woken(one));
        woken.any(|one| one.priority > own) && !self.has(Twist::PriorityIgnored)
    }

    /// `None`: a data fault.
    fn execute(&mut self, thread: usize, group: usize, word: u32, pc: u64) -> Option<()> {
        let (d, n) = (register(word, 0), register(word, 5));
        let wide = u64::from(word >> 10 & 0xfff);
        let x = self.threads[thread].x;
        let set = |state: &mut Self, to: usize, value: u64| {
            if to < 31 {
                state.threads[thread].x[to] = value;
            }
        };
        let jump = |state: &mut Self, by: u64| {
            state.threads[thread].pc = pc.wrapping_add(by);
        };
        match word {
            0xd400_0001 => self.trap(thread),
            _ if word & 0xffe0_ffe0 == 0xaa00_03e0 => set(self, d, x[register(word, 16)]),
            _ if word & 0xff80_0000 == 0xd280_0000 || word & 0xff80_0000 == 0xf280_0000 => {
                let shift = (word >> 21 & 3) * 16;
                let field = u64::from(word >> 5 & 0xffff) << shift;
                let keeps = word & 0x2000_0000 != 0;
                let old = if keeps { x[d] & !(0xffff << shift) } else { 0 };
                set(self, d, old | field);
            }
            _ if word & 0xffc0_fc00 == 0xd340_fc00 => set(self, d, x[n] >> (word >> 16 & 63)),
            _ if word & 0xffc0_0000 == 0xd100_0000 => set(self, d, x[n].wrapping_sub(wide)),
            _ if word & 0xffc0_0000 == 0x9100_0000 => set(self, d, x[n].wrapping_add(wide)),
            _ if word & 0xffc0_0000 == 0xf940_0000 => {
                let value = self.long_in(group, x[n].wrapping_add(wide * 8))?;
                set(self, d, value);
            }
            _ if word & 0xffc0_0000 == 0xf900_0000 => {
                let at = x[n].wrapping_add(wide * 8);
                self.copy_out(group, at, &x[d].to_le_bytes())?;
            }
            _ if word & 0xffc0_0000 == 0xa940_0000 => {
                let by = distance(word, 15, 7).wrapping_mul(2);
                let at = x[n].wrapping_add(by);
                let (one, two) = (self.long_in(group, at)?, self.long_in(group, at + 8)?);
                set(self, d, one);
                set(self, register(word, 10), two);
            }
            _ if word & 0xfe00_0000 == 0xb400_0000 => {
                let if_zero = word & 0x0100_0000 == 0;
                if (x[d] == 0) == if_zero {
                    jump(self, distance(word, 5, 19));
                }
            }
            _ if word & 0xfc00_0000 == 0x1400_0000 => jump(self, distance(word, 0, 26)),
            _ => panic!("H3: an undefined instruction, {word:#010x} at {pc:#x}"),
        }
        Some(())
    }

    fn trap(&mut self, thread: usize) {
        let x = self.threads[thread].x;
        let number = Number::from_register(x[8]);
        let number = number.unwrap_or_else(|| panic!("a call of an unknown number, {}", x[8]));
        self.call(thread, number, [x[0], x[1], x[2], x[3], x[4], x[5]]);
        if number == Number::YIELD {
            // Gives way at the end of its slice at the latest; a dying thread goes here.
            self.bury();
        }
    }
}
