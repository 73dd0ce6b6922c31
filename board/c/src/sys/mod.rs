//! This file is all that is unsafe here: memory that is lent once, the image's lock, and the end of
//! a panic.

pub mod told;

use core::cell::UnsafeCell;
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, Ordering};

unsafe extern "C" {
    /// Nothing defines this. A panic that can be reached leaves a call to it, and an image that is
    /// linked with `--gc-sections` does not link.
    fn a_panic_is_reachable() -> !;
}

unsafe extern "C" {
    /// The image's: from now on nobody interrupts who calls and posts. What it returns is for the
    /// unlock that belongs to it.
    fn sysmaster_lock() -> u32;
    fn sysmaster_unlock(before: u32);
}

/// The lock of whatever image this is linked into.
struct Image;

critical_section::set_impl!(Image);

// SAFETY: the header obliges the image to keep everybody who posts out between the two, and what a
// lock returned is given to its own unlock, the last one first.
unsafe impl critical_section::Impl for Image {
    unsafe fn acquire() -> critical_section::RawRestoreState {
        // SAFETY: the image may be asked at any time.
        unsafe { sysmaster_lock() }
    }

    unsafe fn release(before: critical_section::RawRestoreState) {
        // SAFETY: the caller has it from `acquire`.
        unsafe { sysmaster_unlock(before) }
    }
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    // SAFETY: an image with this call does not link.
    unsafe { a_panic_is_reachable() }
}

/// What a compiled `core` names; nothing unwinds.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

/// A static that is lent out once, mutably, for the program's life.
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
            taken: AtomicBool::new(false),
            value: UnsafeCell::new(value),
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
