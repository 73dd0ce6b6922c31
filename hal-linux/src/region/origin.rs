//! This file makes a region, or finds the one that the life before left, whatever units that had.

use super::keeper::{CHOICE_WORDS, KEEPER_WORDS};
use super::units::UNIT_WORDS;
use super::{HEALS, Head, MAGIC, RECORDS, RING_WORDS, Region, SPLIT, at};
use crate::carried::upgrades;
use crate::heal;
#[cfg(feature = "freestanding")]
use crate::sys::fd::Fd;
use crate::sys::kernel::Kernel;
use crate::sys::shared::{self, SharedWords};
use core::sync::atomic::Ordering;
use init_core::checkpoint::words::{load, store};
use init_core::checkpoint::{mend_title, name_units, name_words_for, words_for};
use init_core::event::Errno;
use init_core::unit::Manifest;

impl Region {
    /// What the life before this one left, whatever units it had.
    #[inline(never)]
    pub(crate) fn inherited() -> Option<Self> {
        let region = Self::found()?;
        (region.get(at::HANDOVER) != 0).then_some(region)
    }

    /// What the life before this one left, if it was of this very program. What follows from that
    /// is not taken from the words, which may be damaged, but put right.
    pub(crate) fn left_to(manifest: &Manifest) -> Option<Self> {
        let (own, others) = sizes(manifest);
        let (own, others) = if SPLIT {
            shared::inherited_parts(own, others)?
        } else {
            let words = shared::found_words()?;
            let is_whole = words.len() == own.saturating_add(others);
            words.split_at_checked(own).filter(|_| is_whole)?
        };
        let region = Self::of(own, others, manifest.units.len())?;
        let handover = region.get(at::HANDOVER);
        if handover == 0 || handover == heal::HANDOVER_UPGRADE {
            if SPLIT {
                // Whatever stays mapped a core would have as well.
                shared::unmap(own);
                shared::unmap(others);
            }
            return None;
        }
        region.mark_kept(manifest);
        mend_title(region.core(), manifest);
        Some(region)
    }

    /// It is ours, and heirs will find it.
    pub(crate) fn mark_kept(&self, manifest: &Manifest) {
        let count = u32::try_from(manifest.units.len());
        self.set(at::UNIT_COUNT, count.unwrap_or(0));
        if SPLIT {
            let [_, _, ring_words, _] = self.keeper();
            store(ring_words, u32::try_from(RING_WORDS).unwrap_or(0));
            if upgrades().is_some() {
                name_units(self.names(), manifest);
            }
        }
        self.set(at::KEPT, 1);
        self.set(at::MAGIC, MAGIC);
    }

    /// The region under [`shared::WORDS_FD`].
    pub(crate) fn found() -> Option<Self> {
        if !HEALS {
            return None;
        }
        let words = shared::found_words()?;
        let count = words.get(at::UNIT_COUNT)?.load(Ordering::Acquire);
        let count = usize::try_from(count).ok()?;
        let own = own_words(count);
        let (own, others) = match SPLIT {
            true => shared::parts_of(words, own)?,
            false => words.split_at_checked(own)?,
        };
        let mut region = Self::of(own, others, count)?;
        if SPLIT {
            let [_, _, ring_words, _] = region.keeper();
            let ring_words = usize::try_from(load(ring_words)).ok()?;
            (region.ring, region.core) = others.split_at_checked(ring_words)?;
        }
        (region.get(at::MAGIC) == MAGIC).then_some(region)
    }

    /// A region in memory of its own, for one that is left to be written down anew.
    #[cfg(feature = "freestanding")]
    pub(crate) fn blank(manifest: &Manifest) -> Option<(Self, Fd)> {
        let (own, others) = sizes(manifest);
        let (file, own, others) = if SPLIT {
            shared::file_of_parts(own, others).ok()?
        } else {
            let (file, words) = shared::file_of_words(own.saturating_add(others)).ok()?;
            let (own, others) = words.split_at_checked(own)?;
            (file, own, others)
        };
        Some((Self::of(own, others, manifest.units.len())?, file))
    }

    /// A new one, shared with children; also with heirs if the kernel has files in memory and
    /// process 1 heals.
    ///
    /// # Errors
    /// What the kernel answers, for lack of memory.
    #[inline(never)]
    pub(crate) fn new(manifest: &Manifest, kernel: Kernel) -> Result<Self, Errno> {
        let unit_count = manifest.units.len();
        let (own, others) = sizes(manifest);
        let lasting = match HEALS && kernel.memfd {
            true if SPLIT => shared::lasting_parts(own, others).ok(),
            true => shared::lasting_words(own.saturating_add(others))
                .ok()
                .and_then(|words| words.split_at_checked(own)),
            false => None,
        };
        let is_kept = lasting.is_some();
        let (own, others) = match lasting {
            Some(parts) => parts,
            None if others == 0 => (shared::new_words(own)?, &[][..]),
            None => (shared::new_words(own)?, shared::new_words(others)?),
        };
        let region = Self::of(own, others, unit_count).ok_or(Errno(0))?;
        region.set(at::KERNEL, kernel.bits());
        region.mark_kept(manifest);
        region.set(at::KEPT, is_kept.into());
        Ok(region)
    }

    fn of(own: SharedWords, others: SharedWords, unit_count: usize) -> Option<Self> {
        let (head, rest) = own.split_first_chunk()?;
        let units = rest.get(..unit_count.checked_mul(UNIT_WORDS)?)?;
        let (ring, core) = others.split_at_checked(RING_WORDS)?;
        Some(Self {
            head: Head(head),
            units,
            own,
            ring,
            core,
        })
    }
}

/// Words that are process 1's own, and those that the core may write.
fn sizes(manifest: &Manifest) -> (usize, usize) {
    let unit_count = manifest.units.len();
    let core = if HEALS { words_for(unit_count) } else { 0 };
    let core = core.saturating_add(recorder_words(manifest));
    (own_words(unit_count), core.saturating_add(RING_WORDS))
}

fn own_words(unit_count: usize) -> usize {
    let units = unit_count.saturating_mul(UNIT_WORDS);
    let own = at::UNITS.saturating_add(units);
    let keeper = match SPLIT {
        true => name_words_for(unit_count).saturating_add(KEEPER_WORDS + CHOICE_WORDS),
        false => 0,
    };
    own.saturating_add(keeper)
}

/// Words of the flight recorder, behind the core's own.
fn recorder_words(manifest: &Manifest) -> usize {
    if !RECORDS {
        return 0;
    }
    let recorder = manifest.healing.and_then(|healing| healing.recorder);
    let bytes = recorder.map_or(0, |recorder| recorder.bytes);
    usize::try_from(bytes / 4).unwrap_or(0)
}
