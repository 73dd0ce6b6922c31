//! This file defines the clock.

use crate::time::Instant;

/// Tells the time.
pub trait Clock {
    /// Microseconds since boot; counts while the machine is suspended; never goes back.
    fn now(&self) -> Instant;
}
