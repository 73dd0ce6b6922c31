//! This file is what no crate that we use has a call for: a filter of system calls, and what of a
//! traced process on 64-bit ARM is no register of the processor's own.

#[cfg(target_arch = "aarch64")]
mod arm64;

#[cfg(target_arch = "aarch64")]
pub(crate) use arm64::{forget_call, set_breakpoints};

use nix::libc;
use std::io;

/// The youngest call of Linux 4.14. All younger ones have higher numbers, on each processor.
const YOUNGEST: u32 = libc::SYS_statx as u32;

/// 32-bit ARM has calls of its own from here on, as old as its kernels.
const PRIVATE: u32 = 0x000f_0000;

/// `SECCOMP_RET_ALLOW`, and `SECCOMP_RET_ERRNO` with ENOSYS.
const ALLOW: u32 = 0x7fff_0000;
const NOT_THERE: u32 = 0x0005_0000 | libc::ENOSYS as u32;

/// `SECCOMP_MODE_FILTER` of `linux/seccomp.h`.
const FILTER: libc::c_ulong = 2;

/// `BPF_LD | BPF_W | BPF_ABS`: the call's number is where the data begins.
const LOAD_NUMBER: libc::sock_filter = instruction(0x20, 0, [0, 0]);

const fn instruction(code: u16, value: u32, [jt, jf]: [u8; 2]) -> libc::sock_filter {
    libc::sock_filter {
        code,
        jt,
        jf,
        k: value,
    }
}

/// Goes on with the next where the number is above the value, and skips so many where it is not.
const fn only_above(value: u32, skip: u8) -> libc::sock_filter {
    instruction(0x25, value, [0, skip])
}

/// Skips so many where the number is not below the value.
const fn only_below(value: u32, skip: u8) -> libc::sock_filter {
    instruction(0x35, value, [skip, 0])
}

const fn verdict(value: u32) -> libc::sock_filter {
    instruction(0x06, value, [0, 0])
}

/// From here on this process, and all that come of it, are on a kernel that has no calls younger
/// than those of Linux 4.14; a closed pipe is told to them as it is to any process.
///
/// # Errors
/// The kernel has no filters, or we may not install one.
pub fn be_on_an_old_kernel() -> io::Result<()> {
    let mut filter = [
        LOAD_NUMBER,
        only_above(YOUNGEST, 2),
        only_below(PRIVATE, 1),
        verdict(NOT_THERE),
        verdict(ALLOW),
    ];
    let program = libc::sock_fprog {
        len: u16::try_from(filter.len()).unwrap_or(0),
        filter: filter.as_mut_ptr(),
    };
    // SAFETY: the program is as long as it says, and the kernel copies it.
    let answer = unsafe { libc::prctl(libc::PR_SET_SECCOMP, FILTER, &raw const program) };
    if answer != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the default action is no function of ours.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    Ok(())
}
