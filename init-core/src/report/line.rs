//! This file builds one line of bounded length in memory, so that only whole lines are written.

use crate::text::Text;
use core::fmt::{self, Write};

/// Bytes of one line with its newline: two and a half rows of a terminal; 14 ms at 115 200 baud.
pub const LINE_BYTES_MAX: usize = 160;

/// What stands at the end of a line that was too long.
const CUT: &str = "..\n";

const _: () = assert!(CUT.len() < LINE_BYTES_MAX);

/// One line; what does not fit is cut, and the line says so.
#[derive(Debug)]
pub struct Line {
    text: Text<LINE_BYTES_MAX>,
    is_cut: bool,
}

impl Line {
    /// The line of these pieces, ended by one newline. A newline or other control character within
    /// is shown as `?`: nobody can forge a line.
    pub fn new(pieces: fmt::Arguments<'_>) -> Self {
        let mut line = Self {
            text: Text::new(),
            is_cut: false,
        };
        // The writer below never fails, and no `Display` of ours makes errors of its own.
        let _ = line.write_fmt(pieces);
        let end = if line.is_cut { CUT } else { "\n" };
        let _ = line.text.push(end);
        line
    }

    /// The line's bytes, newline included.
    pub fn as_bytes(&self) -> &[u8] {
        self.text.as_bytes()
    }
}

impl Write for Line {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        for letter in piece.chars() {
            let letter = if letter.is_control() { '?' } else { letter };
            let end = self.text.as_bytes().len().saturating_add(letter.len_utf8());
            self.is_cut |= end > LINE_BYTES_MAX.saturating_sub(CUT.len());
            if self.is_cut {
                break;
            }
            self.text.push(letter.encode_utf8(&mut [0; 4]));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::String;

    fn line(text: &str) -> String {
        String::from_utf8(Line::new(format_args!("{text}")).as_bytes().to_vec()).unwrap()
    }

    #[test]
    fn a_line_that_fits_is_kept_and_a_longer_one_says_that_it_was_cut() {
        let fits = "x".repeat(LINE_BYTES_MAX - CUT.len());
        assert_eq!(line(&fits), fits.clone() + "\n");
        assert_eq!(line(&(fits.clone() + "y")), fits + "..\n");
    }

    #[test]
    fn a_line_is_cut_between_characters() {
        for shift in 0..4 {
            let text = "-".repeat(shift) + &"\u{20ac}".repeat(100);
            let cut = line(&text);
            assert!(cut.len() <= LINE_BYTES_MAX);
            assert!(text.starts_with(cut.strip_suffix(CUT).unwrap()));
        }
    }

    #[test]
    fn nothing_within_a_line_can_end_it_or_steer_the_terminal() {
        assert_eq!(line("a\nb\x1b[2Jc\r\0"), "a?b?[2Jc??\n");
    }
}
