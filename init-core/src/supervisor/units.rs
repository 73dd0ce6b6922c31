//! This file is the table of units: look-ups, what was touched, and whose deadline is the earliest.
//!
//! Deadlines are a list that is threaded through the units, in order: the earliest is known at
//! once, and one that is later than the others is put there at once. One that is sooner is put
//! there by a walk past those that are later.

use super::unit::Unit;
use crate::checkpoint::words::KEEPS;
use crate::ident::UnitId;
use crate::time::Instant;

/// The end of a list that is threaded through the units.
pub(crate) const NOBODY: UnitId = UnitId(u16::MAX);

/// The table of units. A look-up is total: ids are checked at the door ([`Core::step`]), and one
/// that leads nowhere all the same finds a spare unit, of which nothing is read but the two ends of
/// the list of deadlines.
#[derive(Debug)]
pub(crate) struct Units<'a> {
    slots: &'a mut [Unit],
    spare: Unit,
    /// The list of units that were touched since the last commit.
    touched: UnitId,
    /// Where a look at all units goes on.
    cursor: usize,
}

impl<'a> Units<'a> {
    /// Units that were never started.
    pub(super) fn new(slots: &'a mut [Unit]) -> Self {
        slots.fill(Unit::NEW);
        Self {
            slots,
            spare: Unit::NEW,
            touched: NOBODY,
            cursor: 0,
        }
    }
    /// Makes all units as they were at first.
    #[cfg(feature = "fake")]
    pub(super) fn forget_all(&mut self) {
        self.slots.fill(Unit::NEW);
        self.spare = Unit::NEW;
        self.touched = NOBODY;
        self.cursor = 0;
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
    #[inline(never)]
    pub(crate) fn link(&mut self, id: UnitId) -> &mut Unit {
        self.slots.get_mut(id.index()).unwrap_or(&mut self.spare)
    }
    /// Whether a unit was touched since the last commit.
    pub(crate) fn has_touched(&self) -> bool {
        self.touched != NOBODY
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
    /// Whether a unit is not at rest yet (while the machine goes down), or moves. The look begins
    /// where the last one ended: units get on in about their order, and each is passed once.
    #[inline(never)]
    pub(crate) fn is_any_busy(&mut self, goes_down: bool) -> bool {
        for _ in 0..self.slots.len() {
            let is_busy = |unit: &Unit| match goes_down {
                true => !unit.is_idle(),
                false => unit.is_moving(),
            };
            if self.slots.get(self.cursor).is_some_and(is_busy) {
                return true;
            }
            self.cursor = self.cursor.wrapping_add(1);
            if self.cursor >= self.slots.len() {
                self.cursor = 0;
            }
        }
        false
    }
    /// Units that have a deadline, each with it.
    #[cfg(feature = "fake")]
    pub(crate) fn dues(&self) -> impl Iterator<Item = (Instant, UnitId)> {
        let all = self.ids().map(|id| (self.get(id).due, id));
        all.filter(|(due, _)| *due != Instant::MAX)
    }
    /// Sets a unit's deadline, which its next state drops.
    pub(crate) fn set_due(&mut self, id: UnitId, due: Instant) {
        if id.index() >= self.slots.len() {
            return;
        }
        self.drop_due(id);
        self.get_mut(id).due = due;
        self.thread_due(id);
    }
    /// Puts a unit into the list of deadlines if it has one: those of the same time in the units'
    /// order, however they came. New deadlines are late ones mostly, so the look begins at the end.
    pub(crate) fn thread_due(&mut self, id: UnitId) {
        let due = self.get(id).due;
        if due == Instant::MAX {
            return;
        }
        let mut sooner = UnitId(self.spare.sooner);
        while sooner != NOBODY {
            let other = self.get(sooner);
            if other.due < due || (other.due == due && sooner.0 < id.0) {
                break;
            }
            sooner = UnitId(other.sooner);
        }
        let later = core::mem::replace(&mut self.link(sooner).later, id.0);
        self.link(UnitId(later)).sooner = id.0;
        let unit = self.link(id);
        unit.sooner = sooner.0;
        unit.later = later;
    }
    /// Drops a unit's deadline.
    pub(crate) fn drop_due(&mut self, id: UnitId) {
        let unit = self.get_mut(id);
        if core::mem::replace(&mut unit.due, Instant::MAX) == Instant::MAX {
            return;
        }
        let (sooner, later) = (unit.sooner, unit.later);
        self.link(UnitId(sooner)).later = later;
        self.link(UnitId(later)).sooner = sooner;
    }
    /// The earliest deadline; [`Instant::MAX`]: there is none.
    pub(crate) fn earliest_due(&self) -> Instant {
        self.get(UnitId(self.spare.later)).due
    }
    /// Takes the unit whose deadline has come, the earliest first.
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<UnitId> {
        let id = UnitId(self.spare.later);
        if id == NOBODY || self.get(id).due > now {
            return None;
        }
        self.drop_due(id);
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
                    units.drop_due(UnitId(unit));
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
