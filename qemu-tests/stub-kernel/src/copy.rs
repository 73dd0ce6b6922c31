//! This file copies from and to programs, page by page, where they may read and write themselves.

use crate::space::{READ, Space, WRITE};
use crate::sys::page::{self, PAGE};
use alloc::vec;
use alloc::vec::Vec;

/// The longest copy: messages and arguments are far shorter.
const BYTES_MAX: u64 = 1 << 20;

/// The pieces of a stretch of addresses that lie within one page each: address and bytes.
fn pieces(at: u64, length: u64) -> impl Iterator<Item = (u64, usize)> {
    let mut done = 0;
    core::iter::from_fn(move || {
        let at = at.checked_add(done)?;
        let here = (PAGE - at % PAGE).min(length.checked_sub(done)?);
        done += here;
        let here = usize::try_from(here).ok()?;
        (here > 0).then_some((at, here))
    })
}

impl Space {
    /// Reads what a program may read; `None`: it may not.
    pub fn copy_in(&self, at: u64, length: u64) -> Option<Vec<u8>> {
        let mut bytes = vec![
            0;
            usize::try_from(length)
                .ok()
                .filter(|_| length <= BYTES_MAX)?
        ];
        let mut rest = bytes.as_mut_slice();
        for (at, here) in pieces(at, length) {
            let (part, after) = rest.split_at_mut(here);
            page::read(self.physical(at, READ)?, part);
            rest = after;
        }
        Some(bytes)
    }

    /// Writes where a program may write; `None`: it may not.
    pub fn copy_out(&self, at: u64, bytes: &[u8]) -> Option<()> {
        let mut rest = bytes;
        for (at, here) in pieces(at, u64::try_from(bytes.len()).ok()?) {
            let (part, after) = rest.split_at(here);
            page::write(self.physical(at, WRITE)?, part);
            rest = after;
        }
        Some(())
    }

    /// Eight bytes of a program's.
    pub fn long_in(&self, at: u64) -> Option<u64> {
        let bytes = self.copy_in(at, 8)?;
        Some(u64::from_le_bytes(bytes.try_into().ok()?))
    }

    /// Four bytes of a program's.
    pub fn word_in(&self, at: u64) -> Option<u32> {
        let bytes = self.copy_in(at, 4)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    }
}
