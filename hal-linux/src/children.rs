//! This file keeps the table of children: which process serves which unit, and back.
//!
//! A look-up by process number goes through a chain of a hash bucket, not over all units.

use init_core::ident::{Child, Generation, Role, UnitId};

/// The end of a chain. (Zero, so that an empty table costs nothing in the file.)
const NOBODY: u16 = 0;

/// One unit's process in one role.
#[derive(Clone, Copy, Debug)]
struct Entry {
    /// 0: there is none.
    pid: u32,
    generation: Generation,
    /// The next entry of the chain.
    next: u16,
}

/// One unit's place in the table.
#[derive(Clone, Copy, Debug)]
pub struct Slot {
    roles: [Entry; Role::COUNT],
    /// The first entry of the bucket with this unit's index.
    bucket: u16,
}

impl Slot {
    /// Nobody.
    pub const EMPTY: Self = Self {
        roles: [Entry {
            pid: 0,
            generation: Generation(0),
            next: NOBODY,
        }; Role::COUNT],
        bucket: NOBODY,
    };
}

/// The table, over borrowed slots: one for each unit and one for the machine's own helper.
#[derive(Debug)]
pub struct Children {
    slots: &'static mut [Slot],
}

impl Children {
    /// An empty table.
    pub fn new(slots: &'static mut [Slot]) -> Self {
        Self { slots }
    }

    /// Notes a process.
    pub fn insert(&mut self, child: Child, pid: u32) {
        let Some(code) = code(child.unit, child.role) else {
            return;
        };
        if let Some(old) = self.entry(code).map(|entry| entry.pid) {
            let _gone = self.take(old);
        }
        let bucket = self.bucket_of(pid);
        let next = self.slots.get(bucket).map_or(NOBODY, |slot| slot.bucket);
        let Some(entry) = self.entry_mut(code) else {
            return;
        };
        *entry = Entry {
            pid,
            generation: child.generation,
            next,
        };
        if let Some(slot) = self.slots.get_mut(bucket) {
            slot.bucket = code;
        }
    }

    /// The process of a child, if it is still that incarnation's.
    pub fn pid(&self, child: Child) -> Option<u32> {
        let entry = self.entry(code(child.unit, child.role)?)?;
        (entry.pid != 0 && entry.generation == child.generation).then_some(entry.pid)
    }

    /// Who serves a unit in a role, of whatever incarnation.
    pub fn owner(&self, unit: UnitId, role: Role) -> Option<(Generation, u32)> {
        let entry = self.entry(code(unit, role)?)?;
        (entry.pid != 0).then_some((entry.generation, entry.pid))
    }

    /// Takes a process out of the table: whom it served.
    pub fn take(&mut self, pid: u32) -> Option<Child> {
        let bucket = self.bucket_of(pid);
        let mut before = NOBODY;
        let mut code = self.slots.get(bucket)?.bucket;
        while code != NOBODY {
            let entry = *self.entry(code)?;
            if entry.pid == pid {
                self.unlink(bucket, before, entry.next);
                let gone = self.entry_mut(code)?;
                gone.pid = 0;
                gone.next = NOBODY;
                return decode(code, entry.generation);
            }
            before = code;
            code = entry.next;
        }
        None
    }

    fn unlink(&mut self, bucket: usize, before: u16, next: u16) {
        if before == NOBODY {
            if let Some(slot) = self.slots.get_mut(bucket) {
                slot.bucket = next;
            }
        } else if let Some(entry) = self.entry_mut(before) {
            entry.next = next;
        }
    }

    fn bucket_of(&self, pid: u32) -> usize {
        let count = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        usize::try_from(pid.checked_rem(count).unwrap_or(0)).unwrap_or(0)
    }

    fn entry(&self, code: u16) -> Option<&Entry> {
        let (unit, role) = split(code);
        self.slots.get(unit)?.roles.get(role)
    }

    fn entry_mut(&mut self, code: u16) -> Option<&mut Entry> {
        let (unit, role) = split(code);
        self.slots.get_mut(unit)?.roles.get_mut(role)
    }
}

/// An entry's number: two bits of role, from 1 on, below the unit's index. Never [`NOBODY`].
pub fn code(unit: UnitId, role: Role) -> Option<u16> {
    let role = match role {
        Role::Main => 1,
        Role::Stop => 2,
        Role::Probe => 3,
    };
    Some(unit.0.checked_mul(4)? | role)
}

/// The unit of an entry's number.
pub fn unit(code: u16) -> Option<UnitId> {
    decode(code, Generation(0)).map(|child| child.unit)
}

fn split(code: u16) -> (usize, usize) {
    let role = (code & 3).saturating_sub(1);
    (usize::from(code >> 2), usize::from(role))
}

fn decode(code: u16, generation: Generation) -> Option<Child> {
    const ROLES: [Role; 3] = [Role::Main, Role::Stop, Role::Probe];
    let role = *ROLES.get(usize::from(code & 3).checked_sub(1)?)?;
    Some(Child {
        unit: UnitId(code >> 2),
        generation,
        role,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn every_process_is_found_once_however_they_come_and_go() {
        let mut children = Children::new(Vec::leak(vec![Slot::EMPTY; 7]));
        let mut model = BTreeMap::new();
        let mut seed = 3_u32;
        for round in 0..5_000_u32 {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let role = [Role::Main, Role::Stop, Role::Probe][(seed >> 9) as usize % 3];
            let unit = UnitId(((seed >> 16) % 7) as u16);
            let child = Child {
                unit,
                generation: Generation(round as u16),
                role,
            };
            let known = model
                .iter()
                .find(|(_, c): &(&u32, &Child)| c.unit == unit && c.role == role);
            match known.map(|(pid, child)| (*pid, *child)) {
                Some((pid, old)) => {
                    assert_eq!(children.pid(old), Some(pid));
                    assert_eq!(children.take(pid), Some(old));
                    assert_eq!(children.take(pid), None);
                    assert_eq!(children.pid(old), None);
                    model.remove(&pid);
                }
                None => {
                    children.insert(child, 100 + round);
                    model.insert(100 + round, child);
                }
            }
        }
        assert!(!model.is_empty());
        for (pid, child) in model {
            assert_eq!(children.take(pid), Some(child));
        }
    }
}
