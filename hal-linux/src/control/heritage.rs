//! This file is what a new life, and a new core, does about the clients of the one before.

use crate::events::Source;
use crate::linux::Linux;
use crate::region::{self, ANSWERING, BUSY, at};
use init_core::checkpoint::words::load;
use init_core::event::Errno;
use init_core::hal::{Clock, ControlPort};
use init_core::ident::ClientId;
use init_core::limits::CLIENT_COUNT_MAX;
use rustix::fd::AsFd;

impl Linux {
    /// Takes over the socket and the clients of the life before. Who was being answered, nobody
    /// knows how far, is hung up on.
    pub(crate) fn inherit_clients(&mut self) {
        let (region, now) = (self.region, self.now());
        if let Some(listener) = region::adopt(region.word(at::LISTENER)) {
            // Out of memory: nobody new is heard.
            let _ = self.waiting.watch(listener.as_fd(), Source::Listener);
            self.control.listener = Some(listener);
        }
        let spare = region::adopt(region.word(at::SPARE));
        self.control.spare = spare.ok_or(Errno(0));
        for (place, slot) in (0..CLIENT_COUNT_MAX).zip(0..u8::MAX) {
            let Some(client) = self.control.clients.get_mut(place) else {
                continue;
            };
            let [descriptor, generation, state] = region.client(slot);
            let found = load(state);
            let generation = load(generation);
            client.generation = u16::try_from(generation).unwrap_or(0);
            client.last_deed = now;
            client.length = usize::from(found == BUSY);
            client.connection = region::adopt(descriptor);
            region::note(descriptor, client.connection.as_ref());
            let id = ClientId {
                slot,
                generation: client.generation,
            };
            if let Some(connection) = &client.connection {
                let connection = connection.as_fd();
                let source = Source::Client(slot);
                let _ = self.waiting.watch(connection, source);
                self.waiting
                    .listen_for_input(connection, source, found == 0);
                if found != ANSWERING {
                    continue;
                }
            }
            // It is not there, and the core may not have heard; or the answer may have been sent:
            // hung up on, once.
            self.close(id);
            self.waiting.tell_gone(id);
        }
    }

    /// A new core may not have heard who is gone.
    pub(crate) fn tell_who_is_gone(&mut self) {
        for (slot, client) in (0..u8::MAX).zip(self.control.clients.iter()) {
            if client.connection.is_none() {
                self.waiting.tell_gone(ClientId {
                    slot,
                    generation: client.generation,
                });
            }
        }
    }

    /// Hangs up on all who wait for an answer: nobody knows any more what they are owed.
    pub(crate) fn hang_up_on_waiting(&mut self) {
        for (place, slot) in (0..CLIENT_COUNT_MAX).zip(0..u8::MAX) {
            let client = self.control.clients.get(place);
            if client.is_some_and(|client| client.length > 0) {
                self.make_room(slot);
            }
        }
    }
}
