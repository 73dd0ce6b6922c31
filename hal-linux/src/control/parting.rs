//! This file closes connections and listeners, and sends through them. What somebody passes with a
//! frame that nobody has taken is closed with them, and whoever closes the last copy waits as long
//! as that thing wants: process 1 never is the one.
//!
//! Nor does it collect what others passed in a circle and forgot, as whoever closes a Unix socket
//! does on older kernels, and whoever sends through one while thousands are on their way
//! ([`Kernel::collects`]). Only where there is no process number for a child it does so itself: a
//! machine that is short of those must be controllable.

use crate::sys::fd::Fd;
use crate::sys::kernel::Kernel;
use crate::sys::network::{self, First};
use crate::sys::process::{self, Fork};
use init_core::event::Errno;
use rustix::net::{SendFlags, Shutdown};

/// Closes a socket, or has a child close it if there may be anything in it. `Some`: there is no
/// child, and it is open.
#[inline(never)]
pub(super) fn close(socket: Fd, kernel: Kernel) -> Option<Fd> {
    let is_over = network::look(&socket, &mut []) == First::End;
    if is_over && kernel.collects {
        return None;
    }
    match process::fork_sharing().map(Fork::child) {
        Ok(Some(_)) => {
            socket.leak();
            None
        }
        Ok(None) => {
            drop(socket);
            process::exit(0)
        }
        Err(_) => Some(socket).filter(|_| !is_over),
    }
}

/// Sends a frame; whether it was sent. A child that cannot send it ends the connection.
pub(super) fn send(connection: &Fd, frame: &[u8], kernel: Kernel) -> bool {
    // With a copy: this number may be another client's by then.
    let child = match kernel.collects {
        true => Err(Errno(0)),
        false => process::fork().map(Fork::child),
    };
    if let Ok(Some(_)) = child {
        return true;
    }
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    let is_sent = rustix::net::send(connection, frame, flags).is_ok();
    if child.is_ok() {
        if !is_sent {
            let _ = rustix::net::shutdown(connection, Shutdown::Both);
        }
        process::exit(0);
    }
    is_sent
}
