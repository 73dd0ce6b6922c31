//! This file holds memory with special rules: statics that are lent once, words shared with
//! children.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering};
use init_core::event::Errno;
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};

/// A static that is lent out once, mutably, for the program's life. The flag comes first: the end
/// of a large value may never be touched.
#[derive(Debug)]
#[repr(C)]
pub struct Once<T> {
    taken: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: the value is reached through `take` only, by one borrower.
unsafe impl<T: Send> Sync for Once<T> {}

impl<T> Once<T> {
    /// Holds a value.
    pub const fn new(value: T) -> Self {
        Self {
            value: UnsafeCell::new(value),
            taken: AtomicBool::new(false),
        }
    }

    /// Lends the value to the first caller; `None` for everyone after.
    #[expect(clippy::mut_from_ref, reason = "the flag makes the borrow unique")]
    pub fn take(&'static self) -> Option<&'static mut T> {
        if self.taken.swap(true, Ordering::Acquire) {
            return None;
        }
        // SAFETY: the flag was clear, so this is the only borrow there ever is.
        Some(unsafe { &mut *self.value.get() })
    }
}

/// A place for something that lasts: empty until it is set.
#[derive(Debug)]
pub(crate) struct Lasting<T: 'static>(AtomicPtr<T>);

impl<T: Sync> Lasting<T> {
    pub(crate) const fn empty() -> Self {
        Self(AtomicPtr::new(core::ptr::null_mut()))
    }

    #[cfg(feature = "freestanding")]
    pub(crate) fn set(&self, value: &'static T) {
        let pointer = core::ptr::from_ref(value).cast_mut();
        self.0.store(pointer, Ordering::Release);
    }

    pub(crate) fn get(&self) -> Option<&'static T> {
        // SAFETY: null, or made of a reference that lasts; nobody ever writes through it.
        unsafe { self.0.load(Ordering::Acquire).cast_const().as_ref() }
    }
}

/// Words that a forked child writes and its parent reads.
#[derive(Clone, Copy, Debug)]
pub struct SharedWords {
    words: &'static [AtomicU32],
}

impl SharedWords {
    /// Zeroed words, shared with every child forked from now on.
    ///
    /// # Errors
    /// What mmap answers, for lack of memory.
    pub fn new(count: usize) -> Result<Self, Errno> {
        let bytes = count.max(1).saturating_mul(size_of::<AtomicU32>());
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: an anonymous mapping at an address of the kernel's choice touches no memory in
        // use.
        let address =
            unsafe { mmap_anonymous(core::ptr::null_mut(), bytes, protection, MapFlags::SHARED) };
        let first = address
            .map_err(crate::errno)?
            .cast::<AtomicU32>()
            .cast_const();
        // SAFETY: a fresh mapping of that size, zeroed, page-aligned, never unmapped; every bit
        // pattern is a valid AtomicU32.
        let words = unsafe { core::slice::from_raw_parts(first, count) };
        Ok(Self { words })
    }

    /// A word.
    pub fn get(self, index: usize) -> Option<&'static AtomicU32> {
        self.words.get(index)
    }
}
