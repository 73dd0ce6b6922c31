//! This file gives the error numbers that an init meets a text; others have none.
//!
//! Linux numbers as all our boards use them (the generic table; MIPS and Alpha differ).

use crate::event::Errno;
use crate::packed::{Packed, packed};

/// The texts from number 1 on, one a line, an empty line for "shown as a number". One string,
/// because a table of strings would cost 16 bytes a line on 64-bit boards.
const LOW: Packed = packed!(
    "\
Operation not permitted
No such file or directory
No such process
Interrupted system call
Input/output error
No such device or address
Argument list too long
Not a program for this machine
Bad file descriptor
No child processes
Resource temporarily unavailable
Out of memory
Permission denied
Bad address
Block device required
Device or resource busy
File exists

No such device
Not a directory
Is a directory
Invalid argument
Too many open files in system
Too many open files

Program file is being written

No space left on device
Driven by a file system or a program
Read-only file system

Broken pipe



File name too long

Not supported by this kernel
Directory not empty
Too many symbolic links
Its end was put aside
"
);

/// The texts from number [`HIGH_FIRST`] on.
const HIGH: Packed = packed!(
    "\
Operation not supported


Address already in use





Connection reset by peer


Not connected


Timed out
Connection refused
"
);

const HIGH_FIRST: u16 = 95;

impl Errno {
    /// The text, e.g. "No such file or directory"; nothing for a number that has none here.
    pub fn text(self) -> Packed {
        let (table, first) = match self.0 {
            80 => (packed!("Damaged shared library\n"), 80),
            HIGH_FIRST.. => (HIGH, HIGH_FIRST),
            _ => (LOW, 1),
        };
        let index = self.0.checked_sub(first).map_or(usize::MAX, usize::from);
        table.line(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Line;
    use std::format;
    use std::io;
    use std::string::{String, ToString};

    #[test]
    fn numbers_have_texts_and_unknown_ones_are_shown_as_numbers() {
        let table = [
            (1, "Operation not permitted"),
            (2, "No such file or directory"),
            (13, "Permission denied"),
            (40, "Too many symbolic links"),
            (111, "Connection refused"),
            (0, "error 0"),
            (18, "error 18"),
            (41, "Its end was put aside"),
            (42, "error 42"),
            (65_535, "error 65535"),
        ];
        for (number, text) in table {
            let mut room = [0; 64];
            let mut line = Line::new(&mut room);
            assert_eq!(line.errno(Errno(number)).as_bytes(), text.as_bytes());
        }
    }

    #[test]
    fn most_texts_are_those_of_this_host() {
        let texts = (1..200).map(|number| {
            let letters = Errno(number).text().letters().collect();
            (number, String::from_utf8(letters).unwrap())
        });
        let own = texts.filter(|(number, text)| {
            let host = io::Error::from_raw_os_error((*number).into()).to_string();
            !text.is_empty() && host != format!("{text} (os error {number})")
        });
        let own = own.map(|(number, _)| number).collect::<std::vec::Vec<_>>();
        // These say more about programs and devices than the host's wording does.
        assert_eq!(own, [8, 12, 26, 29, 38, 40, 41, 80, 107, 110]);
    }
}
