//! This file keeps the units' names in the region, as numbers, so that a program with other units,
//! or with these in another order, finds its own among them.

use super::words::Words;
use crate::ident::UnitId;

/// Units by which a place is mostly moved.
const FEW: usize = 8;

/// Words of a name.
const NAME_WORDS: usize = 2;

/// A number for a name; two names of a few thousand do not share one. (FNV-1a.)
fn number_of(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// The names of all units, in the units' order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Names<'r> {
    words: Words<'r>,
    begin: usize,
    count: usize,
}

impl<'r> Names<'r> {
    /// Words for so many names.
    pub(super) const fn words_for(count: usize) -> usize {
        count.wrapping_mul(NAME_WORDS)
    }

    /// So many names from this word on.
    pub(super) const fn new(words: Words<'r>, begin: usize, count: usize) -> Self {
        Self {
            words,
            begin,
            count,
        }
    }

    fn place(&self, unit: usize) -> usize {
        self.begin.wrapping_add(unit.wrapping_mul(NAME_WORDS))
    }

    /// Writes the name of a unit.
    pub(super) fn set(&self, unit: usize, name: &str) {
        self.words
            .write(self.place(unit), &number_of(name).to_le_bytes());
    }

    /// The name of a unit; `None`: there is no such unit.
    pub(super) fn get(&self, unit: usize) -> Option<u64> {
        let mut bytes = [0; 8];
        self.words.read(self.place(unit), &mut bytes);
        (unit < self.count).then_some(u64::from_le_bytes(bytes))
    }

    /// The unit of that name. It is looked for from `near` on, where it mostly is.
    pub(super) fn find(&self, name: u64, near: usize) -> Option<usize> {
        // A few units more or less in front of it do not matter.
        let near = near.saturating_sub(FEW);
        let mut units = (near..self.count).chain(0..near.min(self.count));
        units.find(|unit| self.get(*unit) == Some(name))
    }
}

/// What the numbers of units in one region are in another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Renames<'r> {
    from: Names<'r>,
    to: Names<'r>,
    /// By a pointer: who never renames is linked without it.
    rename: fn(&Self, u16) -> u16,
}

impl<'r> Renames<'r> {
    pub(super) fn new(from: Names<'r>, to: Names<'r>) -> Self {
        Self {
            from,
            to,
            rename: Self::find,
        }
    }

    /// Where a unit is now; [`UnitId::SYSTEM`], which nobody has, if it is gone.
    pub(crate) fn renamed(&self, unit: u16) -> u16 {
        (self.rename)(self, unit)
    }

    fn find(&self, unit: u16) -> u16 {
        let unit = usize::from(unit);
        let name = self.from.get(unit);
        let found = name.and_then(|name| self.to.find(name, unit));
        let found = found.and_then(|unit| u16::try_from(unit).ok());
        found.unwrap_or(UnitId::SYSTEM.0)
    }
}
