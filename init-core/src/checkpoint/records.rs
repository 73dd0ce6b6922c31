//! This file keeps records of one size, of which any number changes at once or not at all.
//!
//! What is to change is written into a journal; then one word says that it counts, and it is copied
//! to its place. Whoever finds such a journal copies again what is in it: the records are as they
//! were before a commit or after it, never between. Each has a checksum.

use super::words::{Words, load};

/// Words of a record: the largest is a unit's, see `pack`.
pub const RECORD_WORDS: usize = if cfg!(feature = "added-field") {
    26
} else {
    24
};

/// Bytes of a record.
pub const RECORD_BYTES: usize = RECORD_WORDS * 4;

/// Records in words: how many there are in a finished journal, all records, the journal.
#[derive(Clone, Copy, Debug)]
pub struct Records<'r> {
    words: Words<'r>,
    begin: usize,
    count: usize,
    /// Words of a record with its checksum.
    place_words: usize,
    /// Records in the journal that is being written.
    staged: u32,
}

impl<'r> Records<'r> {
    /// Words for this many records.
    pub const fn words_for(count: usize) -> usize {
        Self::words_for_sized(count, RECORD_WORDS)
    }

    /// As [`Self::words_for`], for records of so many words: each has a checksum, and once more in
    /// the journal, there with its number.
    pub const fn words_for_sized(count: usize, record_words: usize) -> usize {
        let words = record_words.wrapping_mul(2).wrapping_add(3);
        count.wrapping_mul(words).wrapping_add(1)
    }

    /// Words of this many records in their places, without the journal.
    pub const fn places_for(count: usize) -> usize {
        count.wrapping_mul(RECORD_WORDS.wrapping_add(1))
    }

    /// This many records from this word on.
    pub const fn new(words: Words<'r>, begin: usize, count: usize) -> Self {
        Self::sized(words, begin, count, RECORD_WORDS)
    }

    /// This many records of so many words.
    pub const fn sized(words: Words<'r>, begin: usize, count: usize, record_words: usize) -> Self {
        Self {
            words,
            begin,
            count,
            place_words: record_words.wrapping_add(1),
            staged: 0,
        }
    }

    pub fn place(&self, record: usize) -> usize {
        let skip = record.wrapping_mul(self.place_words).wrapping_add(1);
        self.begin.wrapping_add(skip)
    }

    fn entry(&self, number: u32) -> usize {
        let number = usize::try_from(number).unwrap_or(usize::MAX);
        let skip = number.wrapping_mul(self.place_words.wrapping_add(1));
        self.place(self.count).wrapping_add(skip)
    }

    /// Changes a record, from the next commit on; each at most once in a commit. Its checksum.
    pub fn stage(&mut self, record: usize, bytes: &[u8; RECORD_BYTES]) -> u32 {
        let entry = self.entry(self.staged);
        self.staged = self.staged.wrapping_add(1);
        let place = entry.wrapping_add(1);
        self.words
            .set(entry, u32::try_from(record).unwrap_or(u32::MAX));
        self.words.write(place.wrapping_add(1), bytes);
        let checksum = self.checksum(place);
        self.words.set(place, checksum);
        checksum
    }

    /// Makes all that was staged count.
    pub fn commit(&mut self) {
        self.words.set(self.begin, self.staged.wrapping_mul(MIX));
        self.staged = 0;
        self.settle();
    }

    /// Copies what counts to its place. Doing it again changes nothing.
    pub fn settle(&self) {
        let count = self.words.get(self.begin).wrapping_mul(UNMIX);
        // Each record at most once; a larger number is damage, and its end not lived to see. Nearly
        // all that the word may become by damage is one: what a journal before has left is old.
        let is_real = usize::try_from(count).is_ok_and(|count| count <= self.count);
        for number in 0..if is_real { count } else { 0 } {
            let entry = self.entry(number);
            let record = usize::try_from(self.words.get(entry)).unwrap_or(usize::MAX);
            if record >= self.count {
                continue;
            }
            let new = self.words.part(entry.wrapping_add(1), self.place_words);
            self.words.copy(new, self.place(record));
        }
        self.words.set(self.begin, 0);
    }

    /// Reads a record, the front of a longer one, or a shorter one with zeros behind it; `false`:
    /// it is damaged, or what is left out says something.
    pub fn read(&self, record: usize, bytes: &mut [u8; RECORD_BYTES]) -> bool {
        let place = self.place(record);
        let words = self.place_words.saturating_sub(1).min(RECORD_WORDS);
        let bytes = bytes.get_mut(..words.wrapping_mul(4)).unwrap_or_default();
        self.words.read(place.wrapping_add(1), bytes);
        let mut rest = words.wrapping_add(1)..self.place_words;
        let is_front = rest.all(|index| self.words.get(place.wrapping_add(index)) == 0);
        is_front && self.words.get(place) == self.checksum(place)
    }

    /// Turns a bit; whether it is there for good.
    #[cfg(feature = "fake")]
    pub fn damage(&self, record: usize, word: usize, bit: u32) -> bool {
        let skip = word.checked_rem(self.place_words).unwrap_or(0);
        let at = self.place(record).wrapping_add(skip);
        self.words
            .set(at, self.words.get(at) ^ 1_u32.wrapping_shl(bit));
        self.words.get(self.begin) == 0
    }

    /// Tells a damaged record from a whole one. Every step is a bijection of the state, so no
    /// change of a single word goes unnoticed.
    fn checksum(&self, place: usize) -> u32 {
        let count = self.place_words.wrapping_sub(1);
        let words = self.words.part(place.wrapping_add(1), count);
        words.map(load).fold(MIX, mixed)
    }

    /// The checksum that a record has in its place.
    pub fn stored_checksum(&self, record: usize) -> u32 {
        self.words.get(self.place(record))
    }

    /// All records, as the sum of what each adds to it.
    pub fn sum(&self) -> u32 {
        let shares = (0..self.count).map(|record| share(record, self.stored_checksum(record)));
        shares.fold(0, u32::wrapping_add)
    }

    /// Copies all records, each in its place, to other words from this one on.
    pub fn copy_to(&self, to: Words<'_>, begin: usize) {
        let count = self.count.wrapping_mul(self.place_words);
        to.copy(self.words.part(self.place(0), count), begin);
    }
}

/// An odd number without structure: the golden ratio's fraction.
const MIX: u32 = 0x9e37_79b1;

/// What undoes a multiplication by [`MIX`].
const UNMIX: u32 = 0x0e8b_2f51;

const _: () = assert!(MIX.wrapping_mul(UNMIX) == 1);

/// A step of a checksum.
pub const fn mixed(sum: u32, word: u32) -> u32 {
    let mixed = (sum ^ word).wrapping_mul(MIX);
    mixed ^ (mixed >> 15)
}

/// What a record adds to the sum of all.
pub fn share(record: usize, checksum: u32) -> u32 {
    let record = u32::try_from(record).unwrap_or(u32::MAX);
    mixed(mixed(checksum, record), 0)
}

#[cfg(test)]
mod tests {
    use super::super::words::BURNT;
    use super::*;
    use core::sync::atomic::{AtomicU32, Ordering};
    use std::vec::Vec;

    const COUNT: usize = 3;

    fn region() -> Vec<AtomicU32> {
        let count = Records::words_for(COUNT);
        (0..count).map(|_| AtomicU32::new(0)).collect()
    }

    fn change(records: &mut Records<'_>, content: [u8; COUNT]) {
        for (record, byte) in content.into_iter().enumerate() {
            records.stage(record, &[byte; RECORD_BYTES]);
        }
        records.commit();
    }

    fn read(records: &Records<'_>, record: usize) -> Option<[u8; RECORD_BYTES]> {
        let mut bytes = [0; RECORD_BYTES];
        records.read(record, &mut bytes).then_some(bytes)
    }

    fn content(records: &Records<'_>) -> Vec<Option<[u8; RECORD_BYTES]>> {
        (0..COUNT).map(|record| read(records, record)).collect()
    }

    #[test]
    fn whatever_write_is_the_last_all_records_are_old_or_all_are_new() {
        let old = [1, 2, 3].map(|byte| Some([byte; RECORD_BYTES]));
        let new = [4, 5, 6].map(|byte| Some([byte; RECORD_BYTES]));
        let mut seen = [false; 2];
        for left in 0..u32::MAX {
            let memory = region();
            change(&mut Records::new(Words::new(&memory), 0, COUNT), [1, 2, 3]);
            let fuse = AtomicU32::new(left);
            let mortal = Words::new(&memory).with_fuse(&fuse);
            change(&mut Records::new(mortal, 0, COUNT), [4, 5, 6]);
            let heir = Records::new(Words::new(&memory), 0, COUNT);
            heir.settle();
            let found = content(&heir);
            assert!(found == old || found == new, "{left}");
            seen[usize::from(found == new)] = true;
            if fuse.load(Ordering::Relaxed) != BURNT {
                break;
            }
        }
        assert_eq!(seen, [true, true]);
    }

    #[test]
    fn any_damage_to_a_record_is_seen() {
        let memory = region();
        let mut records = Records::new(Words::new(&memory), 0, COUNT);
        change(&mut records, [1, 2, 3]);
        for index in 0..records.place_words {
            let word = &memory[records.place(1) + index];
            for bit in 0..32 {
                word.fetch_xor(1 << bit, Ordering::Relaxed);
                assert_eq!(read(&records, 1), None, "word {index} bit {bit}");
                word.fetch_xor(1 << bit, Ordering::Relaxed);
            }
        }
        assert_eq!(read(&records, 1), Some([2; RECORD_BYTES]));
    }

    #[test]
    fn a_journal_of_more_records_than_there_are_is_damage() {
        let memory = region();
        let mut records = Records::new(Words::new(&memory), 0, COUNT);
        change(&mut records, [1, 2, 3]);
        memory[0].store(u32::MAX, Ordering::Relaxed);
        records.settle();
        let old = [1, 2, 3].map(|byte| Some([byte; RECORD_BYTES]));
        assert_eq!(content(&records), old);
    }

    #[test]
    fn a_bit_of_damage_brings_no_old_journal_back() {
        let memory = region();
        let mut records = Records::new(Words::new(&memory), 0, COUNT);
        change(&mut records, [1, 2, 3]);
        records.stage(2, &[4; RECORD_BYTES]);
        records.commit();
        // Its second and third entry are those of the commit before.
        let new = [1, 2, 4].map(|byte| Some([byte; RECORD_BYTES]));
        for first in 0..32 {
            for second in 0..32 {
                memory[0].store(1 << first | 1 << second, Ordering::Relaxed);
                records.settle();
                assert_eq!(content(&records), new, "bits {first} and {second}");
            }
        }
    }

    #[test]
    fn a_record_that_was_never_written_is_not_one() {
        let memory = region();
        let records = Records::new(Words::new(&memory), 0, COUNT);
        assert_eq!(content(&records), [None; COUNT]);
    }
}
