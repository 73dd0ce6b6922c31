//! This file is the way to Linux's init: a newline on the descriptor that the manifest names, and
//! lines on descriptor 2.

use crate::{Link, Order};
use rustix::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};
use rustix::io::Errno;

/// Where errors go, by long custom.
const LOG: RawFd = 2;

/// The descriptor that `ready = { on = "newline", fd = .. }` names.
#[derive(Debug)]
pub struct Descriptor {
    /// Closed once the newline is written: init reads no more than that.
    ready: Option<OwnedFd>,
}

impl Descriptor {
    /// Takes the descriptor of this number over. Where nothing is open by this number, as when the
    /// service was started by hand, readiness is told to nobody.
    ///
    /// # Safety
    /// Nobody else in this program uses the descriptor.
    pub unsafe fn new(number: RawFd) -> Self {
        // SAFETY: only asked whether it is open; the caller says that it is ours.
        let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
        let is_open = rustix::io::fcntl_getfd(borrowed).is_ok();
        // SAFETY: it is open, and the caller gives it away.
        let ready = is_open.then(|| unsafe { OwnedFd::from_raw_fd(number) });
        Self { ready }
    }
}

/// Writes all of it, as far as that is possible.
fn write(fd: BorrowedFd<'_>, bytes: &[u8]) {
    let mut rest = bytes;
    while !rest.is_empty() {
        match rustix::io::write(fd, rest) {
            Ok(0) => return,
            Ok(count) => rest = rest.get(count..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            // Whoever read it is gone, or is too slow: a service does not wait for its log.
            Err(_) => return,
        }
    }
}

impl Link for Descriptor {
    fn ready(&mut self) {
        if let Some(fd) = self.ready.take() {
            write(rustix::fd::AsFd::as_fd(&fd), b"\n");
        }
    }

    fn heartbeat(&mut self) -> Order {
        Order::GoOn
    }

    fn stopping(&mut self) {}

    fn log(&mut self, line: &[u8]) {
        // SAFETY: it is only written to; a closed one refuses.
        let fd = unsafe { BorrowedFd::borrow_raw(LOG) };
        write(fd, line);
        write(fd, b"\n");
    }
}
