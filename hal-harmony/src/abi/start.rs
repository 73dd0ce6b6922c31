//! This file is the root task's first instruction, and a core's, the end of a panic, and memory
//! that is lent once.
//!
//! The kernel enters with the stack pointer at a page with arguments, as Linux does; nothing of it
//! is needed here. Nothing has run before: no constructor, no relocation.

use core::cell::UnsafeCell;
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, Ordering};

unsafe extern "Rust" {
    /// The board's main function, exported by [`crate::entry!`] or [`crate::core!`]. The kernel
    /// dies if the root task ends, so it never returns. The argument is that of a process, from
    /// who made it.
    safe fn sysmaster_root(argument: u64) -> !;
}

unsafe extern "C" {
    /// Nothing defines this. A panic that the optimiser cannot rule out leaves a call to it, and
    /// the link fails: see docs/architecture.md, "No panic".
    fn a_panic_is_reachable() -> !;
}

// An instruction that is undefined stops the whole machine, so nothing is put behind the call.
core::arch::global_asm!(
    ".section .text._start,\"ax\",@progbits",
    ".globl _start",
    ".type _start,@function",
    "_start:",
    "mov x29, xzr",
    "mov x30, xzr",
    "b {enter}",
    ".size _start, . - _start",
    enter = sym enter,
);

extern "C" fn enter(argument: u64) -> ! {
    sysmaster_root(argument)
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    // SAFETY: a program with this call does not link.
    unsafe { a_panic_is_reachable() }
}

/// A static that is lent out once, mutably, for the program's life.
#[derive(Debug)]
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

/// Makes the core that [`crate::keep!`] keeps, from the same tables. What this makes is a program
/// that nobody but that keeper starts: it finds what they share where the keeper has put it.
#[macro_export]
macro_rules! core {
    ($product:ident) => {
        static CORE: $crate::abi::start::Once<::init_core::Storage<{ $product::UNIT_COUNT }>> =
            $crate::abi::start::Once::new(::init_core::Storage::new());

        #[unsafe(export_name = "sysmaster_root")]
        fn __sysmaster_root(argument: u64) -> ! {
            let words = $crate::shared_words($product::UNIT_COUNT);
            // SAFETY: this is the whole program's only beginning, and a keeper of the same tables
            // is the only one who starts the program.
            let words = unsafe { $crate::abi::shown($crate::SHARED_AT, words) };
            $crate::core(&$product::MANIFEST, &CORE, words, argument)
        }
    };
}
