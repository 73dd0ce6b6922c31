//! This file keeps the units' deadlines in a heap, so that the earliest is known without a walk.
//!
//! A unit has at most one deadline. Setting, clearing and taking one costs the logarithm of the
//! number of deadlines; nothing is allocated, since the heap has a place for every unit.

use crate::ident::UnitId;
use crate::time::Instant;

/// No place in the heap.
const NOWHERE: u16 = u16::MAX;

/// One unit's part of the heap: a place (index `i` holds the i-th heap entry) and the unit's own
/// deadline with the place where it is entered.
#[derive(Clone, Copy, Debug)]
pub struct Slot {
    entry: UnitId,
    due: Instant,
    place: u16,
}

impl Slot {
    /// What memory holds before [`Deadlines::new`]: all zero bits, for .bss.
    pub const BLANK: Self = Self {
        entry: UnitId(0),
        due: Instant::ZERO,
        place: 0,
    };

    /// Nothing entered.
    pub const EMPTY: Self = Self {
        entry: UnitId(0),
        due: Instant::MAX,
        place: NOWHERE,
    };
}

/// A binary heap of deadlines over borrowed slots.
#[derive(Debug)]
pub struct Deadlines<'a> {
    slots: &'a mut [Slot],
    len: usize,
}

impl<'a> Deadlines<'a> {
    /// An empty heap for as many units as there are slots.
    pub fn new(slots: &'a mut [Slot]) -> Self {
        slots.fill(Slot::EMPTY);
        Self { slots, len: 0 }
    }

    /// Clears all.
    #[cfg(feature = "fake")]
    pub(crate) fn forget_all(&mut self) {
        self.slots.fill(Slot::EMPTY);
        self.len = 0;
    }

    /// The earliest deadline.
    pub fn earliest(&self) -> Option<Instant> {
        (self.len > 0).then(|| self.due_at(0))
    }

    /// A unit's deadline; [`Instant::MAX`]: it has none.
    pub fn of(&self, unit: UnitId) -> Instant {
        self.slots
            .get(unit.index())
            .map_or(Instant::MAX, |slot| slot.due)
    }

    /// Sets or moves a unit's deadline.
    pub fn set(&mut self, unit: UnitId, due: Instant) {
        self.clear(unit);
        let last = self.len;
        let (Ok(place), Some(own)) = (u16::try_from(last), self.slots.get_mut(unit.index())) else {
            return;
        };
        own.due = due;
        own.place = place;
        self.len = self.len.saturating_add(1);
        self.put(last, unit);
        self.rise(last);
    }

    /// Clears a unit's deadline, if it has one.
    pub fn clear(&mut self, unit: UnitId) {
        let Some(own) = self.slots.get_mut(unit.index()) else {
            return;
        };
        if own.place == NOWHERE {
            return;
        }
        let hole = usize::from(own.place);
        own.place = NOWHERE;
        own.due = Instant::MAX;
        self.len = self.len.saturating_sub(1);
        if hole != self.len {
            let moved = self.entry(self.len);
            self.put(hole, moved);
            self.rise(hole);
            self.sink(self.place_of(moved));
        }
    }

    /// Takes the unit whose deadline has come, the earliest first.
    pub fn take_due(&mut self, now: Instant) -> Option<UnitId> {
        if self.earliest()? > now {
            return None;
        }
        let unit = self.entry(0);
        self.clear(unit);
        Some(unit)
    }

    /// All deadlines, in no order.
    #[cfg(feature = "fake")]
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Instant, UnitId)> {
        (0..self.len).map(|place| (self.due_at(place), self.entry(place)))
    }

    fn entry(&self, place: usize) -> UnitId {
        self.slots.get(place).map_or(UnitId(0), |slot| slot.entry)
    }

    fn due_at(&self, place: usize) -> Instant {
        self.of(self.entry(place))
    }

    fn place_of(&self, unit: UnitId) -> usize {
        self.slots
            .get(unit.index())
            .map_or(0, |slot| usize::from(slot.place))
    }

    fn put(&mut self, place: usize, unit: UnitId) {
        if let Some(slot) = self.slots.get_mut(place) {
            slot.entry = unit;
        }
        if let (Ok(place), Some(own)) = (u16::try_from(place), self.slots.get_mut(unit.index())) {
            own.place = place;
        }
    }

    fn swap(&mut self, a: usize, b: usize) {
        let (at_a, at_b) = (self.entry(a), self.entry(b));
        self.put(a, at_b);
        self.put(b, at_a);
    }

    fn rise(&mut self, mut place: usize) {
        while place > 0 {
            let parent = place.saturating_sub(1) >> 1;
            if self.due_at(parent) <= self.due_at(place) {
                return;
            }
            self.swap(parent, place);
            place = parent;
        }
    }

    fn sink(&mut self, mut place: usize) {
        loop {
            let left = place.saturating_mul(2).saturating_add(1);
            if left >= self.len {
                return;
            }
            let right = left.saturating_add(1);
            let right_wins = right < self.len && self.due_at(right) < self.due_at(left);
            let child = if right_wins { right } else { left };
            if self.due_at(place) <= self.due_at(child) {
                return;
            }
            self.swap(place, child);
            place = child;
        }
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
        let mut slots = [Slot::EMPTY; 37];
        let mut heap = Deadlines::new(&mut slots);
        let mut model = BTreeMap::new();
        let mut seed = 7_u32;
        let mut random = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            seed >> 8
        };
        for _ in 0..20_000 {
            let unit = u16::try_from(random() % u32::from(UNITS)).unwrap();
            let due = u64::from(random() % 1_000);
            match random() % 4 {
                0 | 1 => {
                    heap.set(UnitId(unit), Instant::from_us(due));
                    model.insert(unit, due);
                }
                2 => {
                    heap.clear(UnitId(unit));
                    model.remove(&unit);
                }
                _ => {
                    while let Some(taken) = heap.take_due(Instant::from_us(due)) {
                        let earliest = model.values().min().copied().unwrap();
                        assert_eq!(model.remove(&taken.0), Some(earliest));
                    }
                    assert!(model.values().all(|left| *left > due));
                }
            }
            assert_eq!(
                heap.earliest().map(Instant::as_us),
                model.values().min().copied()
            );
        }
        let rest: Vec<_> = core::iter::from_fn(|| heap.take_due(Instant::MAX)).collect();
        assert_eq!(rest.len(), model.len());
    }
}
