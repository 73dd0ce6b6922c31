//! This file takes everything from a process that only decides: rights, signals, and all system
//! calls but reading, writing and ending.

use super::process::{self, duplicate_to};
use super::syscall::{result, syscall};
use super::{fd, signals};
use crate::sys::kernel::Kernel;
use init_core::event::Errno;
use linux_raw_sys::general as abi;
use linux_raw_sys::prctl;
use rustix::fd::BorrowedFd;

/// The descriptor that such a process reads from, and the one that it writes to.
pub const READ: u16 = 0;
/// See [`READ`].
pub const WRITE: u16 = 1;

/// The end at [`READ`]. Never closed.
pub const fn incoming() -> BorrowedFd<'static> {
    // SAFETY: such a process has it from [`keep_only`] on; elsewhere it leads somewhere, too.
    unsafe { BorrowedFd::borrow_raw(0) }
}

/// The end at [`WRITE`]. Never closed.
pub const fn outgoing() -> BorrowedFd<'static> {
    // SAFETY: as above.
    unsafe { BorrowedFd::borrow_raw(1) }
}

/// How far descriptors are closed one by one that this program inherited and did not make.
const INHERITED_MAX: u16 = 4_096;

/// `_LINUX_CAPABILITY_VERSION_3` of `linux/capability.h`.
const CAPABILITY_VERSION: u32 = 0x2008_0522;

/// `SECCOMP_MODE_STRICT` of `linux/seccomp.h`: read, write, exit and sigreturn, and nothing else.
const STRICT: usize = 1;

/// What such a process could not give up, as bits.
pub mod kept {
    /// Programs that it would execute may gain rights.
    pub const PRIVILEGES: u32 = 1;
    /// Capabilities.
    pub const CAPABILITIES: u32 = 2;
    /// System calls: this kernel has no filter for them.
    pub const CALLS: u32 = 4;
}

/// Leaves this process two descriptors, at [`READ`] and [`WRITE`]. For a child.
///
/// # Errors
/// One of them is none.
pub fn keep_only(read: u16, write: u16, kernel: Kernel) -> Result<(), Errno> {
    // Both are 3 or above: the standard ones lead somewhere.
    duplicate_to(read, READ)?;
    duplicate_to(write, WRITE)?;
    process::close_from(2, None, fd::highest().max(INHERITED_MAX), kernel);
    Ok(())
}

/// Gives up all that a process that decides does not need; what could not be given up. No signal
/// reaches it any more but those that nobody can block, and its own faults, which end it.
pub fn enter(name: &'static core::ffi::CStr) -> u32 {
    let _before = signals::block_all();
    let name = name.as_ptr().expose_provenance();
    // SAFETY: the name is a nul-terminated string.
    let _ = unsafe { set(prctl::PR_SET_NAME, name) };
    let mut kept = 0;
    // SAFETY: there is no pointer.
    if unsafe { set(prctl::PR_SET_NO_NEW_PRIVS, 1) }.is_err() {
        kept |= kept::PRIVILEGES;
    }
    if drop_capabilities().is_err() {
        kept |= kept::CAPABILITIES;
    }
    // SAFETY: there is no pointer.
    if unsafe { set(prctl::PR_SET_SECCOMP, STRICT) }.is_err() {
        kept |= kept::CALLS;
    }
    kept
}

fn drop_capabilities() -> Result<(), Errno> {
    // Of this process; then effective, permitted and inheritable ones, in two halves.
    let header = [CAPABILITY_VERSION, 0];
    let none = [0_u32; 6];
    let [header, none] = [header.as_ptr(), none.as_ptr()].map(|it| it.expose_provenance());
    // SAFETY: the pointers lead to a header and to as many sets as its version has.
    result(unsafe { syscall(abi::__NR_capset, [header, none, 0, 0, 0]) }).map(|_| ())
}

/// # Safety
/// The argument is what the option wants.
unsafe fn set(option: u32, argument: usize) -> Result<(), Errno> {
    let option = usize::try_from(option).unwrap_or(0);
    // SAFETY: the caller vouches for the argument.
    result(unsafe { syscall(abi::__NR_prctl, [option, argument, 0, 0, 0]) }).map(|_| ())
}
