//! This file builds one line of bounded length in memory, so that only whole lines are written.
//!
//! It is plain calls and not `core::fmt`: that was a fifteenth of process 1.

use crate::packed::Packed;

/// Bytes of one log line with its newline: two and a half rows of a terminal; 14 ms at 115 200
/// baud.
pub const LINE_BYTES_MAX: usize = 160;

/// What stands at the end of a line that was too long.
const CUT: &[u8] = b"..";

/// Bytes kept free for the end of a line.
const END_BYTES: usize = CUT.len() + 1;

const _: () = assert!(END_BYTES < LINE_BYTES_MAX);

/// Digits of the largest number.
const DIGIT_COUNT_MAX: usize = 10;

/// One line; what does not fit is cut, and the line says so. Nothing within it can end it or steer
/// a terminal: a control character is shown as `?`.
#[derive(Debug)]
pub struct Line<'b> {
    room: &'b mut [u8],
    length: usize,
    is_cut: bool,
}

impl<'b> Line<'b> {
    /// An empty line of at most as many bytes as there is room, newline included.
    pub fn new(room: &'b mut [u8]) -> Self {
        Self {
            room,
            length: 0,
            is_cut: false,
        }
    }

    /// Makes it empty again.
    pub fn clear(&mut self) {
        self.length = 0;
        self.is_cut = false;
    }

    /// Adds text, which need not be UTF-8.
    pub fn text(&mut self, text: impl AsRef<[u8]>) -> &mut Self {
        self.bytes(text.as_ref())
    }

    /// Adds bytes, as [`Self::text`].
    #[inline(never)]
    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        for &byte in bytes {
            self.byte(byte);
        }
        self
    }

    /// Adds a text of ours.
    #[inline(never)]
    pub fn say(&mut self, text: Packed) -> &mut Self {
        for letter in text.letters() {
            self.byte(letter);
        }
        self
    }

    /// Adds a number.
    pub fn number(&mut self, number: impl Into<u32>) -> &mut Self {
        self.digits(number.into(), 1, b'0')
    }

    /// Adds a number, filled up in front to at least `width` digits, ten at most.
    #[inline(never)]
    pub fn digits(&mut self, number: u32, width: u8, fill: u8) -> &mut Self {
        let mut digits = [fill; DIGIT_COUNT_MAX];
        let (mut rest, mut start) = (number, DIGIT_COUNT_MAX);
        for place in digits.iter_mut().rev() {
            let [digit, ..] = (rest % 10).to_le_bytes();
            *place = b'0' | digit;
            start = start.saturating_sub(1);
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        let start = start.min(DIGIT_COUNT_MAX.saturating_sub(width.into()));
        self.bytes(digits.get(start..).unwrap_or_default())
    }

    /// Adds an address: `0x` and its hexadecimal digits.
    pub fn address(&mut self, number: u64) -> &mut Self {
        self.text("0x");
        let mut has_begun = false;
        for shift in (0..16_u32).rev() {
            let [byte, ..] = (number >> shift.wrapping_mul(4)).to_le_bytes();
            let digit = byte & 0xf;
            has_begun |= digit != 0 || shift == 0;
            if has_begun {
                let base = if digit < 10 {
                    b'0'
                } else {
                    b'a'.wrapping_sub(10)
                };
                self.bytes(&[base.wrapping_add(digit)]);
            }
        }
        self
    }

    /// Adds blanks until the line is this long.
    pub fn fill_to(&mut self, length: usize) -> &mut Self {
        while self.length < length && !self.is_cut {
            self.byte(b' ');
        }
        self
    }

    /// Bytes of the line so far.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether nothing has been added.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Ends the line; its bytes, newline included.
    pub fn end(&mut self) -> &[u8] {
        let end = if self.is_cut { CUT } else { &[] };
        for &byte in end.iter().chain(b"\n") {
            self.push(byte);
        }
        self.as_bytes()
    }

    /// The line's bytes so far.
    pub fn as_bytes(&self) -> &[u8] {
        self.room.get(..self.length).unwrap_or_default()
    }

    fn byte(&mut self, byte: u8) {
        if self.is_cut {
            return;
        }
        if self.room.len().saturating_sub(self.length) <= END_BYTES {
            return self.cut(byte);
        }
        // A control character of Latin 1 has two bytes.
        if let (0x80..=0x9f, Some(0xc2)) = (byte, self.as_bytes().last()) {
            self.length = self.length.saturating_sub(1);
            return self.push(b'?');
        }
        self.push(if byte.is_ascii_control() { b'?' } else { byte });
    }

    /// Cuts the line before the character that this byte belongs to.
    fn cut(&mut self, byte: u8) {
        self.is_cut = true;
        let mut byte = byte;
        while is_inner(byte)
            && let Some(&last) = self.as_bytes().last()
        {
            self.length = self.length.saturating_sub(1);
            byte = last;
        }
    }

    fn push(&mut self, byte: u8) {
        if let Some(place) = self.room.get_mut(self.length) {
            *place = byte;
            self.length = self.length.wrapping_add(1);
        }
    }
}

/// Whether a byte of UTF-8 is another one than a character's first.
pub(crate) fn is_inner(byte: u8) -> bool {
    byte & 0xc0 == 0x80
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::String;

    fn line(text: &str) -> String {
        let mut room = [0; LINE_BYTES_MAX];
        String::from_utf8(Line::new(&mut room).text(text).end().to_vec()).unwrap()
    }

    #[test]
    fn a_line_that_fits_is_kept_and_a_longer_one_says_that_it_was_cut() {
        let fits = "x".repeat(LINE_BYTES_MAX - END_BYTES);
        assert_eq!(line(&fits), fits.clone() + "\n");
        assert_eq!(line(&(fits.clone() + "y")), fits + "..\n");
    }

    #[test]
    fn a_line_is_cut_between_characters() {
        for shift in 0..4 {
            let text = "-".repeat(shift) + &"\u{20ac}".repeat(100);
            let cut = line(&text);
            assert!(cut.len() <= LINE_BYTES_MAX);
            assert!(text.starts_with(cut.strip_suffix("..\n").unwrap()));
        }
    }

    #[test]
    fn nothing_behind_a_cut_is_added_and_a_cleared_line_is_whole_again() {
        let mut room = [0; 8];
        let mut line = Line::new(&mut room);
        line.text("12345\u{20ac}").text("6");
        assert_eq!(line.end(), b"12345..\n");
        line.clear();
        assert_eq!(line.text("ab").end(), b"ab\n");
        assert_eq!(Line::new(&mut []).text("ab").end(), b"");
    }

    #[test]
    fn nothing_within_a_line_can_end_it_or_steer_the_terminal() {
        assert_eq!(line("a\nb\x1b[2Jc\r\0"), "a?b?[2Jc??\n");
        assert_eq!(line("a\u{9b}2J\u{a0}\u{7f}"), "a?2J\u{a0}?\n");
    }

    #[test]
    fn numbers_are_decimal_and_filled_up_in_front() {
        let table = [
            (0, 1, "0"),
            (10, 1, "10"),
            (u32::MAX, 1, "4294967295"),
            (7, 3, "  7"),
            (1_234, 3, "1234"),
            (1, 99, "         1"),
        ];
        for (number, width, text) in table {
            let mut room = [0; 16];
            let mut line = Line::new(&mut room);
            line.digits(number, width, b' ');
            assert_eq!(line.as_bytes(), text.as_bytes(), "{number} {width}");
        }
    }

    #[test]
    fn columns_are_filled_with_blanks() {
        let mut room = [0; 16];
        let mut line = Line::new(&mut room);
        line.text("ab").fill_to(1).fill_to(4).text("c").fill_to(99);
        assert_eq!(line.end(), b"ab  c        ..\n");
    }
}
