//! This file is what the kernel does with words of shared memory: it wakes who waits for a word to
//! change, and marks a word when a process executes its program.
//!
//! The mark is that of a robust futex, which the kernel takes from an owner that executes a program
//! or ends. It reaches a word of shared memory whoever shares the rest, also where the process that
//! made the child has executed its own image again meanwhile: neither a descriptor nor a call is
//! needed to learn of it.

use super::process::execute;
use super::syscall::syscall;
use core::ffi::CStr;
use core::sync::atomic::{AtomicU32, Ordering};
use init_core::event::Errno;
use init_core::unit::Arguments;
use linux_raw_sys::general as abi;

/// The kernel's mark.
pub const EXECUTED: u32 = abi::FUTEX_OWNER_DIED;

/// Bits of a word that say who has it.
pub const OWNER: u32 = abi::FUTEX_TID_MASK;

/// `struct robust_list_head` of `linux/futex.h`: a list, which is empty as long as it leads to
/// itself, the distance from its entries to their words, and one more entry.
#[repr(C)]
struct Head([usize; 3]);

/// How long process 1 waits for a child on its way to its program: others' programs may lie on a
/// file system that never answers.
const PATIENCE_NS: usize = 1_000_000;

/// Sleeps until the kernel says that it has changed a word, a millisecond at most, and not at all
/// if it no longer has this value or the kernel has no such call.
pub fn wait(word: &'static AtomicU32, value: u32) {
    // Seconds and nanoseconds, as long as the machine's own words: see `clock.rs`.
    let time = [0, PATIENCE_NS];
    let number = |number: u32| usize::try_from(number).unwrap_or(0);
    let arguments = [
        word.as_ptr().expose_provenance(),
        number(abi::FUTEX_WAIT),
        number(value),
        time.as_ptr().expose_provenance(),
        0,
    ];
    // SAFETY: the word is there as long as the program is, the time as long as the call takes. An
    // error is a wait that is over.
    let _ = unsafe { syscall(abi::__NR_futex, arguments) };
}

/// As [`execute`], and sets [`EXECUTED`] in the word. For a process whose number is given the
/// kernel does, when the program is executed or the process ends, and wakes who waits for the word.
/// For others, and on kernels without robust futexes, it is set before.
pub fn execute_marked(
    program: &CStr,
    arguments: Arguments,
    environment: Arguments,
    word: &'static AtomicU32,
    pid: Option<u32>,
) -> Errno {
    let mut head = Head([0, 0, word.as_ptr().expose_provenance()]);
    let address = (&raw mut head).expose_provenance();
    let Head([first, ..]) = &mut head;
    *first = address;
    // Somebody may wait for it.
    let value = pid.map_or(EXECUTED, |pid| pid | abi::FUTEX_WAITERS);
    word.store(value, Ordering::Release);
    let set = |address: usize| {
        let arguments = [address, size_of::<Head>(), 0, 0, 0];
        // SAFETY: the kernel reads the head when the program is executed, which is below, or when
        // this process ends, by which time it has been told that there is none.
        unsafe { syscall(abi::__NR_set_robust_list, arguments) }
    };
    if pid.is_some() && set(address) != 0 {
        word.store(EXECUTED, Ordering::Release);
    }
    let error = execute(program, arguments, environment);
    if pid.is_some() {
        set(0);
    }
    error
}
