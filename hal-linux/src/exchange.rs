//! This file makes a child of the keeper the core of another image: it gives up all rights, looks
//! at the image's file, and enters the program that is in it. And it is how such a core begins.
//!
//! What the keeper believes is in the file: a mark that every image has whose core can be exchanged
//! alone, and behind it which tables, which region and which keeper that core was made for. All of
//! them must be the keeper's own: it judges by them what the core will ask for. No instruction of
//! the image is executed by a process that could do more than read, write and end.

use crate::split::CoreEnd;
use crate::start::{Memory, decide};
use crate::sys::cage;
use crate::sys::fd::Fd;
use crate::sys::kernel::Kernel;
use crate::sys::load::{self, Birth, Entry, PART_COUNT_MAX, Part, Runner};
use crate::sys::process;
use crate::sys::shared::{Once, SharedWords};
use crate::upgrade::OTHER_LAYOUT;
use init_core::Driver;
use init_core::checkpoint::words::Words;
use init_core::checkpoint::{LAYOUT, Past};
use init_core::event::Errno;
use init_core::relay::{Remote, SCHEMA, Start};
use init_core::renewal::Obstacle;
use init_core::unit::Manifest;

/// What a core is called.
pub(crate) const NAME: &core::ffi::CStr = c"init-core";

/// "A core is born as `sys/load.rs` says." Raised when that changes.
const BIRTH: u32 = 1;

/// What an image's file says of its core.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Mark {
    mark: [u8; MARK_BYTES],
    /// How its first function is entered, and the shape of what keeper and core say to each other.
    keeper: [u32; 2],
    /// Where things are in the part of the region that is the core's.
    layout: u32,
    tables: u32,
    entry: Entry,
}

const MARK_BYTES: usize = 24;

impl Mark {
    /// That of a program with these tables.
    #[must_use]
    pub const fn new(tables: u32, entry: Entry) -> Self {
        Self {
            mark: *b"\x02sysMaster, a core alone",
            keeper: [BIRTH, SCHEMA],
            layout: LAYOUT,
            tables,
            entry,
        }
    }

    /// What follows the mark in a file. A part of a file lies there as it does in memory.
    fn behind<'v>(&self, view: &'v [u8]) -> Option<&'v [u8]> {
        let mut rest = view;
        loop {
            if let Some(behind) = rest.strip_prefix(&self.mark) {
                return Some(behind);
            }
            rest = rest.get(align_of::<Self>()..)?;
        }
    }

    /// Where a core's first function is, if this program could be its keeper.
    fn entry(&self, view: &[u8]) -> Result<usize, Obstacle> {
        let mut rest = self.behind(view).ok_or(Obstacle::NoCore)?;
        let mut word = || take(&mut rest).map(u32::from_ne_bytes);
        let (Some(birth), Some(schema), Some(layout), Some(tables)) =
            (word(), word(), word(), word())
        else {
            return Err(Obstacle::NoCore);
        };
        if [birth, schema] != self.keeper {
            return Err(Obstacle::OtherKeeper);
        }
        if tables != self.tables {
            return Err(Obstacle::OtherTables);
        }
        if layout != self.layout {
            return Err(Obstacle::OtherLayout);
        }
        let entry = take(&mut rest).map(usize::from_ne_bytes);
        entry.ok_or(Obstacle::NoCore)
    }
}

const _: () = assert!(core::mem::offset_of!(Mark, entry) == MARK_BYTES + 16);

/// The first bytes of these, which are left out of them.
fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (first, others) = rest.split_first_chunk()?;
    *rest = others;
    Some(*first)
}

/// A program as it is in its file.
#[derive(Debug)]
struct Program {
    parts: [Part; PART_COUNT_MAX],
    count: usize,
    entry: usize,
}

/// Bytes that a program has in memory, at most; ours have far less than a tenth of that.
const MEMORY_BYTES_MAX: usize = 4 * 1_024 * 1_024;

/// A part that is in memory; what may be executed; what may be written to. Of `linux/elf.h`.
const LOAD: u32 = 1;
const EXECUTED: u32 = 1;
const WRITTEN: u32 = 2;

/// Where the front of a file says where the table of its parts begins, how long an entry is and how
/// many there are; and where an entry has the rest.
#[cfg(target_pointer_width = "64")]
const FRONT: [usize; 3] = [32, 54, 56];
#[cfg(target_pointer_width = "64")]
const ENTRY: Fields = Fields {
    flags: 4,
    offset: 8,
    address: 16,
    in_file: 32,
    in_memory: 40,
    align: 48,
};
#[cfg(target_pointer_width = "32")]
const FRONT: [usize; 3] = [28, 42, 44];
#[cfg(target_pointer_width = "32")]
const ENTRY: Fields = Fields {
    flags: 24,
    offset: 4,
    address: 8,
    in_file: 16,
    in_memory: 20,
    align: 28,
};

struct Fields {
    flags: usize,
    offset: usize,
    address: usize,
    in_file: usize,
    in_memory: usize,
    align: usize,
}

/// ENOEXEC, EPERM.
const NO_PROGRAM: Errno = Errno(8);
const NOT_PERMITTED: Errno = Errno(1);

impl Program {
    fn of(view: &[u8], own: &Mark) -> Result<Self, Obstacle> {
        let entry = own.entry(view)?;
        let mut program = Self {
            parts: [Part {
                address: 0,
                bytes: 0,
                offset: None,
                is_code: false,
            }; PART_COUNT_MAX],
            count: 0,
            entry,
        };
        program
            .read(view)
            .ok_or(Obstacle::NotExecuted(NO_PROGRAM))?;
        Ok(program)
    }

    /// Takes in the parts; `None`: it is no program of the kind that ours are.
    fn read(&mut self, view: &[u8]) -> Option<()> {
        let mut left = MEMORY_BYTES_MAX;
        let [begin, bytes, count] = FRONT;
        let (begin, bytes) = (long(view, begin)?, short(view, bytes)?);
        for index in 0..short(view, count)? {
            let at = begin.checked_add(index.checked_mul(bytes)?)?;
            let part = view.get(at..)?.get(..bytes)?;
            if word(part, 0)? == LOAD {
                let part = read_part(part)?;
                left = left.checked_sub(part.bytes)?;
                *self.parts.get_mut(self.count)? = part;
                self.count = self.count.checked_add(1)?;
            }
        }
        Some(())
    }
}

fn read_part(entry: &[u8]) -> Option<Part> {
    let flags = word(entry, ENTRY.flags)?;
    let [offset, address, in_file, in_memory, align] = [
        ENTRY.offset,
        ENTRY.address,
        ENTRY.in_file,
        ENTRY.in_memory,
        ENTRY.align,
    ]
    .map(|at| long(entry, at));
    let (address, in_file, in_memory) = (address?, in_file?, in_memory?);
    let before = address & align?.checked_sub(1)?;
    let is_written = flags & WRITTEN != 0;
    // What is written to begins as zeros, and nothing else does.
    if (in_file == 0) != is_written || !is_written && in_file != in_memory {
        return None;
    }
    Some(Part {
        address: address.checked_sub(before)?,
        bytes: in_memory.checked_add(before)?,
        offset: match is_written {
            true => None,
            false => Some(offset?.checked_sub(before)?),
        },
        is_code: flags & EXECUTED != 0,
    })
}

fn short(bytes: &[u8], at: usize) -> Option<usize> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u16::from_ne_bytes(*bytes).into())
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_ne_bytes(*bytes))
}

fn long(bytes: &[u8], at: usize) -> Option<usize> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(usize::from_ne_bytes(*bytes))
}

/// Becomes the core of an image. Returns only if that cannot be, and then may have no rights left.
/// `ends`: what it reads from and writes to; `left`: see [`Runner::execute`].
pub(crate) fn become_core(
    image: &Fd,
    ends: Option<(u16, u16)>,
    (runner, birth): (&Runner, &Birth),
    left: &[SharedWords],
    kernel: Kernel,
) -> Obstacle {
    let cannot = Obstacle::NotExecuted;
    let image = match cage::keep_image(image.number(), ends, kernel) {
        Ok(image) => image,
        Err(error) => return cannot(error),
    };
    if cage::give_up_rights(NAME) != 0 {
        return cannot(NOT_PERMITTED);
    }
    let view = match load::view(image) {
        Ok(view) => view,
        Err(error) => return cannot(error),
    };
    match Program::of(view, load::own_mark()) {
        Ok(program) => {
            let parts = program.parts.get(..program.count).unwrap_or_default();
            cannot(runner.execute((image, view), left, (parts, program.entry), birth))
        }
        Err(obstacle) => obstacle,
    }
}

/// What such a core does; never returns.
pub fn be_core<const UNITS: usize>(
    manifest: &'static Manifest,
    memory: &'static Once<Memory<UNITS>>,
    birth: &'static Birth,
) -> ! {
    let begin = || {
        let (born, memory) = (load::born(birth)?, memory.take()?);
        let (ring, state) = (Words::new(born.ring), Words::new(born.state));
        let mut core = memory.core(manifest);
        if born.is_trial {
            return match core.keep_in(state) {
                Past::Restored(_) if !core.is_damaged() => Some(0),
                // Also what is known of a single unit it would forget.
                Past::Restored(_) | Past::None => Some(OTHER_LAYOUT),
            };
        }
        let Start { why, now, options } = Start::read(&born.start)?;
        let remote = Remote::new(ring, state, manifest, CoreEnd, (why, now));
        decide(&mut Driver::new(core, remote), options);
        None
    };
    let code = begin().unwrap_or(1);
    process::exit(code)
}
