//! This file is process groups, the terminal that one of them has, and what a process asks of the
//! kernel about its parent and its orphans.

use super::syscall::{result, syscall};
use linux_raw_sys::general as abi;

/// Ioctls of `asm-generic/ioctls.h`.
const TIOCGPGRP: usize = 0x540f;
const TIOCSPGRP: usize = 0x5410;
/// Of `linux/prctl.h`.
const PR_SET_PDEATHSIG: usize = 1;
const PR_SET_CHILD_SUBREAPER: usize = 36;

fn word(value: u32) -> usize {
    usize::try_from(value).unwrap_or(0)
}

/// This process's number.
pub fn own_pid() -> u32 {
    // SAFETY: there is no pointer.
    let answer = unsafe { syscall(abi::__NR_getpid, []) };
    u32::try_from(answer).unwrap_or(0)
}

/// The group of a process, 0 for one's own; `None`: there is no such process.
pub fn of(pid: u32) -> Option<u32> {
    // SAFETY: there is no pointer.
    let answer = unsafe { syscall(abi::__NR_getpgid, [word(pid)]) };
    u32::try_from(result(answer).ok()?).ok()
}

/// Makes a process the leader of a group of its own, 0 for oneself. Fails for a child that already
/// executed its program: then it did so itself before.
pub fn lead(pid: u32) {
    // SAFETY: there is no pointer.
    unsafe { syscall(abi::__NR_setpgid, [word(pid), word(pid)]) };
}

/// The group in front of the terminal at descriptor 0, as far as it is this process's own.
pub fn of_terminal() -> Option<u32> {
    let mut group = 0_u32;
    let pointer = (&raw mut group).expose_provenance();
    // SAFETY: the pointer leads to room for a process number.
    let answer = unsafe { syscall(abi::__NR_ioctl, [0, TIOCGPGRP, pointer]) };
    result(answer).ok().map(|_| group)
}

/// Puts a group in front of the terminal at descriptor 0. SIGTTOU is blocked: else the kernel
/// stops who does this from behind.
pub fn give_terminal(group: u32) {
    let pointer = (&raw const group).expose_provenance();
    // SAFETY: the pointer leads to a process number.
    unsafe { syscall(abi::__NR_ioctl, [0, TIOCSPGRP, pointer]) };
}

/// From now on, orphans below this process become its children.
pub fn adopt_orphans() {
    // SAFETY: there is no pointer.
    unsafe { syscall(abi::__NR_prctl, [PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0]) };
}

/// This process is sent the signal when its parent ends.
pub fn signal_at_parents_end(signal: u8) {
    // SAFETY: there is no pointer.
    unsafe {
        syscall(
            abi::__NR_prctl,
            [PR_SET_PDEATHSIG, usize::from(signal), 0, 0, 0],
        )
    };
}
