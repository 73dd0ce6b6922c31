//! This file defines where events come from.

use crate::event::Event;
use crate::ident::ClientId;
use crate::time::Instant;

/// Why [`EventSource::wait`] returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// Something for the core.
    Event(Event),
    /// A control client sent a frame; it is at [`super::ControlPort::frame`] until answered. The
    /// HAL reads no further frame of this client before that.
    Frame(ClientId),
}

/// The only place where process 1 sleeps.
pub trait EventSource {
    /// Returns the next wake, sleeping until there is one; [`Event::Tick`] when `until` has come
    /// first. `None` sleeps without end. Costs no wake-up while nothing happens. Each call
    /// returns one; a HAL that learnt of several keeps the rest, in order, and bounded:
    /// what it cannot keep it leaves in the kernel.
    ///
    /// What the last call returned has been dealt with by now. `taken_in` is how many events the
    /// core has taken in and keeps; it wraps. A HAL that outlives its program notes it with what
    /// it hands out: if its heir is first called with the same count, the event was lost with the
    /// program and is handed out again; if with another, it is in the core's state.
    fn wait(&mut self, until: Option<Instant>, taken_in: u32) -> Wake;
}
