//! This file makes the program's own texts small: letters that often stand together are one byte.
//!
//! A text is packed while the program is compiled, and unpacked letter by letter where it is said,
//! as BASIC kept its keywords. Half of it is left.

use crate::dictionary::DICTIONARY;
use crate::text::word;

/// From this byte on, a byte stands for an entry of the dictionary; below are the letters of ASCII.
const FIRST: u8 = 0x80;

/// Bytes of the longest text.
const TEXT_BYTES_MAX: usize = 2_048;

/// The entries one after the other; the last letter of each has its highest bit set.
static ENTRIES: [u8; ENTRIES_BYTES] = entries();

/// A text that was packed when the program was compiled: `packed!("not ready in time")`.
#[derive(Clone, Copy, Debug)]
pub struct Packed(&'static [u8]);

impl Packed {
    /// Nothing.
    pub const EMPTY: Self = Self(&[]);

    /// For [`packed!`](crate::packed!): what [`Scratch::cut`] returned.
    #[doc(hidden)]
    #[must_use]
    pub const fn new(bytes: &'static [u8]) -> Self {
        Self(bytes)
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// The line of a text with this index, from 0; nothing if there are fewer. The last one is
    /// ended as well.
    #[must_use]
    pub fn line(self, index: usize) -> Self {
        Self(word(self.0, b'\n', index).unwrap_or_default())
    }

    /// Its letters.
    #[must_use]
    pub fn letters(self) -> Letters {
        Letters {
            rest: self.0,
            entry: &[],
        }
    }
}

/// The letters of a [`Packed`] text.
#[derive(Clone, Debug)]
pub struct Letters {
    /// What is still packed.
    rest: &'static [u8],
    /// The entry that is being unpacked, and those behind it; empty when none is.
    entry: &'static [u8],
}

impl Iterator for Letters {
    type Item = u8;

    #[inline(never)]
    fn next(&mut self) -> Option<u8> {
        if self.entry.is_empty() {
            let (&byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            let Some(index) = byte.checked_sub(FIRST) else {
                return Some(byte);
            };
            self.entry = entry(index);
        }
        let (&letter, entry) = self.entry.split_first()?;
        self.entry = if letter < FIRST { entry } else { &[] };
        Some(letter & !FIRST)
    }
}

/// The entry with this index, and those behind it.
fn entry(index: u8) -> &'static [u8] {
    let mut entries = &ENTRIES[..];
    let mut before = index;
    while let (Some(left), Some((&letter, rest))) = (before.checked_sub(1), entries.split_first()) {
        entries = rest;
        if letter >= FIRST {
            before = left;
        }
    }
    entries
}

/// A [`Packed`](crate::packed::Packed) text, of a literal of ASCII or a constant that is a `str`.
#[macro_export]
macro_rules! packed {
    ($text:expr $(,)?) => {{
        const SCRATCH: $crate::packed::Scratch = $crate::packed::pack($text);
        const BYTES: [u8; SCRATCH.length()] = SCRATCH.cut();
        const PACKED: $crate::packed::Packed = $crate::packed::Packed::new(&BYTES);
        PACKED
    }};
}

pub use packed;

/// Where a text is packed, by the compiler only.
#[doc(hidden)]
#[derive(Debug)]
pub struct Scratch {
    bytes: [u8; TEXT_BYTES_MAX],
    length: usize,
}

#[expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    reason = "the compiler does it, and what is wrong is not compiled"
)]
mod compiler {
    use super::{DICTIONARY, FIRST, Scratch, TEXT_BYTES_MAX};

    pub(super) const ENTRIES_BYTES: usize = {
        let (mut sum, mut index) = (0, 0);
        while index < DICTIONARY.len() {
            sum += DICTIONARY[index].len();
            index += 1;
        }
        sum
    };

    pub(super) const fn entries() -> [u8; ENTRIES_BYTES] {
        let mut bytes = [0; ENTRIES_BYTES];
        let (mut at, mut index) = (0, 0);
        while index < DICTIONARY.len() {
            let entry = DICTIONARY[index].as_bytes();
            let mut letter = 0;
            while letter < entry.len() {
                bytes[at] = entry[letter];
                at += 1;
                letter += 1;
            }
            bytes[at - 1] |= FIRST;
            index += 1;
        }
        bytes
    }

    /// The index of the first entry that begins with each letter, or with a later one.
    const BEGINS: [usize; FIRST as usize + 1] = {
        let mut begins = [DICTIONARY.len(); FIRST as usize + 1];
        let mut letter = 0;
        let mut index = 0;
        while letter <= FIRST as usize {
            while index < DICTIONARY.len() && (DICTIONARY[index].as_bytes()[0] as usize) < letter {
                index += 1;
            }
            begins[letter] = index;
            letter += 1;
        }
        begins
    };

    /// Packs a text into the fewest bytes.
    ///
    /// # Panics
    /// It is too long, or not ASCII: it is not compiled.
    #[must_use]
    pub const fn pack(text: &str) -> Scratch {
        let text = text.as_bytes();
        assert!(text.len() < TEXT_BYTES_MAX, "a text is too long");
        // From the end: in how many bytes the rest can be packed, and its first entry.
        let mut least = [0_u16; TEXT_BYTES_MAX];
        let mut choice = [DICTIONARY.len(); TEXT_BYTES_MAX];
        let mut at = text.len();
        while at > 0 {
            at -= 1;
            assert!(text[at] < FIRST, "a text is not of ASCII");
            least[at] = least[at + 1] + 1;
            let mut index = BEGINS[text[at] as usize];
            while index < BEGINS[text[at] as usize + 1] {
                let entry = DICTIONARY[index].as_bytes();
                if begins_with(text, at, entry) && least[at + entry.len()] + 1 < least[at] {
                    least[at] = least[at + entry.len()] + 1;
                    choice[at] = index;
                }
                index += 1;
            }
        }
        let mut scratch = Scratch {
            bytes: [0; TEXT_BYTES_MAX],
            length: least[0] as usize,
        };
        let mut length = 0;
        while at < text.len() {
            if choice[at] < DICTIONARY.len() {
                scratch.bytes[length] = FIRST + choice[at] as u8;
                at += DICTIONARY[choice[at]].len();
            } else {
                scratch.bytes[length] = text[at];
                at += 1;
            }
            length += 1;
        }
        scratch
    }

    const fn begins_with(text: &[u8], at: usize, entry: &[u8]) -> bool {
        let mut letter = 0;
        while letter < entry.len() {
            if at + letter >= text.len() || text[at + letter] != entry[letter] {
                return false;
            }
            letter += 1;
        }
        true
    }

    impl Scratch {
        /// Bytes of the packed text.
        #[must_use]
        pub const fn length(&self) -> usize {
            self.length
        }

        /// The packed text; `N` is its length.
        #[must_use]
        pub const fn cut<const N: usize>(&self) -> [u8; N] {
            let mut bytes = [0; N];
            let mut at = 0;
            while at < N {
                bytes[at] = self.bytes[at];
                at += 1;
            }
            bytes
        }
    }
}

#[doc(hidden)]
pub use compiler::pack;
use compiler::{ENTRIES_BYTES, entries};

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::String;

    fn said(text: Packed) -> String {
        String::from_utf8(text.letters().collect()).unwrap()
    }

    #[test]
    fn what_was_packed_is_said_again() {
        const HELP: &str = include_str!("tool/help.txt");
        assert_eq!(said(packed!("")), "");
        assert_eq!(said(packed!("~ !\n\x7f")), "~ !\n\x7f");
        assert_eq!(said(packed!("not ready in time")), "not ready in time");
        assert_eq!(said(packed!(HELP)), HELP);
    }

    #[test]
    fn each_entry_is_found_and_the_help_shrinks_to_less_than_six_tenths() {
        const HELP: Scratch = pack(include_str!("tool/help.txt"));
        let first = (0..).zip(DICTIONARY).map(|(index, text)| {
            let letters = Letters {
                rest: &[],
                entry: entry(index),
            };
            (String::from_utf8(letters.collect()).unwrap(), text)
        });
        first.for_each(|(found, text)| assert_eq!(found, text));
        assert!(HELP.length() * 10 < include_str!("tool/help.txt").len() * 6);
    }

    #[test]
    fn entries_are_sorted_and_lines_end_between_them() {
        assert!(DICTIONARY.is_sorted());
        assert!(DICTIONARY.iter().all(|entry| !entry.contains('\n')));
        let line = |index| said(packed!("a\n\nprocess 1\n").line(index));
        assert_eq!([0, 1, 2, 3, 99].map(line), ["a", "", "process 1", "", ""]);
    }
}
