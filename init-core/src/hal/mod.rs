//! This room says what the core needs of a kernel: one trait a file, each a contract.
//!
//! A HAL implements them on one type; [`Platform`] joins them. What a board lacks is refused by the
//! manifest compiler, so no method has an "unsupported" error.

mod clock;
mod control;
mod events;
#[cfg(feature = "fake")]
pub mod fake;
mod power;
mod process;

pub use clock::Clock;
pub use control::ControlPort;
pub use events::{EventSource, Wake};
pub use power::Power;
pub use process::Process;

use crate::checkpoint::words::Words;
use crate::event::Errno;
use crate::ident::{ClientId, Generation, Role, UnitId};
use crate::renewal::{Handover, Image};
use crate::time::Instant;

/// ENOSYS.
const NO_SUCH_CALL: Errno = Errno(38);

/// Everything that a driver needs of a system. Console and log are byte streams
/// (`embedded_io::Write`) that never block: what does not fit is dropped and counted.
pub trait Platform: Clock + EventSource + Process + ControlPort + Power {
    /// The stream that people read.
    type Console: embedded_io::Write;

    /// The console. Writing never blocks and never fails; what is dropped is counted.
    fn console(&mut self) -> &mut Self::Console;

    /// Memory that outlives the program, for the core's state; none by default. The same at each
    /// call.
    fn region(&self) -> Words<'static> {
        Words::new(&[])
    }

    /// Why this life of the program began, where it goes on with another's state.
    fn handover(&self) -> Handover {
        Handover::Fault
    }

    /// The process that serves a unit in a role, with the generation that it belongs to, if there
    /// is one. Asked only for what the core's own state does not tell any more. By default nobody
    /// knows.
    fn owner(&mut self, unit: UnitId, role: Role) -> Option<(Generation, u32)> {
        let _ = (unit, role);
        None
    }

    /// The core begins without a state, also where there was one before. Whoever waits for an
    /// answer is hung up on, and what was handed out and not settled was not taken in.
    fn forsake(&mut self) {}

    /// The core's state has been found and can be read: nobody needs the program any longer that
    /// was executed before this one.
    fn take_over(&mut self) {}

    /// Begins to try the image that a client asks for, in a child: the end of that is told by
    /// [`crate::event::Event::TrialEnded`].
    ///
    /// # Errors
    /// There is no memory or no process for it, or this is a platform without such children.
    fn try_image(&mut self, client: ClientId) -> Result<(), Errno> {
        let _ = client;
        Err(NO_SUCH_CALL)
    }

    /// Ends the trial that goes on, and forgets the image.
    fn end_trial(&mut self) {}

    /// Whether the image that stood its trial knows this unit.
    fn is_known(&self, unit: UnitId) -> bool {
        let _ = unit;
        true
    }

    /// Whether there is an image that stood its trial, which may be executed. Asked by who does not
    /// take the core's word for it.
    fn has_passed_trial(&self) -> bool {
        false
    }

    /// Whether it is the core alone for which that image stood its trial. If so, it takes the place
    /// of the one that asks for it.
    #[cfg(feature = "exchange")]
    fn exchanges_core(&mut self) -> bool {
        false
    }

    /// Executes a program in this one's place; the next life finds the region, all processes and
    /// all connections. Returns only if it cannot be executed.
    fn renew(&mut self, image: Image) -> Errno {
        let _ = image;
        NO_SUCH_CALL
    }

    /// Feeds the machine's watchdog if its time has come, unless `sick` names a unit for which the
    /// machine had better be reset; when the next time comes. `None`: there is no watchdog.
    fn feed(&mut self, sick: &dyn Fn() -> Option<&'static str>) -> Option<Instant> {
        let _ = sick;
        None
    }

    /// The boot is over: what only a start needs may be given back.
    fn settle(&mut self) {}
}
