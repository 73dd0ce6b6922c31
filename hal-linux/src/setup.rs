//! This file does set-up steps: mounts, directories, links, kernel parameters. Always in a child.
//!
//! All steps are attempted; each that fails is told on the console with its operand and cause.

use crate::bytes::{Bytes, Fields};
use crate::cause::Cause;
use crate::console;
use crate::lines::Lines;
use crate::sys::fd;
use crate::sys::text::c_text;
use crate::uses::uses;
use core::ffi::CStr;
use init_core::report::Line;
use init_core::unit::{Setup, SetupOp};
use rustix::fs::{AtFlags, CWD, Gid, Mode, Uid};
use rustix::io::Errno as Os;
use rustix::mount::{MountFlags, UnmountFlags};

/// Longest path that is made with its parents.
const PATH_BYTES_MAX: usize = 256;

/// Does the steps for a unit; the child's exit code: 0, or 1 if any failed.
#[inline(never)]
pub fn run(unit: &str, setup: Setup, console: Option<&CStr>) -> u8 {
    let mut code = 0;
    for op in setup.ops(|bytes| c_text(bytes).unwrap_or_default()) {
        if let Err(error) = perform(op) {
            code = 1;
            tell(unit, op, error, console);
        }
    }
    code
}

fn perform(op: SetupOp) -> Result<(), Cause> {
    match op {
        SetupOp::WaitDevice(path) if uses().paths => crate::probe::wait_for_path(path),
        SetupOp::Mount {
            source,
            at,
            kind,
            flags,
            data,
        } => {
            // Some file systems, temporary ones above all, would let themselves be mounted again.
            if is_mounted(at, kind) {
                return Ok(());
            }
            make_directories(at, Mode::from_raw_mode(0o755))?;
            #[cfg_attr(
                not(miri),
                expect(clippy::useless_conversion, reason = "over libc it is of 64 bits")
            )]
            let flags = MountFlags::from_bits_retain(flags.into());
            Ok(rustix::mount::mount(source, at, kind, flags, data)?)
        }
        SetupOp::Unmount(at) => match rustix::mount::unmount(at, UnmountFlags::NOFOLLOW) {
            Err(Os::INVAL | Os::NOENT) => Ok(()),
            other => Ok(other?),
        },
        SetupOp::Directory {
            path,
            mode,
            uid,
            gid,
        } if uses().directories => {
            make_directories(path, Mode::from_raw_mode(0o755))?;
            let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
            rustix::fs::chownat(CWD, path, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
            Ok(rustix::fs::chmod(path, Mode::from_raw_mode(mode.into()))?)
        }
        SetupOp::Symlink { path, target } if uses().links => symlink(path, target),
        SetupOp::Sysctl { path, value } => {
            let file = fd::open_to_write(path)?;
            rustix::io::write(&file, value.to_bytes())?;
            Ok(())
        }
        SetupOp::Hostname(name) => Ok(rustix::system::sethostname(name.to_bytes())?),
        SetupOp::LoopbackUp => Ok(crate::sys::network::loopback_up()?),
        // No product has what it does not use.
        SetupOp::WaitDevice(_) | SetupOp::Directory { .. } | SetupOp::Symlink { .. } => {
            Err(Cause::INVALID)
        }
    }
}

fn symlink(path: &CStr, target: &CStr) -> Result<(), Cause> {
    match rustix::fs::symlink(target, path) {
        Err(Os::EXIST) => {
            let mut room = [0; PATH_BYTES_MAX];
            match rustix::fs::readlinkat_raw(CWD, path, &mut room) {
                // Also where it could not be made, as on a file system that is only read.
                Ok(count) if room.get(..count) == Some(target.to_bytes()) => return Ok(()),
                // It is no link.
                Err(Os::INVAL) => return Err(Os::EXIST.into()),
                Ok(_) | Err(_) => {}
            }
            rustix::fs::unlink(path)?;
            Ok(rustix::fs::symlink(target, path)?)
        }
        other => Ok(other?),
    }
}

/// Makes a directory and its parents; those that exist stay as they are.
pub fn make_directories(path: &CStr, mode: Mode) -> Result<(), Cause> {
    let mut prefix = Bytes::<PATH_BYTES_MAX>::new();
    for byte in path.to_bytes_with_nul() {
        let length = prefix.len();
        if matches!(byte, b'/' | 0) && length > 0 {
            prefix.push(0).ok_or(Cause::TOO_LONG)?;
            let path = c_text(&prefix).ok_or(Cause::INVALID)?;
            make_directory(path, mode)?;
            prefix.truncate(length);
        }
        prefix.push(*byte).ok_or(Cause::TOO_LONG)?;
    }
    Ok(())
}

fn make_directory(path: &CStr, mode: Mode) -> Result<(), Os> {
    match rustix::fs::mkdir(path, mode) {
        Err(Os::EXIST) => Ok(()),
        other => other,
    }
}

/// Whether `at` is a mount point of that type, by the first lines of the mount table.
fn is_mounted(at: &CStr, kind: &CStr) -> bool {
    let mut lines = Lines::of(c"/proc/self/mounts");
    while let Some(line) = lines.next() {
        let mut fields = Fields::of(line);
        if fields.behind(1) == at.to_bytes() && fields.behind(0) == kind.to_bytes() {
            return true;
        }
    }
    false
}

fn tell(unit: &str, op: SetupOp, cause: Cause, console: Option<&CStr>) {
    let Cause(error) = cause;
    console::say(console, &|line| {
        operation(line.text(unit).text(": "), op)
            .text(": ")
            .errno(error);
    });
}

/// A step in words.
fn operation<'l, 'b>(line: &'l mut Line<'b>, op: SetupOp) -> &'l mut Line<'b> {
    line.say(op.word());
    if let SetupOp::Mount { source, .. } = op {
        line.bytes(source.to_bytes()).text(" at ");
    }
    line.bytes(op.operand().to_bytes())
}
