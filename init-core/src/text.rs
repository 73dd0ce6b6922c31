//! This file holds tables of words in one string: references to each would take 16 bytes a word.
//!
//! It has no panic path even with overflow checks, which is why it is not `str::split`.

/// The index of a word in a table of words that are ended by blanks, the last one too.
#[inline(never)]
pub fn index(table: &'static str, wanted: &[u8]) -> Option<usize> {
    let mut index = 0_usize;
    while word(table.as_bytes(), b' ', index)? != wanted {
        index = index.wrapping_add(1);
    }
    Some(index)
}

/// The word with this index in a table of words that are ended by `end`, the last one too.
pub(crate) fn word(table: &'static [u8], end: u8, index: usize) -> Option<&'static [u8]> {
    let (mut start, mut at, mut skip) = (0_usize, 0_usize, index);
    for &byte in table {
        if byte == end {
            if skip == 0 {
                return table.get(start..at);
            }
            skip = skip.saturating_sub(1);
            start = at.wrapping_add(1);
        }
        at = at.wrapping_add(1);
    }
    None
}

/// The [`Packed`](crate::packed::Packed) word for a variant of an enum without data:
/// `texts!(it, Type { Variant => "word", .. })`.
macro_rules! texts {
    ($it:expr, $type:ident { $($variant:ident => $word:literal),+ $(,)? }) => {{
        enum Place {
            $($variant),+
        }
        let place = match $it {
            $($type::$variant => Place::$variant),+
        };
        #[expect(clippy::as_conversions, reason = "a fieldless enum's own number")]
        let index = place as usize;
        $crate::packed::packed!(concat!($($word, "\n"),+)).line(index)
    }};
}

pub(crate) use texts;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_by_their_index() {
        let found = [0, 1, 2, 3].map(|index| word(b"a||bc|", b'|', index));
        assert_eq!(found, [Some(&b"a"[..]), Some(b""), Some(b"bc"), None]);
        assert_eq!(word(b"", b'|', 0), None);
        let found = [&b"a"[..], b"bc", b"", b"b", b"a bc"].map(|word| index("a bc ", word));
        assert_eq!(found, [Some(0), Some(1), None, None, None]);
    }
}
