//! This file remembers the limits that could keep this program from being executed again, and puts
//! them back; and it measures what the program uses of the processor.

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
    result(unsafe { syscall(abi::__NR_prlimit64, [0, limit, new, old, 0]) }).is_ok()
}

/// A slice of processor time, after each of which a signal comes.
const SLICE_US: usize = 50_000;

/// Cuts the processor time of this program into slices, from now on, also over an execution.
/// Without it, as on a kernel that has no such timers, only endless loops are not found.
pub fn slice_time() {
    // `struct itimerval`: the interval and the first time, in seconds and microseconds.
    let slices = [0, SLICE_US, 0, SLICE_US];
    let timer = usize::try_from(abi::ITIMER_PROF).unwrap_or(0);
    let pointer = (&raw const slices).expose_provenance();
    // SAFETY: the pointer leads to a time; the old one is not asked for.
    unsafe { syscall(abi::__NR_setitimer, [timer, pointer, 0, 0, 0]) };
}

/// How often this program has waited for something; it wraps around.
pub fn sleep_count() -> u32 {
    // `struct rusage`: two times of two words, then 14 counts, of which that is the 13th.
    let mut usage = [0_usize; 18];
    let pointer = (&raw mut usage).expose_provenance();
    // SAFETY: the pointer leads to room for all that is written; 0 stands for this process.
    unsafe { syscall(abi::__NR_getrusage, [0, pointer, 0, 0, 0]) };
    let [.., count, _] = usage;
    u32::try_from(count & 0xffff_ffff).unwrap_or(0)
}
