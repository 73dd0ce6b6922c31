//! This file cuts the processor time of this program into slices and tells whether it has slept, by
//! which endless loops are found. An idle program has no slices.

use super::syscall::syscall;
use init_core::time::Duration;
use linux_raw_sys::general as abi;

/// A slice of processor time, after each of which a signal comes.
const SLICE_US: usize = 50_000;

/// Cuts the processor time of this program into slices, from now on, also over an execution.
/// Without it, as on a kernel that has no such timers, only endless loops are not found.
pub fn begin() {
    // `struct itimerval`: the interval and the first time, in seconds and microseconds.
    let slices = [0, SLICE_US, 0, SLICE_US];
    let timer = usize::try_from(abi::ITIMER_PROF).unwrap_or(0);
    let pointer = (&raw const slices).expose_provenance();
    // SAFETY: the pointer leads to a time; the old one is not asked for.
    unsafe { syscall(abi::__NR_setitimer, [timer, pointer, 0]) };
}

/// Lets a signal come after so long, also over an execution; after no time at all none comes.
pub fn alarm(time: Duration) {
    let (seconds, us) = time.parts();
    let [seconds, us] = [seconds, us].map(|part| usize::try_from(part).unwrap_or(0));
    let once = [0, 0, seconds, us];
    let timer = usize::try_from(abi::ITIMER_REAL).unwrap_or(0);
    let pointer = (&raw const once).expose_provenance();
    // SAFETY: the pointer leads to a time; the old one is not asked for.
    unsafe { syscall(abi::__NR_setitimer, [timer, pointer, 0]) };
}

/// How often this program has waited for something; it wraps around.
pub fn sleep_count() -> u32 {
    // `struct rusage`: two times of two words, then 14 counts, of which that is the 13th.
    let mut usage = [0_usize; 18];
    let pointer = (&raw mut usage).expose_provenance();
    // SAFETY: the pointer leads to room for all that is written; 0 stands for this process.
    unsafe { syscall(abi::__NR_getrusage, [0, pointer]) };
    let [.., count, _] = usage;
    u32::try_from(count & 0xffff_ffff).unwrap_or(0)
}
