//! This file writes and reads the values that messages are made of, in postcard's wire format.
//!
//! It is ours and not the `postcard` crate because serde's generic code for our messages is twice
//! as large and, with overflow checks, has panics in it. The tests hold both side by side on every
//! message and on random bytes; programs that are not firmware use the crate.
//!
//! Reading goes on after an error, with zeros and empty texts, and the first error is kept: so
//! there is one check for a message and not one for each field.

use super::message::Problem;

/// Takes values.
pub trait Put {
    /// Writes itself.
    fn put(&self, out: &mut Output<'_>);
}

/// Gives values.
pub trait Take<'f> {
    /// Reads itself; anything when `input` has met a problem.
    fn take(input: &mut Input<'f>) -> Self;
}

/// Where values are written to.
#[derive(Debug)]
pub struct Output<'b> {
    room: &'b mut [u8],
    length: usize,
    is_full: bool,
}

impl<'b> Output<'b> {
    pub(super) fn new(room: &'b mut [u8]) -> Self {
        Self {
            room,
            length: 0,
            is_full: false,
        }
    }

    /// Bytes written; `None` when there was not enough room.
    pub(super) fn end(self) -> Option<usize> {
        (!self.is_full).then_some(self.length)
    }

    fn byte(&mut self, byte: u8) {
        match self.room.get_mut(self.length) {
            Some(place) => {
                *place = byte;
                self.length = self.length.saturating_add(1);
            }
            None => self.is_full = true,
        }
    }

    /// Seven bits a byte, the least significant first; the top bit says that more follow.
    pub(super) fn number(&mut self, mut number: u64) {
        loop {
            let [low, ..] = number.to_le_bytes();
            number >>= 7;
            if number == 0 {
                return self.byte(low);
            }
            self.byte(low | 0x80);
        }
    }
}

/// Where values are read from.
#[derive(Debug)]
pub struct Input<'f> {
    rest: &'f [u8],
    problem: Option<Problem>,
}

impl<'f> Input<'f> {
    pub(super) fn new(rest: &'f [u8]) -> Self {
        Self {
            rest,
            problem: None,
        }
    }

    /// What has not been read, and the first problem.
    pub(super) fn end(self) -> (&'f [u8], Option<Problem>) {
        (self.rest, self.problem)
    }

    /// Remembers the first problem; nothing more is read.
    pub(super) fn fail(&mut self, problem: Problem) {
        self.problem = self.problem.or(Some(problem));
    }

    fn byte(&mut self) -> u8 {
        match self.rest.split_first() {
            Some((&byte, rest)) if self.problem.is_none() => {
                self.rest = rest;
                byte
            }
            _ => {
                self.fail(Problem::TooShort);
                0
            }
        }
    }

    /// A number of at most `bits` bits.
    pub(super) fn number(&mut self, bits: u32) -> u64 {
        let (mut number, mut shift) = (0, 0_u32);
        while shift < bits {
            let byte = self.byte();
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

    /// The number of a word in a list of words.
    pub(super) fn word(&mut self) -> u64 {
        self.number(u32::BITS)
    }

    /// A word that is in no list.
    pub(super) fn bad_word<T>(&mut self, instead: T) -> T {
        self.fail(Problem::BadValue);
        instead
    }
}

impl Put for u8 {
    fn put(&self, out: &mut Output<'_>) {
        out.byte(*self);
    }
}

impl Take<'_> for u8 {
    fn take(input: &mut Input<'_>) -> Self {
        input.byte()
    }
}

impl Put for bool {
    fn put(&self, out: &mut Output<'_>) {
        out.byte(u8::from(*self));
    }
}

impl Take<'_> for bool {
    fn take(input: &mut Input<'_>) -> Self {
        match input.byte() {
            0 => false,
            1 => true,
            _ => input.bad_word(false),
        }
    }
}

macro_rules! number {
    ($($type:ident),+) => { $(
        impl Put for $type {
            fn put(&self, out: &mut Output<'_>) {
                out.number(u64::from(*self));
            }
        }

        impl Take<'_> for $type {
            fn take(input: &mut Input<'_>) -> Self {
                // The bits were checked where the number was read.
                Self::try_from(input.number(Self::BITS)).unwrap_or_default()
            }
        }
    )+ };
}

number!(u16, u32, u64);

impl Put for &str {
    fn put(&self, out: &mut Output<'_>) {
        let room = out.room.len().saturating_sub(out.length);
        out.number(u64::try_from(self.len()).unwrap_or(u64::MAX));
        if self.len() > room {
            out.is_full = true;
            return;
        }
        self.bytes().for_each(|byte| out.byte(byte));
    }
}

impl<'f> Take<'f> for &'f str {
    fn take(input: &mut Input<'f>) -> Self {
        let length = usize::try_from(input.number(u64::BITS)).unwrap_or(usize::MAX);
        if input.problem.is_some() {
            return "";
        }
        let Some((text, rest)) = input.rest.split_at_checked(length) else {
            input.fail(Problem::TooShort);
            return "";
        };
        match core::str::from_utf8(text) {
            Ok(text) => {
                input.rest = rest;
                text
            }
            Err(_) => input.bad_word(""),
        }
    }
}

impl<T: Put> Put for Option<T> {
    fn put(&self, out: &mut Output<'_>) {
        self.is_some().put(out);
        if let Some(value) = self {
            value.put(out);
        }
    }
}

impl<'f, T: Take<'f>> Take<'f> for Option<T> {
    fn take(input: &mut Input<'f>) -> Self {
        bool::take(input).then(|| T::take(input))
    }
}
