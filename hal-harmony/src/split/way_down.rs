//! This file leads to the machine's end without a core, where cores end of the request for it.
//!
//! There are no signals here: such a request is what the board asks, see [`Harmony::ask`]. One that
//! a service sends is a client's, which is refused, and may ask again.
//!
//! [`Harmony::ask`]: crate::harmony::Harmony::ask

use super::{Keeper, Settled};
use crate::abi::Kernel;
use init_core::effect::FinalAction;
use init_core::event::MachineRequest;
use init_core::hal::{Clock, Power, Process};
use init_core::time::Duration;
use init_core::unit::Signal;

/// What those have that listen, from being told to stop to being killed: they may ask for a
/// heartbeat's answer as seldom as every half second.
const GRACE: Duration = Duration::from_ms(900);

impl<K: Kernel + 'static> Keeper<K> {
    /// The board's request was put aside: where it was for the machine's end, that comes all the
    /// same, but that nobody stops one unit after the other.
    pub(super) fn go_down_alone(&mut self, request: MachineRequest) -> Settled {
        let asked = request.resolved(self.harmony.manifest.ctrl_alt_del);
        let Some(action) = FinalAction::of(asked) else {
            return Settled::GoesOn;
        };
        self.write(&|line| {
            line.text("the machine goes down all the same");
        });
        self.end();
        self.harmony.signal_all(Signal::TERM);
        self.pause(GRACE);
        self.harmony.signal_all(Signal::KILL);
        let now = self.harmony.now();
        self.harmony.finish(action, now);
        Settled::Over
    }
}
