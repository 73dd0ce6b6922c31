//! This file finds programs in a RAM disk: a cpio archive ("newc") that lies at an address of the
//! machine's memory when the kernel starts.
//!
//! It is copied once, whole, into memory of our own, so that nothing that is looked at changes.
//! Whatever it says of itself is checked: what is wrong, and where, is told, and only programs that
//! are not found are missing.

use crate::abi::{Calls, Error, Kernel};

/// The programs, and where they lay.
#[derive(Debug)]
pub struct Disk {
    archive: &'static [u8],
}

/// What is wrong with an archive, and at which of its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken {
    /// A sentence's end.
    pub what: &'static str,
    /// Where.
    pub at: usize,
}

/// Bytes of an entry's header: a magic number and 13 numbers of 8 hexadecimal digits.
const HEADER_BYTES: usize = 110;
const MAGIC: &[u8] = b"070701";

/// Where in a header a file's length is, and its name's.
const FILE_LENGTH_AT: usize = 54;
const NAME_LENGTH_AT: usize = 94;

/// The name of the last entry, which is none.
const TRAILER: &[u8] = b"TRAILER!!!";

impl Disk {
    /// Copies what lies there: so many bytes, at an address of the machine's.
    ///
    /// # Errors
    /// The kernel's.
    pub fn open<K: Kernel>(
        calls: &Calls<K>,
        (physical, length): (u64, u64),
    ) -> Result<Self, Error> {
        let archive = calls.copy_of_machine(physical, length)?;
        Ok(Self { archive })
    }

    /// The file of this name, if there is one.
    ///
    /// # Errors
    /// The archive is broken before it, or has no end.
    pub fn find(&self, name: &[u8]) -> Result<Option<&'static [u8]>, Broken> {
        let mut at = 0_usize;
        loop {
            let entry = entry(self.archive, at)?;
            if entry.name == name {
                return Ok(Some(entry.file));
            }
            if entry.name == TRAILER {
                return Ok(None);
            }
            // Each takes its header's bytes at least, so there is an end.
            at = entry.end;
        }
    }
}

/// An entry.
struct Entry {
    name: &'static [u8],
    file: &'static [u8],
    /// Where the next one begins.
    end: usize,
}

fn entry(archive: &'static [u8], at: usize) -> Result<Entry, Broken> {
    let broken = |what| Broken { what, at };
    let cut = || broken("an entry reaches beyond the end");
    let after = |begin: usize, length| begin.checked_add(length).ok_or_else(cut);
    let header = archive.get(at..after(at, HEADER_BYTES)?).ok_or_else(cut)?;
    if !header.starts_with(MAGIC) {
        return Err(broken("there is no header of an entry"));
    }
    let number = |at| number(header, at).ok_or_else(|| broken("a header has no number"));
    let (name_length, file_length) = (number(NAME_LENGTH_AT)?, number(FILE_LENGTH_AT)?);
    let name_at = after(at, HEADER_BYTES)?;
    let name_end = after(name_at, name_length)?;
    let name = archive.get(name_at..name_end).ok_or_else(cut)?;
    let Some((0, name)) = name.split_last() else {
        return Err(broken("a name does not end with a zero"));
    };
    let file_at = whole(name_end).ok_or_else(cut)?;
    let file_end = after(file_at, file_length)?;
    let file = archive.get(file_at..file_end).ok_or_else(cut)?;
    let end = whole(file_end).ok_or_else(cut)?;
    Ok(Entry { name, file, end })
}

/// What follows begins at a multiple of 4.
fn whole(at: usize) -> Option<usize> {
    at.checked_next_multiple_of(4)
}

/// A number of a header: 8 hexadecimal digits.
fn number(header: &[u8], at: usize) -> Option<usize> {
    let digits = header.get(at..)?.get(..8)?;
    digits.iter().try_fold(0_usize, |number, digit| {
        let digit = char::from(*digit).to_digit(16)?;
        number
            .checked_mul(16)?
            .checked_add(usize::try_from(digit).ok()?)
    })
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use std::format;
    use std::vec::Vec;

    fn put(archive: &mut Vec<u8>, name: &str, file: &[u8]) {
        let mut numbers = [0_usize; 13];
        (numbers[6], numbers[11]) = (file.len(), name.len() + 1);
        archive.extend(b"070701");
        for number in numbers {
            archive.extend(format!("{number:08X}").into_bytes());
        }
        archive.extend(name.as_bytes());
        archive.push(0);
        archive.resize(archive.len().next_multiple_of(4), 0);
        archive.extend(file);
        archive.resize(archive.len().next_multiple_of(4), 0);
    }

    fn disk(archive: Vec<u8>) -> Disk {
        let archive = archive.leak();
        Disk { archive }
    }

    fn two() -> Vec<u8> {
        let mut archive = Vec::new();
        put(&mut archive, "a", b"first");
        put(&mut archive, "bin/b", b"");
        put(&mut archive, "TRAILER!!!", b"");
        archive
    }

    #[test]
    fn files_are_found_by_their_whole_names() {
        let mut archive = two();
        // What follows the end is nobody's.
        archive.resize(4_096, 0);
        let disk = disk(archive);
        assert_eq!(disk.find(b"a"), Ok(Some(&b"first"[..])));
        assert_eq!(disk.find(b"bin/b"), Ok(Some(&b""[..])));
        for name in [&b"b"[..], b"", b"bin/b\0", b"c"] {
            assert_eq!(disk.find(name), Ok(None));
        }
    }

    #[test]
    fn what_is_broken_is_told_with_its_place_and_what_comes_before_is_found() {
        let second = two().len() - 124 - 116;
        let edits: [(usize, &[u8], &str); 4] = [
            (second, b"070702", "there is no header of an entry"),
            (second + 54, b"0000000g", "a header has no number"),
            (second + 54, b"FFFFFFFF", "an entry reaches beyond the end"),
            (second + 94, b"00000005", "a name does not end with a zero"),
        ];
        for (at, bytes, what) in edits {
            let mut archive = two();
            archive[at..at + bytes.len()].copy_from_slice(bytes);
            let disk = disk(archive);
            assert_eq!(disk.find(b"a"), Ok(Some(&b"first"[..])));
            assert_eq!(disk.find(b"bin/b"), Err(Broken { what, at: second }));
        }
    }

    #[test]
    fn one_that_is_cut_anywhere_is_broken_and_an_empty_memory_is_none() {
        let whole = two();
        for length in 0..whole.len() - 3 {
            let disk = disk(whole[..length].to_vec());
            let found = disk.find(b"c");
            let end = length.next_multiple_of(4);
            assert!(
                matches!(found, Err(Broken { at, .. }) if at <= end),
                "{length}"
            );
        }
        let found = disk([0; 512].to_vec()).find(b"a");
        let what = "there is no header of an entry";
        assert_eq!(found, Err(Broken { what, at: 0 }));
    }
}
