//! This file is memory that the root task and another process both see: words at one address in
//! both, which outlive that process.
//!
//! Words are atomic because somebody else writes them too, and every bit pattern of one is valid.

use super::Kernel;
use super::calls::{Calls, Error, Group, Memory, bytes};
use super::layout::{PAGE_BYTES, PMO_DATA, READ, WRITE};
use core::sync::atomic::{AtomicU32, Ordering};

/// Memory that can be given to processes, one after the other.
#[derive(Debug)]
pub struct Shared {
    source: Source,
    at: u64,
    words: &'static [AtomicU32],
}

/// Where each process's capability comes from.
#[derive(Debug)]
enum Source {
    /// All have one object, ours too: who revokes it with all copies takes it from us.
    Kernel(Memory),
    /// Pages of the machine's own at this address. Each process has an object of its own for them,
    /// so that what it does with that is no affair of ours.
    Machine(u64),
}

impl Shared {
    /// The words.
    pub fn words(&self) -> &'static [AtomicU32] {
        self.words
    }
}

/// Bytes of so many words in whole pages.
fn length(words: usize) -> u64 {
    let whole = words.saturating_mul(4);
    // What does not fit, no kernel gives.
    bytes(whole.checked_next_multiple_of(PAGE_BYTES).unwrap_or(0))
}

/// The words at an address.
///
/// # Safety
/// So many words are mapped there for as long as this program lives.
unsafe fn words_at(at: u64, words: usize) -> &'static [AtomicU32] {
    let at = usize::try_from(at).unwrap_or(0);
    let at = core::ptr::with_exposed_provenance::<AtomicU32>(at);
    // SAFETY: the caller vouches for the memory; a page is aligned for words, and any bits are one.
    unsafe { core::slice::from_raw_parts(at, words) }
}

impl<K: Kernel> Calls<K> {
    /// Makes memory of so many words, all of them 0, and maps it at `at`, where nothing of ours may
    /// lie. It stays there for ever. `machine`: the address of pages, so many as it takes, that
    /// nobody else uses; nothing but the board can know that they are.
    ///
    /// # Errors
    /// As [`Self::map`].
    pub fn share(&self, machine: Option<u64>, at: u64, words: usize) -> Result<Shared, Error> {
        let memory = self.source(machine, length(words))?;
        if let Err(error) = self.map_own(&memory, at, READ | WRITE) {
            self.release(memory);
            return Err(error);
        }
        // SAFETY: the kernel has just mapped so many there, and nobody unmaps them: only
        // `Calls::sync_code` unmaps, what it has mapped itself.
        let words = unsafe { words_at(at, words) };
        for word in words {
            // What was there before is somebody else's.
            word.store(0, Ordering::Relaxed);
        }
        let source = match machine {
            None => Source::Kernel(memory),
            Some(physical) => {
                // Ours stays ours: nobody else has it, and nothing more is done with it.
                let _ours = memory;
                Source::Machine(physical)
            }
        };
        Ok(Shared { source, at, words })
    }

    fn source(&self, machine: Option<u64>, length: u64) -> Result<Memory, Error> {
        match machine {
            None => self.memory(length, PMO_DATA),
            Some(physical) if physical.is_multiple_of(bytes(PAGE_BYTES)) => {
                self.device(physical, length)
            }
            Some(_) => Err(Error::Unaligned),
        }
    }

    /// Lets a process see the memory, at the same address, and write to it.
    ///
    /// # Errors
    /// As [`Self::map`].
    pub fn show(&self, shared: &Shared, group: &Group) -> Result<(), Error> {
        let physical = match &shared.source {
            Source::Kernel(memory) => return self.map(group, memory, shared.at, READ | WRITE),
            Source::Machine(physical) => *physical,
        };
        let own = self.device(physical, length(shared.words.len()))?;
        let mapped = self.map(group, &own, shared.at, READ | WRITE);
        self.release(own);
        mapped
    }
}

/// Memory of the machine's own that a reset leaves alone.
#[derive(Debug)]
pub struct Reserved(&'static [AtomicU32]);

impl Reserved {
    /// The words. They are read and written one by one, each at once.
    pub fn words(&self) -> &'static [AtomicU32] {
        self.0
    }

    /// Returns when all that was written is in the memory: a reset loses what is still on its way.
    pub fn settle(&self) {
        #[cfg(all(target_arch = "aarch64", target_os = "none"))]
        // SAFETY: a barrier waits, and does nothing else.
        unsafe {
            core::arch::asm!("dsb sy", options(nostack, preserves_flags));
        }
    }

    #[cfg(test)]
    pub(crate) fn of(words: &'static [AtomicU32]) -> Self {
        Self(words)
    }
}

/// Where it is mapped: above what is shared.
const RESERVED_AT: u64 = 0x7a00_0000;

impl<K: Kernel> Calls<K> {
    /// Maps so many words of physical memory, at the address of a page, for ever; whatever is in
    /// them. Once. Nothing but the board can know that this is memory which nobody uses.
    ///
    /// # Errors
    /// [`Error::Unaligned`], or the kernel's.
    pub fn reserve(&self, physical: u64, words: usize) -> Result<Reserved, Error> {
        if !physical.is_multiple_of(bytes(PAGE_BYTES)) {
            return Err(Error::Unaligned);
        }
        let memory = self.device(physical, length(words))?;
        self.map_own(&memory, RESERVED_AT, READ | WRITE)?;
        // SAFETY: the kernel has just mapped so many there, and nobody unmaps them.
        Ok(Reserved(unsafe { words_at(RESERVED_AT, words) }))
    }
}

/// Where what is copied is mapped: the machine's, then our copy.
const COPIED_AT: u64 = 0x7c00_0000;
const COPY_AT: u64 = 0x7e00_0000;

impl<K: Kernel> Calls<K> {
    /// A copy of so many bytes of the machine's memory, whole pages from the address of one on; it
    /// stays for ever. Once.
    ///
    /// # Errors
    /// [`Error::Unaligned`], [`Error::Range`] for more than there is room for, or the kernel's.
    pub fn copy_of_machine(&self, physical: u64, length: u64) -> Result<&'static [u8], Error> {
        if !physical.is_multiple_of(bytes(PAGE_BYTES)) {
            return Err(Error::Unaligned);
        }
        if length > COPY_AT.saturating_sub(COPIED_AT) {
            return Err(Error::Range);
        }
        let size = usize::try_from(length).map_err(|_| Error::Range)?;
        let ours = self.memory(length, PMO_DATA)?;
        self.map_own(&ours, COPY_AT, READ | WRITE)?;
        let theirs = self.device(physical, length)?;
        self.map_own(&theirs, COPIED_AT, READ)?;
        // SAFETY: the kernel has just mapped so many bytes at both, and nobody unmaps them.
        let [from, to] = [COPIED_AT, COPY_AT].map(|at| unsafe { words_at(at, size / 4) });
        // Word by word: memory like a device's has no other access that is sure.
        for (from, to) in from.iter().zip(to) {
            to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        let copy = to.as_ptr().cast::<u8>();
        // SAFETY: so many bytes are mapped there for ever, and from here on nobody writes to them.
        Ok(unsafe { core::slice::from_raw_parts(copy, size) })
    }
}

/// The words that this process was shown before it began.
///
/// # Safety
/// This process is a core that a keeper has made, of a product for which so many words are shared,
/// at this address; the keeper shows them before it starts a core, and takes nothing back.
pub unsafe fn shown(at: u64, words: usize) -> &'static [AtomicU32] {
    // SAFETY: the caller vouches for it.
    unsafe { words_at(at, words) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_are_shown_are_those_at_the_address() {
        static MEMORY: [AtomicU32; 4] = [const { AtomicU32::new(1) }; 4];
        let at = bytes(MEMORY.as_ptr().expose_provenance());
        // SAFETY: so many are there for ever.
        let words = unsafe { shown(at, MEMORY.len()) };
        words.last().unwrap().store(7, Ordering::Relaxed);
        let found = MEMORY.iter().map(|word| word.load(Ordering::Relaxed));
        assert!(found.eq([1, 1, 1, 7]));
    }
}
