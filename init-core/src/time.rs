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

const SECOND_US: u32 = 1_000_000;

/// Whole seconds and the microseconds beyond them; at most 136 years. Byte by byte, because a
/// 32-bit machine's own division of 64 bits is ten times this code.
#[inline(never)]
fn parts(us: u64) -> (u32, u32) {
    let [a, b, c, d, high @ ..] = us.to_le_bytes();
    let mut low = u32::from_le_bytes([a, b, c, d]);
    let (mut seconds, mut rest) = (0, u32::from_le_bytes(high));
    if rest >= SECOND_US {
        return (u32::MAX, 0);
    }
    for _ in 0..4 {
        // What is left is less than a second, and 256 seconds fit.
        let part = (rest << 8) | (low >> 24);
        low <<= 8;
        seconds = (seconds << 8) | (part / SECOND_US);
        rest = part % SECOND_US;
    }
    (seconds, rest)
}

impl Instant {
    /// The start of time.
    pub const ZERO: Self = Self(0);
    /// Later than every deadline.
    pub const MAX: Self = Self(u64::MAX);

    /// The earlier of two deadlines, `None` being never.
    pub fn earlier(one: Option<Self>, other: Option<Self>) -> Option<Self> {
        let earlier = one.unwrap_or(Self::MAX).min(other.unwrap_or(Self::MAX));
        (earlier != Self::MAX).then_some(earlier)
    }

    /// The instant `us` microseconds after [`Self::ZERO`].
    pub const fn from_us(us: u64) -> Self {
        Self(us)
    }
    /// Microseconds since [`Self::ZERO`].
    pub const fn as_us(self) -> u64 {
        self.0
    }
    /// Seconds since [`Self::ZERO`], and microseconds beyond them; at most 136 years.
    pub fn parts(self) -> (u32, u32) {
        parts(self.0)
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
    /// The span in seconds, and microseconds beyond them; at most 136 years.
    pub fn parts(self) -> (u32, u32) {
        parts(self.0)
    }
    /// The span in milliseconds; at most 136 years.
    pub fn as_ms(self) -> u64 {
        let (seconds, us) = self.parts();
        let whole = u64::from(seconds).wrapping_mul(1_000);
        whole.wrapping_add((us / 1_000).into())
    }
    /// Twice the span.
    pub const fn doubled(self) -> Self {
        Self(self.0.saturating_mul(2))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_the_rest_are_those_of_a_division() {
        let mut seed = 1_u64;
        let edges = [0, 1, 999_999, 1_000_000, (1 << 32) * 1_000_000 - 1];
        let random = (0..10_000).map(|round| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            seed >> (13 + round % 50)
        });
        for us in edges.into_iter().chain(random) {
            let (seconds, rest) = Instant::from_us(us).parts();
            let whole = (u64::from(seconds), u64::from(rest));
            assert_eq!(whole, (us / 1_000_000, us % 1_000_000), "{us}");
            assert_eq!(Duration::from_us(us).as_ms(), us / 1_000);
        }
        assert_eq!(
            Instant::from_us((1 << 32) * 1_000_000).parts(),
            (u32::MAX, 0)
        );
        assert_eq!(Duration::MAX.parts(), (u32::MAX, 0));
    }
}
