//! This file is the rest of what the driver needs of Linux: the console, the watchdog, and
//! what lies between one life of the program and the next.

use crate::carried::upgrades;
use crate::console::Console;
use crate::heal;
use crate::linux::Linux;
use crate::region::{self, SPLIT};
use init_core::checkpoint::words::Words;
use init_core::event::Errno;
use init_core::hal::Platform;
use init_core::ident::{ClientId, Generation, Role, UnitId};
use init_core::renewal::{Handover, Image};
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
        #[cfg(feature = "exchange")]
        self.note_take_over();
        if let Some(code) = upgrades() {
            (code.take_over)(self);
        }
    }

    fn try_image(&mut self, client: ClientId) -> Result<(), Errno> {
        let code = upgrades().ok_or(NO_SUCH_CALL)?;
        (code.begin_trial)(self, client)
    }

    fn end_trial(&mut self) {
        if let Some(code) = upgrades() {
            (code.forget_image)(self);
        }
    }

    fn is_known(&self, unit: UnitId) -> bool {
        upgrades().is_none_or(|code| (code.is_known)(self, unit))
    }

    fn has_passed_trial(&self) -> bool {
        SPLIT && upgrades().is_some() && self.region.has_passed_trial()
    }

    #[cfg(feature = "exchange")]
    fn exchanges_core(&mut self) -> bool {
        self.begin_exchange()
    }

    fn renew(&mut self, image: Image) -> Errno {
        self.console.drain();
        match image {
            Image::Same if region::HEALS && self.region.is_kept() => heal::renew(&self.region),
            Image::Same => NO_SUCH_CALL,
            Image::New => upgrades().map_or(NO_SUCH_CALL, |code| (code.execute)(self)),
        }
    }

    fn owner(&mut self, unit: UnitId, role: Role) -> Option<(Generation, u32)> {
        if !region::HEALS {
            return None;
        }
        let (generation, pid) = self.children.owner(unit, role)?;
        // Whose exit was on its way is no owner any more: whether the core took it in, it has
        // forgotten with the unit.
        (!self.has_left(pid)).then_some((generation, pid))
    }

    fn forsake(&mut self) {
        if region::HEALS {
            self.hang_up_on_waiting();
            self.intake.is_forsaken = true;
        }
    }

    fn settle(&mut self) {
        if self.awaits_watchdog() {
            self.look_for_watchdog();
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
}
