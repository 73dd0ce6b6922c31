//! This file finds out, once, what this kernel has of the calls that are younger than 4.14.
//!
//! Some kernels, and some containers, end a program that uses an unknown call by SIGSYS instead of
//! answering ENOSYS. So a child tries the calls; where it dies of them, all is done the older way.

use super::process::{Fork, exit, fork};
use super::syscall::syscall;
use linux_raw_sys::general as abi;
use rustix::process::{Pid, WaitOptions, waitpid};

/// What is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// `close_range` (5.9).
    pub close_range: bool,
    /// `clone3` (5.3); the flag that we need came with 5.5 and shows at its first use.
    pub clone3: bool,
}

const CLOSE_RANGE: u8 = 1;
const CLONE3: u8 = 2;

impl Kernel {
    /// Asks. Waits for the child, which makes two calls that do nothing.
    pub fn probe() -> Self {
        let code = match fork() {
            Ok(Fork::Child) => exit(try_calls()),
            Ok(Fork::Parent(pid)) => exit_code(pid),
            // As if nothing were there; whoever starts something will be told why it failed.
            Err(_) => None,
        };
        let code = code.unwrap_or(0);
        Self {
            close_range: code & CLOSE_RANGE != 0,
            clone3: code & CLONE3 != 0,
        }
    }
}

fn exit_code(pid: u32) -> Option<u8> {
    let pid = Pid::from_raw(i32::try_from(pid).ok()?)?;
    loop {
        match waitpid(Some(pid), WaitOptions::empty()) {
            Ok(answer) => return u8::try_from(answer?.1.exit_status()?).ok(),
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return None,
        }
    }
}

/// Arguments that each call refuses: EINVAL tells that it is there.
fn try_calls() -> u8 {
    let is_there = |number, arguments, bit| {
        // SAFETY: a range that ends before it begins, and arguments of no bytes: refused.
        let answer = unsafe { syscall(number, arguments) };
        if answer == INVALID { bit } else { 0 }
    };
    is_there(abi::__NR_close_range, [1, 0, 0, 0, 0], CLOSE_RANGE)
        | is_there(abi::__NR_clone3, [0, 0, 0, 0, 0], CLONE3)
}

/// EINVAL as the kernel answers it.
const INVALID: isize = -22;
