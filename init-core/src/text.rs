//! This file holds text in places of fixed size, and tables of words in one string.
//!
//! It has no panic path even with overflow checks, which is why it is not `heapless::String` and
//! `str::split`: both have one.

/// Text of at most `N` bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Text<const N: usize> {
    bytes: [u8; N],
    length: usize,
}

impl<const N: usize> Text<N> {
    /// No text.
    pub(crate) const fn new() -> Self {
        Self {
            bytes: [0; N],
            length: 0,
        }
    }

    /// Adds a piece; false, and nothing added, when it does not fit.
    pub(crate) fn push(&mut self, piece: &str) -> bool {
        push(&mut self.bytes, &mut self.length, piece)
    }

    pub(crate) fn clear(&mut self) {
        self.length = 0;
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    pub(crate) fn as_str(&self) -> &str {
        // It is made of whole pieces, and so always text.
        core::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }
}

/// One copy of the code for all sizes.
fn push(bytes: &mut [u8], length: &mut usize, piece: &str) -> bool {
    let end = length.saturating_add(piece.len());
    let Some(place) = bytes.get_mut(*length..end) else {
        return false;
    };
    // Not `copy_from_slice`: that the lengths agree is not seen where the sum may saturate.
    for (to, from) in place.iter_mut().zip(piece.bytes()) {
        *to = from;
    }
    *length = end;
    true
}

/// The index of a word in a table of words that are ended by blanks, the last one too.
#[inline(never)]
pub fn index(table: &'static str, wanted: &[u8]) -> Option<usize> {
    let mut index = 0_usize;
    while word(table, b' ', index)?.as_bytes() != wanted {
        index = index.saturating_add(1);
    }
    Some(index)
}

/// The word with this index in a table of words that are ended by `end`, the last one too.
pub(crate) fn word(table: &'static str, end: u8, index: usize) -> Option<&'static str> {
    let (mut start, mut at, mut skip) = (0_usize, 0_usize, index);
    for byte in table.bytes() {
        if byte == end {
            if skip == 0 {
                return table.get(start..at);
            }
            skip = skip.saturating_sub(1);
            start = at.saturating_add(1);
        }
        at = at.saturating_add(1);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_fits_whole_or_not_at_all() {
        let mut text = Text::<4>::new();
        assert!(text.push("ab") && !text.push("cde") && text.push("cd") && !text.push("e"));
        assert_eq!((text.as_str(), text.as_bytes()), ("abcd", &b"abcd"[..]));
        text.clear();
        assert_eq!(text.as_str(), "");
    }

    #[test]
    fn words_are_found_by_their_index() {
        let found = [0, 1, 2, 3].map(|index| word("a||bc|", b'|', index));
        assert_eq!(found, [Some("a"), Some(""), Some("bc"), None]);
        assert_eq!(word("", b'|', 0), None);
        let found = [&b"a"[..], b"bc", b"", b"b", b"a bc"].map(|word| index("a bc ", word));
        assert_eq!(found, [Some(0), Some(1), None, None, None]);
    }
}
