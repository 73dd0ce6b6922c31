//! This file makes the program's own texts small: letters that often stand together are one byte.
//!
//! A text is packed while the program is compiled, and unpacked letter by letter where it is said,
//! as BASIC kept its keywords. An entry of the dictionary is two bytes, each a letter or another
//! entry. Half of a text is left.

use crate::dictionary::DICTIONARY;
use crate::text::word;

/// From this byte on, a byte stands for an entry of the dictionary: up to 255, and from 1 up to the
/// control characters' end. Between are the letters of ASCII, and so is the end of a line.
const FIRST: u8 = 0x80;

/// How many bytes do, with 0 and the end of a line.
const CODES: usize = 160;

/// How many bytes of an entry may wait while the first of it is unpacked.
const DEPTH_MAX: usize = 8;

/// Bytes of the longest text.
const TEXT_BYTES_MAX: usize = 2_048;

/// What each of these bytes stands for.
static PAIRS: [[u8; 2]; CODES] = pairs();

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
            pending: 0,
        }
    }
}

/// The letters of a [`Packed`] text.
#[derive(Clone, Debug)]
pub struct Letters {
    /// What is still packed.
    rest: &'static [u8],
    /// The bytes that come before that, [`DEPTH_MAX`] of them; the next is the lowest, 0 is none.
    pending: u64,
}

impl Iterator for Letters {
    type Item = u8;

    #[inline(never)]
    fn next(&mut self) -> Option<u8> {
        let [mut byte, ..] = self.pending.to_le_bytes();
        self.pending >>= 8;
        if byte == 0 {
            let (&next, rest) = self.rest.split_first()?;
            (byte, self.rest) = (next, rest);
        }
        while byte != b'\n'
            && let Some(&[first, second]) = PAIRS.get(usize::from(byte.wrapping_sub(FIRST)))
        {
            self.pending = self.pending << 8 | u64::from(second);
            byte = first;
        }
        Some(byte)
    }
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
    use super::{CODES, DEPTH_MAX, DICTIONARY, FIRST, Scratch, TEXT_BYTES_MAX};

    /// The entry's byte: none of them is 0 or the end of a line.
    const fn code(index: usize) -> u8 {
        const LARGE: usize = FIRST as usize;
        const SMALL: usize = LARGE + b'\n' as usize - 1;
        match index {
            0..LARGE => FIRST + index as u8,
            LARGE..SMALL => (index - LARGE) as u8 + 1,
            _ => (index - LARGE) as u8 + 2,
        }
    }

    /// Which two bytes each entry is.
    pub(super) const fn pairs() -> [[u8; 2]; CODES] {
        let mut pairs = [[b' '; 2]; CODES];
        let mut index = 0;
        while index < DICTIONARY.len() {
            let at = code(index).wrapping_sub(FIRST) as usize;
            pairs[at] = pair(DICTIONARY[index].as_bytes());
            index += 1;
        }
        assert!(depth(&pairs) <= DEPTH_MAX, "entries lie too deep");
        pairs
    }

    const fn pair(entry: &[u8]) -> [u8; 2] {
        let mut length = 1;
        while length < entry.len() {
            let (first, second) = entry.split_at(length);
            if let (Some(first), Some(second)) = (byte(first), byte(second)) {
                return [first, second];
            }
            length += 1;
        }
        assert!(entry.is_empty(), "an entry is not of two others");
        [0; 2]
    }

    /// The one byte that these letters are.
    const fn byte(letters: &[u8]) -> Option<u8> {
        if let [letter] = letters {
            return Some(*letter);
        }
        let mut index = 0;
        while index < DICTIONARY.len() {
            let entry = DICTIONARY[index].as_bytes();
            if entry.len() == letters.len() && begins_with(letters, 0, entry) {
                return Some(code(index));
            }
            index += 1;
        }
        None
    }

    /// How many bytes wait at most while an entry is unpacked.
    const fn depth(pairs: &[[u8; 2]; CODES]) -> usize {
        let mut depths = [0; CODES];
        let (mut deepest, mut is_more) = (0, true);
        while is_more {
            is_more = false;
            let mut at = 0;
            while at < CODES {
                let first = depth_of(pairs[at][0], &depths) + 1;
                let second = depth_of(pairs[at][1], &depths);
                let depth = if first > second { first } else { second };
                is_more |= depth > depths[at];
                depths[at] = depth;
                deepest = if depth > deepest { depth } else { deepest };
                at += 1;
            }
        }
        deepest
    }

    const fn depth_of(byte: u8, depths: &[usize; CODES]) -> usize {
        let at = byte.wrapping_sub(FIRST) as usize;
        if at < CODES { depths[at] } else { 0 }
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
    /// It is too long, or not of printable ASCII and ends of lines: it is not compiled.
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
            let is_letter = text[at] < FIRST && text[at] >= b' ' || text[at] == b'\n';
            assert!(is_letter, "a text is not of printable ASCII");
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
                scratch.bytes[length] = code(choice[at]);
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
use compiler::pairs;

#[cfg(test)]
mod tests {
    use super::*;
    use std::boxed::Box;
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
        for entry in DICTIONARY {
            let packed = pack(entry);
            assert_eq!(packed.length(), 1, "{entry}");
            let bytes: &'static [u8; 1] = Box::leak(Box::new(packed.cut()));
            assert_eq!(said(Packed::new(bytes)), entry);
        }
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
