//! This room parts the core from the kernel: the core is a process of its own that decides and
//! holds nothing, and the keeper, which is process 1, performs what it asks for.
//!
//! To the core the keeper is a platform like any other ([`Remote`]): each call becomes a request in
//! a ring, and where an answer is needed, or nothing is left to do, it wakes the keeper and sleeps.
//! The keeper ([`Desk`]) trusts nothing that the core can write: it copies each request out before
//! it looks at it, performs only what the manifest allows for a unit that it knows, and counts. One
//! event is with the core at a time; the platform keeps it until the core has taken it in, so that
//! the heir of a core that died is told what that one had not.
//!
//! All that both see is words. The ring's are the core's to write, and so is its checkpoint; where
//! the keeper stands in the ring, and who owns which process, is not.

mod desk;
mod exchange;
mod known;
mod message;
mod remote;
mod ring;
#[cfg(feature = "exchange")]
mod start;

pub use desk::{Breach, Desk, Step};
pub use remote::{Bell, Remote};
#[cfg(feature = "exchange")]
pub use start::{SCHEMA, START_BYTES, Start};

use crate::limits::FRAME_BYTES_MAX;

/// Bytes of a request or an answer: the largest carries a client's frame, its length and whose it
/// is.
const LETTER_BYTES_MAX: usize = FRAME_BYTES_MAX + 16;

const LETTER_WORDS: usize = LETTER_BYTES_MAX.div_ceil(4);

/// Words of requests that wait for the keeper: the largest, and the lines of a turn.
const RING_WORDS: usize = 512;

const _: () = assert!(RING_WORDS.is_power_of_two() && RING_WORDS > LETTER_WORDS + 16);

/// Where what lies among the words that both see.
mod at {
    /// Words of requests written in all, by the core; wraps.
    pub const WRITTEN: usize = 0;
    /// How many of them the keeper has dealt with, for the core to know its room.
    pub const READ: usize = 1;
    /// Answers given in all; wraps.
    pub const ANSWERED: usize = 2;
    /// Bytes of the last answer.
    pub const LENGTH: usize = 3;
    /// Its checksum, which its number is part of.
    pub const SUM: usize = 4;
    /// What the core could not give up.
    pub const KEEPS: usize = 5;
    pub const ANSWER: usize = 6;
    pub const RING: usize = ANSWER + super::LETTER_WORDS;
}

/// Where all of that is, and how much there is of it.
#[cfg(feature = "exchange")]
const PLACES: [usize; 10] = [
    at::WRITTEN,
    at::READ,
    at::ANSWERED,
    at::LENGTH,
    at::SUM,
    at::KEEPS,
    at::ANSWER,
    at::RING,
    LETTER_BYTES_MAX,
    RING_WORDS,
];

/// Words that both see, apart from the core's checkpoint.
pub const WORDS: usize = at::RING + RING_WORDS;
