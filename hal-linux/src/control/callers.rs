//! This file lets callers in: root alone, and each to a place of its own, which may have to be made
//! free.

use super::Control;
use crate::carried::upgrades;
use crate::events::Source;
use crate::linux::Linux;
use crate::region;
use crate::sys::fd::{self, Fd};
use init_core::checkpoint::words::store;
use init_core::hal::Clock;
use init_core::time::{Duration, Instant};
use rustix::fd::AsFd;

/// A client that has said nothing for so long may lose its place to another. A tool at work is
/// silent for the microseconds between its connection and its request.
const SILENT_MIN: Duration = Duration::from_secs(2);

/// Until callers that could not be accepted, for lack of places, descriptors or memory, are looked
/// at again, should no place become free before.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

impl Control {
    fn is_free(&self, slot: u8) -> bool {
        let client = self.clients.get(usize::from(slot));
        client.is_some_and(|client| client.connection.is_none())
    }

    /// A free place, made free if need be: who has been silent longest goes, but not before
    /// [`SILENT_MIN`]; of those who wait for an answer, only where all do. `None`: nobody goes yet.
    fn place(&self, now: Instant) -> Option<u8> {
        let (mut found, mut rank) = (None, (true, Instant::MAX));
        for (slot, client) in (0..u8::MAX).zip(self.clients.iter()) {
            if client.connection.is_none() {
                return Some(slot);
            }
            let order = (client.length > 0, client.last_deed);
            if now.since(client.last_deed) >= SILENT_MIN && order < rank {
                (found, rank) = (Some(slot), order);
            }
        }
        found
    }
}

impl Linux {
    /// Lets a caller in. Who has been silent since long before `now` may have to go for it.
    #[inline(never)]
    pub(crate) fn accept(&mut self, now: Instant) {
        let place = self.control.place(now);
        if let Some(slot) = place {
            self.make_room(slot);
        }
        let Some(listener) = &self.control.listener else {
            return;
        };
        let free = place.filter(|slot| self.control.is_free(*slot));
        if let Some(slot) = free
            && let Ok(connection) = fd::accept(listener)
        {
            return self.let_in(slot, connection);
        }
        // Whoever cannot be let in waits in the kernel, which would go on to wake us.
        let listener = listener.as_fd();
        self.waiting
            .listen_for_input(listener, Source::Listener, false);
        self.control.accept_from = Some(self.now().after(ACCEPT_PAUSE));
    }

    fn let_in(&mut self, slot: u8, connection: Fd) {
        let now = self.now();
        let Some(client) = self.control.clients.get_mut(usize::from(slot)) else {
            return;
        };
        client.last_deed = now;
        client.generation = client.generation.wrapping_add(1);
        client.length = 0;
        let [descriptor, generation, state] = self.region.client(slot);
        store(state, 0);
        store(generation, client.generation.into());
        region::note(descriptor, Some(&connection));
        let source = Source::Client(slot);
        let watched = self.waiting.watch(connection.as_fd(), source);
        // The place was free.
        core::mem::forget(client.connection.replace(connection));
        match watched {
            // Who connects asks at once: looked at before exits are, and found without another
            // look at the descriptors.
            Ok(()) => self.waiting.look_at(source),
            Err(_) => self.make_room(slot),
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
