//! This file finds out, once, what this kernel has of the calls that are younger than 4.14, or that
//! containers refuse.
//!
//! Some kernels, and some containers, end a program that uses an unknown call by SIGSYS instead of
//! answering ENOSYS. So a child tries the calls; where it dies of them, all is done the older way.

use super::process::{exit, fork};
use super::syscall::syscall;
use linux_raw_sys::general as abi;

/// What is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// `close_range` (5.9).
    pub close_range: bool,
    /// `clone3` (5.3); the flag that we need came with 5.5 and shows at its first use.
    pub clone3: bool,
    /// `memfd_create` (3.17), which some containers filter.
    pub memfd: bool,
    /// A thread of the kernel's own collects sockets that were passed in a circle and forgotten
    /// (6.9). Before, whoever closes a Unix socket or sends through one does, and waits as long as
    /// what is in the circle wants.
    pub collects: bool,
}

const CLOSE_RANGE: u8 = 1;
const CLONE3: u8 = 2;
const MEMFD: u8 = 4;
const COLLECTS: u8 = 8;

impl Kernel {
    /// Asks. Waits for the child, which makes calls that do nothing.
    pub fn probe() -> Self {
        let code = match fork() {
            Ok(fork) => match fork.child() {
                None => exit(try_calls()),
                Some(pid) => exit_code(pid),
            },
            // As if nothing were there; whoever starts something will be told why it failed.
            Err(_) => None,
        };
        Self::of_bits(u32::from(code.unwrap_or(0)))
    }

    /// What the program's life before this one found out.
    pub fn of_bits(bits: u32) -> Self {
        let has = |bit: u8| bits & u32::from(bit) != 0;
        Self {
            close_range: has(CLOSE_RANGE),
            clone3: has(CLONE3),
            memfd: has(MEMFD),
            collects: has(COLLECTS),
        }
    }

    /// All of it, for the next life.
    pub fn bits(self) -> u32 {
        let bit = |there: bool, bit: u8| if there { u32::from(bit) } else { 0 };
        bit(self.close_range, CLOSE_RANGE)
            | bit(self.clone3, CLONE3)
            | bit(self.memfd, MEMFD)
            | bit(self.collects, COLLECTS)
    }
}

/// The exit code of a child, waited for; `None`: it was ended by a signal.
fn exit_code(pid: u32) -> Option<u8> {
    let mut status = 0_u32;
    let pointer = (&raw mut status).expose_provenance();
    let pid = usize::try_from(pid).unwrap_or(0);
    // SAFETY: the pointer leads to room for a status.
    let answer = unsafe { syscall(abi::__NR_wait4, [pid, pointer, 0, 0]) };
    // The low byte has the signal, the next one the code.
    let [signal, code, ..] = status.to_le_bytes();
    (answer > 0 && signal == 0).then_some(code)
}

/// Arguments that each call refuses, where it is there with this answer.
fn try_calls() -> u8 {
    let answers = |number, arguments, expected, bit| {
        // SAFETY: a range that ends before it begins, no bytes of arguments, unknown flags and
        // no name, a process number that nobody has: refused.
        let answer = unsafe { syscall(number, arguments) };
        if answer == expected { bit } else { 0 }
    };
    let nobody = [NUMBER_MAX, PIDFD_THREAD, 0, 0, 0];
    answers(abi::__NR_close_range, [1, 0, 0, 0, 0], INVALID, CLOSE_RANGE)
        | answers(abi::__NR_clone3, [0, 0, 0, 0, 0], INVALID, CLONE3)
        | answers(
            abi::__NR_memfd_create,
            [0, usize::MAX, 0, 0, 0],
            INVALID,
            MEMFD,
        )
        | answers(abi::__NR_pidfd_open, nobody, NO_PROCESS, COLLECTS)
}

/// EINVAL and ESRCH as the kernel answers them.
const INVALID: isize = -22;
const NO_PROCESS: isize = -3;

/// The largest that fits; Linux gives none above 2^22.
const NUMBER_MAX: usize = 0x7fff_ffff;

/// A flag (`O_EXCL`) that is as old as the thread which collects: before, it is refused first.
const PIDFD_THREAD: usize = 0o200;
