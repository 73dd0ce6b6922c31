//! This file holds bytes in a place of fixed size: paths and lines;
//! and the fields of lines.
//!
//! It has no panic path even with overflow checks, which is why it is not `heapless::Vec`.

use core::ops::Deref;

/// At most `N` bytes. The length comes first: the end of a large one may never be touched.
#[derive(Debug, PartialEq, Eq)]
#[repr(C)]
pub(crate) struct Bytes<const N: usize> {
    length: usize,
    bytes: [u8; N],
}

impl<const N: usize> Bytes<N> {
    /// No bytes.
    pub(crate) const fn new() -> Self {
        Self {
            bytes: [0; N],
            length: 0,
        }
    }

    /// Adds one; `None`: it does not fit, and nothing was changed.
    pub(crate) fn push(&mut self, byte: u8) -> Option<()> {
        push(&mut self.bytes, &mut self.length, byte)
    }

    /// Keeps the first `length`, or all if there are fewer.
    pub(crate) fn truncate(&mut self, length: usize) {
        self.length = self.length.min(length);
    }
}

impl<const N: usize> Deref for Bytes<N> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

/// A number of such a table, in base ten or sixteen. (The standard library's own wants text, and
/// takes four times the room.)
pub(crate) fn number(digits: &[u8], base: u8) -> Option<u32> {
    let mut number: u32 = 0;
    for digit in digits {
        let value = match digit {
            b'0'..=b'9' => digit & 0xf,
            b'A'..=b'F' | b'a'..=b'f' => (digit & 0xf).saturating_add(9),
            _ => return None,
        };
        if value >= base {
            return None;
        }
        number = number.checked_mul(base.into())?.checked_add(value.into())?;
    }
    (!digits.is_empty()).then_some(number)
}

/// One copy of the code for all sizes.
fn push(bytes: &mut [u8], length: &mut usize, byte: u8) -> Option<()> {
    *bytes.get_mut(*length)? = byte;
    *length = length.wrapping_add(1);
    Some(())
}

/// What stands between blanks or tabs. (`split`'s own iterators, one for each closure, are twice as
/// large.)
#[derive(Clone, Debug)]
pub(crate) struct Fields<'a> {
    rest: Option<&'a [u8]>,
    skips_empty: bool,
}

impl<'a> Fields<'a> {
    /// The fields of a line; empty between two blanks.
    pub(crate) fn of(line: &'a [u8]) -> Self {
        Self {
            rest: Some(line),
            skips_empty: false,
        }
    }

    /// The fields of a line that is aligned with blanks: none is empty.
    pub(crate) fn aligned(line: &'a [u8]) -> Self {
        Self {
            rest: Some(line),
            skips_empty: true,
        }
    }

    /// The field behind so many others; empty where there is none.
    #[inline(never)]
    pub(crate) fn behind(&mut self, count: u8) -> &'a [u8] {
        for _ in 0..count {
            self.next();
        }
        self.next().unwrap_or_default()
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = &'a [u8];

    #[inline(never)]
    fn next(&mut self) -> Option<&'a [u8]> {
        loop {
            let line = self.rest?;
            let blank = line.iter().position(|byte| matches!(byte, b' ' | b'\t'));
            let (field, rest) = match blank.and_then(|at| line.split_at_checked(at)) {
                Some((field, rest)) => (field, rest.get(1..)),
                None => (line, None),
            };
            self.rest = rest;
            if !(self.skips_empty && field.is_empty()) {
                return Some(field);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &[u8]) -> Bytes<4> {
        let mut bytes = Bytes::new();
        for byte in text {
            bytes.push(*byte);
        }
        bytes
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let mut bytes = filled(b"abcd");
        assert_eq!(bytes.push(b'e'), None);
        assert_eq!(&*bytes, b"abcd");
    }

    #[test]
    fn fields_stand_between_single_blanks() {
        let fields: Vec<&[u8]> = Fields::of(b" a\tbc  d").collect();
        assert_eq!(fields, [&b""[..], b"a", b"bc", b"", b"d"]);
        assert_eq!(Fields::of(b"").collect::<Vec<_>>(), [b""]);
        let fields: Vec<&[u8]> = Fields::aligned(b" a\tbc  d ").collect();
        assert_eq!(fields, [&b"a"[..], b"bc", b"d"]);
        let mut fields = Fields::of(b"a b c");
        assert_eq!((fields.behind(1), fields.behind(1)), (&b"b"[..], &b""[..]));
    }

    #[test]
    fn numbers_are_read_in_their_base() {
        let table: [(&[u8], u8, Option<u32>); 8] = [
            (b"0", 10, Some(0)),
            (b"1883", 10, Some(1883)),
            (b"4294967295", 10, Some(u32::MAX)),
            (b"4294967296", 10, None),
            (b"075b", 16, Some(0x075b)),
            (b"FFFFFFFF", 16, Some(u32::MAX)),
            (b"1a", 10, None),
            (b"", 16, None),
        ];
        for (digits, base, wanted) in table {
            assert_eq!(number(digits, base), wanted, "{}", digits.escape_ascii());
        }
    }

    #[test]
    fn bytes_go_and_come_at_the_end() {
        let mut bytes = filled(b"abcd");
        bytes.truncate(2);
        bytes.truncate(3);
        assert_eq!(&*bytes, b"ab");
        assert_eq!(bytes.push(b'e'), Some(()));
        assert_eq!(&*bytes, b"abe");
    }
}
