//! This file finds the words of a unit: its readiness descriptor and its processes.

use super::{Region, Three, three};
#[cfg(feature = "freestanding")]
use crate::sys::shared::SharedWords;
use core::sync::atomic::AtomicU32;
use init_core::ident::{Child, Generation, Role, UnitId};

/// For each unit: its readiness descriptor plus 1 (or [`super::EXECUTION`]), then for each role a
/// process's number, its generation, and whether and why its program was not executed.
pub(super) const UNIT_WORDS: usize = 1 + 3 * Role::COUNT;

/// The words of a process: its number, or 0; its generation and, once that is known to us, its
/// number again; why its program was not executed, which it writes itself.
type Entry = Three;

impl Region {
    /// The words of a unit: those of its readiness descriptor and of its processes.
    #[cfg(feature = "freestanding")]
    pub(crate) fn unit(&self, unit: UnitId) -> SharedWords {
        let begin = unit.index().saturating_mul(UNIT_WORDS);
        let words = self.units.get(begin..).unwrap_or_default();
        words.get(..UNIT_WORDS).unwrap_or_default()
    }

    /// Where a unit's readiness descriptor is noted, plus 1, or [`super::EXECUTION`].
    pub(crate) fn ready(&self, unit: UnitId) -> &'static AtomicU32 {
        let [word, ..] = three(self.units, unit.index().saturating_mul(UNIT_WORDS));
        word
    }

    /// The process of a unit in a role.
    pub(crate) fn entry(&self, child: Child) -> Entry {
        let skip = match child.role {
            Role::Main => 1,
            Role::Stop => 4,
            Role::Probe => 7,
        };
        let begin = child.unit.index().saturating_mul(UNIT_WORDS);
        three(self.units, begin.saturating_add(skip))
    }
}

/// The second word of a process that runs: its generation, and above that its number again, which
/// the generation is mixed into. Until that is written, after the kernel has told the number, the
/// upper half is 0.
pub(crate) fn noted_twice(generation: Generation, pid: u32) -> u32 {
    let low = u32::from(generation.0);
    (pid ^ pid.wrapping_shr(16) ^ low).wrapping_shl(16) | low
}

/// Whether both words of a process are as they were written.
pub(crate) fn is_sound(noted: u32, generation: Generation, pid: u32) -> bool {
    noted == noted_twice(generation, pid) || noted == generation.0.into()
}
