//! This file gives time as plain numbers: microseconds since boot, and spans between them.
//!
//! It never reads a clock. All arithmetic saturates, so no time value can stop the program.

/// A point in time: microseconds since an arbitrary start, never going back (Linux:
/// CLOCK_BOOTTIME).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instant(u64);

/// A span of time in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Duration(u64);

impl Instant {
    /// The start of time.
    pub const ZERO: Self = Self(0);
    /// Later than every deadline.
    pub const MAX: Self = Self(u64::MAX);

    /// The earlier of two deadlines, `None` being never.
    pub fn earlier(one: Option<Self>, other: Option<Self>) -> Option<Self> {
        match (one, other) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        }
    }

    /// The instant `us` microseconds after [`Self::ZERO`].
    pub const fn from_us(us: u64) -> Self {
        Self(us)
    }
    /// Microseconds since [`Self::ZERO`].
    pub const fn as_us(self) -> u64 {
        self.0
    }
    /// This instant and a span later; at most [`Self::MAX`].
    pub const fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(span.0))
    }
    /// The span since an earlier instant; zero when `earlier` is not earlier.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration(self.0.saturating_sub(earlier.0))
    }
}

impl Duration {
    /// No time at all.
    pub const ZERO: Self = Self(0);
    /// Longer than anything lasts.
    pub const MAX: Self = Self(u64::MAX);

    /// A span of `us` microseconds.
    pub const fn from_us(us: u64) -> Self {
        Self(us)
    }
    /// A span of `ms` milliseconds.
    pub const fn from_ms(ms: u64) -> Self {
        Self(ms.saturating_mul(1_000))
    }
    /// A span of `s` seconds.
    pub const fn from_secs(s: u64) -> Self {
        Self(s.saturating_mul(1_000_000))
    }
    /// The span in microseconds.
    pub const fn as_us(self) -> u64 {
        self.0
    }
    /// Twice the span.
    pub const fn doubled(self) -> Self {
        Self(self.0.saturating_mul(2))
    }
}
