//! This file is the flight recorder: a ring of the last events that the core took in, and now and
//! then the whole state, so that those that follow can be performed again somewhere else.
//!
//! It lies behind the records, in whatever words the region has there; where there are too few,
//! nothing is recorded. An entry is written before the core takes its event in: what process 1
//! died of is the last one. The sum of the state before it is in each, so whoever performs them
//! again knows after which step it came to something else.
//!
//! A state is copied in two places by turns, when nothing is left to do: there is always one from
//! which at least the last half of the entries follow.

use super::entry::{ENTRY_WORDS, Entry, Happening};
use super::records::{Records, share};
use super::words::Words;
use crate::event::Event;
use crate::time::Instant;

/// Whether anything is recorded at all; if not, the compiler drops all that would record it.
pub const RECORDS: bool = cfg!(feature = "recorder");

/// "Here are recordings, in this layout." Raised whenever the meaning of a word changes.
const MAGIC: u32 = 0x4652_0002;

/// Words before the states, and where they lie.
mod at {
    pub const MAGIC: usize = 0;
    /// Entries that count, since the region was made; wraps.
    pub const COUNT: usize = 1;
    pub const STATES: usize = 2;
}

/// A state that was copied, and where its words lie.
mod state {
    /// Whether it is all there.
    pub const IS_WHOLE: usize = 0;
    /// How many entries had been written.
    pub const NUMBER: usize = 1;
    /// When: two words, low half first.
    pub const TIME: usize = 2;
    /// Its sum.
    pub const SUM: usize = 4;
    /// Which life of process 1 it was.
    pub const LIFE: usize = 5;
    pub const RECORDS: usize = 6;
}

/// Entries without which there is no point in it.
pub const ENTRY_COUNT_MIN: usize = 32;

/// Words of a copied state of so many units.
const fn state_words(units: usize) -> usize {
    let records = Records::places_for(super::record_count(units));
    records.wrapping_add(state::RECORDS)
}

const fn entries_at(units: usize) -> usize {
    state_words(units).wrapping_mul(2).wrapping_add(at::STATES)
}

/// Bytes that a recorder of so many units and entries has.
pub const fn bytes_for(units: usize, entries: usize) -> usize {
    let words = entries_at(units).wrapping_add(entries.wrapping_mul(ENTRY_WORDS));
    words.wrapping_mul(4)
}

/// A state that was copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// Entries written before it.
    pub number: u32,
    /// When it was copied.
    pub at: Instant,
    /// Its sum.
    pub sum: u32,
    /// Which life of process 1 it was, from 1.
    pub life: u32,
    /// The first word of its records.
    pub(crate) place: usize,
}

/// The recorder, in its words.
#[derive(Clone, Copy, Debug)]
pub struct Recorder<'r> {
    words: Words<'r>,
    units: usize,
    /// Entries that there is room for; 0: nothing is recorded.
    capacity: u32,
    count: u32,
    /// The sum of the committed state.
    sum: u32,
    /// Entries that counted when the state was copied last.
    copied: u32,
    /// The last entry says that nothing happened yet: it counts when something does.
    is_open: bool,
    /// A state is to be copied whenever that can be.
    wants_state: bool,
}

impl<'r> Recorder<'r> {
    /// A recorder of so many units in these words. Nothing is recorded before [`Self::begin`] or
    /// [`Self::go_on`].
    pub const fn new(words: Words<'r>, units: usize) -> Self {
        let room = words.len().saturating_sub(entries_at(units));
        let capacity = room / ENTRY_WORDS;
        // A region is smaller than 16 GiB.
        let [a, b, c, d, ..] = capacity.to_le_bytes();
        Self {
            words,
            units,
            capacity: if capacity < ENTRY_COUNT_MIN {
                0
            } else {
                u32::from_le_bytes([a, b, c, d])
            },
            count: 0,
            sum: 0,
            copied: 0,
            is_open: false,
            wants_state: false,
        }
    }

    /// What is in these words; `None`: nothing of a recorder.
    #[cfg(feature = "fake")]
    pub fn found(words: Words<'r>, units: usize) -> Option<Self> {
        let mut recorder = Self::new(words, units);
        recorder.count = words.get(at::COUNT);
        (recorder.is_on() && words.get(at::MAGIC) == MAGIC).then_some(recorder)
    }

    /// Entries that there is room for.
    #[cfg(feature = "fake")]
    pub const fn capacity(&self) -> u32 {
        self.capacity
    }

    /// Whether anything is recorded.
    pub const fn is_on(&self) -> bool {
        RECORDS && self.capacity > 0
    }

    /// All its words; none where nothing is recorded.
    pub const fn words(&self) -> Words<'r> {
        if self.is_on() {
            self.words
        } else {
            Words::new(&[])
        }
    }

    /// Entries that count, and the sum of the state after the last.
    pub const fn end(&self) -> (u32, u32) {
        (self.count, self.sum)
    }

    /// Nothing has happened yet, and this is the state.
    #[inline(never)]
    pub fn begin(&mut self, records: &Records<'_>) {
        if !self.is_on() {
            return;
        }
        (self.count, self.copied) = (0, 0);
        (self.is_open, self.wants_state) = (false, false);
        self.sum = records.sum();
        for state in 0..2 {
            self.words.set(self.state(state), 0);
        }
        // One of the same number may be there from before.
        self.words.set(self.place(0), 0);
        self.words.set(at::COUNT, 0);
        self.words.set(at::MAGIC, MAGIC);
    }

    /// A new life found this state; with `life` `None` it could not read all of it.
    #[inline(never)]
    pub fn go_on(&mut self, records: &Records<'_>, life: Option<Happening>) {
        if !self.is_on() {
            return;
        }
        self.sum = records.sum();
        let is_known = self.words.get(at::MAGIC) == MAGIC;
        if !is_known {
            // Another program's region was written down anew.
            self.begin(records);
        }
        self.count = self.words.get(at::COUNT);
        // What the life before was looking at when it died.
        if Entry::read(self.words, self.place(self.count), self.count).is_some() {
            self.add();
        }
        let states = [0, 1].map(|index| self.read_state(index));
        let ages = states.iter().flatten().map(|state| self.age(state.number));
        // Where there is none, nothing had happened at the first entry.
        self.copied = self.count.wrapping_sub(ages.min().unwrap_or(self.count));
        match life {
            Some(life) if is_known => self.put(life, Instant::ZERO),
            Some(_) | None => self.gap(),
        }
    }

    /// Notes what the core takes in next. A [`Event::Tick`] counts only if something comes of it.
    pub fn put(&mut self, what: Happening, at: Instant) {
        if !self.is_on() {
            return;
        }
        let entry = Entry {
            before: self.sum,
            at,
            what,
        };
        let place = self.place(self.count);
        entry.write(self.words, place, self.count);
        self.is_open = true;
        if !matches!(what, Happening::Event(Event::Tick)) {
            self.count_open();
        }
    }

    /// What comes next does not follow from what was recorded: a state is needed.
    #[inline(never)]
    pub fn gap(&mut self) {
        if self.is_on() {
            self.put(Happening::Gap, Instant::ZERO);
            self.wants_state = true;
        }
    }

    /// Something is about to be committed: the last entry counts.
    pub fn count_open(&mut self) {
        if RECORDS && self.is_open {
            self.add();
        }
    }

    fn add(&mut self) {
        self.is_open = false;
        self.count = self.count.wrapping_add(1);
        // One of the same number may be there, of a recording that was begun before this one.
        self.words.set(self.place(self.count), 0);
        self.words.set(at::COUNT, self.count);
    }

    /// A record's checksum was one and is another with the next commit.
    pub fn changed(&mut self, record: usize, old: u32, new: u32) {
        if self.is_on() {
            let (old, new) = (share(record, old), share(record, new));
            self.sum = self.sum.wrapping_sub(old).wrapping_add(new);
        }
    }

    const fn half(&self) -> u32 {
        self.capacity / 2
    }

    /// Nothing is left to do: the state is copied if its time has come.
    pub fn rest(&mut self, records: &Records<'_>, life: u32, now: Instant) {
        let since = self.count.wrapping_sub(self.copied);
        if self.is_on() && (self.wants_state || since >= self.half()) {
            self.copy(records, life, now);
        }
    }

    #[inline(never)]
    fn copy(&mut self, records: &Records<'_>, life: u32, now: Instant) {
        let [first, second] = [0, 1].map(|index| self.read_state(index));
        let is_second = match (first, second) {
            (Some(first), Some(second)) => self.age(second.number) > self.age(first.number),
            (Some(_), None) => true,
            (None, _) => false,
        };
        let place = self.state(usize::from(is_second));
        let words = self.words;
        words.set(place, 0);
        let number = |index: usize, value| words.set(place.wrapping_add(index), value);
        number(state::NUMBER, self.count);
        let us = now.as_us();
        words.write(place.wrapping_add(state::TIME), &us.to_le_bytes());
        number(state::SUM, self.sum);
        number(state::LIFE, life);
        records.copy_to(words, place.wrapping_add(state::RECORDS));
        number(state::IS_WHOLE, 1);
        self.copied = self.count;
        self.wants_state = false;
    }

    fn age(&self, number: u32) -> u32 {
        self.count.wrapping_sub(number)
    }

    fn state(&self, index: usize) -> usize {
        let skip = index.wrapping_mul(state_words(self.units));
        at::STATES.wrapping_add(skip)
    }

    pub(super) fn place(&self, number: u32) -> usize {
        let slot = number.checked_rem(self.capacity).unwrap_or(0);
        let slot = usize::try_from(slot).unwrap_or(0);
        entries_at(self.units).wrapping_add(slot.wrapping_mul(ENTRY_WORDS))
    }

    /// A state that was copied, of the two that there may be.
    pub(super) fn read_state(&self, index: usize) -> Option<State> {
        let place = self.state(index);
        let word = |index: usize| self.words.get(place.wrapping_add(index));
        let mut time = [0; 8];
        self.words.read(place.wrapping_add(state::TIME), &mut time);
        (word(state::IS_WHOLE) == 1).then_some(State {
            number: word(state::NUMBER),
            at: Instant::from_us(u64::from_le_bytes(time)),
            sum: word(state::SUM),
            life: word(state::LIFE),
            place: place.wrapping_add(state::RECORDS),
        })
    }
}
