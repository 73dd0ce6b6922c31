//! This file is the memory that outlives the program: words that are read and written one by one.
//!
//! Every bit pattern of a word is valid, so nothing that is found there is undefined behaviour;
//! what it means is checked where it is read. A write takes effect at once and in program order,
//! because whoever reads it is the program's next incarnation, on the same processor. So it is the
//! compiler that must keep the order: what keeps it between processors would be an instruction
//! more for each word.

use core::sync::atomic::{AtomicU32, Ordering, compiler_fence};

/// Whether anything is kept at all; if not, the compiler drops all that would keep it.
pub(crate) const KEEPS: bool = cfg!(any(feature = "heal", feature = "fake"));

/// Reads a word before all that is read and written later.
pub fn load(word: &AtomicU32) -> u32 {
    let value = word.load(Ordering::Relaxed);
    compiler_fence(Ordering::Acquire);
    value
}

/// Writes a word after all that was read and written before.
pub fn store(word: &AtomicU32, value: u32) {
    compiler_fence(Ordering::Release);
    word.store(value, Ordering::Relaxed);
}

/// A part of the region.
#[derive(Clone, Copy, Debug)]
pub struct Words<'r> {
    words: &'r [AtomicU32],
    /// Writes that still take effect; the program dies when there are none left.
    #[cfg(feature = "fake")]
    fuse: Option<&'r AtomicU32>,
    #[cfg(feature = "fake")]
    watcher: Option<fn(Words<'_>)>,
}

/// A fuse that has burnt: a write was tried and did not take effect.
#[cfg(feature = "fake")]
pub const BURNT: u32 = u32::MAX;

impl<'r> Words<'r> {
    /// Words that everything below is kept in. None at all are a region that keeps nothing.
    pub const fn new(words: &'r [AtomicU32]) -> Self {
        Self {
            words,
            #[cfg(feature = "fake")]
            fuse: None,
            #[cfg(feature = "fake")]
            watcher: None,
        }
    }

    /// The same words, of which `fuse` more writes take effect: there the program died, whatever it
    /// seems to do afterwards. The next one that it tries makes the fuse [`BURNT`].
    #[cfg(feature = "fake")]
    pub const fn with_fuse(self, fuse: &'r AtomicU32) -> Self {
        Self {
            fuse: Some(fuse),
            ..self
        }
    }

    /// A word; 0 beyond the end.
    pub fn get(self, index: usize) -> u32 {
        if !KEEPS {
            return 0;
        }
        self.words.get(index).map_or(0, load)
    }

    /// Writes a word after all that was written before; nothing beyond the end.
    pub fn set(self, index: usize, value: u32) {
        if let Some(word) = self.words.get(index) {
            self.put(word, value);
        }
    }

    /// Writes one of these words, as [`Self::set`].
    pub(super) fn put(self, word: &AtomicU32, value: u32) {
        if !KEEPS {
            return;
        }
        #[cfg(feature = "fake")]
        if self.is_burnt() {
            return;
        }
        compiler_fence(Ordering::SeqCst);
        store(word, value);
        compiler_fence(Ordering::SeqCst);
    }

    /// Writes bytes, four to a word; no word for less than four, and nothing beyond the end.
    pub fn write(self, begin: usize, bytes: &[u8]) {
        let words = self.part(begin, usize::MAX);
        for (word, bytes) in words.zip(bytes.as_chunks().0) {
            self.put(word, u32::from_le_bytes(*bytes));
        }
    }

    /// Reads what was written so; what lies beyond the end leaves the bytes as they are.
    pub fn read(self, begin: usize, bytes: &mut [u8]) {
        let words = self.part(begin, usize::MAX);
        for (word, bytes) in words.zip(bytes.as_chunks_mut().0) {
            *bytes = load(word).to_le_bytes();
        }
    }

    /// The words from this one on, so many if they are there.
    pub fn part(self, begin: usize, count: usize) -> impl Iterator<Item = &'r AtomicU32> {
        let words = self.words.get(begin..).unwrap_or_default();
        words.iter().take(count)
    }

    /// Writes words that are there elsewhere, one after the other.
    pub fn copy<'f>(self, from: impl Iterator<Item = &'f AtomicU32>, to: usize) {
        for (from, to) in from.zip(self.part(to, usize::MAX)) {
            self.put(to, load(from));
        }
    }

    #[cfg(feature = "fake")]
    fn is_burnt(self) -> bool {
        let Some(fuse) = self.fuse else { return false };
        let left = fuse.load(Ordering::Relaxed);
        if left != BURNT {
            fuse.store(left.wrapping_sub(1), Ordering::Relaxed);
        }
        left == 0 || left == BURNT
    }

    /// The first of them, if there are so many.
    pub(super) fn head<const COUNT: usize>(self) -> Option<&'r [AtomicU32; COUNT]> {
        self.words.first_chunk()
    }

    /// Those from this one on; none beyond the end.
    pub fn after(self, begin: usize) -> Self {
        let mut rest = self;
        rest.words = self.words.get(begin..).unwrap_or_default();
        rest
    }

    /// Has this called after each commit, with the region that was committed to.
    #[cfg(feature = "fake")]
    pub const fn watched(self, by: fn(Words<'_>)) -> Self {
        Self {
            watcher: Some(by),
            ..self
        }
    }

    /// Something was committed.
    #[cfg(feature = "fake")]
    pub fn tell_commit(self) {
        if let Some(watcher) = self.watcher {
            watcher(self);
        }
    }

    /// How many there are.
    pub const fn len(self) -> usize {
        self.words.len()
    }

    /// Whether this region keeps nothing.
    pub const fn is_empty(self) -> bool {
        !KEEPS || self.words.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_beyond_the_end_are_zero_and_take_nothing() {
        let memory = [const { AtomicU32::new(0) }; 2];
        let words = Words::new(&memory);
        words.set(2, 9);
        assert_eq!((words.get(2), words.len()), (0, 2));
        assert!(Words::new(&[]).is_empty());
    }

    #[test]
    fn bytes_are_read_as_they_were_written() {
        let memory = [const { AtomicU32::new(0) }; 3];
        let words = Words::new(&memory);
        words.write(1, b"abcdefgh");
        let mut bytes = [0; 8];
        words.read(1, &mut bytes);
        assert_eq!((&bytes, words.get(0)), (b"abcdefgh", 0));
    }
}
