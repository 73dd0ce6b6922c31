//! This file replaces process 1's program by request: when all is done that was begun, the driver
//! is asked to execute the image, and the next life answers whoever asked.
//!
//! How far it is, is part of the machine's state, so a life that finds it goes on with it.

use crate::checkpoint::words::KEEPS;
use crate::effect::{Effect, Refusal, Reply};
use crate::ident::ClientId;
use crate::supervisor::Core;

/// How far process 1 is with replacing its program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Renewal {
    /// It is not asked to.
    None,
    /// It will be executed again when nothing else is to be done.
    Again,
    /// It was, or is being, executed.
    Executing,
}

/// Which program is executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Image {
    /// The one that runs.
    Same,
}

/// Why a life of the program began where another had been.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handover {
    /// The life before died.
    Fault,
    /// It was asked to execute its program again.
    Again,
}

impl Core<'_> {
    /// A client asks for the program to be executed again.
    pub(crate) fn reexec_asked(&mut self, client: ClientId) {
        let refusal = if self.system.is_going_down() {
            Refusal::ShuttingDown
        } else if self.checkpoint.is_nowhere() {
            Refusal::NoHeirs
        } else if self.system.renewal != Renewal::None {
            Refusal::Renewing
        } else {
            self.system.renewal = Renewal::Again;
            self.system.renewer = Some(client);
            return;
        };
        let reply = Reply::Refused(refusal);
        self.emit(Effect::Reply { client, reply });
    }

    /// Goes on with it, when nothing else is to be done; whether there was anything to do.
    pub(crate) fn renewal_turn(&mut self) -> bool {
        if !KEEPS {
            return false;
        }
        match self.system.renewal {
            Renewal::None | Renewal::Executing => false,
            Renewal::Again => {
                self.system.renewal = Renewal::Executing;
                // Alone among the effects: all before it are done.
                self.emit(Effect::Renew(Image::Same));
                true
            }
        }
    }

    /// A new life found this state: whoever asked for it is answered.
    pub(crate) fn resumed(&mut self, _why: Handover) {
        if KEEPS && self.system.renewal == Renewal::Executing {
            // Also after a fault on the way: the same program has begun a new life.
            self.end_renewal(Reply::Done);
        }
    }

    /// It is over, and whoever asked for it is told so.
    pub(crate) fn end_renewal(&mut self, reply: Reply) {
        if !KEEPS {
            return;
        }
        self.system.renewal = Renewal::None;
        if let Some(client) = self.system.renewer.take() {
            self.emit(Effect::Reply { client, reply });
        }
    }
}
