//! This file is the simulated kernel's memory: objects, address spaces, quotas, and how it copies
//! from and to those who call it.

use super::abi;
use super::machine::{
    Answer, BAD_CAP, INVALID, Map, Memory, NO_MEMORY, NO_PERMISSION, Object, State, Twist,
};

const PAGE: u64 = 4_096;
const READ: u64 = 1;
const WRITE: u64 = 2;

pub fn size(length: u64) -> usize {
    usize::try_from(length).expect("a host of 64 bits")
}

impl State {
    /// The object and offset where an address lies, with this permission.
    fn place(&self, group: usize, at: u64, may: u64) -> Option<(usize, usize)> {
        let maps = self.groups[group].maps.iter();
        let map = maps
            .filter(|map| map.may & may == may)
            .find(|map| (map.at..map.at + map.length).contains(&at))?;
        let Object::Memory(memory) = &self.objects[map.object] else {
            return None;
        };
        (!memory.is_guard).then_some((map.object, size(at - map.at)))
    }

    /// Reads memory of a group; the root task's is the test's own.
    pub fn copy_in(&self, group: usize, at: u64, length: u64) -> Option<Vec<u8>> {
        if self.groups[group].is_host {
            return Some(abi::read(at, size(length)));
        }
        (at..at.checked_add(length)?)
            .map(|at| {
                let (object, offset) = self.place(group, at, READ)?;
                let Object::Memory(memory) = &self.objects[object] else {
                    return None;
                };
                memory.bytes.get(offset).copied()
            })
            .collect()
    }

    /// Writes memory of a group.
    pub fn copy_out(&mut self, group: usize, at: u64, bytes: &[u8]) -> Option<()> {
        if self.groups[group].is_host {
            abi::write(at, bytes);
            return Some(());
        }
        for (at, byte) in (at..).zip(bytes) {
            let (object, offset) = self.place(group, at, WRITE)?;
            if let Object::Memory(memory) = &mut self.objects[object] {
                *memory.bytes.get_mut(offset)? = *byte;
            }
        }
        Some(())
    }

    /// An instruction, if that may be executed.
    pub fn fetch(&self, group: usize, at: u64) -> Option<u32> {
        let (object, offset) = self.place(group, at, 4)?;
        let Object::Memory(memory) = &self.objects[object] else {
            return None;
        };
        let bytes = memory.bytes.get(offset..offset + 4)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    }

    pub fn long_in(&self, group: usize, at: u64) -> Option<u64> {
        let bytes = self.copy_in(group, at, 8)?;
        Some(u64::from_le_bytes(bytes.try_into().ok()?))
    }

    pub fn create_pmo(&mut self, group: usize, length: u64, kind: u64) -> i64 {
        if length == 0 || !matches!(kind, 0 | 1 | 3 | 6 | 10) {
            return INVALID;
        }
        let length = length.next_multiple_of(PAGE);
        if group != 0 && !self.charge(group, length) {
            return NO_MEMORY;
        }
        let memory = Memory {
            // What was there before: nobody may count on zeroes.
            bytes: vec![0xa5; size(length)],
            is_guard: kind == 10,
        };
        self.give(group, Object::Memory(memory))
    }

    fn charge(&mut self, group: usize, length: u64) -> bool {
        let ignores = self.has(Twist::QuotaIgnored);
        let group = &mut self.groups[group];
        if !ignores && group.used.saturating_add(length) > group.quota {
            return false;
        }
        group.used += length;
        true
    }

    fn memory(&self, group: usize, cap: u64) -> Option<usize> {
        let object = self.find(group, cap)?;
        matches!(self.objects[object], Object::Memory(_)).then_some(object)
    }

    fn group_of(&self, group: usize, cap: u64) -> Option<usize> {
        match self.objects[self.find(group, cap)?] {
            Object::Group(other) => Some(other),
            _ => None,
        }
    }

    pub fn map_pmo(&mut self, group: usize, words: [u64; 6]) -> i64 {
        let [into, cap, at, may, ..] = words;
        let (Some(into), Some(object)) = (self.group_of(group, into), self.find(group, cap)) else {
            return BAD_CAP;
        };
        let length = match &self.objects[object] {
            Object::Memory(memory) => u64::try_from(memory.bytes.len()).expect("64 bits"),
            Object::Device(length) => *length,
            _ => return BAD_CAP,
        };
        if !at.is_multiple_of(PAGE) {
            return 0;
        }
        let overlaps = |map: &Map| map.at < at + length && at < map.at + map.length;
        if self.groups[into].maps.iter().any(overlaps) {
            return NO_PERMISSION;
        }
        self.groups[into].maps.push(Map {
            at,
            length,
            object,
            may,
        });
        if into == group {
            return 0;
        }
        self.grant(into, object)
    }

    pub fn unmap_pmo(&mut self, group: usize, words: [u64; 6]) -> i64 {
        let (Some(from), Some(object)) =
            (self.group_of(group, words[0]), self.memory(group, words[1]))
        else {
            return BAD_CAP;
        };
        let maps = &mut self.groups[from].maps;
        let before = maps.len();
        maps.retain(|map| map.at != words[2] || map.object != object);
        if maps.len() < before { 0 } else { INVALID }
    }

    /// Reads or writes an object.
    pub fn move_pmo(&mut self, group: usize, words: [u64; 6], writes: bool) -> i64 {
        let [cap, offset, at, length, ..] = words;
        let Some(object) = self.memory(group, cap) else {
            return BAD_CAP;
        };
        let Object::Memory(memory) = &self.objects[object] else {
            return BAD_CAP;
        };
        let end = u64::try_from(memory.bytes.len()).expect("64 bits");
        let mut length = length;
        if offset.checked_add(length).is_none_or(|last| last > end) {
            if !self.has(Twist::RangeIgnored) {
                return INVALID;
            }
            length = end.saturating_sub(offset);
        }
        let range = size(offset)..size(offset + length);
        if writes {
            let Some(bytes) = self.copy_in(group, at, length) else {
                return INVALID;
            };
            if let Object::Memory(memory) = &mut self.objects[object] {
                memory.bytes[range].copy_from_slice(&bytes);
            }
        } else {
            let bytes = memory.bytes[range].to_vec();
            if self.copy_out(group, at, &bytes).is_none() {
                return INVALID;
            }
        }
        0
    }

    pub fn transfer_owner(&mut self, group: usize, words: [u64; 6]) -> i64 {
        let (Some(object), Some(to)) =
            (self.memory(group, words[0]), self.group_of(group, words[1]))
        else {
            return BAD_CAP;
        };
        let Object::Memory(memory) = &self.objects[object] else {
            return BAD_CAP;
        };
        let length = u64::try_from(memory.bytes.len()).expect("64 bits");
        if self.charge(to, length) {
            0
        } else {
            NO_MEMORY
        }
    }

    /// Gives up a capability, and all others of the same object where that is wanted: nobody is
    /// asked whose they are. What is mapped stays mapped.
    pub fn revoke(&mut self, group: usize, cap: u64, copies: bool) -> i64 {
        let Some(object) = self.find(group, cap) else {
            return BAD_CAP;
        };
        if copies && !self.has(Twist::CopiesStay) {
            let all = self.groups.iter_mut().flat_map(|group| &mut group.caps);
            for place in all.filter(|place| **place == Some(object)) {
                *place = None;
            }
        }
        self.groups[group].caps[size(cap)] = None;
        0
    }

    pub fn flush(&self, group: usize, words: [u64; 6]) -> Answer {
        let [at, length, ..] = words;
        let is_mapped = |map: &Map| map.at <= at && at + length <= map.at + map.length;
        let mapped = self.groups[group].maps.iter().any(is_mapped);
        Some(if mapped { 0 } else { INVALID })
    }
}
