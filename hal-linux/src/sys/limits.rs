//! This file remembers the limits that could keep this program from being executed again, and puts
//! them back.

use super::syscall::{result, syscall};
use core::sync::atomic::{AtomicU32, Ordering};
use linux_raw_sys::general as abi;

/// Memory of each kind.
const LIMITS: [u32; 3] = [abi::RLIMIT_AS, abi::RLIMIT_DATA, abi::RLIMIT_STACK];

/// What `struct rlimit64` has: two numbers of 64 bits.
type Limit = [u32; 4];

static AT_START: [[AtomicU32; 4]; 3] = [const { [const { AtomicU32::new(0) }; 4] }; 3];

/// Remembers those in force.
pub fn remember() {
    for (limit, kept) in LIMITS.iter().zip(&AT_START) {
        let mut now = Aligned([0; 4]);
        if exchange(*limit, 0, (&raw mut now).expose_provenance()) {
            for (word, kept) in now.0.into_iter().zip(kept) {
                kept.store(word, Ordering::Relaxed);
            }
        }
    }
}

/// Puts those back that were remembered.
pub fn restore() {
    for (limit, kept) in LIMITS.iter().zip(&AT_START) {
        let mut old = Aligned([0; 4]);
        for (word, kept) in old.0.iter_mut().zip(kept) {
            *word = kept.load(Ordering::Relaxed);
        }
        if old.0 != [0; 4] {
            // Refused where somebody lowered the hard limit and we may not raise it.
            exchange(*limit, (&raw const old).expose_provenance(), 0);
        }
    }
}

#[repr(C, align(8))]
struct Aligned(Limit);

/// Whether the kernel took the new limit and gave the old one; 0 stands for none.
fn exchange(limit: u32, new: usize, old: usize) -> bool {
    let limit = usize::try_from(limit).unwrap_or(0);
    // SAFETY: both pointers lead to a limit, or are null.
    result(unsafe { syscall(abi::__NR_prlimit64, [0, limit, new, old]) }).is_ok()
}
