//! This file is address spaces: what is mapped where, and the processor's tables of it, which are
//! filled when a program touches something.

use crate::memory::{Kind, Memory};
use crate::sys::cpu;
use crate::sys::page::{self, PAGE};
use alloc::rc::Rc;
use alloc::vec::Vec;

/// May be read, written, executed, as the calls count it.
pub const READ: u64 = 1;
pub const WRITE: u64 = 2;
pub const EXECUTE: u64 = 4;

/// A piece of an address space.
pub struct Map {
    pub at: u64,
    pub memory: Rc<Memory>,
    pub may: u64,
}

impl Map {
    fn holds(&self, at: u64) -> bool {
        (self.at..self.at + self.memory.length).contains(&at)
    }
}

/// An address space.
pub struct Space {
    maps: Vec<Map>,
    /// Physical pages of the processor's tables, the uppermost first.
    tables: Vec<u64>,
}

/// Addresses below this are programs'.
const END: u64 = 1 << 47;

const VALID_PAGE: u64 = 3 | 1 << 10 | 1 << 11;
const NORMAL: u64 = 1 << 2 | 3 << 8;
const PROGRAMS: u64 = 1 << 6;
const READ_ONLY: u64 = 1 << 7;
const NOT_EXECUTED: u64 = 1 << 54;
const NOT_BY_US: u64 = 1 << 53;
const ADDRESS: u64 = 0x0000_ffff_ffff_f000;

impl Space {
    /// An empty one; `None`: there is no memory left.
    pub fn new() -> Option<Self> {
        Some(Self {
            maps: Vec::new(),
            tables: Vec::from([page::take(0)?]),
        })
    }

    /// The uppermost table.
    pub fn table(&self) -> u64 {
        self.tables.first().copied().unwrap_or(0)
    }

    /// Maps an object; `false` where something is or nothing may be.
    pub fn map(&mut self, at: u64, memory: &Rc<Memory>, may: u64) -> bool {
        let Some(end) = at.checked_add(memory.length).filter(|end| *end <= END) else {
            return false;
        };
        let overlaps = |map: &Map| map.at < end && at < map.at + map.memory.length;
        if self.maps.iter().any(overlaps) {
            return false;
        }
        let memory = memory.clone();
        self.maps.push(Map { at, memory, may });
        true
    }

    /// Takes an object away from there; whether it was there.
    pub fn unmap(&mut self, at: u64, memory: &Rc<Memory>) -> bool {
        let is_it = |map: &Map| map.at == at && Rc::ptr_eq(&map.memory, memory);
        let Some(index) = self.maps.iter().position(is_it) else {
            return false;
        };
        let map = self.maps.swap_remove(index);
        for offset in (0..map.memory.length).step_by(4_096) {
            if let Some(entry) = self.entry(at + offset, false) {
                page::set_word(entry, 0);
            }
        }
        cpu::forget_translations();
        true
    }

    /// The object and the offset at this address, for who may do this.
    pub fn find(&self, at: u64, may: u64) -> Option<(&Rc<Memory>, u64)> {
        let map = self.maps.iter().find(|map| map.holds(at))?;
        (map.may & may == may).then_some((&map.memory, at - map.at))
    }

    /// The physical address of this one.
    pub fn physical(&self, at: u64, may: u64) -> Option<u64> {
        let (memory, offset) = self.find(at, may)?;
        Some(memory.page(offset)? + at % PAGE)
    }

    /// A program touched this address in this way: whether it may go on.
    pub fn touch(&mut self, at: u64, may: u64) -> bool {
        let Some((map, page)) = self
            .maps
            .iter()
            .find(|map| map.holds(at) && map.may & may == may)
            .and_then(|map| Some((map, map.memory.page(at - map.at)?)))
        else {
            return false;
        };
        let mut entry = page | VALID_PAGE | PROGRAMS | NOT_BY_US;
        if !matches!(map.memory.kind, Kind::Device(_)) {
            entry |= NORMAL;
        }
        if map.may & WRITE == 0 {
            entry |= READ_ONLY;
        }
        if map.may & EXECUTE == 0 {
            entry |= NOT_EXECUTED;
        }
        let Some(place) = self.entry(at, true) else {
            return false;
        };
        if page::word(place) == entry {
            return false;
        }
        page::set_word(place, entry);
        cpu::forget_translations();
        true
    }

    /// Where the last table says what this address is.
    fn entry(&mut self, at: u64, make: bool) -> Option<u64> {
        let mut table = self.table();
        for shift in [39, 30, 21] {
            let place = table + (at >> shift & 511) * 8;
            if page::word(place) == 0 {
                if !make {
                    return None;
                }
                let new = page::take(0)?;
                self.tables.push(new);
                page::set_word(place, new | 3);
            }
            table = page::word(place) & ADDRESS;
        }
        Some(table + (at >> 12 & 511) * 8)
    }

    /// Forgets all; the tables stay until the space is dropped.
    pub fn clear(&mut self) {
        self.maps.clear();
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        for table in &self.tables {
            page::give_back(*table);
        }
    }
}
