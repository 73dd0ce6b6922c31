//! This file blocks signals, reads them from a descriptor, and frees a child of what it inherits.

use super::fd::Fd;
use super::syscall::{result, syscall};
use init_core::event::Errno;
use linux_raw_sys::general as abi;

/// A set of signals as the kernel has it on every machine: bit `n - 1` stands for signal `n`.
type SignalSet = u64;

const _: () = assert!(size_of::<SignalSet>() == 8);

/// Of `linux/signalfd.h`: the flags of open, which are the same on the machines that we know.
const SFD_NONBLOCK: usize = 0o4000;
const SFD_CLOEXEC: usize = 0o2_000_000;

/// What a processor raises for a fault of the program itself. Blocked, they would be lost or kill.
const FAULTS: [u32; 6] = [
    abi::SIGILL,
    abi::SIGTRAP,
    abi::SIGABRT,
    abi::SIGBUS,
    abi::SIGFPE,
    abi::SIGSEGV,
];

fn all_but_faults() -> SignalSet {
    FAULTS.iter().fold(!0, |set, signal| set & !bit(*signal))
}

fn bit(signal: u32) -> SignalSet {
    1_u64.checked_shl(signal.wrapping_sub(1)).unwrap_or(0)
}

/// Blocks every signal; what was blocked before.
pub fn block_all() -> Blocked {
    let mut before: SignalSet = 0;
    let set = !0_u64;
    let how = usize::try_from(abi::SIG_SETMASK).unwrap_or(0);
    let (new, old) = (&raw const set, &raw mut before);
    let arguments = [how, new.expose_provenance(), old.expose_provenance(), 8, 0];
    // SAFETY: both pointers lead to sets of the size that is given.
    unsafe { syscall(abi::__NR_rt_sigprocmask, arguments) };
    Blocked(before)
}

/// The signals that were blocked at some time.
#[derive(Clone, Copy, Debug)]
pub struct Blocked(SignalSet);

impl Blocked {
    /// Blocks these and no others. For a child, before its program.
    pub fn restore(self) {
        // Known to fail for bad pointers only.
        let _ = set_mask(self.0);
    }
}

fn set_mask(set: SignalSet) -> Result<(), Errno> {
    let how = usize::try_from(abi::SIG_SETMASK).unwrap_or(0);
    let pointer = (&raw const set).expose_provenance();
    // SAFETY: the pointer leads to a set of the size that is given; the old set is not asked for.
    let answer = unsafe { syscall(abi::__NR_rt_sigprocmask, [how, pointer, 0, 8, 0]) };
    result(answer).map(|_| ())
}

/// Blocks every signal but the processor's faults, and returns a descriptor that reads them.
///
/// # Errors
/// What signalfd answers, for lack of memory or descriptors.
pub fn take_over() -> Result<Fd, Errno> {
    let set = all_but_faults();
    set_mask(set)?;
    super::fd::signals(set, SFD_NONBLOCK | SFD_CLOEXEC)
}

/// Lets all signals through. For a child, before its program.
///
/// # Errors
/// None are known.
pub fn unblock_all() -> Result<(), Errno> {
    set_mask(0)
}

/// One record of a signal descriptor.
/// (`struct signalfd_siginfo`, the signal's number first: the same on every machine.)
pub const RECORD_BYTES: usize = 128;
