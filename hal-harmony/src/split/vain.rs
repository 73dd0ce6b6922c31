//! This file counts lives of cores that got nothing done, and what is done about them: another one
//! has to wait longer and longer, and after too many the machine starts again.

use super::{Keeper, parts};
use crate::abi::Kernel;
use init_core::checkpoint::last_act;
use init_core::effect::FinalAction;
use init_core::hal::{Clock, Power};
use init_core::time::Duration;

/// Lives in a row that get nothing done; more are too many.
const VAIN_MAX: u32 = 8;

/// Until another core, when two have got nothing done; for each further one twice as long.
const PAUSE_MS: u64 = 20;

/// Doublings: a third of a second at most.
const DOUBLINGS_MAX: u32 = 4;

/// How many lives in a row got nothing done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vain {
    count: u32,
    /// Whether the life that goes on has got something done.
    is_of_use: bool,
}

impl Vain {
    /// None.
    pub const NONE: Self = Self {
        count: 0,
        is_of_use: false,
    };

    /// Another life begins.
    pub fn begin(&mut self) {
        self.is_of_use = false;
    }

    /// This one has got something done.
    pub fn end(&mut self) {
        *self = Self {
            count: 0,
            is_of_use: true,
        };
    }

    /// Whether this life has got something done.
    pub fn is_over(self) -> bool {
        self.is_of_use
    }

    /// How long the next core has to wait.
    fn pause(self) -> Duration {
        let Some(doublings) = self.count.checked_sub(2) else {
            return Duration::ZERO;
        };
        Duration::from_ms(PAUSE_MS.unbounded_shl(doublings.min(DOUBLINGS_MAX)))
    }
}

impl<K: Kernel + 'static> Keeper<K> {
    /// There was no core, or one that got nothing done. Returns when there may be another.
    pub(super) fn live_in_vain(&mut self) {
        self.vain.count = self.vain.count.saturating_add(1);
        if self.vain.count > VAIN_MAX {
            self.start_again("the core ends again and again");
        }
        self.pause(self.vain.pause());
    }

    /// Cores get nothing done any more: the machine starts again, or is switched off where it was
    /// on its way to that. Where the board cannot begin anew, there is nothing to do but to go on.
    pub(super) fn start_again(&mut self, why: &str) {
        let [.., state] = parts(self.shared.words());
        let act = match last_act(state) {
            Some(FinalAction::PowerOff) => FinalAction::PowerOff,
            _ => FinalAction::Reboot,
        };
        let can = act == FinalAction::PowerOff || self.harmony.config.reset.is_some();
        self.write(&|line| {
            line.text(why);
            line.text(match (act, can) {
                (FinalAction::PowerOff, _) => ": the machine is switched off",
                (_, true) => ": the machine starts again",
                (_, false) => ", and this board cannot start the machine again",
            });
        });
        if can {
            let now = self.harmony.now();
            self.harmony.finish(act, now);
        }
    }

    /// Answers services for so long, without a core.
    pub(super) fn pause(&mut self, span: Duration) {
        let until = self.harmony.now().after(span);
        loop {
            let _none = self.take_end();
            self.listen();
            let now = self.harmony.now();
            if now >= until {
                return;
            }
            self.harmony.doze(Some(until), now, false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_follows_at_once_and_then_it_takes_longer_and_longer() {
        let pause = |count| {
            Vain {
                count,
                ..Vain::NONE
            }
            .pause()
        };
        let spans = [0, 1, 2, 3, 4, 8, 9, 10, u32::MAX].map(pause);
        let wanted = [0, 0, 20, 40, 80, 320, 320, 320, 320];
        assert_eq!(spans, wanted.map(Duration::from_ms));
    }
}
