//! This file closes connections and listeners. What somebody passes with a frame that nobody has
//! taken is closed with them, and whoever closes the last copy waits as long as that thing wants:
//! process 1 never is the one.

use crate::sys::fd::Fd;
use crate::sys::network::{self, First};
use crate::sys::process;

/// Closes a socket, or has a child close it if there may be anything in it. `Some`: there is no
/// child, and it is open.
#[inline(never)]
pub(super) fn close(socket: Fd) -> Option<Fd> {
    if network::look(&socket, &mut []) == First::End {
        return None;
    }
    match process::fork_sharing().map(process::Fork::child) {
        Ok(Some(_)) => {
            socket.leak();
            None
        }
        Ok(None) => {
            drop(socket);
            process::exit(0)
        }
        Err(_) => Some(socket),
    }
}
