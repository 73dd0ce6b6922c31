//! This file changes where a stopped process goes on: its program counter and its stack.

use anyhow::Result;
use nix::sys::ptrace;
use nix::unistd::Pid;

/// Processors on which every instruction may be stopped at.
#[cfg(not(target_arch = "aarch64"))]
mod anywhere {
    use super::{Pid, Result};

    pub(super) fn exits(_: Pid) -> Result<Vec<u64>> {
        Ok(Vec::new())
    }

    pub(super) fn set_exits(_: Pid, _: &[u64]) -> Result<()> {
        Ok(())
    }
}

/// Where the process has its stack.
pub(crate) fn stack(pid: Pid) -> Result<u64> {
    own::stack(pid)
}

/// Lets the process go on at `counter`, with its stack at `stack` or where it is. A call that it is
/// in is not repeated.
pub(crate) fn set(pid: Pid, counter: u64, stack: Option<u64>) -> Result<()> {
    own::set(pid, counter, stack)
}

/// Where the process is.
pub(crate) fn counter(pid: Pid) -> Result<u64> {
    own::counter(pid)
}

/// Whether a process that is let go from a breakpoint has passed it: otherwise it is stopped there
/// again.
pub(crate) const PASSES_BREAKPOINTS: bool = cfg!(target_arch = "x86_64");

/// Where the process is to be stopped next in the place of its next instruction, if that begins
/// what no stop may interrupt.
pub(crate) fn exits(pid: Pid) -> Result<Vec<u64>> {
    own::exits(pid)
}

/// Has the process stop at these places.
pub(crate) fn set_exits(pid: Pid, places: &[u64]) -> Result<()> {
    own::set_exits(pid, places)
}

/// Has the process stop whenever it comes to `place`, or no longer.
pub(crate) fn set_breakpoint(pid: Pid, place: Option<u64>) -> Result<()> {
    own::set_breakpoint(pid, place)
}

/// What no other processor's sweep is written for.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
mod followed {
    use super::{Pid, Result};

    const WHY: &str = "sweeps are written for x86-64 and 64-bit ARM only";

    pub(super) fn counter(_: Pid) -> Result<u64> {
        anyhow::bail!(WHY)
    }

    pub(super) fn set_breakpoint(_: Pid, _: Option<u64>) -> Result<()> {
        anyhow::bail!(WHY)
    }
}

#[cfg(target_arch = "x86_64")]
mod own {
    pub(super) use super::anywhere::{exits, set_exits};
    use super::{Pid, Result, ptrace};
    use nix::libc;
    use std::mem::offset_of;

    /// Of the first breakpoint, where in the last register.
    const ENABLED: i64 = 1;
    const CONTROL: usize = 7;

    pub(super) fn counter(pid: Pid) -> Result<u64> {
        Ok(ptrace::getregs(pid)?.rip)
    }

    pub(super) fn set_breakpoint(pid: Pid, place: Option<u64>) -> Result<()> {
        let register = |number: usize| {
            let offset = offset_of!(libc::user, u_debugreg) + number * size_of::<u64>();
            offset as ptrace::AddressType
        };
        ptrace::write_user(pid, register(CONTROL), 0)?;
        if let Some(place) = place {
            ptrace::write_user(pid, register(0), place.cast_signed())?;
            ptrace::write_user(pid, register(CONTROL), ENABLED)?;
        }
        Ok(())
    }

    pub(super) fn stack(pid: Pid) -> Result<u64> {
        Ok(ptrace::getregs(pid)?.rsp)
    }

    pub(super) fn set(pid: Pid, counter: u64, stack: Option<u64>) -> Result<()> {
        let mut registers = ptrace::getregs(pid)?;
        // Otherwise the kernel would move the program counter back to repeat an interrupted call.
        registers.orig_rax = u64::MAX;
        registers.rip = counter;
        registers.rsp = stack.unwrap_or(registers.rsp);
        Ok(ptrace::setregs(pid, registers)?)
    }
}

#[cfg(target_arch = "aarch64")]
mod own {
    use super::{Pid, Result, ptrace};
    use crate::exclusive;
    pub(super) use crate::sys::set_breakpoints as set_exits;
    use crate::sys::{forget_call, set_breakpoints};

    pub(super) fn exits(pid: Pid) -> Result<Vec<u64>> {
        let code = |place: u64| {
            let word = ptrace::read(pid, usize::try_from(place).ok()? as ptrace::AddressType);
            let [a, b, c, d, ..] = word.ok()?.to_le_bytes();
            Some(u32::from_le_bytes([a, b, c, d]))
        };
        Ok(exclusive::exits(counter(pid)?, code))
    }

    pub(super) fn set_breakpoint(pid: Pid, place: Option<u64>) -> Result<()> {
        set_breakpoints(pid, place.as_slice())
    }

    pub(super) fn counter(pid: Pid) -> Result<u64> {
        Ok(ptrace::getregs(pid)?.pc)
    }

    pub(super) fn stack(pid: Pid) -> Result<u64> {
        Ok(ptrace::getregs(pid)?.sp)
    }

    pub(super) fn set(pid: Pid, counter: u64, stack: Option<u64>) -> Result<()> {
        let mut registers = ptrace::getregs(pid)?;
        registers.pc = counter;
        registers.sp = stack.unwrap_or(registers.sp);
        ptrace::setregs(pid, registers)?;
        forget_call(pid)
    }
}

/// A kernel for 32-bit ARM repeats a call only where the program counter was left alone.
#[cfg(target_arch = "arm")]
mod own {
    pub(super) use super::anywhere::{exits, set_exits};
    pub(super) use super::followed::{counter, set_breakpoint};
    use super::{Pid, Result, ptrace};
    use std::ffi::c_long;

    /// Of `struct pt_regs`.
    const STACK: usize = 13;
    const COUNTER: usize = 15;
    const STATUS: usize = 16;

    /// The state of T32 instructions, and where in a block of conditional ones the processor is.
    const T32: c_long = 0x0600_fc20;

    fn place(register: usize) -> ptrace::AddressType {
        (register * size_of::<c_long>()) as ptrace::AddressType
    }

    fn put(pid: Pid, register: usize, value: u64) -> Result<()> {
        let value = u32::try_from(value)?.cast_signed();
        Ok(ptrace::write_user(pid, place(register), value)?)
    }

    pub(super) fn stack(pid: Pid) -> Result<u64> {
        let value = ptrace::read_user(pid, place(STACK))?;
        Ok(u64::from(value.cast_unsigned()))
    }

    pub(super) fn set(pid: Pid, counter: u64, stack: Option<u64>) -> Result<()> {
        let status = ptrace::read_user(pid, place(STATUS))? & !T32;
        ptrace::write_user(pid, place(STATUS), status)?;
        if let Some(stack) = stack {
            put(pid, STACK, stack)?;
        }
        put(pid, COUNTER, counter)
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "arm")))]
mod own {
    pub(super) use super::anywhere::{exits, set_exits};
    pub(super) use super::followed::{counter, set_breakpoint};
    use super::{Pid, Result};

    pub(super) fn stack(_: Pid) -> Result<u64> {
        anyhow::bail!("no faults are written for this processor")
    }

    pub(super) fn set(pid: Pid, _: u64, _: Option<u64>) -> Result<()> {
        stack(pid).map(|_| ())
    }
}
