//! This file reads the clock that goes on while the machine sleeps.
//!
//! By the plain system call: process 1 asks once or twice an event, and the faster way through the
//! kernel's shared object would cost more code than all of the clock's users.

use super::syscall::syscall;
use init_core::time::Instant;
use linux_raw_sys::general as abi;

/// Seconds and nanoseconds, 64 bits each on every machine.
#[repr(C)]
#[derive(Clone, Copy)]
struct Time64 {
    seconds: i64,
    nanos: i64,
}

const _: () = assert!(size_of::<Time64>() == 16);

#[cfg(target_arch = "arm")]
const CLOCK_GETTIME: u32 = abi::__NR_clock_gettime64;
#[cfg(not(target_arch = "arm"))]
const CLOCK_GETTIME: u32 = abi::__NR_clock_gettime;

/// Microseconds since boot, the time asleep included.
pub fn since_boot() -> Instant {
    read_short()
        .or_else(|| read(CLOCK_GETTIME))
        .unwrap_or(Instant::ZERO)
}

fn read(number: u32) -> Option<Instant> {
    let mut time = Time64 {
        seconds: 0,
        nanos: 0,
    };
    let clock = usize::try_from(abi::CLOCK_BOOTTIME).unwrap_or(0);
    let pointer = (&raw mut time).expose_provenance();
    // SAFETY: the pointer leads to a structure of the size and layout that this call fills.
    let answer = unsafe { syscall(number, [clock, pointer]) };
    (answer == 0).then(|| instant(time.seconds, time.nanos))
}

/// 32-bit machines before Linux 5.1 have the call with 32-bit fields only, and runtimes of
/// containers that are older than their kernel refuse the other one with any error, or by SIGSYS.
/// So it comes first: since boot there are no more seconds than 32 bits have. Kernels may be made
/// without it.
#[cfg(target_arch = "arm")]
fn read_short() -> Option<Instant> {
    let mut time = [0_i32; 2];
    let clock = usize::try_from(abi::CLOCK_BOOTTIME).unwrap_or(0);
    let pointer = (&raw mut time).expose_provenance();
    // SAFETY: the pointer leads to a structure of the size and layout that this call fills.
    let answer = unsafe { syscall(abi::__NR_clock_gettime, [clock, pointer]) };
    (answer == 0).then(|| instant(time[0].into(), time[1].into()))
}

#[cfg(not(target_arch = "arm"))]
fn read_short() -> Option<Instant> {
    None
}

fn instant(seconds: i64, nanos: i64) -> Instant {
    let seconds = u64::try_from(seconds).unwrap_or(0);
    let micros = u32::try_from(nanos).unwrap_or(0) / 1_000;
    Instant::from_us(
        seconds
            .saturating_mul(1_000_000)
            .saturating_add(micros.into()),
    )
}
