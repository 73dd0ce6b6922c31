//! This file is the table of units: look-ups, what was touched, and whose deadline is the earliest.
//!
//! To find a deadline it walks over all units, which costs less than the system call that every
//! turn makes; while nothing can be due it does not walk at all.

use super::unit::Unit;
use crate::checkpoint::words::KEEPS;
use crate::ident::UnitId;
use crate::time::Instant;

/// The end of a list that is threaded through the units.
pub(crate) const NOBODY: UnitId = UnitId(u16::MAX);

/// The table of units. A look-up is total: ids are checked at the door ([`Core::step`]), and one
/// that leads nowhere all the same finds a spare unit that nothing else reads.
#[derive(Debug)]
pub(crate) struct Units<'a> {
    slots: &'a mut [Unit],
    spare: Unit,
    /// The list of units that were touched since the last commit.
    touched: UnitId,
    /// No unit's deadline is earlier than this.
    bound: Instant,
}

impl<'a> Units<'a> {
    /// Units that were never started.
    pub(super) fn new(slots: &'a mut [Unit]) -> Self {
        slots.fill(Unit::NEW);
        Self {
            slots,
            spare: Unit::NEW,
            touched: NOBODY,
            bound: Instant::ZERO,
        }
    }
    /// Makes all units as they were at first.
    #[cfg(feature = "fake")]
    pub(super) fn forget_all(&mut self) {
        self.slots.fill(Unit::NEW);
        self.spare = Unit::NEW;
        self.touched = NOBODY;
        self.bound = Instant::ZERO;
    }
    // In a hundred places; so are the other look-ups that are kept apart.
    #[inline(never)]
    pub(crate) fn get(&self, id: UnitId) -> &Unit {
        self.slots.get(id.index()).unwrap_or(&self.spare)
    }
    /// The unit, to change what is kept of it.
    pub(crate) fn get_mut(&mut self, id: UnitId) -> &mut Unit {
        let unit = self.slots.get_mut(id.index()).unwrap_or(&mut self.spare);
        if KEEPS && !unit.touched {
            unit.touched = true;
            unit.next_touched = self.touched.0;
            self.touched = id;
        }
        unit
    }
    /// The unit, to change what is not kept of it or comes from where it is kept.
    pub(crate) fn link(&mut self, id: UnitId) -> &mut Unit {
        self.slots.get_mut(id.index()).unwrap_or(&mut self.spare)
    }
    /// Takes a unit from the list of those that were touched.
    pub(crate) fn next_touched(&mut self) -> Option<UnitId> {
        let id = self.touched;
        if id == NOBODY {
            return None;
        }
        let unit = self.link(id);
        unit.touched = false;
        let next = UnitId(unit.next_touched);
        self.touched = next;
        Some(id)
    }
    pub(crate) fn forget_touched(&mut self) {
        while self.next_touched().is_some() {}
    }
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }
    /// All units there are.
    pub(crate) fn ids(&self) -> impl Iterator<Item = UnitId> + use<> {
        let count = u16::try_from(self.slots.len()).unwrap_or(u16::MAX);
        (0..count).map(UnitId)
    }
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Unit> {
        self.slots.iter()
    }
    /// Units that have a deadline, each with it.
    #[cfg(feature = "fake")]
    pub(crate) fn dues(&self) -> impl Iterator<Item = (Instant, UnitId)> {
        let all = self.ids().map(|id| (self.get(id).due, id));
        all.filter(|(due, _)| *due != Instant::MAX)
    }
    /// Sets a unit's deadline, which its next state drops.
    pub(crate) fn set_due(&mut self, id: UnitId, due: Instant) {
        self.get_mut(id).due = due;
        self.bound = self.bound.min(due);
    }
    /// The earliest deadline; [`Instant::MAX`]: there is none.
    pub(crate) fn earliest_due(&self) -> Instant {
        let dues = self.slots.iter().map(|unit| unit.due);
        dues.min().unwrap_or(Instant::MAX)
    }
    /// Takes the unit whose deadline has come, the earliest first.
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<UnitId> {
        if self.bound > now {
            return None;
        }
        self.bound = self.earliest_due();
        if self.bound > now || self.bound == Instant::MAX {
            return None;
        }
        let id = self.ids().find(|id| self.get(*id).due == self.bound)?;
        self.get_mut(id).due = Instant::MAX;
        Some(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::vec::Vec;

    #[test]
    fn deadlines_are_taken_in_order_whatever_is_set_moved_and_cleared() {
        const UNITS: u16 = 37;
        let mut slots = [Unit::BLANK; 37];
        let mut units = Units::new(&mut slots);
        let mut model = BTreeMap::new();
        let mut seed = 7_u32;
        let mut random = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            seed >> 8
        };
        for _ in 0..20_000 {
            let unit = u16::try_from(random() % u32::from(UNITS)).unwrap();
            let due = Instant::from_us(u64::from(random() % 1_000));
            match random() % 4 {
                0 | 1 => {
                    units.set_due(UnitId(unit), due);
                    model.insert(unit, due);
                }
                2 => {
                    units.get_mut(UnitId(unit)).due = Instant::MAX;
                    model.remove(&unit);
                }
                _ => {
                    while let Some(taken) = units.take_due(due) {
                        let earliest = model.values().min().copied().unwrap();
                        assert_eq!(model.remove(&taken.0), Some(earliest));
                    }
                    assert!(model.values().all(|left| *left > due));
                }
            }
            let earliest = model.values().min().copied();
            assert_eq!(units.earliest_due(), earliest.unwrap_or(Instant::MAX));
        }
        let late = Instant::from_us(1_000);
        let rest: Vec<_> = core::iter::from_fn(|| units.take_due(late)).collect();
        assert_eq!(rest.len(), model.len());
    }
}
