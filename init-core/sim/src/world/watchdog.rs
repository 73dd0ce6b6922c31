//! This file is a hardware watchdog, which bites as soon as process 1 has not fed it in time.

use super::World;
use init_core::time::{Duration, Instant};

/// The watchdog.
#[derive(Clone, Copy, Debug)]
pub struct Watchdog {
    /// What it waits, in microseconds.
    patience: u64,
    /// When it was fed last.
    fed: Instant,
}

impl World {
    /// From now on there is a watchdog that waits so long.
    pub fn watched(&mut self, patience: u64) {
        let fed = self.now;
        self.watchdog = Some(Watchdog { patience, fed });
    }

    /// Feeds it in the second half of its time; when that begins the next time.
    pub(super) fn feed(&mut self) -> Option<Instant> {
        let dog = self.watchdog?;
        let next = |fed: Instant| fed.after(Duration::from_us(dog.patience / 2));
        if self.now < next(dog.fed) {
            return Some(next(dog.fed));
        }
        let fed = self.now;
        self.watchdog = Some(Watchdog { fed, ..dog });
        Some(next(fed))
    }

    /// Bites, once, when its time is over: whoever never comes to feed it again is bitten as well.
    pub(super) fn bite_if_hungry(&mut self) {
        let now = self.now;
        let is_over = |dog: &mut Watchdog| now > dog.fed.after(Duration::from_us(dog.patience));
        if self.watchdog.take_if(is_over).is_some() {
            self.model.fail("the watchdog is not fed in time");
        }
    }
}
