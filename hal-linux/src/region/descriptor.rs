//! This file notes descriptors in words, and finds all that an heir gets.

use super::{Region, UNIT_WORDS, at};
use crate::sys::fd::Fd;
use crate::sys::shared::SharedWords;
use core::sync::atomic::AtomicU32;
use init_core::checkpoint::words::{load, store};

/// Stands for a readiness descriptor where a program's execution is awaited. No descriptor has the
/// number.
pub(crate) const EXECUTION: u32 = u32::MAX;

/// Beside the number of a console: it is what process 1 was started with.
pub(crate) const IS_OUTPUT: u32 = 1 << 31;

/// Notes a descriptor, or that there is none.
pub(crate) fn note(word: &AtomicU32, descriptor: Option<&Fd>) {
    store(word, number(descriptor));
}

/// What is noted of a descriptor: its number plus 1, or 0.
pub(crate) fn number(descriptor: Option<&Fd>) -> u32 {
    descriptor.map_or(0, |fd| u32::from(fd.number()).saturating_add(1))
}

/// The descriptor that is noted.
fn noted(word: &AtomicU32) -> Option<u16> {
    let number = (load(word) & !IS_OUTPUT).wrapping_sub(1);
    u16::try_from(number).ok()
}

/// Takes over a descriptor that was noted, if one was.
pub(crate) fn adopt(word: &AtomicU32) -> Option<Fd> {
    Fd::adopt(noted(word)?)
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
#[inline(never)]
fn each_of(words: SharedWords, distance: usize, work: fn(u16)) {
    let mut rest = words;
    while let Some(word) = rest.first() {
        if let Some(number) = noted(word) {
            work(number);
        }
        rest = rest.get(distance..).unwrap_or_default();
    }
}
