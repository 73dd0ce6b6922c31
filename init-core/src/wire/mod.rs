//! This room writes values as bytes and reads them back: what the control protocol's messages are
//! made of, and what process 1 leaves to its next incarnation. The format is postcard's.
//!
//! It is ours and not the `postcard` crate because serde's generic code for our messages is three
//! times as large and, with overflow checks, has panics in it. The tests hold both side by side on
//! every message and on random bytes; programs that are not firmware use the crate.
//!
//! A value has one description for both directions, so that they cannot differ. Reading goes on
//! after an error, with zeros and empty texts, and the first error is kept: so there is one check
//! for a message and not one for each field.

pub(crate) mod describe;
mod values;

use crate::checkpoint::Renames;
use serde::{Deserialize, Serialize};

/// Text as it came: nobody has looked whether it is UTF-8. Names are compared byte by byte, and a
/// line shows any bytes.
#[derive(Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Text<'a>(pub &'a [u8]);

impl<'a> Text<'a> {
    /// These words.
    pub const fn of(words: &'a str) -> Self {
        Self(words.as_bytes())
    }
}

impl AsRef<[u8]> for Text<'_> {
    fn as_ref(&self) -> &[u8] {
        self.0
    }
}

impl core::fmt::Debug for Text<'_> {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(out, "\"{}\"", self.0.escape_ascii())
    }
}

/// What can be wrong with what is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Problem {
    /// A frame does not begin as ours do.
    NotOurs,
    /// Another version of the protocol.
    OtherVersion,
    /// It ends too early.
    TooShort,
    /// Something follows its end.
    TooLong,
    /// A number, word or text is not what can stand there.
    BadValue,
}

/// What can be written and read.
pub trait Value<'f>: Copy {
    /// What a reader begins with, and what stays after a problem.
    const EMPTY: Self;

    /// Passes each part over the wire, in order: it is written, or replaced by what is read.
    fn pass(&mut self, wire: &mut Wire<'f, '_>);
}

/// Where values are written to, or read from.
#[derive(Debug)]
pub struct Wire<'f, 'b> {
    is_reading: bool,
    /// What has not been read.
    rest: &'f [u8],
    /// What has not been written to.
    room: &'b mut [u8],
    problem: Option<Problem>,
    renames: Option<Renames<'b>>,
}

impl<'f, 'b> Wire<'f, 'b> {
    /// Reads these bytes.
    pub(crate) fn reading(rest: &'f [u8]) -> Self {
        Self {
            is_reading: true,
            rest,
            room: &mut [],
            problem: None,
            renames: None,
        }
    }

    /// Reads the numbers of units as what they are now.
    pub(crate) fn renaming(mut self, renames: Renames<'b>) -> Self {
        self.renames = Some(renames);
        self
    }

    /// What the number of a unit is now.
    fn renamed(&self, unit: u16) -> u16 {
        match self.renames {
            Some(renames) => renames.renamed(unit),
            None => unit,
        }
    }

    /// Writes to this place.
    pub(crate) fn writing(room: &'b mut [u8]) -> Self {
        Self {
            is_reading: false,
            rest: &[],
            room,
            problem: None,
            renames: None,
        }
    }

    /// Whether all was read without a problem and only zeros are left.
    pub(crate) fn is_whole(&self) -> bool {
        self.problem.is_none() && self.rest.iter().all(|byte| *byte == 0)
    }

    /// What has not been read, bytes not written to, and the first problem.
    pub(crate) fn end(self) -> (&'f [u8], usize, Option<Problem>) {
        (self.rest, self.room.len(), self.problem)
    }

    /// Remembers the first problem; nothing more is read.
    #[inline(never)]
    fn fail(&mut self, problem: Problem) {
        self.problem = self.problem.or(Some(problem));
    }

    /// Passes a byte; gives it back, or the one that is read.
    #[inline(never)]
    fn byte(&mut self, byte: u8) -> u8 {
        if self.is_reading {
            if let (Some((&byte, rest)), None) = (self.rest.split_first(), self.problem) {
                self.rest = rest;
                return byte;
            }
        } else if let Some((place, room)) = core::mem::take(&mut self.room).split_first_mut() {
            *place = byte;
            self.room = room;
            return byte;
        }
        self.fail(Problem::TooShort);
        0
    }

    /// Passes a number of at most `bits` bits; gives it back, or the one that is read. Seven bits a
    /// byte, the least significant first; the top bit says that more follow.
    #[inline(never)]
    pub(crate) fn number(&mut self, number: u64, bits: u32) -> u64 {
        if !self.is_reading {
            let mut left = number;
            while left > 0x7f {
                let [low, ..] = left.to_le_bytes();
                self.byte(low | 0x80);
                left >>= 7;
            }
            let [last, ..] = left.to_le_bytes();
            self.byte(last);
            return number;
        }
        let (mut number, mut shift) = (0, 0_u32);
        while shift < bits {
            let byte = self.byte(0);
            let part = u64::from(byte & 0x7f);
            let shifted = part.wrapping_shl(shift);
            let is_cut = shifted.wrapping_shr(shift) != part;
            number |= shifted;
            if is_cut || (bits < u64::BITS && number.wrapping_shr(bits) != 0) {
                break;
            }
            if byte & 0x80 == 0 {
                return number;
            }
            shift = shift.saturating_add(7);
        }
        self.fail(Problem::BadValue);
        0
    }

    /// Passes the number of a word in a list of words; gives it back, or the one that is read.
    #[inline(never)]
    pub(crate) fn word(&mut self, number: u8) -> u8 {
        let number = self.number(number.into(), u32::BITS);
        // No list is as long as that.
        u8::try_from(number).unwrap_or(u8::MAX)
    }

    /// Passes one of so many words by its number. Another number is an error, and 0.
    #[inline(never)]
    pub(crate) fn choice(&mut self, number: u8, count: usize) -> u8 {
        let number = self.word(number);
        match usize::from(number) < count {
            true => number,
            false => self.bad_word(0),
        }
    }

    #[inline(never)]
    fn flag(&mut self, flag: bool) -> bool {
        match self.byte(u8::from(flag)) {
            0 => false,
            1 => true,
            _ => self.bad_word(false),
        }
    }

    /// A word that is in no list.
    pub(crate) fn bad_word<T>(&mut self, instead: T) -> T {
        self.fail(Problem::BadValue);
        instead
    }

    fn read_text(&mut self, length: u64) -> &'f [u8] {
        if self.problem.is_some() {
            return &[];
        }
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let Some((text, rest)) = self.rest.split_at_checked(length) else {
            self.fail(Problem::TooShort);
            return &[];
        };
        self.rest = rest;
        text
    }
}

impl<'f> Value<'f> for u8 {
    const EMPTY: Self = 0;

    fn pass(&mut self, wire: &mut Wire<'f, '_>) {
        *self = wire.byte(*self);
    }
}

impl<'f> Value<'f> for bool {
    const EMPTY: Self = false;

    #[inline(never)]
    fn pass(&mut self, wire: &mut Wire<'f, '_>) {
        *self = wire.flag(*self);
    }
}

macro_rules! number {
    ($($type:ident),+) => { $(
        impl<'f> Value<'f> for $type {
            const EMPTY: Self = 0;

            #[inline(never)]
            fn pass(&mut self, wire: &mut Wire<'f, '_>) {
                let number = wire.number(u64::from(*self), Self::BITS);
                // The bits were checked where the number was read.
                *self = Self::try_from(number).unwrap_or_default();
            }
        }
    )+ };
}

number!(u16, u32, u64);

impl<'f> Value<'f> for Text<'f> {
    const EMPTY: Self = Self(&[]);

    #[inline(never)]
    fn pass(&mut self, wire: &mut Wire<'f, '_>) {
        let length = u64::try_from(self.0.len()).unwrap_or(u64::MAX);
        let length = wire.number(length, u64::BITS);
        if wire.is_reading {
            self.0 = wire.read_text(length);
            return;
        }
        for &byte in self.0 {
            wire.byte(byte);
        }
    }
}

impl<'f, T: Value<'f>> Value<'f> for Option<T> {
    const EMPTY: Self = None;

    fn pass(&mut self, wire: &mut Wire<'f, '_>) {
        if wire.flag(self.is_some()) {
            self.get_or_insert(T::EMPTY).pass(wire);
        }
    }
}
