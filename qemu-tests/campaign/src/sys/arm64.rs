//! This file sets what the kernel keeps of a traced process beside its registers.

use anyhow::Result;
use nix::errno::Errno;
use nix::libc;
use nix::unistd::Pid;

/// `NT_ARM_HW_BREAK` and `NT_ARM_SYSTEM_CALL` of `linux/elf.h`.
const BREAKPOINTS: usize = 0x402;
const SYSTEM_CALL: usize = 0x404;

/// Breakpoints that every processor has.
pub(crate) const BREAKPOINTS_MAX: usize = 2;

/// `struct user_hwdebug_state` of `asm/ptrace.h`, with so many breakpoints.
#[repr(C)]
struct Breakpoints {
    info: u32,
    pad: u32,
    all: [Breakpoint; BREAKPOINTS_MAX],
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Breakpoint {
    address: u64,
    control: u32,
    pad: u32,
}

const _: () = assert!(size_of::<Breakpoints>() == 8 + 16 * BREAKPOINTS_MAX);

/// Enabled, at the level of programs, on all four bytes of an instruction.
const ENABLED: u32 = 1 | 2 << 1 | 0xf << 5;

/// Has a stopped process stop before it executes what is at one of these places, each time, and
/// nowhere else that was given before.
pub(crate) fn set_breakpoints(pid: Pid, places: &[u64]) -> Result<()> {
    let mut places = places.iter();
    let mut one = || {
        let place = places.next();
        Breakpoint {
            address: place.copied().unwrap_or(0),
            control: place.map_or(0, |_| ENABLED),
            pad: 0,
        }
    };
    let mut all = Breakpoints {
        info: 0,
        pad: 0,
        all: [one(), one()],
    };
    put(pid, BREAKPOINTS, &mut all)
}

/// A call that the process was stopped before is not made, and one that was interrupted is not
/// repeated.
pub(crate) fn forget_call(pid: Pid) -> Result<()> {
    put(pid, SYSTEM_CALL, &mut -1_i32)
}

fn put<T>(pid: Pid, which: usize, value: &mut T) -> Result<()> {
    let mut vector = libc::iovec {
        iov_base: (&raw mut *value).cast(),
        iov_len: size_of::<T>(),
    };
    // SAFETY: the vector leads to as many bytes as it says, which the kernel only reads.
    let answer = unsafe {
        libc::ptrace(
            libc::PTRACE_SETREGSET as _,
            pid.as_raw(),
            which as *mut libc::c_void,
            &raw mut vector,
        )
    };
    Errno::result(answer)?;
    Ok(())
}
