//! This file starts the command, as `execvp` looks for it.

use super::Linux;
use super::words::Voice;
use crate::bytes::Bytes;
use crate::sys::group;
use crate::sys::process::{exit, fork};
use crate::sys::signals::block_all;
use crate::sys::text::c_text;
use crate::sys::vector::{Vector, execute};
use core::ffi::CStr;
use init_core::event::Errno;

/// Exit codes of a command that is not there, and of one that cannot be executed: as shells have
/// them.
const NOT_FOUND: u8 = 127;
const NOT_EXECUTED: u8 = 126;

/// Where commands are looked for if nobody says: process 1 of a machine has no PATH.
const PATH: &[u8] = b"/sbin:/usr/sbin:/bin:/usr/bin";

/// Bytes of the longest path with its nul, as the kernel has it.
const PATH_BYTES_MAX: usize = 4_096;

const ENOENT: Errno = Errno(2);
const EACCES: Errno = Errno(13);
const ENOTDIR: Errno = Errno(20);

/// Starts the command in a process group of its own; its number.
pub(super) fn command(linux: &Linux<'_>) -> Result<u32, Errno> {
    match fork()?.child() {
        None => become_command(linux),
        Some(pid) => {
            // Whoever is first: the group must be there before a signal is passed to it.
            group::lead(pid);
            Ok(pid)
        }
    }
}

fn become_command(linux: &Linux<'_>) -> ! {
    group::lead(0);
    if linux.terminal.is_some() {
        group::give_terminal(group::own_pid());
    }
    linux.blocked.restore();
    let name = linux.command.first().unwrap_or_default();
    let error = search(name, linux.command, linux.environment);
    // As it was before: the end of who writes must be told.
    block_all();
    Voice::new().not_executed(name.to_bytes(), error);
    exit(if matches!(error, ENOENT | ENOTDIR) {
        NOT_FOUND
    } else {
        NOT_EXECUTED
    })
}

/// Executes the command; why it could not.
fn search(name: &CStr, command: Vector, environment: Vector) -> Errno {
    let bytes = name.to_bytes();
    if bytes.is_empty() || bytes.contains(&b'/') {
        return execute(name, command, environment);
    }
    let mut path = Some(environment.variable(b"PATH").unwrap_or(PATH));
    let mut result = ENOENT;
    while let Some(folders) = path {
        let end = folders.iter().position(|byte| *byte == b':');
        let (folder, rest) = match end.and_then(|end| folders.split_at_checked(end)) {
            Some((folder, rest)) => (folder, rest.get(1..)),
            None => (folders, None),
        };
        path = rest;
        let mut file = Bytes::<PATH_BYTES_MAX>::new();
        // An empty folder is the current one. What does not fit is not there.
        let error = match join(&mut file, folder, bytes) {
            Some(file) => execute(file, command, environment),
            None => ENOENT,
        };
        match error {
            ENOENT | ENOTDIR => {}
            // Perhaps a later folder has one that may be executed.
            EACCES => result = EACCES,
            other => return other,
        }
    }
    result
}

fn join<'f, const N: usize>(
    file: &'f mut Bytes<N>,
    folder: &[u8],
    name: &[u8],
) -> Option<&'f CStr> {
    let slash: &[u8] = if folder.is_empty() { b"" } else { b"/" };
    for byte in folder.iter().chain(slash).chain(name).chain(b"\0") {
        file.push(*byte)?;
    }
    c_text(file)
}
