//! This file is one place of the table: where a process stands, and what it is owed.

use crate::abi::Group;
use init_core::event::{Event, ExitStatus};
use init_core::ident::Child;

/// One place.
#[derive(Debug, Default)]
pub struct Slot(pub(super) State);

/// Where a process stands.
#[derive(Debug, Default)]
pub(super) enum State {
    /// None here.
    #[default]
    Free,
    /// It runs, as far as we know.
    Running(Running),
    /// It ended; the kernel has to free it before that is told.
    Ended(Ended),
    /// It never ran and was told as such; the kernel has to free it.
    Stillborn(Group),
}

/// A process that ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) child: Child,
    pub(super) group: Group,
    pub(super) status: ExitStatus,
    pub(super) said: Said,
    pub(super) owes: Owed,
}

/// What a process has done that is to be told.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Owed {
    /// It began, or said that it is ready.
    pub(super) ready: bool,
    /// It said that it gets on.
    pub(super) heartbeat: bool,
}

impl Owed {
    pub(super) fn take(&mut self, child: Child) -> Option<Event> {
        if core::mem::take(&mut self.ready) {
            return Some(Event::Ready(child));
        }
        core::mem::take(&mut self.heartbeat).then_some(Event::Heartbeat(child))
    }
}

/// Whether all that an ended process had said has been heard. Only then is it freed: what a process
/// has said is told before its end, and the kernel does not free one whose messages it still has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// A mark is to be sent after it.
    Unmarked,
    /// The mark is on its way.
    Marked,
    /// The mark has come.
    Heard,
}

/// A process that was started.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) child: Child,
    pub(super) group: Group,
    /// We killed it: the kernel shows that as the code of a good end.
    pub(super) killed: bool,
    pub(super) owes: Owed,
    /// It has asked whether it is to go on, and will ask again.
    pub(super) listens: bool,
    /// It is to stop, and is told so when it asks.
    pub(super) is_to_stop: bool,
}

impl Slot {
    /// Nobody there.
    pub const EMPTY: Self = Self(State::Free);
}

/// The number of the signal that a killed process is said to have ended by.
const KILLED: u8 = 9;
/// And one that did what it must not.
const FAULT: u8 = 11;
/// What the kernel says of the latter.
const FAULT_CODE: i32 = -1;

/// How a process ended, from the kernel's code and from what we did. Only a killed process's code
/// is 0 for certain: another code shows that it had ended before it was killed.
pub fn status(code: i32, killed: bool) -> ExitStatus {
    let signal = |number| ExitStatus::Signal {
        number,
        core_dumped: false,
    };
    match code {
        0 if killed => signal(KILLED),
        FAULT_CODE => signal(FAULT),
        // What a byte cannot show is no success either.
        _ => ExitStatus::Code(u8::try_from(code).unwrap_or(u8::MAX)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_hides_is_known_and_what_it_shows_is_believed() {
        let signal = |number| ExitStatus::Signal {
            number,
            core_dumped: false,
        };
        let table = [
            (0, false, ExitStatus::Code(0)),
            (0, true, signal(9)),
            (7, false, ExitStatus::Code(7)),
            (7, true, ExitStatus::Code(7)),
            (-1, false, signal(11)),
            (-1, true, signal(11)),
            (-2, false, ExitStatus::Code(255)),
            (256, false, ExitStatus::Code(255)),
        ];
        for (code, killed, wanted) in table {
            assert_eq!(status(code, killed), wanted, "{code} {killed}");
        }
    }
}
