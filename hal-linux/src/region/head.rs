//! This file is the region's head: words that stand alone, by their places.

use super::{NOWHERE, at};
use crate::sys::shared::SharedWords;
use core::sync::atomic::AtomicU32;
use init_core::checkpoint::words::{load, store};

/// Words that stand alone, by their places in [`at`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head(pub(super) &'static [AtomicU32; at::UNITS]);

impl Head {
    /// All of them.
    #[cfg(feature = "freestanding")]
    pub(crate) fn words(&self) -> SharedWords {
        self.0
    }

    /// A word by its place in [`at`]; one that nobody else uses where there is none.
    pub(crate) fn word(&self, index: usize) -> &'static AtomicU32 {
        let [nowhere, ..] = &NOWHERE;
        self.0.get(index).unwrap_or(nowhere)
    }

    pub(crate) fn get(&self, index: usize) -> u32 {
        load(self.word(index))
    }

    pub(crate) fn set(&self, index: usize, value: u32) {
        store(self.word(index), value);
    }

    /// A long number in two words.
    pub(crate) fn long(&self, index: usize) -> u64 {
        let high = u64::from(self.get(index.saturating_add(1)));
        high.wrapping_shl(32) | u64::from(self.get(index))
    }

    pub(crate) fn set_long(&self, index: usize, value: u64) {
        let low = u32::try_from(value & u64::from(u32::MAX)).unwrap_or(0);
        self.set(index, low);
        let high = u32::try_from(value.wrapping_shr(32)).unwrap_or(0);
        self.set(index.saturating_add(1), high);
    }

    /// Some words in a row.
    pub(crate) fn part(&self, begin: usize, count: usize) -> SharedWords {
        let end = begin.saturating_add(count);
        self.0.get(begin..end).unwrap_or(&[])
    }
}
