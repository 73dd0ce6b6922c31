//! This file is what outlives a program: ring, state and names, of one that runs or that may yet be
//! gone back to.

use super::kernel::Kernel;
use init_core::checkpoint::words::Words;
use init_core::checkpoint::{Legacy, name_units, name_words_for, words_for};
use init_core::relay;
use init_core::unit::Manifest;
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};

/// Words that outlive a program.
#[derive(Clone, Copy, Debug)]
pub(super) struct Region {
    pub(super) manifest: &'static Manifest,
    pub(super) ring: &'static [AtomicU32],
    pub(super) checkpoint: &'static [AtomicU32],
    pub(super) read: &'static AtomicU32,
    /// Out of a core's reach.
    names: &'static [AtomicU32],
}

/// Words that are kept for ever, as firmware's are, and used again by another history.
#[derive(Default)]
struct Memory {
    /// By how many belong together.
    free: HashMap<usize, Vec<&'static [AtomicU32]>>,
    taken: Vec<&'static [AtomicU32]>,
}

thread_local! {
    static MEMORY: RefCell<Memory> = RefCell::default();
}

/// So many words of 0, until the next history begins.
pub(super) fn memory(count: usize) -> &'static [AtomicU32] {
    MEMORY.with_borrow_mut(|memory| {
        let free = memory.free.entry(count).or_default();
        let words = free.pop().unwrap_or_else(|| {
            let words = (0..count).map(|_| AtomicU32::new(0));
            words.collect::<Vec<_>>().leak()
        });
        for word in words {
            word.store(0, Ordering::Relaxed);
        }
        memory.taken.push(words);
        words
    })
}

/// One of them, with this value.
pub(super) fn word(value: u32) -> &'static AtomicU32 {
    let word = &memory(1)[0];
    word.store(value, Ordering::Relaxed);
    word
}

/// A history begins: what those before it had is free.
pub(super) fn begin() {
    MEMORY.with_borrow_mut(|memory| {
        for words in memory.taken.drain(..) {
            memory.free.entry(words.len()).or_default().push(words);
        }
    });
}

impl Region {
    pub(super) fn new(manifest: &'static Manifest) -> Self {
        let units = manifest.units.len();
        let region = Self {
            manifest,
            ring: memory(relay::WORDS),
            checkpoint: memory(words_for(units)),
            read: word(0),
            names: memory(name_words_for(units)),
        };
        name_units(Words::new(region.names), manifest);
        region
    }

    /// What this left, as another program writes it down for itself. A program that is one process
    /// finds the names where it finds the state.
    pub(super) fn adopted_by(&self, manifest: &'static Manifest, is_solo: bool) -> Option<Self> {
        let names = Words::new(self.names);
        let count = self.manifest.units.len();
        let state = Words::new(self.checkpoint);
        let legacy = match is_solo {
            true => Legacy::of(state),
            false => Legacy::named(state, names, count),
        };
        let region = Self::new(manifest);
        let to = Words::new(region.checkpoint);
        legacy?.hand_on(to, manifest).then_some(region)
    }
}

impl Kernel {
    /// Somebody has died: bits that were to be turned then are.
    pub(super) fn damage_what_outlives(&mut self, region: &Region) {
        // A program that is one process has no ring.
        let ring = if self.mischief.is_solo {
            &[]
        } else {
            region.ring
        };
        let words: Vec<_> = ring.iter().chain(region.checkpoint).collect();
        for (word, bit) in std::mem::take(&mut self.damage) {
            let word = usize::try_from(word).unwrap_or(0) % words.len();
            words[word].fetch_xor(1 << (bit % 32), Ordering::Relaxed);
            self.is_damaged = true;
        }
    }
}
