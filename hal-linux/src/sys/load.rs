//! This file makes a process another program without the kernel's help, so that not one instruction
//! of that program is executed before the process is locked in: the parts of its file are mapped
//! where they belong, then all calls are given up, then it is entered.
//!
//! What does that runs from a mapping of its own, since what lies in the way is its own program.
//! The kernel could not do it as well: it executes a program for whoever may still make calls, and
//! makes of a child that nobody waits for one like all others.

mod runner;

use super::cage::{self, Filter};
use super::image::{self, DESCRIPTOR};
use super::shared::SharedWords;
use crate::exchange::Mark;
use core::sync::atomic::AtomicU32;
use init_core::event::Errno;
use init_core::relay::START_BYTES;
use linux_raw_sys::general as abi;
use runner::{Step, Way};
use rustix::fd::BorrowedFd;
use rustix::mm::{MapFlags, ProtFlags, mmap};

/// ENOEXEC.
const NO_PROGRAM: Errno = Errno(8);

/// Parts that a program has in memory, at most: ours have four.
pub const PART_COUNT_MAX: usize = 8;

/// Calls beside one for each part: what lay there is given up, and the view of the file, and two
/// mappings; then the file is closed and the filter set.
const STEP_COUNT_MAX: usize = PART_COUNT_MAX + 6;

/// Of every machine's page size: what begins or ends with a multiple is whole pages.
const PAGE_BYTES_MAX: usize = 0x1_0000;

/// No program is lower.
const LOWEST: usize = 0x1000;

/// A part of a program: as it lies in its file and in memory, beginning with a page in both.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// Its first byte in memory.
    pub address: usize,
    /// Its bytes there.
    pub bytes: usize,
    /// Where its bytes are in the file; `None`: it is all zeros at first, and written to.
    pub offset: Option<usize>,
    /// Whether it is code.
    pub is_code: bool,
}

/// What a core begins with that was not made from its keeper's memory.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Birth {
    words: *const AtomicU32,
    ring: usize,
    state: usize,
    is_trial: usize,
    start: [u8; START_BYTES],
}

/// The same, taken over by the core.
#[derive(Clone, Copy, Debug)]
pub struct Born {
    /// What it shares with the keeper.
    pub ring: SharedWords,
    /// What outlives it.
    pub state: SharedWords,
    /// It is only to show whether it could go on.
    pub is_trial: bool,
    /// See [`init_core::relay::Start`].
    pub start: [u8; START_BYTES],
}

/// A core's first function.
pub type Entry = extern "C" fn(&'static Birth) -> !;

impl Birth {
    /// What a core with these words begins with, the first of which are the ring's.
    pub fn new(words: SharedWords, ring: usize, is_trial: bool, start: [u8; START_BYTES]) -> Self {
        Self {
            words: words.as_ptr(),
            ring,
            state: words.len().saturating_sub(ring),
            is_trial: is_trial.into(),
            start,
        }
    }
}

/// What a core was born with.
pub fn born(birth: &'static Birth) -> Option<Born> {
    let count = birth.ring.checked_add(birth.state)?;
    // SAFETY: `Birth::new` made it of such words, and nobody else makes one; the process was born
    // with that mapping.
    let words = unsafe { core::slice::from_raw_parts(birth.words, count) };
    let (ring, state) = words.split_at_checked(birth.ring)?;
    Some(Born {
        ring,
        state,
        is_trial: birth.is_trial != 0,
        start: birth.start,
    })
}

unsafe extern "Rust" {
    // SAFETY: `crate::init` defines it, of this very type, and nobody ever writes to it. A program
    // that uses it without `crate::init` is not linked.
    #[link_name = "sysmaster_core"]
    safe static CORE: Mark;
}

/// What this program's own file says of its core.
pub fn own_mark() -> &'static Mark {
    &CORE
}

/// A view of a file that nobody can change, for the life of this process.
///
/// # Errors
/// It is empty or cannot be read.
pub fn view(number: u16) -> Result<&'static [u8], Errno> {
    // SAFETY: where there is none of that number the calls say EBADF.
    let file = unsafe { BorrowedFd::borrow_raw(i32::from(number)) };
    let stat = rustix::fs::fstat(file).map_err(crate::errno)?;
    let bytes = usize::try_from(stat.st_size).map_err(|_| NO_PROGRAM)?;
    let (prot, flags) = (ProtFlags::READ, MapFlags::PRIVATE);
    // SAFETY: a mapping at an address of the kernel's choice touches no memory in use.
    let first = unsafe { mmap(core::ptr::null_mut(), bytes, prot, flags, file, 0) };
    let first = first.map_err(crate::errno)?.cast::<u8>().cast_const();
    // SAFETY: a mapping of that size of a file that is sealed, never unmapped while it is used.
    Ok(unsafe { core::slice::from_raw_parts(first, bytes) })
}

/// The code that is left when all else of this program is gone, in a mapping of its own.
#[derive(Debug)]
pub struct Runner {
    address: usize,
    /// Where the mapping begins.
    mapped: usize,
}

impl Runner {
    /// Maps it from the program's own copy, which has to be open still.
    ///
    /// # Errors
    /// There is no such copy, or no memory.
    pub fn map() -> Result<Self, Errno> {
        let address = (runner::runner as *const ()).expose_provenance();
        // The lowest bit of an address says in which of its two languages an ARM is to go on.
        let mask = if cfg!(target_arch = "arm") { 1 } else { 0 };
        let (place, language) = (address & !mask, address & mask);
        let offset = image::offset_of(place).ok_or(NO_PROGRAM)?;
        let begin = offset & !PAGE_BYTES_MAX.wrapping_sub(1);
        // SAFETY: where there is no copy the call says EBADF.
        let copy = unsafe { BorrowedFd::borrow_raw(i32::from(DESCRIPTOR)) };
        runner::is_in(copy, offset, place)?;
        let prot = ProtFlags::READ.union(ProtFlags::EXEC);
        let bytes = PAGE_BYTES_MAX.wrapping_mul(2);
        let from = u64::try_from(begin).unwrap_or(u64::MAX);
        // SAFETY: a mapping at an address of the kernel's choice touches no memory in use.
        let mapped = unsafe {
            let null = core::ptr::null_mut();
            mmap(null, bytes, prot, MapFlags::PRIVATE, copy, from)
        };
        let mapped = mapped.map_err(crate::errno)?.expose_provenance();
        let address = mapped.wrapping_add(offset.wrapping_sub(begin));
        Ok(Self {
            address: address | language,
            mapped,
        })
    }

    /// Becomes a program. From its first instruction on it can only read, write and end. Returns
    /// only if nothing has happened yet.
    ///
    /// `file` is the descriptor of what has the parts, and `view` is of it; `left` is what this
    /// program needs until then, two mappings at most. No part reaches to where any of that is: our
    /// own program and others lie below all that the kernel chose a place for.
    pub fn execute(
        &self,
        (file, view): (u16, &'static [u8]),
        left: &[SharedWords],
        (parts, entry): (&[Part], usize),
        birth: &Birth,
    ) -> Errno {
        let filter: Filter = cage::filter();
        let (program, [option, mode]) = cage::filter_call(&filter);
        let program = (&raw const program).expose_provenance();
        let mut steps = Steps::new();
        let taken = [
            self.mapped,
            view.as_ptr().expose_provenance(),
            birth.words.expose_provenance(),
            // What is on the stack.
            core::ptr::from_ref(birth).expose_provenance(),
            (&raw const filter).expose_provenance(),
            (&raw const steps).expose_provenance(),
        ];
        let left_at = left.iter().map(|words| words.as_ptr().expose_provenance());
        let Some(limit) = taken.into_iter().chain(left_at).min() else {
            return NO_PROGRAM;
        };
        let (begin, end) = image::bounds();
        let begin = begin & !PAGE_BYTES_MAX.wrapping_sub(1);
        let own = end.wrapping_sub(begin);
        steps.give_up(begin, own);
        for part in parts {
            let end = part.address.checked_add(part.bytes);
            if part.address < LOWEST || end.is_none_or(|end| end >= limit) {
                return NO_PROGRAM;
            }
            steps.map(part, file);
        }
        steps.give_up(view.as_ptr().expose_provenance(), view.len());
        for words in left {
            steps.give_up(words.as_ptr().expose_provenance(), size_of_val(*words));
        }
        steps.add(abi::__NR_close, [file.into(), 0, 0, 0, 0, 0], 0);
        steps.add(abi::__NR_prctl, [option, mode, program, 0, 0, 0], 0);
        let way = Way {
            first: steps.all.as_ptr(),
            count: steps.count,
            // What lies below is nobody's any more; above is what it was born with.
            stack: core::ptr::from_ref(birth).expose_provenance() & !15,
            birth,
            entry,
        };
        if steps.count > STEP_COUNT_MAX {
            return NO_PROGRAM;
        }
        let code = core::ptr::with_exposed_provenance::<()>(self.address);
        // SAFETY: the mapping has the very instructions of `runner` there, which have no address in
        // them but their own.
        let run =
            unsafe { core::mem::transmute::<*const (), extern "C" fn(*const Way) -> !>(code) };
        run(&raw const way)
    }
}

struct Steps {
    all: [Step; STEP_COUNT_MAX],
    count: usize,
}

impl Steps {
    const fn new() -> Self {
        let none = Step {
            number: 0,
            arguments: [0; 6],
            answer: 0,
        };
        Self {
            all: [none; STEP_COUNT_MAX],
            count: 0,
        }
    }

    fn add(&mut self, number: u32, arguments: [usize; 6], answer: usize) {
        if let Some(step) = self.all.get_mut(self.count) {
            *step = Step {
                number: usize::try_from(number).unwrap_or(0),
                arguments,
                answer,
            };
        }
        self.count = self.count.saturating_add(1);
    }

    fn give_up(&mut self, begin: usize, bytes: usize) {
        self.add(abi::__NR_munmap, [begin, bytes, 0, 0, 0, 0], 0);
    }

    fn map(&mut self, part: &Part, file: u16) {
        let code = if part.is_code { abi::PROT_EXEC } else { 0 };
        let private = abi::MAP_PRIVATE | abi::MAP_FIXED;
        let (prot, flags, file, offset) = match part.offset {
            Some(offset) => (abi::PROT_READ | code, private, usize::from(file), offset),
            None => (
                abi::PROT_READ | abi::PROT_WRITE,
                private | abi::MAP_ANONYMOUS,
                usize::MAX,
                0,
            ),
        };
        let [prot, flags] = [prot, flags].map(|it| usize::try_from(it).unwrap_or(0));
        let arguments = [
            part.address,
            part.bytes,
            prot,
            flags,
            file,
            offset / OFFSET_UNIT,
        ];
        self.add(MMAP, arguments, part.address);
    }
}

#[cfg(target_arch = "arm")]
const MMAP: u32 = abi::__NR_mmap2;
#[cfg(not(target_arch = "arm"))]
const MMAP: u32 = abi::__NR_mmap;

/// What that call counts offsets in.
const OFFSET_UNIT: usize = if cfg!(target_arch = "arm") { 4_096 } else { 1 };
