//! This file remembers the limits that could keep this program from being executed again, and puts
//! them back.

use super::syscall::syscall;
use core::sync::atomic::{AtomicU32, Ordering};
use linux_raw_sys::general as abi;

/// Memory of each kind.
const LIMITS: [u32; 3] = [abi::RLIMIT_AS, abi::RLIMIT_DATA, abi::RLIMIT_STACK];

/// What `struct rlimit64` has: two numbers of 64 bits, in words that the kernel writes.
#[repr(C, align(8))]
struct Limit([AtomicU32; 4]);

static AT_START: [Limit; 3] = [const { Limit([const { AtomicU32::new(0) }; 4]) }; 3];

/// Remembers those in force.
pub fn remember() {
    for (limit, kept) in LIMITS.iter().zip(&AT_START) {
        // Refused: none is put back.
        exchange(*limit, 0, (&raw const *kept).expose_provenance());
    }
}

/// Puts those back that were remembered.
pub fn restore() {
    for (limit, kept) in LIMITS.iter().zip(&AT_START) {
        if kept.0.iter().any(|word| word.load(Ordering::Relaxed) != 0) {
            // Refused where somebody lowered the hard limit and we may not raise it.
            exchange(*limit, (&raw const *kept).expose_provenance(), 0);
        }
    }
}

/// Has the kernel take the new limit and give the old one; 0 stands for none.
fn exchange(limit: u32, new: usize, old: usize) {
    let limit = usize::try_from(limit).unwrap_or(0);
    // SAFETY: both pointers lead to a static limit of atomic words, or are null.
    let _ = unsafe { syscall(abi::__NR_prlimit64, [0, limit, new, old]) };
}
