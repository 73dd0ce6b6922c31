//! This file is the control tool's way to process 1: a SEQPACKET socket, and the standard streams.
//!
//! It is linked into the same program as process 1 and runs in an ordinary process: here, and only
//! here, calls may wait. What is asked and shown is decided in `init_core::tool`.

use crate::carried::upgrades;
use crate::events::timespec;
use crate::sys::fd::{self, Fd};
use crate::sys::process;
use crate::{control, errno};
use init_core::event::Errno;
use init_core::protocol::Buffer;
use init_core::renewal::HotUpgrade;
use init_core::time::Duration;
use init_core::tool::{self, Client, Received, Stream, Words};
use linux_raw_sys::net::{AF_UNIX, SOCK_SEQPACKET};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{AsFd, BorrowedFd};
use rustix::io;
use rustix::net::{RecvFlags, SendFlags, SocketAddrUnix};

/// Between two attempts to connect while process 1's queue is full.
const PAUSE: Duration = Duration::from_ms(100);

/// Runs the control tool with the arguments of a program; returns its exit code.
#[inline(never)]
pub fn sctl(arguments: Words<'_>) -> u8 {
    tool::run(&mut Connection { socket: None }, arguments)
}

/// A connection to process 1, once there is one.
#[derive(Debug)]
struct Connection {
    socket: Option<Fd>,
}

impl Connection {
    fn socket(&self) -> Result<BorrowedFd<'_>, Errno> {
        let socket = self
            .socket
            .as_ref()
            .ok_or(io::Errno::NOTCONN)
            .map_err(errno)?;
        Ok(socket.as_fd())
    }

    fn open() -> Result<Fd, Errno> {
        // Who has root's rights, but another name, is known by the name.
        process::be_root();
        let socket = fd::socket(AF_UNIX, SOCK_SEQPACKET)?;
        let address = SocketAddrUnix::new(control::PATH).map_err(errno)?;
        rustix::net::connect(&socket, &address).map_err(errno)?;
        Ok(socket)
    }
}

impl Client for Connection {
    fn address(&self) -> &'static [u8] {
        control::PATH.to_bytes()
    }

    fn upgrade(&self) -> Option<&'static HotUpgrade> {
        upgrades()?.core
    }

    fn connect(&mut self) -> Result<(), Errno> {
        self.socket = Some(Self::open()?);
        Ok(())
    }

    fn pause(&mut self) {
        // A signal shortens the pause; there is another attempt, that is all.
        let _ = poll(&mut [], Some(&timespec(PAUSE)));
    }

    fn send(&mut self, frame: &[u8]) -> Result<(), Errno> {
        // The socket is empty before each request, so that this never has to wait.
        rustix::net::send(self.socket()?, frame, SendFlags::NOSIGNAL).map_err(errno)?;
        Ok(())
    }

    fn receive(
        &mut self,
        buffer: &mut Buffer,
        patience: Option<Duration>,
    ) -> Result<Received, Errno> {
        let socket = self.socket()?;
        if !wait(socket, PollFlags::IN, patience)? {
            return Ok(Received::Nothing);
        }
        // With TRUNC the length is the frame's, also where the buffer is too short for it.
        match rustix::net::recv(socket, buffer.as_mut_slice(), RecvFlags::TRUNC) {
            Ok((_, 0)) | Err(io::Errno::CONNRESET) => Ok(Received::HungUp),
            Ok((_, length)) => Ok(Received::Frame(length)),
            Err(error) => Err(errno(error)),
        }
    }

    fn write(&mut self, stream: Stream, text: &[u8]) -> bool {
        let stream = match stream {
            Stream::Output => Fd::OUTPUT,
            Stream::Errors => Fd::ERRORS,
        };
        let mut rest = text;
        while !rest.is_empty() {
            match io::write(stream, rest) {
                Ok(0) => return false,
                Ok(count) => rest = rest.get(count..).unwrap_or_default(),
                Err(io::Errno::INTR) => {}
                Err(io::Errno::AGAIN) if wait(stream, PollFlags::OUT, None).is_ok() => {}
                Err(_) => return false,
            }
        }
        true
    }
}

/// Waits until something can be done with a descriptor; false when it could not in time.
fn wait(
    descriptor: BorrowedFd<'_>,
    what: PollFlags,
    patience: Option<Duration>,
) -> Result<bool, Errno> {
    let patience = patience.map(timespec);
    loop {
        let mut descriptors = [PollFd::from_borrowed_fd(descriptor, what)];
        match poll(&mut descriptors, patience.as_ref()) {
            Ok(count) => return Ok(count > 0),
            Err(io::Errno::INTR) => {}
            Err(error) => return Err(errno(error)),
        }
    }
}
