//! This file reads the kernel's tables, which are small files of lines: mounts, sockets, status.
//!
//! A table that cannot be read has no lines. (It is one reader with a state and not a call-back:
//! that would be another copy of the loop for each of its users.)

use crate::bytes::Bytes;
use crate::sys::fd::{self, Fd};
use core::ffi::CStr;

/// Longest line that is looked at; of a longer one, its beginning.
const LINE_BYTES_MAX: usize = 512;

/// Bytes read at once.
const CHUNK_BYTES: usize = 512;

/// The lines of a file.
#[derive(Debug)]
pub(crate) struct Lines {
    file: Option<Fd>,
    chunk: [u8; CHUNK_BYTES],
    /// What of the chunk has been read, and what has been given out.
    filled: usize,
    taken: usize,
    line: Bytes<LINE_BYTES_MAX>,
}

impl Lines {
    /// The lines of the file of this name.
    pub(crate) fn of(path: &CStr) -> Self {
        Self {
            file: fd::open_to_read(path).ok(),
            chunk: [0; CHUNK_BYTES],
            filled: 0,
            taken: 0,
            line: Bytes::new(),
        }
    }

    /// The next line, without its end.
    #[inline(never)]
    pub(crate) fn next(&mut self) -> Option<&[u8]> {
        self.line.truncate(0);
        loop {
            match self.byte()? {
                b'\n' => return Some(&self.line),
                byte => {
                    // A longer line keeps its beginning.
                    let _ = self.line.push(byte);
                }
            }
        }
    }

    fn byte(&mut self) -> Option<u8> {
        if self.taken == self.filled {
            self.taken = 0;
            self.filled = rustix::io::read(self.file.as_ref()?, &mut self.chunk).unwrap_or(0);
        }
        let byte = self.chunk.get(..self.filled)?.get(self.taken).copied()?;
        self.taken = self.taken.wrapping_add(1);
        Some(byte)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CString;
    use std::io::Write;

    fn lines(text: &[u8]) -> Vec<Vec<u8>> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text).unwrap();
        let path = CString::new(file.path().to_str().unwrap()).unwrap();
        let mut lines = Lines::of(&path);
        let mut seen = Vec::new();
        while let Some(line) = lines.next() {
            seen.push(line.to_vec());
        }
        seen
    }

    #[test]
    fn lines_come_whole_and_in_order_wherever_the_chunks_end() {
        let wanted: Vec<Vec<u8>> = (0..100).map(|length| vec![b'x'; length]).collect();
        let text = wanted.join(&b'\n');
        assert_eq!(lines(&[&text[..], b"\nnot ended"].concat()), wanted);
    }

    #[test]
    fn a_line_that_is_too_long_keeps_its_beginning() {
        let text = [&[b'x'; 2_000][..], b"\ny\n"].concat();
        assert_eq!(lines(&text), [vec![b'x'; LINE_BYTES_MAX], vec![b'y']]);
    }

    #[test]
    fn a_file_that_is_not_there_has_no_lines() {
        assert_eq!(Lines::of(c"/nowhere/at/all").next(), None);
    }
}
