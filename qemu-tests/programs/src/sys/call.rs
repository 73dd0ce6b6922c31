//! This file is the system calls of these programs.
//!
//! A call that fails has no remedy in a measurement: its negative answer is handed back, and what
//! depends on it does not happen, which the harness sees.

use super::syscall::syscall;
use core::ffi::{CStr, c_char};
use linux_raw_sys::general as abi;
// Where a word is 32 bits, the calls that have times of 64 bits, as everywhere else.
#[cfg(target_pointer_width = "64")]
use abi::{__NR_clock_gettime as CLOCK_GETTIME, __NR_clock_nanosleep as CLOCK_NANOSLEEP};
#[cfg(target_pointer_width = "32")]
use abi::{__NR_clock_gettime64 as CLOCK_GETTIME, __NR_clock_nanosleep_time64 as CLOCK_NANOSLEEP};

/// Arguments or environment as the kernel has them: pointers up to a null.
pub type Vector = *const *const c_char;

/// Nanoseconds of CLOCK_MONOTONIC.
pub fn now_ns() -> u64 {
    let mut time = [0_u64; 2];
    let at = (&raw mut time) as usize;
    // SAFETY: the time is two numbers of 64 bits, which are ours.
    unsafe { syscall(CLOCK_GETTIME, [abi::CLOCK_MONOTONIC as usize, at, 0, 0, 0]) };
    time[0].wrapping_mul(1_000_000_000).wrapping_add(time[1])
}

/// Opens a file that exists, to append to it.
pub fn open_append(file: &CStr) -> isize {
    let flags = (abi::O_WRONLY | abi::O_APPEND | abi::O_CLOEXEC) as usize;
    let here = abi::AT_FDCWD as usize;
    // SAFETY: the text ends with a nul.
    unsafe {
        syscall(
            abi::__NR_openat,
            [here, file.as_ptr() as usize, flags, 0, 0],
        )
    }
}

/// Writes bytes.
pub fn write(file: isize, from: *const u8, byte_count: usize) {
    // SAFETY: the kernel only reads, and answers EFAULT where it cannot.
    unsafe {
        syscall(
            abi::__NR_write,
            [file as usize, from as usize, byte_count, 0, 0],
        )
    };
}

/// Reads a number that was written as a whole; nothing once all is read and nobody writes any more.
pub fn read_number(file: isize) -> Option<u32> {
    let mut number = 0_u32;
    let at = (&raw mut number) as usize;
    let size = size_of::<u32>();
    // SAFETY: the number is that long.
    let count = unsafe { syscall(abi::__NR_read, [file as usize, at, size, 0, 0]) };
    (count as usize == size).then_some(number)
}

/// A pipe: where it is read, and where it is written to.
pub fn pipe() -> [isize; 2] {
    let mut ends = [-1_i32; 2];
    let at = (&raw mut ends) as usize;
    // SAFETY: two descriptors have room.
    unsafe { syscall(abi::__NR_pipe2, [at, 0, 0, 0, 0]) };
    ends.map(|end| end as isize)
}

/// Closes a descriptor.
pub fn close(file: isize) {
    // SAFETY: no pointer.
    unsafe { syscall(abi::__NR_close, [file as usize, 0, 0, 0, 0]) };
}

/// The number of this process.
pub fn own_pid() -> u64 {
    // SAFETY: no pointer.
    unsafe { syscall(abi::__NR_getpid, [0; 5]) as u64 }
}

/// The current folder, with its nul.
pub fn current_folder(into: &mut [u8; 256]) {
    let at = into.as_mut_ptr() as usize;
    // SAFETY: the array is that long.
    unsafe { syscall(abi::__NR_getcwd, [at, into.len(), 0, 0, 0]) };
}

/// Lets a mount go as soon as nobody uses it.
pub fn detach(folder: &CStr) {
    let at = folder.as_ptr() as usize;
    // SAFETY: the text ends with a nul.
    unsafe { syscall(abi::__NR_umount2, [at, abi::MNT_DETACH as usize, 0, 0, 0]) };
}

/// Blocks the signals whose bits are set (bit `n - 1` for signal `n`), and no others.
pub fn block(set: u64) {
    let at = (&raw const set) as usize;
    let how = abi::SIG_SETMASK as usize;
    // SAFETY: a set is 8 bytes, and the old one is not asked for.
    unsafe { syscall(abi::__NR_rt_sigprocmask, [how, at, 0, 8, 0]) };
}

/// Waits for a signal of the set, all of which are blocked.
pub fn wait_for_signal(set: u64) {
    let at = (&raw const set) as usize;
    // SAFETY: a set is 8 bytes; neither information nor a limit is asked for.
    while unsafe { syscall(abi::__NR_rt_sigtimedwait, [at, 0, 0, 8, 0]) } < 0 {}
}

/// Waits for the end of a child, and reaps it: its number and its status as wait4 has it.
pub fn wait_for_child() -> (isize, u32) {
    let mut status = 0_u32;
    let at = (&raw mut status) as usize;
    // SAFETY: the status is a word of ours; no usage is asked for.
    let pid = unsafe { syscall(abi::__NR_wait4, [usize::MAX, at, 0, 0, 0]) };
    (pid, status)
}

/// Forks: 0 in the child, its number in the parent, negative if there is none.
pub fn fork() -> isize {
    // SAFETY: no memory is shared; these programs have one thread.
    unsafe { syscall(abi::__NR_clone, [abi::SIGCHLD as usize, 0, 0, 0, 0]) }
}

/// Sends a signal; 0 looks whether there is a recipient.
pub fn kill(pid: isize, signal: u32) -> isize {
    // SAFETY: no pointer.
    unsafe { syscall(abi::__NR_kill, [pid as usize, signal as usize, 0, 0, 0]) }
}

/// Makes this process the leader of a process group.
pub fn lead_group() {
    // SAFETY: no pointer.
    unsafe { syscall(abi::__NR_setpgid, [0, 0, 0, 0, 0]) };
}

/// Sleeps.
pub fn sleep_ns(ns: u64) {
    let time = [ns / 1_000_000_000, ns % 1_000_000_000];
    let at = (&raw const time) as usize;
    // SAFETY: the time is two numbers of 64 bits; the rest of it is not asked for.
    unsafe {
        syscall(
            CLOCK_NANOSLEEP,
            [abi::CLOCK_MONOTONIC as usize, 0, at, 0, 0],
        )
    };
}

/// Replaces this program by another. Returns only on failure.
///
/// # Safety
/// Arguments and environment are strings that end with nuls, up to a null.
pub unsafe fn execute(program: *const c_char, arguments: Vector, environment: Vector) {
    let vectors = [
        program as usize,
        arguments as usize,
        environment as usize,
        0,
        0,
    ];
    // SAFETY: the caller vouches for the vectors.
    unsafe { syscall(abi::__NR_execve, vectors) };
}

/// Ends this process.
pub fn exit(code: u8) -> ! {
    loop {
        // SAFETY: no pointer.
        unsafe { syscall(abi::__NR_exit_group, [usize::from(code), 0, 0, 0, 0]) };
    }
}
