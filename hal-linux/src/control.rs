//! This file serves the control socket: who may connect, one frame at a time, nothing that waits.
//!
//! A client has at most one frame in process 1's hands; the next stays in the kernel until the
//! answer has been sent. Whoever is not root, does not read or passes descriptors is disconnected.
//! Where all places are taken, one that has been silent for some seconds makes room, and where
//! there is none, one that has long been waiting for its answer: nobody can keep others out.

mod callers;
mod heritage;
mod parting;
mod socket;

use crate::events::Source;
use crate::handed::{self, Handed};
use crate::linux::Linux;
use crate::region::{self, ANSWERING, BUSY};
use crate::sys::fd::Fd;
use crate::sys::network::{self, First};
use init_core::checkpoint::words::store;
use init_core::event::{Errno, Event};
use init_core::hal::{Clock, ControlPort, Wake};
use init_core::ident::ClientId;
use init_core::limits::{CLIENT_COUNT_MAX, FRAME_BYTES_MAX};
use init_core::time::Instant;
use rustix::fd::AsFd;
pub use socket::PATH;
pub(crate) use socket::{BY_NOBODY, BY_SET_UP};

/// The control socket and its clients.
#[derive(Debug)]
pub(crate) struct Control {
    pub(crate) listener: Option<Fd>,
    /// When callers are looked at again, if not now.
    accept_from: Option<Instant>,
    /// A socket that a child binds, since whatever is mounted over `/run` may never answer; or why
    /// there is none.
    pub(crate) spare: Result<Fd, Errno>,
    clients: &'static mut Clients,
}

/// A place for each client.
pub(crate) type Clients = [Client; CLIENT_COUNT_MAX];

/// All places free.
pub(crate) const NO_CLIENTS: Clients = [Client::NONE; CLIENT_COUNT_MAX];

#[derive(Debug)]
pub(crate) struct Client {
    /// When it connected or last sent a frame.
    last_deed: Instant,
    connection: Option<Fd>,
    generation: u16,
    frame: [u8; FRAME_BYTES_MAX],
    /// Of the frame that it sent; 0 while there is none.
    length: usize,
}

impl Client {
    const NONE: Self = Self {
        last_deed: Instant::ZERO,
        connection: None,
        generation: 0,
        frame: [0; FRAME_BYTES_MAX],
        length: 0,
    };
}

impl Control {
    pub(crate) fn new(clients: &'static mut Clients) -> Self {
        Self {
            listener: None,
            accept_from: None,
            spare: Err(Errno(0)),
            clients,
        }
    }

    fn client(&self, id: ClientId) -> Option<&Client> {
        let client = self.clients.get(usize::from(id.slot))?;
        (client.generation == id.generation && client.connection.is_some()).then_some(client)
    }

    fn client_mut(&mut self, id: ClientId) -> Option<&mut Client> {
        let client = self.clients.get_mut(usize::from(id.slot))?;
        (client.generation == id.generation && client.connection.is_some()).then_some(client)
    }
}

impl Linux {
    /// A client's frame was not taken in: it is looked at again.
    pub(crate) fn listen_again(&mut self, slot: u8) {
        let [.., state] = self.region.client(slot);
        store(state, 0);
        if let Some(client) = self.control.clients.get_mut(usize::from(slot)) {
            client.length = 0;
            if let Some(connection) = &client.connection {
                let connection = connection.as_fd();
                self.waiting
                    .listen_for_input(connection, Source::Client(slot), true);
            }
        }
    }

    /// A client's frame was taken in: its socket need not keep it.
    pub(crate) fn consume_frame(&self, slot: u8) {
        let client = self.control.clients.get(usize::from(slot));
        if let Some(connection) = client.and_then(|client| client.connection.as_ref()) {
            network::skip(connection);
        }
    }

    /// Disconnects whoever has the place.
    pub(crate) fn make_room(&mut self, slot: u8) {
        if let Some(client) = self.control.clients.get(usize::from(slot))
            && client.connection.is_some()
        {
            self.hang_up(ClientId {
                slot,
                generation: client.generation,
            });
        }
    }

    pub(crate) fn client_ready(&mut self, slot: u8) -> Option<Wake> {
        let now = self.now();
        let client = self.control.clients.get_mut(usize::from(slot))?;
        let connection = client.connection.as_ref()?;
        let id = ClientId {
            slot,
            generation: client.generation,
        };
        if client.length > 0 {
            // A frame is being decided; only the connection's end wakes us meanwhile.
            self.close(id);
            return Some(Wake::Event(Event::ClientGone(id)));
        }
        // It is kept until the core has taken it in.
        match network::look(connection, &mut client.frame) {
            First::Frame(length @ 1..=FRAME_BYTES_MAX) => {
                client.last_deed = now;
                client.length = length;
                let connection = connection.as_fd();
                self.waiting
                    .listen_for_input(connection, Source::Client(slot), false);
                // In this order: a client that is busy with nothing would never be heard again.
                self.intake.hand_out(Handed::Frame(slot));
                let [.., state] = self.region.client(slot);
                store(state, BUSY);
                Some(Wake::Frame(id))
            }
            First::Nothing => None,
            // Gone, broken, or no frame of ours.
            First::Frame(_) | First::End | First::Other => {
                self.close(id);
                Some(Wake::Event(Event::ClientGone(id)))
            }
        }
    }

    fn hang_up(&mut self, id: ClientId) {
        self.close(id);
        self.waiting.tell_gone(id);
    }
}

impl ControlPort for Linux {
    fn frame(&self, client: ClientId) -> &[u8] {
        self.control
            .client(client)
            .and_then(|client| client.frame.get(..client.length))
            .unwrap_or(&[])
    }

    fn reply(&mut self, client: ClientId, frame: &[u8]) {
        let Some(place) = self.control.client_mut(client) else {
            return;
        };
        let Some(connection) = &place.connection else {
            return;
        };
        let [.., state] = self.region.client(client.slot);
        store(state, ANSWERING);
        place.length = 0;
        if !parting::send(connection, frame, self.kernel) {
            return self.hang_up(client);
        }
        let source = Source::Client(client.slot);
        self.waiting
            .listen_for_input(connection.as_fd(), source, true);
        if self.intake.handed() == Some(Handed::Frame(client.slot)) {
            self.consume_frame(client.slot);
            self.intake.settled(handed::suspect(&self.region));
        }
        store(state, 0);
    }

    #[inline(never)]
    fn close(&mut self, client: ClientId) {
        if let Some(place) = self.control.client_mut(client) {
            let [descriptor, _, state] = self.region.client(client.slot);
            store(state, 0);
            // What cannot be closed yet goes first when a place is needed.
            place.length = 0;
            place.last_deed = Instant::ZERO;
            if let Some(connection) = place.connection.take() {
                self.waiting.forget(connection.as_fd());
                place.connection = parting::close(connection, self.kernel);
            }
            region::note(descriptor, place.connection.as_ref());
            self.waiting.untell(Source::Client(client.slot));
            if let Some(from) = &mut self.control.accept_from {
                // There may be a place now.
                *from = Instant::ZERO;
            }
        }
    }
}
