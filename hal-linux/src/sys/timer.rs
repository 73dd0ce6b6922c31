//! This file is the timer that wakes process 1 from its one sleep, on the clock that goes on while
//! the machine sleeps.

use super::fd::Fd;
use super::syscall::syscall;
use init_core::event::Errno;
use init_core::time::{Duration, Instant};
use linux_raw_sys::general as abi;

/// A timer that is not armed.
///
/// # Errors
/// EMFILE, ENOMEM.
pub fn timer() -> Result<Fd, Errno> {
    let number = |number: u32| usize::try_from(number).unwrap_or(0);
    let flags = number(abi::O_CLOEXEC | abi::O_NONBLOCK);
    let clock = number(abi::CLOCK_BOOTTIME);
    // SAFETY: there is no pointer.
    Fd::from_answer(unsafe { syscall(abi::__NR_timerfd_create, [clock, flags]) })
}

/// Has it tell when that time has come, at once if it is over, and once; [`Instant::MAX`]: never.
/// Whether it will.
pub fn arm(timer: &Fd, until: Instant) -> bool {
    // An all-zero time disarms; a deadline at the beginning of time is over anyway.
    let at = match until {
        Instant::MAX => 0,
        until => until.as_us().max(1),
    };
    let (seconds, us) = Duration::from_us(at).parts();
    let nanos = us.wrapping_mul(1_000);
    arm_short(timer, seconds, nanos) || {
        let value = [0, 0, u64::from(seconds), u64::from(nanos)];
        set(SETTIME, timer, value.as_ptr().expose_provenance())
    }
}

#[cfg(target_arch = "arm")]
const SETTIME: u32 = abi::__NR_timerfd_settime64;
#[cfg(not(target_arch = "arm"))]
const SETTIME: u32 = abi::__NR_timerfd_settime;

/// With 32-bit fields first, see `clock.rs`.
#[cfg(target_arch = "arm")]
fn arm_short(timer: &Fd, seconds: u32, nanos: u32) -> bool {
    let seconds = seconds.min(i32::MAX.unsigned_abs());
    let value = [0, 0, seconds, nanos];
    let pointer = value.as_ptr().expose_provenance();
    set(abi::__NR_timerfd_settime, timer, pointer)
}

#[cfg(not(target_arch = "arm"))]
fn arm_short(_: &Fd, _: u32, _: u32) -> bool {
    false
}

/// `TFD_TIMER_ABSTIME` of `linux/timerfd.h`.
const ABSOLUTE: usize = 1;

/// Arms it with the interval and the time at this place.
fn set(number: u32, timer: &Fd, value: usize) -> bool {
    let arguments = [timer.number().into(), ABSOLUTE, value, 0];
    // SAFETY: the pointer leads to four numbers of the size that this call reads; null stands for
    // "the old time is not wanted".
    (unsafe { syscall(number, arguments) }) == 0
}
