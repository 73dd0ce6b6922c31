//! This file reads the programs of services: static 64-bit ARM ELF files that lie in the image.
//!
//! Whatever a file says is checked before it is used; a program that no kernel would load, or that
//! wants memory to be writable and executable at once, is refused.

use crate::abi::layout::{EXECUTE, PAGE_BYTES, READ, WRITE};
use init_core::unit::Image;

/// Why a file is no program for this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// Not a static ELF file for 64-bit ARM, little endian.
    Header,
    /// A segment reaches beyond the file, the address space, or another one's pages.
    Bounds,
    /// A segment may be written and executed, or not be read.
    Permissions,
    /// Nothing to load, or an entry outside of what is executed.
    Entry,
}

/// One piece of a program's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Address of its first page.
    pub page: u64,
    /// Bytes in front of the data in that page.
    pub lead: u64,
    /// Whole pages, in bytes.
    pub length: u64,
    /// What is there at first; the rest is zero.
    pub data: &'static [u8],
    /// What the program may do with it.
    pub may: u64,
}

/// Program headers that are looked at; a linker makes three to ten.
const HEADER_COUNT_MAX: u16 = 16;
/// Above this no program lies.
const ADDRESS_MAX: u64 = 1 << 38;

const PT_LOAD: u32 = 1;
const PT_INTERP: u32 = 3;

fn at<const N: usize>(file: &[u8], offset: u64) -> Option<[u8; N]> {
    let begin = usize::try_from(offset).ok()?;
    let end = begin.checked_add(N)?;
    file.get(begin..end)?.try_into().ok()
}

fn half(file: &[u8], offset: u64) -> Option<u16> {
    at(file, offset).map(u16::from_le_bytes)
}

fn word(file: &[u8], offset: u64) -> Option<u32> {
    at(file, offset).map(u32::from_le_bytes)
}

fn long(file: &[u8], offset: u64) -> Option<u64> {
    at(file, offset).map(u64::from_le_bytes)
}

/// The first instruction and the pieces of the program, all of them checked.
///
/// # Errors
/// What is wrong with the file.
pub fn program(image: &Image) -> Result<Loadable, Malformed> {
    let file = image.file;
    // 64 bits, little endian, version 1; a program for a fixed address; ARM.
    let is_ours = file.starts_with(b"\x7fELF\x02\x01\x01")
        && half(file, 16) == Some(2)
        && half(file, 18) == Some(183)
        && half(file, 54) == Some(56);
    let (Some(entry), Some(table), Some(count)) = (long(file, 24), long(file, 32), half(file, 56))
    else {
        return Err(Malformed::Header);
    };
    if !is_ours || count > HEADER_COUNT_MAX {
        return Err(Malformed::Header);
    }
    let program = Loadable {
        file,
        table,
        count,
        entry,
    };
    program.check()?;
    Ok(program)
}

/// A program that was checked.
#[derive(Clone, Copy, Debug)]
pub struct Loadable {
    file: &'static [u8],
    table: u64,
    count: u16,
    /// The first instruction.
    pub entry: u64,
}

impl Loadable {
    /// Its pieces, lowest address first.
    pub fn segments(&self) -> impl Iterator<Item = Segment> + '_ {
        (0..self.count).filter_map(|index| self.segment(index).ok().flatten())
    }

    fn check(&self) -> Result<(), Malformed> {
        let (mut end, mut has_entry) = (1, false);
        for index in 0..self.count {
            let Some(segment) = self.segment(index)? else {
                continue;
            };
            if segment.page < end {
                return Err(Malformed::Bounds);
            }
            end = segment.page.saturating_add(segment.length);
            let holds = (segment.page..end).contains(&self.entry);
            has_entry |= holds && segment.may & EXECUTE != 0;
        }
        if has_entry {
            Ok(())
        } else {
            Err(Malformed::Entry)
        }
    }

    /// The piece of this header, if it is one.
    fn segment(&self, index: u16) -> Result<Option<Segment>, Malformed> {
        let header = u64::from(index)
            .checked_mul(56)
            .and_then(|offset| self.table.checked_add(offset))
            .ok_or(Malformed::Header)?;
        let field = |offset: u64| {
            let value = header.checked_add(offset);
            value
                .and_then(|at| long(self.file, at))
                .ok_or(Malformed::Header)
        };
        let (Some(kind), Some(flags)) = (
            word(self.file, header),
            header.checked_add(4).and_then(|at| word(self.file, at)),
        ) else {
            return Err(Malformed::Header);
        };
        let (offset, address, in_file, in_memory) = (field(8)?, field(16)?, field(32)?, field(40)?);
        if kind == PT_INTERP {
            return Err(Malformed::Header);
        }
        if kind != PT_LOAD || in_memory == 0 {
            return Ok(None);
        }
        let data = offset
            .checked_add(in_file)
            .and_then(|end| usize::try_from(end).ok())
            .zip(usize::try_from(offset).ok())
            .and_then(|(end, begin)| match in_file {
                // Of zeroed variables nothing is in the file, which may end before them.
                0 => Some(&[][..]),
                _ => self.file.get(begin..end),
            })
            .ok_or(Malformed::Bounds)?;
        let page_bytes = u64::try_from(PAGE_BYTES).unwrap_or(u64::MAX);
        let lead = address.checked_rem(page_bytes).unwrap_or(0);
        let length = in_memory
            .checked_add(lead)
            .and_then(|bytes| bytes.checked_next_multiple_of(page_bytes))
            .ok_or(Malformed::Bounds)?;
        let end = address.checked_add(in_memory).ok_or(Malformed::Bounds)?;
        if in_file > in_memory || end > ADDRESS_MAX {
            return Err(Malformed::Bounds);
        }
        Ok(Some(Segment {
            page: address.saturating_sub(lead),
            lead,
            length,
            data,
            may: permissions(flags)?,
        }))
    }
}

/// ELF counts execute 1, write 2, read 4; the kernel read 1, write 2, execute 4.
fn permissions(flags: u32) -> Result<u64, Malformed> {
    match flags & 7 {
        4 => Ok(READ),
        5 => Ok(READ | EXECUTE),
        6 => Ok(READ | WRITE),
        _ => Err(Malformed::Permissions),
    }
}
