//! This file is the memory that outlives the program: words that are read and written one by one.
//!
//! Every bit pattern of a word is valid, so nothing that is found there is undefined behaviour;
//! what it means is checked where it is read. A write takes effect at once and in program order,
//! because whoever reads it is the program's next incarnation, on the same processor.

use core::sync::atomic::{AtomicU32, Ordering, compiler_fence};

/// Whether anything is kept at all; if not, the compiler drops all that would keep it.
pub(crate) const KEEPS: bool = cfg!(any(feature = "heal", feature = "fake"));

/// Words in one record at most.
pub const RECORD_WORDS_MAX: usize = 26;

/// A sequence number and a checksum stand before a record.
const HEAD_WORDS: usize = 2;

/// A part of the region.
#[derive(Clone, Copy, Debug)]
pub struct Words<'r> {
    words: &'r [AtomicU32],
    /// Writes that still take effect; the program dies when there are none left.
    #[cfg(feature = "fake")]
    fuse: Option<&'r AtomicU32>,
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
        self.words
            .get(index)
            .map_or(0, |word| word.load(Ordering::Acquire))
    }

    /// Writes a word after all that was written before; nothing beyond the end.
    pub fn set(self, index: usize, value: u32) {
        if !KEEPS {
            return;
        }
        #[cfg(feature = "fake")]
        if self.is_burnt() {
            return;
        }
        compiler_fence(Ordering::SeqCst);
        if let Some(word) = self.words.get(index) {
            word.store(value, Ordering::Release);
        }
        compiler_fence(Ordering::SeqCst);
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

    /// How many there are.
    pub const fn len(self) -> usize {
        self.words.len()
    }

    /// Whether this region keeps nothing.
    pub const fn is_empty(self) -> bool {
        !KEEPS || self.words.is_empty()
    }
}

/// A record's content, written and read word by word.
#[derive(Clone, Copy, Debug)]
pub struct Sheet {
    words: [u32; RECORD_WORDS_MAX],
    at: usize,
}

impl Default for Sheet {
    fn default() -> Self {
        Self::new()
    }
}

impl Sheet {
    /// An empty sheet to write on.
    pub const fn new() -> Self {
        Self {
            words: [0; RECORD_WORDS_MAX],
            at: 0,
        }
    }

    /// Writes the next word.
    pub fn put(&mut self, word: u32) {
        if let Some(place) = self.words.get_mut(self.at) {
            *place = word;
        }
        self.at = self.at.saturating_add(1);
    }

    /// Writes two halves as one word.
    pub fn put_pair(&mut self, low: u16, high: u16) {
        let [a, b] = low.to_le_bytes();
        let [c, d] = high.to_le_bytes();
        self.put(u32::from_le_bytes([a, b, c, d]));
    }

    /// Writes a long number as two words.
    pub fn put_long(&mut self, number: u64) {
        let [a, b, c, d, e, f, g, h] = number.to_le_bytes();
        self.put(u32::from_le_bytes([a, b, c, d]));
        self.put(u32::from_le_bytes([e, f, g, h]));
    }

    /// Back to the first word, to read what was written.
    pub fn rewind(&mut self) {
        self.at = 0;
    }

    /// Reads the next word.
    pub fn take(&mut self) -> u32 {
        let word = self.words.get(self.at).copied().unwrap_or(0);
        self.at = self.at.saturating_add(1);
        word
    }

    /// Reads two halves.
    pub fn take_pair(&mut self) -> (u16, u16) {
        let [a, b, c, d] = self.take().to_le_bytes();
        (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]))
    }

    /// Reads a long number.
    pub fn take_long(&mut self) -> u64 {
        let [a, b, c, d] = self.take().to_le_bytes();
        let [e, f, g, h] = self.take().to_le_bytes();
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }
}

/// What is found where a record is kept.
#[derive(Clone, Copy, Debug)]
pub enum Found {
    /// Nothing was ever committed there.
    Nothing,
    /// The last committed content.
    Sheet(Sheet),
    /// Something was committed, and it is damaged.
    Damaged,
}

/// A place for one record: two copies, of which the younger one that is committed counts.
#[derive(Clone, Copy, Debug)]
pub struct Place<'r> {
    words: Words<'r>,
    begin: usize,
    /// Words of content.
    length: usize,
}

impl<'r> Place<'r> {
    /// Words that a record of this many words of content takes.
    pub const fn words_for(length: usize) -> usize {
        length.saturating_add(HEAD_WORDS).saturating_mul(2)
    }

    /// The place that begins at this word.
    pub const fn new(words: Words<'r>, begin: usize, length: usize) -> Self {
        Self {
            words,
            begin,
            length,
        }
    }

    fn copy(&self, second: bool) -> usize {
        let size = self.length.saturating_add(HEAD_WORDS);
        let skip = if second { size } else { 0 };
        self.begin.saturating_add(skip)
    }

    /// How many commits ago a copy was written; `None`: never, or it is not committed.
    fn age(&self, second: bool, committed: u32) -> Option<u32> {
        let sequence = self.words.get(self.copy(second));
        let age = committed.wrapping_sub(sequence);
        (sequence != 0 && age <= u32::MAX / 2).then_some(age)
    }

    /// Writes the content of the commit `sequence`, which follows `committed`. It counts from the
    /// moment when `sequence` is committed; until then the copy before it does.
    pub fn write(&self, sheet: &Sheet, committed: u32, sequence: u32) {
        let second = match (self.age(false, committed), self.age(true, committed)) {
            (Some(first), Some(second)) => first < second,
            (Some(_), None) => true,
            (None, _) => false,
        };
        let copy = self.copy(second);
        // Not committed while it is being written, whatever was there.
        self.words.set(copy, 0);
        for (index, word) in sheet.words.iter().take(self.length).enumerate() {
            let at = copy.saturating_add(HEAD_WORDS).saturating_add(index);
            self.words.set(at, *word);
        }
        self.words.set(
            copy.saturating_add(1),
            checksum(sequence, sheet, self.length),
        );
        self.words.set(copy, sequence);
    }

    /// Reads what counts. A damaged copy is never replaced by an older one: what happened since
    /// would be forgotten without a word.
    pub fn read(&self, committed: u32) -> Found {
        let second = match (self.age(false, committed), self.age(true, committed)) {
            (Some(first), Some(second)) => second < first,
            (None, Some(_)) => true,
            (Some(_), None) => false,
            (None, None) if self.is_unused(committed) => return Found::Nothing,
            (None, None) => return Found::Damaged,
        };
        let copy = self.copy(second);
        let mut sheet = Sheet::new();
        for index in 0..self.length {
            let at = copy.saturating_add(HEAD_WORDS).saturating_add(index);
            sheet.put(self.words.get(at));
        }
        sheet.rewind();
        let sequence = self.words.get(copy);
        if self.words.get(copy.saturating_add(1)) == checksum(sequence, &sheet, self.length) {
            Found::Sheet(sheet)
        } else {
            Found::Damaged
        }
    }

    /// Whether nothing was ever committed here: at most an attempt that did not come to its end.
    fn is_unused(&self, committed: u32) -> bool {
        [false, true].into_iter().all(|second| {
            let sequence = self.words.get(self.copy(second));
            sequence == 0 || sequence == next(committed)
        })
    }

    /// Forgets a copy that was written and never committed, before its number is used again.
    pub fn drop_uncommitted(&self, committed: u32) {
        for second in [false, true] {
            if self.words.get(self.copy(second)) == next(committed) {
                self.words.set(self.copy(second), 0);
            }
        }
    }
}

/// The number of the commit after this one; never 0, which stands for "never".
pub const fn next(sequence: u32) -> u32 {
    match sequence.wrapping_add(1) {
        0 => 1,
        next => next,
    }
}

/// Tells a torn or damaged copy from a whole one. Every step is a bijection of the state, so no
/// change of a single word goes unnoticed.
fn checksum(sequence: u32, sheet: &Sheet, length: usize) -> u32 {
    /// An odd number without structure: the golden ratio's fraction.
    const MIX: u32 = 0x9e37_79b1;
    let words = sheet.words.iter().take(length);
    let sum = words.fold(sequence ^ MIX, |sum, word| {
        let mixed = (sum ^ word).wrapping_mul(MIX);
        mixed ^ (mixed >> 15)
    });
    sum.wrapping_mul(MIX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    const LENGTH: usize = 5;

    fn region(count: usize) -> Vec<AtomicU32> {
        (0..count).map(|_| AtomicU32::new(0)).collect()
    }

    fn sheet(first: u32) -> Sheet {
        let mut sheet = Sheet::new();
        (0..5).for_each(|add| sheet.put(first.wrapping_add(add)));
        sheet
    }

    fn content(found: Found) -> Option<Vec<u32>> {
        match found {
            Found::Sheet(mut sheet) => Some((0..LENGTH).map(|_| sheet.take()).collect()),
            Found::Nothing | Found::Damaged => None,
        }
    }

    #[test]
    fn whatever_write_is_the_last_the_record_is_old_or_new() {
        // Some commits, then one that dies after `left` writes; also around the number's wrap.
        for start in [1, u32::MAX - 3, u32::MAX] {
            for left in 0..12 {
                let memory = region(Place::words_for(LENGTH));
                let fuse = AtomicU32::new(1_000);
                let words = Words::new(&memory).with_fuse(&fuse);
                let place = Place::new(words, 0, LENGTH);
                let mut committed = start;
                for number in 0..4 {
                    place.write(&sheet(number), committed, next(committed));
                    committed = next(committed);
                    assert_eq!(
                        content(place.read(committed)),
                        content(Found::Sheet(begun(number)))
                    );
                }
                fuse.store(left, Ordering::Relaxed);
                place.write(&sheet(99), committed, next(committed));
                let whole = fuse.load(Ordering::Relaxed) != BURNT;
                fuse.store(1_000, Ordering::Relaxed);
                assert_eq!(
                    content(place.read(committed)),
                    content(Found::Sheet(begun(3)))
                );
                if !whole {
                    // The next life uses the number for something else.
                    place.drop_uncommitted(committed);
                    let later = next(committed);
                    assert_eq!(content(place.read(later)), content(Found::Sheet(begun(3))));
                }
            }
        }
    }

    fn begun(number: u32) -> Sheet {
        let mut sheet = sheet(number);
        sheet.rewind();
        sheet
    }

    #[test]
    fn any_damage_to_a_record_is_seen() {
        let memory = region(Place::words_for(LENGTH));
        let place = Place::new(Words::new(&memory), 0, LENGTH);
        place.write(&sheet(7), 1, 2);
        place.write(&sheet(8), 2, 3);
        let current = LENGTH + HEAD_WORDS;
        for index in 1..current {
            for bit in 0..32 {
                let word = &memory[current + index];
                let before = word.fetch_xor(1 << bit, Ordering::Relaxed);
                assert!(
                    matches!(place.read(3), Found::Damaged),
                    "word {index} bit {bit}"
                );
                word.store(before, Ordering::Relaxed);
            }
        }
        assert!(matches!(place.read(3), Found::Sheet(_)));
    }

    #[test]
    fn a_place_that_was_never_committed_is_empty() {
        let memory = region(Place::words_for(LENGTH));
        let place = Place::new(Words::new(&memory), 0, LENGTH);
        assert!(matches!(place.read(1), Found::Nothing));
        place.write(&sheet(7), 1, 2);
        assert!(matches!(place.read(1), Found::Nothing));
        assert!(matches!(place.read(2), Found::Sheet(_)));
    }

    #[test]
    fn words_beyond_the_end_are_zero_and_take_nothing() {
        let memory = region(2);
        let words = Words::new(&memory);
        words.set(2, 9);
        assert_eq!((words.get(2), words.len()), (0, 2));
        assert!(Words::new(&[]).is_empty());
    }
}
