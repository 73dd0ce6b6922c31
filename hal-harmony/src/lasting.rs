//! This file is what a boot leaves for the next: how often the machine has begun and its core was
//! replaced since the power came, and how both ended last.
//!
//! It lies in memory that a reset leaves alone, in two places that are written in turn, each with
//! a checksum: whoever reads finds the last whole record, whenever the machine was reset. Keepers
//! of a core have it.

use crate::SPLIT;
use crate::abi::{Calls, Kernel, Reserved};
use core::sync::atomic::Ordering;
use init_core::effect::FinalAction;
use init_core::report::Line;

/// Words of a place, and how many places there are.
const PLACE_WORDS: usize = 8;
const PLACE_COUNT: usize = 2;

/// Words that are asked for.
pub const WORDS: usize = PLACE_WORDS * PLACE_COUNT;

/// Where what lies in a place.
mod at {
    /// Which of all records it is; the higher one is the last.
    pub const NUMBER: usize = 0;
    pub const BOOTS: usize = 1;
    pub const HEALINGS: usize = 2;
    pub const DEATH: usize = 3;
    pub const END: usize = 4;
    pub const SUM: usize = 5;
}

/// What is known of the boots so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Record {
    number: u32,
    boots: u32,
    healings: u32,
    /// How the last core ended, as [`Death::word`] has it.
    death: u32,
    /// What this boot ended with, as [`end_word`] has it; 0: it has not ended.
    end: u32,
}

/// How a core ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Death {
    /// With code 0, or somebody ended it.
    Killed,
    /// With this code.
    Code(u8),
    /// By a fault.
    Fault,
    /// It was silent.
    Silent,
    /// It did what no core does.
    Breach,
}

impl Death {
    fn word(self) -> u32 {
        match self {
            Self::Killed => 1,
            Self::Fault => 2,
            Self::Silent => 3,
            Self::Breach => 4,
            Self::Code(code) => 0x100 | u32::from(code),
        }
    }

    fn say(word: u32, line: &mut Line<'_>) {
        match word {
            1 => line.text("code 0, or somebody ended it"),
            2 => line.text("by a fault"),
            3 => line.text("it was silent"),
            4 => line.text("it did what no core does"),
            code => line.text("exit code ").number(code & 0xff),
        };
    }
}

fn end_word(action: FinalAction) -> u32 {
    match action {
        FinalAction::PowerOff => 1,
        FinalAction::Reboot => 2,
        FinalAction::Halt => 3,
        FinalAction::Kexec => 4,
    }
}

impl Record {
    fn words(&self) -> [u32; PLACE_WORDS] {
        let mut words = [0; PLACE_WORDS];
        let values = [
            (at::NUMBER, self.number),
            (at::BOOTS, self.boots),
            (at::HEALINGS, self.healings),
            (at::DEATH, self.death),
            (at::END, self.end),
        ];
        for (place, value) in values {
            if let Some(word) = words.get_mut(place) {
                *word = value;
            }
        }
        let sum = sum(&words);
        if let Some(word) = words.get_mut(at::SUM) {
            *word = sum;
        }
        words
    }

    fn read(words: [u32; PLACE_WORDS]) -> Option<Self> {
        let get = |place: usize| words.get(place).copied().unwrap_or(0);
        let mut summed = words;
        if let Some(word) = summed.get_mut(at::SUM) {
            *word = 0;
        }
        if get(at::SUM) != sum(&summed) {
            return None;
        }
        Some(Self {
            number: get(at::NUMBER),
            boots: get(at::BOOTS),
            healings: get(at::HEALINGS),
            death: get(at::DEATH),
            end: get(at::END),
        })
    }

    /// Says what is known when a boot begins that is not the first.
    fn say(&self, line: &mut Line<'_>) {
        line.text("boot ").number(self.boots.saturating_add(1));
        line.text(" since the power came; the one before ");
        match self.end {
            1 => line.text("was switched off"),
            2 => line.text("was to begin again"),
            3 => line.text("was halted"),
            4 => line.text("went to another kernel"),
            _ => line.text("ended without a word"),
        };
        line.text(", cores replaced so far: ").number(self.healings);
        if self.healings > 0 {
            line.text(", the last: ");
            Death::say(self.death, line);
        }
    }
}

/// CRC-32 of IEEE 802.3 over the words, so that neither zeros nor ones alone are a record.
fn sum(words: &[u32]) -> u32 {
    const POLYNOMIAL: u32 = 0xedb8_8320;
    let mut crc = u32::MAX;
    for word in words {
        crc ^= word;
        for _ in 0..u32::BITS {
            let is_odd = crc & 1 != 0;
            crc >>= 1;
            if is_odd {
                crc ^= POLYNOMIAL;
            }
        }
    }
    !crc
}

/// The record and where it is kept.
#[derive(Debug)]
pub struct Lasting {
    memory: Option<Reserved>,
    record: Record,
}

impl Lasting {
    /// What the boot before left at `reserved`, if anything; this boot is noted. `say` is told what
    /// is to be said.
    pub fn open<K: Kernel>(
        calls: &Calls<K>,
        reserved: Option<u64>,
        mut say: impl FnMut(&dyn Fn(&mut Line<'_>)),
    ) -> Self {
        // The smallest images, which are one process, do without.
        let reserved = reserved.filter(|_| SPLIT);
        let memory = reserved.map(|at| calls.reserve(at, WORDS));
        if let Some(Err(_)) = memory {
            say(&|line| {
                line.text("the memory that a reset leaves alone cannot be had");
            });
        }
        let mut lasting = Self {
            memory: memory.and_then(Result::ok),
            record: Record::default(),
        };
        if SPLIT && let Some(before) = lasting.read() {
            say(&|line| before.say(line));
            lasting.record = before;
        }
        if !SPLIT {
            return lasting;
        }
        lasting.record.boots = lasting.record.boots.saturating_add(1);
        lasting.record.end = 0;
        lasting.write();
        lasting
    }

    /// A core was replaced.
    pub fn healed(&mut self, death: Death) {
        self.record.healings = self.record.healings.saturating_add(1);
        self.record.death = death.word();
        self.write();
    }

    /// The machine comes to its end.
    pub fn ended(&mut self, action: FinalAction) {
        if !SPLIT {
            return;
        }
        self.record.end = end_word(action);
        self.write();
    }

    fn read(&self) -> Option<Record> {
        let places = self.memory.as_ref()?.words().chunks_exact(PLACE_WORDS);
        let records = places.filter_map(|place| {
            let mut words = [0; PLACE_WORDS];
            for (to, from) in words.iter_mut().zip(place) {
                *to = from.load(Ordering::Relaxed);
            }
            Record::read(words)
        });
        records.max_by_key(|record| record.number)
    }

    /// Over the older one of the two.
    fn write(&mut self) {
        self.record.number = self.record.number.saturating_add(1);
        let Some(memory) = &self.memory else { return };
        let mut places = memory.words().chunks_exact(PLACE_WORDS);
        let place = match self.record.number & 1 {
            0 => places.next(),
            _ => places.nth(1),
        };
        for (to, from) in place.unwrap_or_default().iter().zip(self.record.words()) {
            to.store(from, Ordering::Release);
        }
        memory.settle();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::sync::atomic::AtomicU32;

    #[test]
    fn a_record_is_read_as_written_and_with_no_bit_changed() {
        let record = Record {
            number: 7,
            boots: 3,
            healings: 200,
            death: Death::Code(9).word(),
            end: end_word(FinalAction::Reboot),
        };
        let words = record.words();
        assert_eq!(Record::read(words), Some(record));
        for place in 0..PLACE_WORDS {
            for bit in 0..32 {
                let mut damaged = words;
                damaged[place] ^= 1 << bit;
                assert_eq!(Record::read(damaged), None, "{place} {bit}");
            }
        }
        for fill in [0, u32::MAX, 0xa5a5_a5a5] {
            assert_eq!(Record::read([fill; PLACE_WORDS]), None, "{fill:x}");
        }
    }

    #[test]
    fn the_last_whole_one_of_two_records_counts() {
        static MEMORY: [AtomicU32; WORDS] = [const { AtomicU32::new(0) }; WORDS];
        let mut lasting = Lasting {
            memory: Some(Reserved::of(&MEMORY)),
            record: Record::default(),
        };
        assert_eq!(lasting.read(), None);
        for count in 1..20 {
            lasting.healed(Death::Silent);
            assert_eq!(lasting.read(), Some(lasting.record), "{count}");
        }
        let last = lasting.record;
        // The next one is half written.
        let place = if last.number & 1 == 0 { PLACE_WORDS } else { 0 };
        MEMORY[place + at::HEALINGS].store(99, Ordering::Relaxed);
        assert_eq!(lasting.read(), Some(last));
    }
}
