//! This file notes descriptors in words, and finds all that an heir gets.

use super::{Region, UNIT_WORDS, at};
use crate::sys::fd::Fd;
use crate::sys::shared::SharedWords;
use core::sync::atomic::AtomicU32;
use init_core::checkpoint::words::{load, store};

/// Stands for a readiness descriptor where a program's execution is awaited. No descriptor has the
/// number.
pub(crate) const EXECUTION: u32 = u32::MAX;

/// Notes a descriptor, or that there is none.
pub(crate) fn note(word: &AtomicU32, descriptor: Option<&Fd>) {
    let number = descriptor.map_or(0, |fd| u32::from(fd.number()).saturating_add(1));
    store(word, number);
}

/// Takes over a descriptor that was noted, if one was.
pub(crate) fn adopt(word: &AtomicU32) -> Option<Fd> {
    let number = load(word).checked_sub(1)?;
    Fd::adopt(u16::try_from(number).ok()?)
}

impl Region {
    /// No program that is started from now on is to have what images and trials need.
    pub(crate) fn keep_images(&self) {
        let words = self.part(at::IMAGE, 2).iter();
        #[cfg(feature = "exchange")]
        let words = words.chain(core::iter::once(self.choice()));
        for descriptor in words.filter_map(adopt) {
            descriptor.leak();
        }
    }

    /// Does this with every descriptor that an heir gets.
    pub(crate) fn each_descriptor(&self, work: fn(u16)) {
        each_of(self.part(at::SPARE, 6), 1, work);
        each_of(self.part(at::IMAGE, 2), 1, work);
        #[cfg(feature = "exchange")]
        each_of(core::slice::from_ref(self.choice()), 1, work);
        each_of(self.part(at::CLIENTS, at::CLIENT_WORDS), 3, work);
        each_of(self.units, UNIT_WORDS, work);
    }
}

/// Of so many words each, the first is a descriptor plus 1, or 0.
fn each_of(words: SharedWords, distance: usize, work: fn(u16)) {
    let mut rest = words;
    while let Some(word) = rest.first() {
        if let Ok(number) = u16::try_from(load(word).wrapping_sub(1)) {
            work(number);
        }
        rest = rest.get(distance..).unwrap_or_default();
    }
}
