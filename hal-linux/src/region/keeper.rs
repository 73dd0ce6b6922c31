//! This file finds the words that only a keeper has: behind its units, where no core changes them.

use super::{EXCHANGES, Region, at};
#[cfg(feature = "exchange")]
use super::{NOWHERE, stage};
use core::sync::atomic::AtomicU32;
use init_core::checkpoint::words::{Words, load};

/// Words that only a keeper has, behind the names of all units, which come behind all others of its
/// own: the core's process, its place in the ring, how long that is, and whether the image stood
/// its trial.
pub(super) const KEEPER_WORDS: usize = 4;

/// Behind those, where a program without it has nothing: which image's core was chosen.
pub(super) const CHOICE_WORDS: usize = if EXCHANGES { 1 } else { 0 };

impl Region {
    /// For a keeper: the number of the core's process, or 0, which the kernel writes.
    pub(crate) fn core_process(&self) -> &'static AtomicU32 {
        let [word, ..] = self.keeper();
        word
    }

    /// For a keeper: where it stands in the ring.
    pub(crate) fn ring_place(&self) -> &'static AtomicU32 {
        let [_, word, ..] = self.keeper();
        word
    }

    /// For a keeper: whether the image stood its trial, and what for.
    pub(crate) fn trial_passed(&self) -> &'static AtomicU32 {
        let [.., word] = self.keeper();
        word
    }

    pub(super) fn keeper(&self) -> &'static [AtomicU32; KEEPER_WORDS] {
        static NOBODY: [AtomicU32; KEEPER_WORDS] = [const { AtomicU32::new(0) }; KEEPER_WORDS];
        let end = self.own.len().saturating_sub(CHOICE_WORDS);
        let words = self.own.get(..end).and_then(<[AtomicU32]>::last_chunk);
        words.unwrap_or(&NOBODY)
    }

    /// For a keeper: whether an image, or its core, stood its trial.
    pub(crate) fn has_passed_trial(&self) -> bool {
        let stage = load(self.trial_passed());
        #[cfg(feature = "exchange")]
        return matches!(stage, stage::PASSED | stage::CORE_PASSED);
        #[cfg(not(feature = "exchange"))]
        {
            stage != 0
        }
    }

    /// For a keeper: the image whose core was chosen, by its descriptor plus 1; 0: its own core.
    #[cfg(feature = "exchange")]
    pub(crate) fn choice(&self) -> &'static AtomicU32 {
        let [nowhere, ..] = &NOWHERE;
        self.own.last().unwrap_or(nowhere)
    }

    /// For a keeper: what the units are called, where no core can change it.
    pub(crate) fn names(&self) -> Words<'static> {
        let begin = at::UNITS.saturating_add(self.units.len());
        Words::new(self.own.get(begin..).unwrap_or_default())
    }
}
