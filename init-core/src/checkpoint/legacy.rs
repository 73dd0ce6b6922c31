//! This file reads what a process 1 with other units left, and writes it down as the region of one
//! with these: units are found by their names, and every reference to one is translated.
//!
//! Only the front of the region and the order of the fields in a record are what both must agree
//! on. How many units there are, how long a record is and where each part begins is written there;
//! fields that were added at a record's end are zero where they were not written.

use super::names::{Names, Renames};
use super::pack::{self, Rest};
use super::records::{RECORD_BYTES, RECORD_WORDS, Records};
use super::words::Words;
use super::{MAGIC, NAMES, Part, at, fingerprint, record_count, records_at};
use crate::ident::UnitId;
use crate::limits::UNIT_COUNT_MAX;
use crate::supervisor::unit::Unit;
use crate::system::System;
use crate::unit::Manifest;
use crate::wire::{Value, Wire};

/// Words of a record, at most: four times as long as ours.
const RECORD_WORDS_MAX: usize = 4 * RECORD_WORDS;

/// A region that another program wrote.
#[derive(Clone, Copy, Debug)]
pub struct Legacy<'r> {
    words: Words<'r>,
    names: Names<'r>,
    records: Records<'r>,
    unit_count: usize,
}

impl<'r> Legacy<'r> {
    /// `None`: it is no region, or its fields are not ours.
    pub fn of(words: Words<'r>) -> Option<Self> {
        let word = |at| usize::try_from(words.get(at)).ok();
        let (unit_count, size) = (word(at::UNITS)?, word(at::RECORD_WORDS)?);
        let names_at = word(at::NAMES_AT)?;
        let is_sane = words.get(at::MAGIC) == MAGIC
            && unit_count <= UNIT_COUNT_MAX
            && (1..=RECORD_WORDS_MAX).contains(&size)
            && (at::EFFECTS..=words.len()).contains(&names_at);
        if !is_sane {
            return None;
        }
        let count = record_count(unit_count);
        let records_at = names_at.checked_add(Names::words_for(unit_count))?;
        let end = records_at.checked_add(Records::words_for_sized(count, size))?;
        (end <= words.len()).then_some(Self {
            words,
            names: Names::new(words, names_at, unit_count),
            records: Records::sized(words, records_at, count, size),
            unit_count,
        })
    }

    /// As [`Self::of`], where whoever may write to the region is not to say which unit is which: by
    /// the names that [`name_units`] wrote elsewhere, for so many units.
    pub fn named(words: Words<'r>, names: Words<'r>, unit_count: usize) -> Option<Self> {
        let legacy = Self::of(words)?;
        (legacy.unit_count == unit_count).then_some(Self {
            names: Names::new(names, 0, unit_count),
            ..legacy
        })
    }

    /// How many units it has.
    pub fn unit_count(&self) -> usize {
        self.unit_count
    }

    /// Writes the same down as a region of this manifest's units, which [`super::words_for`] sizes.
    /// Nothing of this one changes but for what its own next life would do first as well. A unit
    /// that was not there is marked to be started if the machine's target wants it.
    /// `false`: something cannot be read.
    pub fn hand_on(&self, to: Words<'_>, manifest: &Manifest) -> bool {
        let count = manifest.units.len();
        describe(to, manifest);
        let names = Names::new(to, NAMES, count);
        let heir = Heir {
            legacy: self,
            names,
            records: Records::new(to, records_at(count), record_count(count)),
        };
        self.records.settle();
        if !heir.machine(manifest) || !(0..count).all(|unit| heir.unit(unit)) {
            return false;
        }
        to.set(at::LIVES, self.words.get(at::LIVES));
        to.set(at::FINGERPRINT, fingerprint(manifest));
        to.set(at::MAGIC, MAGIC);
        true
    }

    /// Which unit of this region is called like `unit` of the region that it was handed on to.
    pub fn before(&self, to: Words<'_>, count: usize, unit: UnitId) -> Option<UnitId> {
        let name = Names::new(to, NAMES, count).get(unit.index())?;
        id(self.names.find(name, unit.index())?)
    }

    /// Which unit of the region that this was handed on to is called like `unit` of this.
    pub fn after(&self, to: Words<'_>, count: usize, unit: UnitId) -> Option<UnitId> {
        let name = self.names.get(unit.index())?;
        id(Names::new(to, NAMES, count).find(name, unit.index())?)
    }
}

/// Says how the region of this manifest's units is laid out, and what they are called.
pub(crate) fn describe(words: Words<'_>, manifest: &Manifest) {
    let count = manifest.units.len();
    let layout = [
        (at::UNITS, count),
        (at::RECORD_WORDS, RECORD_WORDS),
        (at::NAMES_AT, NAMES),
    ];
    for (place, value) in layout {
        words.set(place, u32::try_from(value).unwrap_or(u32::MAX));
    }
    name_units(words.after(NAMES), manifest);
}

/// Words for the names of so many units.
pub const fn name_words_for(units: usize) -> usize {
    Names::words_for(units)
}

/// Writes down what the units are called, from the first word on.
pub fn name_units(words: Words<'_>, manifest: &Manifest) {
    let count = manifest.units.len();
    let names = Names::new(words, 0, count);
    for (unit, desc) in (0..count).zip(manifest.units) {
        names.set(unit, desc.name);
    }
}

fn id(unit: usize) -> Option<UnitId> {
    u16::try_from(unit).ok().map(UnitId)
}

/// The region that is being written.
struct Heir<'l, 'r, 't> {
    legacy: &'l Legacy<'r>,
    names: Names<'t>,
    records: Records<'t>,
}

impl Heir<'_, '_, '_> {
    /// Reads a record; `false`: it cannot be.
    fn read(&self, part: Part, pass: impl FnOnce(&mut Wire<'_, '_>)) -> bool {
        let mut bytes = [0; RECORD_BYTES];
        if !self.legacy.records.read(part.record(), &mut bytes) {
            return false;
        }
        let mut wire = Wire::reading(&bytes).renaming(Renames::new(self.legacy.names, self.names));
        pass(&mut wire);
        wire.is_whole()
    }

    fn write(&self, part: Part, pass: impl FnOnce(&mut Wire<'_, '_>)) {
        let mut bytes = [0; RECORD_BYTES];
        pass(&mut Wire::writing(&mut bytes));
        let mut records = self.records;
        records.stage(part.record(), &bytes);
        records.commit();
    }

    fn machine(&self, manifest: &Manifest) -> bool {
        let (mut system, mut rest) = (System::new(), Rest::NEW);
        if !self.read(Part::System, |wire| system.pass(wire))
            || !self.read(Part::Rest, |wire| rest.pass(wire))
        {
            return false;
        }
        if system.target == UnitId::SYSTEM {
            system.target = manifest.default_target;
        }
        // No effect is pending when a program is exchanged.
        (rest.emitted, rest.taken) = (0, 0);
        self.write(Part::System, |wire| system.pass(wire));
        self.write(Part::Rest, |wire| rest.pass(wire));
        true
    }

    fn unit(&self, index: usize) -> bool {
        let mut unit = Unit::NEW;
        let name = self.names.get(index);
        match name.and_then(|name| self.legacy.names.find(name, index)) {
            Some(before) => {
                let pass = |wire: &mut Wire<'_, '_>| pack::unit(&mut unit, wire);
                if !id(before).is_some_and(|before| self.read(Part::Unit(before), pass)) {
                    return false;
                }
            }
            None => unit.returns = true,
        }
        unit.leaves = false;
        if let Some(id) = id(index) {
            self.write(Part::Unit(id), |wire| pack::unit(&mut unit, wire));
        }
        true
    }
}
