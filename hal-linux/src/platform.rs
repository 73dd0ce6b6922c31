//! This file is the rest of what the driver needs of Linux: the console, memory, the watchdog, and
//! what lies between one life of the program and the next.

use crate::bytes::{Fields, number};
use crate::console::Console;
use crate::heal;
use crate::lines::Lines;
use crate::linux::Linux;
use crate::region::{self, SPLIT};
use init_core::checkpoint::words::Words;
use init_core::event::Errno;
use init_core::hal::Platform;
#[cfg(feature = "freestanding")]
use init_core::ident::ClientId;
use init_core::ident::{Generation, Role, UnitId};
use init_core::renewal::{Handover, Image};
use init_core::text::index;
use init_core::time::Instant;

/// ENOSYS.
const NO_SUCH_CALL: Errno = Errno(38);

impl Platform for Linux {
    type Console = Console;

    fn console(&mut self) -> &mut Console {
        &mut self.console
    }

    fn region(&self) -> Words<'static> {
        self.region.core()
    }

    fn handover(&self) -> Handover {
        self.why()
    }

    fn take_over(&mut self) {
        if region::HEALS {
            self.end_upgrade();
        }
    }

    #[cfg(feature = "freestanding")]
    fn try_image(&mut self, client: ClientId) -> Result<(), Errno> {
        if region::HEALS {
            return self.begin_trial(client);
        }
        Err(NO_SUCH_CALL)
    }

    #[cfg(feature = "freestanding")]
    fn end_trial(&mut self) {
        if region::HEALS {
            self.forget_image();
        }
    }

    #[cfg(feature = "freestanding")]
    fn is_known(&self, unit: UnitId) -> bool {
        !region::HEALS || self.is_known_to_image(unit)
    }

    fn renew(&mut self, image: Image) -> Errno {
        match image {
            Image::Same if region::HEALS && self.region.is_kept() => heal::renew(&self.region),
            #[cfg(feature = "freestanding")]
            Image::New if region::HEALS => heal::upgrade(&self.region),
            Image::Same | Image::New => NO_SUCH_CALL,
        }
    }

    fn owner(&mut self, unit: UnitId, role: Role) -> Option<(Generation, u32)> {
        if SPLIT {
            self.children.owner(unit, role)
        } else {
            None
        }
    }

    fn forsake(&mut self) {
        if SPLIT {
            self.hang_up_on_waiting();
            self.intake.is_forsaken = true;
        }
    }

    fn settle(&mut self) {
        if self.awaits_watchdog() {
            self.tell_no_watchdog();
        }
        self.tell_last_death();
        #[cfg(feature = "freestanding")]
        crate::sys::seldom::give_back();
    }

    fn feed(&mut self, sick: &dyn Fn() -> Option<&'static str>) -> Option<Instant> {
        if self.has_watchdog() {
            self.feed_watchdog(sick)
        } else {
            None
        }
    }

    fn memory_kib(&mut self) -> Option<u32> {
        // The sums in /proc/self/status lag behind by up to 64 pages on many kernels; these do not.
        let mut lines = Lines::of(c"/proc/self/smaps_rollup");
        let mut sum = None;
        while let Some(line) = lines.next() {
            if let Some(kib) = resident(line) {
                sum = Some(sum.unwrap_or(0_u32).saturating_add(kib));
            }
        }
        sum
    }
}

/// The number of a line like `Anonymous: 40 kB`: memory that only this program has.
fn resident(line: &[u8]) -> Option<u32> {
    let mut fields = Fields::aligned(line);
    index("Anonymous: ", fields.behind(0))?;
    number(fields.behind(0), 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_memory_of_our_own_counts() {
        assert_eq!(resident(b"Anonymous:            40 kB"), Some(40));
        assert_eq!(resident(b"LazyFree:              4 kB"), None);
        assert_eq!(resident(b"Rss:                  76 kB"), None);
        assert_eq!(resident(b"Anonymous:            kB"), None);
        assert_eq!(resident(b""), None);
    }
}
