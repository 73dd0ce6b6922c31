//! This file cuts the processor time of this program into slices and tells whether it has slept, by
//! which endless loops are found; and it has a clock that ends what waits. An idle program has no
//! slices.

use super::syscall::syscall;
use core::sync::atomic::{AtomicU32, Ordering};
use linux_raw_sys::general as abi;

/// A slice of processor time, after each of which a signal comes.
const SLICE_US: usize = 50_000;

/// Cuts the processor time of this program into slices, from now on, also over an execution.
/// Without it, as on a kernel that has no such timers, only endless loops are not found.
pub fn begin() {
    set(abi::ITIMER_PROF, 0, SLICE_US);
}

/// Lets a signal come after so many seconds and microseconds, and again after each as long, also
/// over an execution; after no time at all none comes.
pub fn alarm(seconds: usize, us: usize) {
    set(abi::ITIMER_REAL, seconds, us);
    // One that was on its way has come by now.
    RANG.store(0, Ordering::Relaxed);
}

fn set(timer: u32, seconds: usize, us: usize) {
    // `struct itimerval`: the interval and the first time.
    let times = [seconds, us, seconds, us];
    let timer = usize::try_from(timer).unwrap_or(0);
    let pointer = (&raw const times).expose_provenance();
    // SAFETY: the pointer leads to two times; the old ones are not asked for.
    unsafe { syscall(abi::__NR_setitimer, [timer, pointer, 0]) };
}

/// Notes that the time of an [`alarm`] is over; true.
pub(super) fn rings() -> bool {
    RANG.store(1, Ordering::Relaxed);
    true
}

/// Whether the signal of the last [`alarm`] has come.
pub fn has_rung() -> bool {
    RANG.load(Ordering::Relaxed) != 0
}

static RANG: AtomicU32 = AtomicU32::new(0);

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
