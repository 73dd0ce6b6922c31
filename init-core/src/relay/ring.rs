//! This file carries requests from the core to the keeper, one after the other, in a ring of words.
//!
//! A request is its length, a checksum that its place in the ring is part of, and its bytes. The
//! reader keeps its own count of what it has read and copies each request out before it checks it,
//! so nothing that the writer does to the words later changes what was checked.

use super::{LETTER_BYTES_MAX, RING_WORDS, at};
use crate::checkpoint::words::Words;

/// Room for one request or answer.
pub type Letter = [u8; LETTER_BYTES_MAX];

/// Words before the bytes of a request.
const HEAD_WORDS: u32 = 2;

/// What is read was not written by [`Writer::push`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damage;

/// The core's end.
#[derive(Debug)]
pub struct Writer<'a> {
    words: Words<'a>,
    /// Words written in all.
    end: u32,
}

impl<'a> Writer<'a> {
    /// Goes on where the ring stands.
    pub fn new(words: Words<'a>) -> Self {
        Self {
            words,
            end: words.get(at::WRITTEN),
        }
    }

    /// Writes a request, of at most [`LETTER_BYTES_MAX`] bytes; `false`: there is no room, and
    /// nothing was written. `spare` words are left free.
    pub fn push(&mut self, bytes: &[u8], spare: u32) -> bool {
        let Some(size) = size_of_request(bytes.len()) else {
            return false;
        };
        let used = self.end.wrapping_sub(self.words.get(at::READ));
        let room = ring_words().checked_sub(used);
        if room.is_none_or(|room| room < size.saturating_add(spare)) {
            return false;
        }
        let length = u32::try_from(bytes.len()).unwrap_or(0);
        let mut place = self.end.wrapping_add(HEAD_WORDS);
        for chunk in bytes.chunks(4) {
            let mut word = [0; 4];
            for (to, from) in word.iter_mut().zip(chunk) {
                *to = *from;
            }
            self.words.set(index(place), u32::from_le_bytes(word));
            place = place.wrapping_add(1);
        }
        let sum = checksum(self.end, bytes);
        self.words.set(index(self.end), length);
        self.words.set(index(self.end.wrapping_add(1)), sum);
        self.end = self.end.wrapping_add(size);
        self.words.set(at::WRITTEN, self.end);
        true
    }

    /// Makes the ring one that no core leaves behind.
    pub fn spoil(&self) {
        let beyond = self.end.wrapping_add(ring_words()).wrapping_add(1);
        self.words.set(at::WRITTEN, beyond);
    }
}

/// Copies the request at `begin_at` out, if there is one: how many bytes it has, and where the next
/// begins.
///
/// # Errors
/// What is there was not written as it must be.
pub fn read(
    words: Words<'_>,
    begin_at: u32,
    letter: &mut Letter,
) -> Result<Option<(usize, u32)>, Damage> {
    let there = words.get(at::WRITTEN).wrapping_sub(begin_at);
    if there == 0 {
        return Ok(None);
    }
    if there > ring_words() {
        return Err(Damage);
    }
    let length = words.get(index(begin_at));
    let told = words.get(index(begin_at.wrapping_add(1)));
    let bytes = usize::try_from(length).map_err(|_| Damage)?;
    let size = size_of_request(bytes).ok_or(Damage)?;
    let room = letter.get_mut(..bytes).ok_or(Damage)?;
    if size > there {
        return Err(Damage);
    }
    let mut place = begin_at.wrapping_add(HEAD_WORDS);
    for chunk in room.chunks_mut(4) {
        let word = words.get(index(place));
        for (to, from) in chunk.iter_mut().zip(word.to_le_bytes()) {
            *to = from;
        }
        place = place.wrapping_add(1);
    }
    if checksum(begin_at, room) != told {
        return Err(Damage);
    }
    Ok(Some((bytes, begin_at.wrapping_add(size))))
}

/// Words of a request of so many bytes; `None`: there is no such request.
fn size_of_request(bytes: usize) -> Option<u32> {
    if bytes > LETTER_BYTES_MAX {
        return None;
    }
    let words = u32::try_from(bytes.div_ceil(4)).ok()?;
    Some(words.saturating_add(HEAD_WORDS))
}

fn ring_words() -> u32 {
    u32::try_from(RING_WORDS).unwrap_or(0)
}

/// The word of that number, counted from the ring's first use on.
fn index(number: u32) -> usize {
    let number = usize::try_from(number).unwrap_or(0);
    at::RING.wrapping_add(number & (RING_WORDS - 1))
}

/// A checksum of a request or an answer: it is good in its own place only.
pub fn checksum(place: u32, bytes: &[u8]) -> u32 {
    let length = u32::try_from(bytes.len()).unwrap_or(0);
    let mut sum = mix(mix(0x6b65_6570, place), length);
    for chunk in bytes.chunks(4) {
        let mut word = [0; 4];
        for (to, from) in word.iter_mut().zip(chunk) {
            *to = *from;
        }
        sum = mix(sum, u32::from_le_bytes(word));
    }
    sum
}

/// Each step is a bijection of the sum, so a change of a single word is seen.
fn mix(sum: u32, word: u32) -> u32 {
    /// An odd number without structure: the golden ratio's fraction.
    const MIX: u32 = 0x9e37_79b1;
    let mixed = (sum ^ word).wrapping_mul(MIX);
    mixed ^ (mixed >> 15)
}
