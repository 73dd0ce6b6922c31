//! This file serves the control socket: who may connect, one frame at a time, nothing that waits.
//!
//! A client has at most one frame in process 1's hands; the next stays in the kernel until the
//! answer has been sent. Whoever is not root or does not read is disconnected. Where all places are
//! taken, one that has been silent for some seconds makes room, and where there is none, one that
//! has long been waiting for its answer: nobody can keep others out.

use crate::cause::Cause;
use crate::console;
use crate::events::Source;
use crate::handed::{self, Handed};
use crate::linux::Linux;
use crate::region::{self, ANSWERING, BUSY, at};
use crate::setup;
use crate::sys::fd::{self, Fd};
use crate::sys::network;
use core::ffi::CStr;
use init_core::checkpoint::words::{load, store};
use init_core::event::{Errno, Event};
use init_core::hal::{Clock, ControlPort, Wake};
use init_core::ident::ClientId;
use init_core::limits::{CLIENT_COUNT_MAX, FRAME_BYTES_MAX};
use init_core::packed::packed;
use init_core::time::{Duration, Instant};
use linux_raw_sys::errno as lack;
use linux_raw_sys::net;
use rustix::fd::AsFd;
use rustix::fs::Mode;
use rustix::io::Errno as Os;
use rustix::net::{RecvFlags, SendFlags, SocketAddrUnix};

/// Where the socket is.
pub const DIRECTORY: &CStr = c"/run/sysmaster";
/// The socket's path.
pub const PATH: &CStr = c"/run/sysmaster/control";

/// Under which name set-up binds the socket, which then takes the place of what is at [`PATH`].
pub(crate) const BY_SET_UP: &CStr = c"/run/sysmaster/new";
/// The same for the child of nobody's. Both may be at it, with the same socket: who comes second
/// is refused, and must not have touched what the first one bound.
pub(crate) const BY_NOBODY: &CStr = c"/run/sysmaster/own";

/// Connections that the kernel keeps for us until we accept them.
const BACKLOG: i32 = 8;

/// A client that has said nothing for so long may lose its place to another. A tool at work is
/// silent for the microseconds between its connection and its request.
const SILENT_MIN: Duration = Duration::from_secs(2);

/// Until callers that could not be accepted, for lack of descriptors or memory, are looked at
/// again: the kernel would go on to wake us for them.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

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
    /// A child that ended may have bound the spare socket: then that is the one.
    pub(crate) fn hear(&mut self) {
        // Refused as long as it is not bound.
        if let Ok(socket) = &self.control.spare
            && rustix::net::listen(socket, BACKLOG).is_ok()
        {
            // Out of memory: nobody is heard until set-up is done again.
            let _ = self.waiting.watch(socket.as_fd(), Source::Listener);
            // Who has called the one before is not sent away.
            for _ in 0..=BACKLOG {
                self.accept();
            }
            let noted = self.region.get(at::SPARE);
            if let Some(listener) = &self.control.listener {
                self.waiting.forget(listener.as_fd());
            }
            // In this order: a life that ends in between has a spare one, or binds another.
            self.region.set(at::LISTENER, 0);
            self.region.set(at::SPARE, 0);
            self.region.set(at::LISTENER, noted);
            let none = Err(Errno(0));
            self.control.listener = core::mem::replace(&mut self.control.spare, none).ok();
        }
    }

    /// Makes the spare socket, if there is none.
    pub(crate) fn offer_socket(&mut self) {
        if self.control.spare.is_err() {
            let socket = fd::socket(net::AF_UNIX, net::SOCK_SEQPACKET);
            region::note(self.region.word(at::SPARE), socket.as_ref().ok());
            self.control.spare = socket;
        }
    }

    /// Binds the spare socket under this name, in a child, and gives it its place. The machine goes
    /// on without, and it is said why.
    pub(crate) fn bind_spare(&self, name: &CStr, console: Option<&CStr>) {
        let spare = self.control.spare.as_ref();
        let bound = spare
            .map_err(|error| Cause(*error))
            .and_then(|socket| bind(socket, name));
        if let Err(Cause(error)) = bound {
            console::say(console, &|line| {
                line.say(packed!("no control socket: "))
                    .bytes(PATH.to_bytes());
                line.text(": ").errno(error);
            });
        }
    }

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
        for (slot, client) in (0_u8..).zip(self.control.clients.iter_mut()) {
            let [descriptor, generation, state] = region.client(slot);
            let found = load(state);
            let generation = load(generation);
            client.generation = u16::try_from(generation).unwrap_or(0);
            client.last_deed = now;
            client.length = usize::from(found == BUSY);
            // The answer may have been sent: hung up on, once.
            client.connection = region::adopt(descriptor).filter(|_| found != ANSWERING);
            let id = ClientId {
                slot,
                generation: client.generation,
            };
            let Some(connection) = &client.connection else {
                // Perhaps the core has not heard of it.
                region::note(descriptor, None);
                store(state, 0);
                self.waiting.tell_gone(id);
                continue;
            };
            let connection = connection.as_fd();
            let _ = self.waiting.watch(connection, Source::Client(slot));
            let source = Source::Client(slot);
            self.waiting
                .listen_for_input(connection, source, found == 0);
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
                self.make_room(place, slot);
            }
        }
    }

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
            let _ = rustix::net::recv(connection, &mut [0_u8], RecvFlags::DONTWAIT);
        }
    }

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
        if let Some(listener) = &self.control.listener {
            self.waiting
                .listen_for_input(listener.as_fd(), Source::Listener, true);
        }
        None
    }

    /// Disconnects whoever has the place.
    pub(crate) fn make_room(&mut self, place: usize, slot: u8) {
        if let Some(client) = self.control.clients.get(place)
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
        // PEEK: it is kept until the core has taken it in. TRUNC: tells the length that was sent,
        // also when it is more than fits.
        let flags = RecvFlags::DONTWAIT | RecvFlags::TRUNC | RecvFlags::PEEK;
        match rustix::net::recv(connection, &mut client.frame, flags) {
            Ok((_, length @ 1..=FRAME_BYTES_MAX)) => {
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
            Err(Os::AGAIN | Os::INTR) => None,
            // Gone, broken, or no frame of ours.
            Ok(_) | Err(_) => {
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
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        if rustix::net::send(connection, frame, flags).is_err() {
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

    fn close(&mut self, client: ClientId) {
        if let Some(place) = self.control.client_mut(client) {
            let [descriptor, _, state] = self.region.client(client.slot);
            region::note(descriptor, None);
            store(state, 0);
            if let Some(connection) = place.connection.take() {
                self.waiting.forget(connection.as_fd());
            }
            self.waiting.untell(Source::Client(client.slot));
            place.length = 0;
        }
    }
}

/// Whether a caller remains to be accepted, and cannot be for now.
fn is_lack(error: Errno) -> bool {
    matches!(
        u32::from(error.0),
        lack::EMFILE | lack::ENFILE | lack::ENOMEM | lack::ENOBUFS
    )
}

fn bind(socket: &Fd, name: &CStr) -> Result<(), Cause> {
    setup::make_directories(DIRECTORY, Mode::from_raw_mode(0o755))?;
    // Of a child that was killed; where it cannot be removed, that is told below.
    let _ = rustix::fs::unlink(name);
    // Created without permissions for others, so that there is no moment in which they have any.
    rustix::process::umask(Mode::from_raw_mode(0o177));
    match rustix::net::bind(socket, &SocketAddrUnix::new(name)?) {
        Ok(()) => {
            // It may take the place of one that is heard: callers wait in it until process 1 knows.
            rustix::net::listen(socket, BACKLOG)?;
            Ok(rustix::fs::rename(name, PATH)?)
        }
        // Another child has bound it, and puts it in its place.
        Err(Os::INVAL) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
