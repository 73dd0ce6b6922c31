//! This file tells two states of a core apart, for tests that explore all of them.

use crate::ident::UnitId;
use crate::supervisor::Core;
use crate::time::Instant;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;

impl Core<'_> {
    /// What decides a core's future apart from the clock: cores with the same digest answer the
    /// same events alike, as long as windows and reset times play no part. Generations, process
    /// numbers and times are left out; of the deadlines their order stays.
    pub fn digest(&self) -> String {
        let mut text = String::new();
        for unit in self.units.iter() {
            let _ = write!(
                text,
                "{:?} {:?} {} {:?} {:?} {} {};",
                unit.state,
                unit.job,
                unit.attempted,
                unit.alive,
                unit.failure,
                unit.streak,
                unit.window_count
            );
        }
        let mut due: Vec<(Instant, UnitId)> = self.units.dues().collect();
        due.sort();
        for (_, unit) in due {
            let _ = write!(text, "{} ", unit.0);
        }
        let system = &self.system;
        let _ = write!(
            text,
            "{:?} {:?}",
            system.phase,
            system.deadline() != Instant::MAX
        );
        self.digest_waiters(&mut text);
        text
    }
}
