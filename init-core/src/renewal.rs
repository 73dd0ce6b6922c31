//! This file replaces process 1's program by request: by itself, or, where the product asks for
//! that, by another image (`upgrade`).
//!
//! When all is done that was begun, the driver is asked to execute it, and the next life answers
//! whoever asked. How far it is, is part of the machine's state, so a life that finds it goes on
//! with it.

use crate::checkpoint::words::KEEPS;
use crate::effect::{Effect, Refusal, Reply};
use crate::event::Errno;
use crate::ident::{ClientId, UnitId};
use crate::supervisor::Core;
use crate::supervisor::unit::State;
use crate::time::Instant;
use crate::upgrade::Step;
pub use crate::upgrade::{HOT_UPGRADE, HotUpgrade, Obstacle};

/// How far process 1 is with replacing its program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Renewal {
    /// It is not asked to.
    None,
    /// It will be executed again when nothing else is to be done.
    Again,
    /// It was, or is being, executed again.
    Executing,
    /// An image is on trial.
    Trial,
    /// The trial took too long and is being ended.
    Late,
    /// Units that the image does not know are being stopped.
    Clearing,
    /// The image was, or is being, executed.
    Upgrading,
}

/// Whether a core that is a process of its own can be exchanged alone.
pub const EXCHANGES: bool = cfg!(feature = "exchange");

/// Which program is executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Image {
    /// The one that runs.
    Same,
    /// The one that stood its trial.
    New,
}

/// Why a life of the program began where another had been.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handover {
    /// The life before died.
    Fault,
    /// It was asked to execute its program again.
    Again,
    /// It was asked to execute this image.
    Upgraded,
    /// An image was executed and ended by this signal before it had taken over; this is the program
    /// that had been there before.
    RolledBack(u8),
    /// The core alone is this image's.
    #[cfg(feature = "exchange")]
    Exchanged,
}

impl Core<'_> {
    /// A client asks for the program to be executed again, or for another image.
    pub(crate) fn renewal_asked(&mut self, client: ClientId, image: Image, now: Instant) {
        let refusal = if image == Image::New && self.manifest.hot_upgrade.is_none() {
            Refusal::NoUpgrade
        } else if !KEEPS || self.checkpoint.is_nowhere() {
            Refusal::NoHeirs
        } else if self.system.is_going_down() {
            Refusal::ShuttingDown
        } else if self.system.renewal != Renewal::None {
            Refusal::Renewing
        } else {
            self.system.renewer = Some(client);
            match image {
                Image::Same => self.system.renewal = Renewal::Again,
                Image::New => {
                    self.upgrade(Step::Asked(client), now);
                }
            }
            return;
        };
        let reply = Reply::Refused(refusal);
        self.emit(Effect::Reply { client, reply });
    }

    /// Whether requests for units have to wait: they might undo what was made ready.
    pub(crate) fn is_being_exchanged(&self) -> bool {
        let stage = self.system.renewal;
        KEEPS && matches!(stage, Renewal::Clearing | Renewal::Upgrading)
    }

    /// Goes on with it, when nothing else is to be done; whether there was anything to do.
    #[inline(never)]
    pub(crate) fn renewal_turn(&mut self, now: Instant) -> bool {
        if !KEEPS {
            return false;
        }
        match self.system.renewal {
            Renewal::None | Renewal::Executing | Renewal::Upgrading => false,
            Renewal::Again => {
                self.system.renewal = Renewal::Executing;
                // Alone among the effects: all before it are done.
                self.emit(Effect::Renew(Image::Same));
                true
            }
            Renewal::Trial | Renewal::Late | Renewal::Clearing => self.upgrade(Step::Turn, now),
        }
    }

    /// A new life found this state: whoever asked for it is answered, and units become what the
    /// program wants them to be.
    #[inline(never)]
    pub(crate) fn resumed(&mut self, why: Handover, now: Instant) {
        if !KEEPS {
            return;
        }
        match (self.system.renewal, why) {
            // Also after a fault on the way: the same program has begun a new life.
            (Renewal::Executing, _) => self.end_renewal(Reply::Done),
            (Renewal::Upgrading, why) => {
                self.upgrade(Step::Resumed(why), now);
            }
            // Who has to stop for the image may be among what is not known any more.
            (Renewal::Clearing, why) if self.is_damaged() => {
                self.upgrade(Step::Resumed(why), now);
            }
            (
                Renewal::None | Renewal::Again | Renewal::Trial | Renewal::Late | Renewal::Clearing,
                _,
            ) => {}
        }
    }

    /// An image's trial is over.
    pub(crate) fn trial_ended(&mut self, obstacle: Option<Obstacle>, now: Instant) {
        self.upgrade(Step::Tried(obstacle), now);
    }

    /// The image was not executed: this is still the program that asked for it.
    pub(crate) fn not_renewed(&mut self, error: Errno, now: Instant) {
        self.upgrade(Step::NotExecuted(error), now);
    }

    /// Notes which units an image knows, before its trial's end is told.
    pub fn note_known(&mut self, knows: &dyn Fn(UnitId) -> bool) {
        self.upgrade(Step::Known(knows), Instant::ZERO);
    }

    /// The machine goes down: nothing comes of it.
    pub(crate) fn drop_renewal(&mut self) {
        if KEEPS && self.system.renewal != Renewal::None {
            self.emit(Effect::EndTrial);
            self.end_renewal(Reply::Refused(Refusal::ShuttingDown));
        }
    }

    /// It is over, and whoever asked for it is told so.
    #[inline(never)]
    pub(crate) fn end_renewal(&mut self, reply: Reply) {
        self.system.renewal = Renewal::None;
        self.system.renewal_due = Instant::MAX;
        if let Some(client) = self.system.renewer.take() {
            self.emit(Effect::Reply { client, reply });
        }
    }

    /// Whether a unit runs by another definition than the manifest has.
    pub(crate) fn is_stale(&self, id: UnitId) -> bool {
        let unit = self.units.get(id);
        let runs = !unit.alive.is_empty() || unit.state == State::Up;
        KEEPS && runs && unit.definition != self.manifest.definition(id)
    }
}
