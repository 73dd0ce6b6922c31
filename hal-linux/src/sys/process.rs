//! This file creates, replaces and ends processes.

use super::kernel::Kernel;
use super::syscall::{pid, result, syscall};
use core::ffi::CStr;
use core::sync::atomic::AtomicU32;
use init_core::event::Errno;
use init_core::unit::Arguments;
use linux_raw_sys::general as abi;

/// `CLOSE_RANGE_CLOEXEC` of `linux/close_range.h`.
const CLOSE_RANGE_CLOEXEC: usize = 1 << 2;

/// How far an older kernel lets us look for inherited descriptors, one by one: as many as Linux
/// lets a process 1 have. 4 096 looks take half a millisecond.
const INHERITED_MAX: u16 = 4_096;

/// Which side of a fork one is on, as the kernel tells it: the child's number, or 0.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct Fork(u32);

impl Fork {
    /// In the old process the child's number. `None`: this is the new process, which must end in
    /// [`execute`] or [`exit`] and never return.
    pub fn child(self) -> Option<u32> {
        (self.0 != 0).then_some(self.0)
    }
}

static UNUSED: AtomicU32 = AtomicU32::new(0);

/// Creates a copy of this process. Safe to call because process 1 has one thread: the copy has all
/// of it, and no lock can be held by a thread that the copy lacks.
///
/// # Errors
/// EAGAIN: no free process number or a limit; ENOMEM.
pub fn fork() -> Result<Fork, Errno> {
    fork_noted(&UNUSED)
}

/// As [`fork`]; the kernel writes the child's number into the word before this process goes on, so
/// that it is known whatever happens to us next.
///
/// # Errors
/// As those of [`fork`].
#[inline(never)]
pub fn fork_noted(number: &'static AtomicU32) -> Result<Fork, Errno> {
    fork_with(abi::SIGCHLD | abi::CLONE_PARENT_SETTID, number)
}

fn fork_with(flags: u32, number: &'static AtomicU32) -> Result<Fork, Errno> {
    let flags = usize::try_from(flags).unwrap_or(0);
    let word = number.as_ptr().expose_provenance();
    // SAFETY: without CLONE_VM the child gets memory of its own and the same stack contents; the
    // word may be written at any time.
    let answer = unsafe { syscall(abi::__NR_clone, [flags, 0, word, 0, 0]) };
    Ok(Fork(pid(result(answer)?)))
}

/// As [`fork_noted`]; this child is apart from all others: its end sends no signal, and who waits
/// for just any child does not see it. See [`super::wait::apart`].
///
/// # Errors
/// As those of [`fork`].
pub fn fork_apart(number: &'static AtomicU32) -> Result<Fork, Errno> {
    fork_with(abi::CLONE_PARENT_SETTID, number)
}

/// As [`fork`]; this child has the same descriptors, not copies: what it closes, nobody has any
/// more, and who waits for that is the child.
///
/// # Errors
/// As those of [`fork`].
pub fn fork_sharing() -> Result<Fork, Errno> {
    fork_with(abi::SIGCHLD | abi::CLONE_FILES, &UNUSED)
}

/// Replaces this process by a program. Returns only on failure.
#[inline]
pub fn execute(program: &CStr, arguments: Arguments, environment: Arguments) -> Errno {
    if arguments.last().is_none_or(Option::is_some)
        || environment.last().is_none_or(Option::is_some)
    {
        // A vector without its final null would let the kernel read on.
        return Errno(abi_errno(linux_raw_sys::errno::EINVAL));
    }
    let vectors = [
        program.as_ptr().expose_provenance(),
        arguments.as_ptr().expose_provenance(),
        environment.as_ptr().expose_provenance(),
        0,
        0,
    ];
    // SAFETY: both vectors end with a null, checked above, and lead to nul-terminated strings, as
    // `Arguments` promises.
    let answer = unsafe { syscall(abi::__NR_execve, vectors) };
    result(answer).err().unwrap_or(Errno(0))
}

/// Ends this process.
pub fn exit(code: u8) -> ! {
    loop {
        // SAFETY: ends the process; there is no pointer.
        unsafe { syscall(abi::__NR_exit_group, [usize::from(code)]) };
    }
}

/// Makes root's name the own, for who has the right to it.
pub fn be_root() {
    // SAFETY: there is no pointer, and one thread.
    unsafe { syscall(abi::__NR_setuid, [0]) };
}

/// Sends a signal, by its number, to a process.
///
/// # Errors
/// ESRCH: there is none; also for 0 and 1, which would be others than meant.
pub fn signal(pid: u32, signal: u8) -> Result<(), Errno> {
    kill(recipient(pid)?, signal)
}

/// Sends process 1 a signal, by its number: what it has blocked stays pending, whatever happens to
/// it next.
///
/// # Errors
/// EINVAL: there is no such signal.
pub fn signal_init(signal: u8) -> Result<(), Errno> {
    kill(1, signal)
}

/// Starts the machine anew and hands a word to the kernel's drivers. Returns only if refused.
///
/// # Errors
/// EPERM: without the right to.
pub fn restart(word: &CStr) -> Result<(), Errno> {
    let pointer = word.as_ptr().expose_provenance();
    let number = |number: u32| usize::try_from(number).unwrap_or(0);
    let arguments = [
        number(abi::LINUX_REBOOT_MAGIC1),
        number(abi::LINUX_REBOOT_MAGIC2),
        number(abi::LINUX_REBOOT_CMD_RESTART2),
        pointer,
        0,
    ];
    // SAFETY: the pointer leads to a nul-terminated string.
    result(unsafe { syscall(abi::__NR_reboot, arguments) }).map(drop)
}

/// Sends a signal, by its number, to a process group.
///
/// # Errors
/// ESRCH: there is none; also for 0 and 1, which would be others than meant.
pub fn signal_group(pid: u32, signal: u8) -> Result<(), Errno> {
    kill(recipient(pid)?.wrapping_neg(), signal)
}

fn recipient(pid: u32) -> Result<usize, Errno> {
    let number = usize::try_from(pid).ok().filter(|pid| *pid > 1);
    number.ok_or(Errno(abi_errno(linux_raw_sys::errno::ESRCH)))
}

fn kill(recipient: usize, signal: u8) -> Result<(), Errno> {
    // SAFETY: there is no pointer.
    let answer = unsafe { syscall(abi::__NR_kill, [recipient, usize::from(signal)]) };
    result(answer).map(|_| ())
}

/// Sends a signal to every process that this one may reach, but itself.
///
/// # Errors
/// ESRCH: there is none.
pub fn signal_all(signal: u8) -> Result<(), Errno> {
    // -1 means everyone but process 1 and the caller.
    kill(usize::MAX, signal)
}

/// Switches swapping on a device or file off.
///
/// # Errors
/// What swapoff answers.
pub fn swap_off(path: &CStr) -> Result<(), Errno> {
    let pointer = path.as_ptr().expose_provenance();
    // SAFETY: the pointer leads to a nul-terminated string.
    let answer = unsafe { syscall(abi::__NR_swapoff, [pointer]) };
    result(answer).map(|_| ())
}

/// Sees to it that no program gets a descriptor from `first` on that we inherited.
///
/// Where the kernel has no call for it (before 5.11), one descriptor after the other, up to
/// [`INHERITED_MAX`].
pub fn close_on_exec_from(first: u16, kernel: Kernel) {
    // SAFETY: there is no pointer; nothing is closed in this process.
    if kernel.close_range && unsafe { close_range(first, u16::MAX, CLOSE_RANGE_CLOEXEC) }.is_ok() {
        return;
    }
    for number in first..INHERITED_MAX {
        let command = usize::try_from(abi::F_SETFD).unwrap_or(0);
        let arguments = [usize::from(number), command, 1, 0, 0];
        // SAFETY: there is no pointer; a number without a descriptor is refused.
        unsafe { syscall(super::fd::FCNTL, arguments) };
    }
}

/// Closes the descriptors from `first` on, but `kept`. For a child, whose copies nobody uses.
/// What this process inherited beyond `highest`, the last of its own, may be left to exec.
pub fn close_from(first: u16, kept: Option<u16>, highest: u16, kernel: Kernel) {
    let Some(kept) = kept.filter(|kept| *kept >= first) else {
        return close_between(first, u16::MAX, highest, kernel);
    };
    if kept > first {
        close_between(first, kept.saturating_sub(1), highest, kernel);
    }
    if kept < highest {
        close_between(kept.saturating_add(1), u16::MAX, highest, kernel);
    }
}

fn close_between(first: u16, last: u16, highest: u16, kernel: Kernel) {
    // SAFETY: there is no pointer; the child never returns to who owns them.
    if kernel.close_range && unsafe { close_range(first, last, 0) }.is_ok() {
        return;
    }
    for number in first..=last.min(highest) {
        // SAFETY: as above.
        unsafe { syscall(abi::__NR_close, [usize::from(number)]) };
    }
}

/// # Safety
/// Without the flag, nobody uses a descriptor from `first` to `last` again.
unsafe fn close_range(first: u16, last: u16, flag: usize) -> Result<(), Errno> {
    let last = match last {
        u16::MAX => usize::try_from(u32::MAX).unwrap_or(usize::MAX),
        last => usize::from(last),
    };
    let arguments = [usize::from(first), last, flag, 0, 0];
    // SAFETY: there is no pointer; the caller vouches for the descriptors.
    let answer = unsafe { syscall(abi::__NR_close_range, arguments) };
    result(answer).map(|_| ())
}

/// Says whether a fault may leave a core file of this program, and whether others may trace it.
///
/// # Errors
/// None are known.
pub fn set_dumpable(dumpable: bool) -> Result<(), Errno> {
    let option = usize::try_from(linux_raw_sys::prctl::PR_SET_DUMPABLE).unwrap_or(0);
    let arguments = [option, usize::from(dumpable), 0, 0, 0];
    // SAFETY: there is no pointer.
    result(unsafe { syscall(abi::__NR_prctl, arguments) }).map(|_| ())
}

fn abi_errno(number: u32) -> u16 {
    u16::try_from(number).unwrap_or(u16::MAX)
}

/// Makes descriptor `to` lead where `from` does; whatever `to` was is closed. For a child that is
/// about to become another program, where nobody owns `to`, and for standard descriptors.
///
/// # Errors
/// EBADF, EMFILE.
pub fn duplicate_to(from: u16, to: u16) -> Result<(), Errno> {
    let arguments = [usize::from(from), usize::from(to), 0, 0, 0];
    // SAFETY: there is no pointer; ownership of `to` is the caller's matter, as documented.
    let answer = unsafe { syscall(abi::__NR_dup3, arguments) };
    result(answer).map(|_| ())
}
