//! This file tells the time, and finds out at boot whether the kernel does.
//!
//! Boards exist whose kernel has no timer: its clock always reads 0, and a wait with a limit never
//! ends. So the kernel's clock is compared with the processor's counter; nothing is slept for.

use crate::abi::{Calls, Kernel};
use init_core::time::Instant;

/// Where time comes from and how one waits for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The kernel's clock runs; waits end by themselves.
    KernelTimeout,
    /// It stands still: the counter is read, and waiting is looking again and again.
    CounterPoll,
}

/// While this long passes on the counter, a clock that runs has moved.
const PROBE_PER_SECOND: u64 = 500;

/// Looks at a counter that may stand still too.
const PROBE_COUNT_MAX: u32 = 1_000_000;

/// The time.
#[derive(Clone, Copy, Debug)]
pub struct Time {
    /// How it is told.
    pub mode: Mode,
    /// The counter's ticks in a second, at least 1.
    frequency: u64,
}

impl Time {
    /// Looks for 2 ms whether the kernel's clock goes on with the counter.
    pub fn probe<K: Kernel>(calls: &Calls<K>) -> Self {
        let frequency = calls.kernel().frequency().max(1);
        let begun = calls.kernel().counter();
        let before = calls.clock_us();
        let enough = frequency / PROBE_PER_SECOND;
        for _ in 0..PROBE_COUNT_MAX {
            if calls.kernel().counter().wrapping_sub(begun) > enough {
                break;
            }
        }
        let mode = if calls.clock_us() > before {
            Mode::KernelTimeout
        } else {
            Mode::CounterPoll
        };
        Self { mode, frequency }
    }

    /// Microseconds since the start of the clock in use.
    pub fn now<K: Kernel>(&self, calls: &Calls<K>) -> Instant {
        Instant::from_us(match self.mode {
            Mode::KernelTimeout => calls.clock_us(),
            Mode::CounterPoll => microseconds(calls.kernel().counter(), self.frequency),
        })
    }
}

/// Ticks as microseconds, without a product that could overflow.
pub fn microseconds(ticks: u64, frequency: u64) -> u64 {
    let seconds = ticks.checked_div(frequency).unwrap_or(0);
    let rest = ticks.checked_rem(frequency).unwrap_or(0);
    let rest = rest.saturating_mul(1_000_000).checked_div(frequency);
    seconds
        .saturating_mul(1_000_000)
        .saturating_add(rest.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_become_microseconds_at_every_rate() {
        let table = [
            (0, 62_500_000, 0),
            (62_500_000, 62_500_000, 1_000_000),
            (u64::MAX, 1_000_000, u64::MAX),
            (u64::MAX, 1, u64::MAX),
            (24_000, 24_000_000, 1_000),
            (5, 0, 0),
        ];
        for (ticks, frequency, wanted) in table {
            assert_eq!(
                microseconds(ticks, frequency),
                wanted,
                "{ticks} at {frequency}"
            );
        }
    }
}
