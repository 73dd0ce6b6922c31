//! This file makes the socket that tools connect to. A child binds it, since whatever is mounted
//! over `/run` may never answer.

use crate::cause::Cause;
use crate::console;
use crate::control::parting;
use crate::events::Source;
use crate::linux::Linux;
use crate::region::{self, at};
use crate::setup;
use crate::sys::fd::{self, Fd};
use core::ffi::CStr;
use init_core::event::Errno;
use init_core::packed::packed;
use init_core::time::Instant;
use linux_raw_sys::net;
use rustix::fd::AsFd;
use rustix::fs::Mode;
use rustix::io::Errno as Os;
use rustix::net::SocketAddrUnix;
use rustix::net::sockopt::set_socket_passcred;

/// Where the socket is.
const DIRECTORY: &CStr = c"/run/sysmaster";

/// The socket's path.
pub const PATH: &CStr = c"/run/sysmaster/control";

/// Under which name set-up binds the socket, which then takes the place of what is at [`PATH`].
pub(crate) const BY_SET_UP: &CStr = c"/run/sysmaster/new";

/// The same for the child of nobody's. Both may be at it, with the same socket: who comes second
/// is refused, and must not have touched what the first one bound.
pub(crate) const BY_NOBODY: &CStr = c"/run/sysmaster/own";

/// Connections that the kernel keeps for us until we accept them.
const BACKLOG: i32 = 8;

impl Linux {
    /// A child that ended may have bound the spare socket: then that is the one.
    pub(crate) fn hear(&mut self) {
        // Refused as long as it is not bound.
        if let Ok(socket) = &self.control.spare
            && rustix::net::listen(socket, BACKLOG).is_ok()
        {
            // Out of memory: nobody is heard until set-up is done again.
            let _ = self.waiting.watch(socket.as_fd(), Source::Listener);
            // Who has called the one before is not sent away, as far as there are places.
            for _ in 0..=BACKLOG {
                self.accept(Instant::ZERO);
            }
            if let Some(before) = self.control.listener.take() {
                self.waiting.forget(before.as_fd());
                self.control.listener = parting::close(before, self.kernel);
            }
            // If it is still there: when the next child has ended. The spare one is bound, and
            // callers wait in it.
            if self.control.listener.is_none() {
                let noted = self.region.get(at::SPARE);
                // In this order: a life that ends in between has a spare one, or binds another.
                self.region.set(at::LISTENER, 0);
                self.region.set(at::SPARE, 0);
                self.region.set(at::LISTENER, noted);
                let none = Err(Errno(0));
                self.control.listener = core::mem::replace(&mut self.control.spare, none).ok();
            }
        }
    }

    /// Makes the spare socket, if there is none.
    pub(crate) fn offer_socket(&mut self) {
        if self.control.spare.is_err() {
            let socket = fd::socket(net::AF_UNIX, net::SOCK_SEQPACKET);
            if let Ok(socket) = &socket {
                // And with it each connection: who has sent a frame is told with it.
                let _ = set_socket_passcred(socket, true);
            }
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
