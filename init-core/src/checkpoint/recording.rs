//! This file reads what the flight recorder left, somewhere else than on the device: its entries,
//! the states between them, and a state as a region that a core goes on with.

use super::entry::Entry;
use super::pack::{self, Rest};
use super::recorder::Recorder;
pub use super::recorder::State;
use super::records::{RECORD_BYTES, Records};
use super::words::Words;
use super::{Part, at, record_count, records_at};
use crate::ident::UnitId;
use crate::supervisor::unit::Unit;
use crate::system::System;
use crate::wire::{Value, Wire};
use alloc::format;
use alloc::string::String;
use core::ops::Range;

/// A recording, in the words that it was taken from.
#[derive(Clone, Copy, Debug)]
pub struct Recording<'r> {
    words: Words<'r>,
    recorder: Recorder<'r>,
    units: usize,
}

impl<'r> Recording<'r> {
    /// Of so many units. `None`: there is none, or one in another layout.
    pub fn of(words: Words<'r>, units: usize) -> Option<Self> {
        let recorder = Recorder::found(words, units)?;
        Some(Self {
            words,
            recorder,
            units,
        })
    }

    /// Entries that there is room for.
    pub fn capacity(&self) -> u32 {
        self.recorder.capacity()
    }

    /// Entries that have been written in all; wraps.
    pub fn count(&self) -> u32 {
        self.recorder.end().0
    }

    /// The first word of an entry's place.
    pub fn place_of(&self, number: u32) -> usize {
        self.recorder.place(number)
    }

    /// An entry by its number. `None`: it is not there any more, or damaged.
    pub fn entry(&self, number: u32) -> Option<Entry> {
        Entry::read(self.words, self.recorder.place(number), number)
    }

    /// The states that were copied and can be read to the last record.
    pub fn states(&self) -> impl Iterator<Item = State> {
        let found = [0, 1].map(|index| self.recorder.read_state(index));
        let recording = *self;
        let is_whole = move |state: &State| {
            let records = recording.records(state);
            let mut bytes = [0; RECORD_BYTES];
            let mut all = 0..record_count(recording.units);
            records.sum() == state.sum && all.all(|record| records.read(record, &mut bytes))
        };
        found.into_iter().flatten().filter(is_whole)
    }

    fn records(&self, state: &State) -> Records<'r> {
        // Where a journal would be is one word before the records.
        let begin = state.place.wrapping_sub(1);
        Records::new(self.words, begin, record_count(self.units))
    }

    /// Makes a region in which nothing has happened one that holds this state. Whoever finds it is
    /// of the same life.
    pub fn load(&self, state: &State, region: Words<'_>) {
        let records = records_of(region, self.units);
        self.records(state).copy_to(region, records.place(0));
        let mut rest = Rest::NEW;
        let _is_checked = read(&records, Part::Rest, |wire| rest.pass(wire));
        // At rest all is done that was asked for.
        found(region, state.life, (rest.emitted, rest.emitted));
    }

    /// What a region has otherwise than a copied state: the first unit, or the machine, and both.
    pub fn difference(&self, state: &State, region: Words<'_>) -> Option<Difference> {
        let (one, other) = (self.records(state), records_of(region, self.units));
        let count = u16::try_from(self.units).unwrap_or(u16::MAX);
        let units = (0..count).map(|unit| Part::Unit(UnitId(unit)));
        let mut all = units.chain(Part::MACHINE);
        let differs = |part: &Part| {
            let record = part.record();
            one.stored_checksum(record) != other.stored_checksum(record)
        };
        let part = all.find(differs)?;
        Some(Difference {
            unit: match part {
                Part::Unit(unit) => Some(unit),
                Part::System | Part::Rest => None,
            },
            recorded: words_of(&one, part),
            reached: words_of(&other, part),
        })
    }
}

/// Where two states are not the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Whose record; `None`: the machine's.
    pub unit: Option<UnitId>,
    /// As it was recorded.
    pub recorded: String,
    /// As it is.
    pub reached: String,
}

fn records_of(region: Words<'_>, units: usize) -> Records<'_> {
    Records::new(region, records_at(units), record_count(units))
}

fn read(records: &Records<'_>, part: Part, pass: impl FnOnce(&mut Wire<'_, '_>)) -> bool {
    let mut bytes = [0; RECORD_BYTES];
    let is_whole = records.read(part.record(), &mut bytes);
    let mut wire = Wire::reading(&bytes);
    pass(&mut wire);
    is_whole && wire.is_whole()
}

fn words_of(records: &Records<'_>, part: Part) -> String {
    let (mut unit, mut system, mut rest) = (Unit::NEW, System::new(), Rest::NEW);
    read(records, part, |wire| match part {
        Part::Unit(_) => pack::unit(&mut unit, wire),
        Part::System => system.pass(wire),
        Part::Rest => rest.pass(wire),
    });
    match part {
        Part::Unit(_) => format!("{unit:?}"),
        Part::System => format!("{system:?}"),
        Part::Rest => format!("{rest:?}"),
    }
}

/// The words of a region that say what was asked for, and of that what was begun and done.
pub const fn asked() -> Range<usize> {
    at::BEGUN..super::NAMES
}

/// The sum of the state that was committed to a region.
pub fn sum(region: Words<'_>, units: usize) -> u32 {
    records_of(region, units).sum()
}

/// Makes a region what a life found: which it is, and the effects begun and done before.
pub fn found(region: Words<'_>, life: u32, (begun, done): (u32, u32)) {
    region.set(at::BEGUN, begun);
    region.set(at::DONE, done);
    region.set(at::LIVES, life.wrapping_sub(1));
}
