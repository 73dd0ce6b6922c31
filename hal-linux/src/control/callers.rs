//! This file lets callers in: root alone, and each to a place of its own, which may have to be made
//! free.

use super::Control;
use crate::carried::upgrades;
use crate::events::Source;
use crate::linux::Linux;
use crate::region;
use crate::sys::{fd, network};
use init_core::checkpoint::words::store;
use init_core::event::Errno;
use init_core::hal::Clock;
use init_core::limits::CLIENT_COUNT_MAX;
use init_core::time::{Duration, Instant};
use linux_raw_sys::errno as lack;
use rustix::fd::AsFd;

/// A client that has said nothing for so long may lose its place to another. A tool at work is
/// silent for the microseconds between its connection and its request.
const SILENT_MIN: Duration = Duration::from_secs(2);

/// Until callers that could not be accepted, for lack of descriptors or memory, are looked at
/// again: the kernel would go on to wake us for them.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

impl Control {
    /// A free place, made free if need be: who has been silent longest goes, but not before
    /// [`SILENT_MIN`]; of those who wait for an answer, only where all do. `None`: nobody goes yet.
    fn place(&self, now: Instant) -> Option<usize> {
        let (mut found, mut rank) = (None, (true, Instant::MAX));
        for (place, client) in (0..CLIENT_COUNT_MAX).zip(self.clients.iter()) {
            if client.connection.is_none() {
                return Some(place);
            }
            let order = (client.length > 0, client.last_deed);
            if now.since(client.last_deed) >= SILENT_MIN && order < rank {
                (found, rank) = (Some(place), order);
            }
        }
        found
    }
}

impl Linux {
    #[inline(never)]
    pub(crate) fn accept(&mut self) {
        let now = self.now();
        let Some(listener) = &self.control.listener else {
            return;
        };
        let connection = match fd::accept(listener) {
            Ok(connection) => connection,
            Err(error) => {
                if is_lack(error) {
                    let listener = listener.as_fd();
                    self.waiting
                        .listen_for_input(listener, Source::Listener, false);
                    self.control.accept_from = Some(now.after(ACCEPT_PAUSE));
                }
                return;
            }
        };
        let is_root = network::peer_is_root(&connection);
        if !is_root {
            return;
        }
        // Everybody waits for an answer: the connection is closed by being dropped.
        let Some(free) = self.control.place(now) else {
            return;
        };
        let Ok(slot) = u8::try_from(free) else { return };
        self.make_room(free, slot);
        if self
            .waiting
            .watch(connection.as_fd(), Source::Client(slot))
            .is_err()
        {
            return;
        }
        if let Some(client) = self.control.clients.get_mut(free) {
            client.last_deed = now;
            client.generation = client.generation.wrapping_add(1);
            client.length = 0;
            let [descriptor, generation, state] = self.region.client(slot);
            store(state, 0);
            store(generation, client.generation.into());
            region::note(descriptor, Some(&connection));
            client.connection = Some(connection);
            // Who connects asks at once: looked at before exits are, and found without another
            // look at the descriptors.
            self.waiting.look_at(Source::Client(slot));
        }
    }

    /// After a pause, callers are looked at again; until when the pause goes on.
    pub(crate) fn resume_accepting(&mut self) -> Option<Instant> {
        let from = self.control.accept_from?;
        if self.now() < from {
            return Some(from);
        }
        self.control.accept_from = None;
        if upgrades().is_some() {
            // Whoever asks for an upgrade needs no more of us than a new life does.
            self.ensure_descriptors();
        }
        if let Some(listener) = &self.control.listener {
            self.waiting
                .listen_for_input(listener.as_fd(), Source::Listener, true);
        }
        None
    }
}

/// Whether a caller remains to be accepted, and cannot be for now.
fn is_lack(error: Errno) -> bool {
    matches!(
        u32::from(error.0),
        lack::EMFILE | lack::ENFILE | lack::ENOMEM | lack::ENOBUFS
    )
}
