//! This file waits, in a child, until a path exists or a socket listens. Nothing that it does can
//! be noticed by the service that it waits for.

use crate::bytes::{Bytes, Fields, number};
use crate::cause::Cause;
use crate::lines::Lines;
use crate::sys::fd;
use crate::sys::text::c_text;
use crate::uses::uses;
use core::ffi::CStr;
use init_core::unit::Probe;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify;

/// Between two looks at the kernel's tables of sockets, which tell nobody of a change: at first
/// this, then longer each time up to [`LOOK_LAST_MS`], so that a service that never listens costs
/// ten looks a second.
const LOOK_FIRST_MS: u16 = 2;
/// See above.
const LOOK_LAST_MS: u16 = 100;

/// Between two looks at a path that does not exist yet: a mount can bring it or its directory, and
/// that is no change of a directory.
const LOOK_FOR_PATH_MS: u16 = 50;

/// Longest path whose directory is watched.
const PATH_BYTES_MAX: usize = 256;

/// The state of a listening TCP socket in `/proc/net/tcp` (TCP_LISTEN), and the flag of a
/// listening Unix socket in `/proc/net/unix` (SO_ACCEPTCON). A datagram socket (SOCK_DGRAM) takes
/// messages as soon as it has its name.
const TCP_LISTEN: &[u8] = b"0A";
const UNIX_LISTEN: u32 = 0x1_0000;
const UNIX_DATAGRAM: &[u8] = b"0002";

/// Waits; the child's exit code.
#[inline(never)]
pub fn run(probe: Option<&Probe>) -> u8 {
    let result = match probe {
        Some(Probe::Path(path)) if uses().paths => wait_for_path(path),
        Some(Probe::Tcp(port)) if uses().sockets => wait_until(&|| {
            let listens = |line: &[u8]| is_tcp_listener(line, *port);
            has_line(c"/proc/net/tcp", &listens) || has_line(c"/proc/net/tcp6", &listens)
        }),
        Some(Probe::Unix(path)) if uses().sockets => wait_until(&|| {
            has_line(c"/proc/net/unix", &|line| {
                is_unix_listener(line, path.to_bytes())
            })
        }),
        Some(_) | None => Err(Cause::INVALID),
    };
    u8::from(result.is_err())
}

/// Looks again and again; nobody tells when it has come.
fn wait_until(has_come: &dyn Fn() -> bool) -> Result<(), Cause> {
    let mut pause_ms = LOOK_FIRST_MS;
    while !has_come() {
        pause(None, pause_ms);
        pause_ms = pause_ms.saturating_mul(2).min(LOOK_LAST_MS);
    }
    Ok(())
}

fn has_line(table: &CStr, is_it: &dyn Fn(&[u8]) -> bool) -> bool {
    let mut lines = Lines::of(table);
    while let Some(line) = lines.next() {
        if is_it(line) {
            return true;
        }
    }
    false
}

/// `  0: 0100007F:075B 00000000:0000 0A ..`: number, local, remote, state.
fn is_tcp_listener(line: &[u8], port: u16) -> bool {
    let mut fields = Fields::aligned(line);
    let local = fields.behind(1);
    let listening = fields.behind(1) == TCP_LISTEN;
    let found = local
        .iter()
        .rposition(|byte| *byte == b':')
        .and_then(|at| number(local.get(at.saturating_add(1)..)?, 16));
    listening && found == Some(u32::from(port))
}

/// `0000000000000000: 00000002 00000000 00010000 0005 01 12345 /run/x`: the fourth field has the
/// flags, the eighth the path.
fn is_unix_listener(line: &[u8], path: &[u8]) -> bool {
    let mut fields = Fields::aligned(line);
    let flags = number(fields.behind(3), 16).unwrap_or(0);
    let takes = flags & UNIX_LISTEN != 0 || fields.behind(0) == UNIX_DATAGRAM;
    takes && fields.last() == Some(path)
}

/// Waits until a path exists, woken by changes of its directory.
pub fn wait_for_path(path: &CStr) -> Result<(), Cause> {
    let mut buffer = Bytes::new();
    let directory = directory_of(path, &mut buffer)?;
    let watch = fd::inotify()?;
    let events = inotify::WatchFlags::CREATE | inotify::WatchFlags::MOVED_TO;
    loop {
        let watched = inotify::add_watch(&watch, directory, events).is_ok();
        // Looked at after the watch is in place: what comes now is not missed.
        if exists(path) {
            return Ok(());
        }
        if pause(watched.then_some(&watch), LOOK_FOR_PATH_MS) {
            let mut changes = [0_u8; 512];
            let _ = rustix::io::read(&watch, &mut changes);
        }
    }
}

fn directory_of<'a>(path: &CStr, buffer: &'a mut Bytes<PATH_BYTES_MAX>) -> Result<&'a CStr, Cause> {
    let bytes = path.to_bytes();
    let end = bytes
        .iter()
        .rposition(|byte| *byte == b'/')
        .unwrap_or(0)
        .max(1);
    // Byte by byte: the slice's own call cannot be shown not to panic.
    for byte in bytes.iter().take(end).chain([&0]) {
        buffer.push(*byte).ok_or(Cause::TOO_LONG)?;
    }
    c_text(buffer).ok_or(Cause::INVALID)
}

fn exists(path: &CStr) -> bool {
    rustix::fs::stat(path).is_ok()
}

/// Sleeps for so long, or until the descriptor can be read: whether it can.
pub fn pause(descriptor: Option<&fd::Fd>, span_ms: u16) -> bool {
    let span = Timespec {
        tv_sec: 0,
        tv_nsec: u32::from(span_ms).saturating_mul(1_000_000).into(),
    };
    let result = match descriptor {
        Some(descriptor) => poll(&mut [PollFd::new(descriptor, PollFlags::IN)], Some(&span)),
        None => poll(&mut [], Some(&span)),
    };
    // A sleep that a signal cuts short is followed by another look all the same.
    matches!(result, Ok(1..))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listening_tcp_socket_is_told_from_others() {
        let listening =
            b"   1: 00000000:075B 00000000:0000 0A 00000000:00000000 00:00000000 00000000";
        let connected =
            b"   2: 0100007F:075B 0100007F:C001 01 00000000:00000000 00:00000000 00000000";
        let six = b"   0: 00000000000000000000000000000000:0016 0000000000000000:0000 0A 0";
        assert!(is_tcp_listener(listening, 1883));
        assert!(!is_tcp_listener(listening, 1884));
        assert!(!is_tcp_listener(connected, 1883));
        assert!(is_tcp_listener(six, 22));
        assert!(!is_tcp_listener(
            b"  sl  local_address rem_address   st",
            22
        ));
        assert!(!is_tcp_listener(b"", 0));
    }

    #[test]
    fn a_listening_unix_socket_is_told_from_a_connected_one() {
        let listening = b"0000000000000000: 00000002 00000000 00010000 0001 01 4711 /run/x.sock";
        let connected = b"0000000000000000: 00000003 00000000 00000000 0001 03 4712 /run/x.sock";
        let datagram = b"0000000000000000: 00000002 00000000 00000000 0002 01 4713 /run/x.sock";
        assert!(is_unix_listener(listening, b"/run/x.sock"));
        assert!(!is_unix_listener(listening, b"/run/x"));
        assert!(!is_unix_listener(connected, b"/run/x.sock"));
        assert!(is_unix_listener(datagram, b"/run/x.sock"));
    }
}
