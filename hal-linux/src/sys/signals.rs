//! This file takes signals over, reads them from a descriptor, and frees a child of what it
//! inherits.

use super::fd::Fd;
use super::syscall::{result, syscall};
use init_core::event::{Errno, MachineRequest, machine_request};
use init_core::unit::Signal;
use linux_raw_sys::general as abi;

/// A set of signals as the kernel has it on every machine: bit `n - 1` stands for signal `n`.
type SignalSet = u64;

const _: () = assert!(size_of::<SignalSet>() == 8);

/// Of `linux/signalfd.h`: the flags of open, which are the same on the machines that we know.
const SFD_NONBLOCK: usize = 0o4000;
const SFD_CLOEXEC: usize = 0o2_000_000;

/// What a processor raises for a fault of the program itself, and what a program raises to end.
/// Somebody may also *send* them, which means nothing; a real one ends this program, blocked or
/// not.
const FAULTS: [u32; 7] = [
    abi::SIGILL,
    abi::SIGTRAP,
    abi::SIGABRT,
    abi::SIGBUS,
    abi::SIGFPE,
    abi::SIGSEGV,
    abi::SIGSYS,
];

/// The last signal that there is.
const LAST: u8 = 64;

/// Standard signals in [`watched`], of which the kernel keeps at most one each: whoever reads as
/// many records at once cannot be kept from one of them by a flood of the others.
pub const STANDARD_COUNT: usize = 12;

/// What is read from the descriptor: exits, requests, and faults that were sent, which are told.
///
/// All others are left to the kernel, unblocked and without a handler: for process 1 that means
/// dropped where they are sent. A flood of them costs us nothing.
fn watched() -> SignalSet {
    let asks = |number: &u8| machine_request(Signal(*number)) != MachineRequest::Ignore;
    let requests = (1..=LAST).filter(asks).map(u32::from);
    let all = requests.chain(FAULTS).chain([abi::SIGCHLD]);
    all.fold(0, |set, number| set | bit(number))
}

/// Whether a signal stands for a fault.
pub fn is_fault(number: u8) -> bool {
    FAULTS.contains(&number.into())
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

/// Gives every signal its default meaning, whatever we were started with: ignored ones would be
/// inherited by every service, and with SIGCHLD ignored no exit would ever be told. Then blocks
/// what matters to process 1, and returns a descriptor that reads it.
///
/// # Errors
/// What signalfd answers, for lack of memory or descriptors.
pub fn take_over() -> Result<Fd, Errno> {
    for number in 1..=LAST {
        // SIGKILL and SIGSTOP refuse, and need nothing.
        let _ = reset(number);
    }
    let set = watched();
    set_mask(set)?;
    super::fd::signals(set, SFD_NONBLOCK | SFD_CLOEXEC)
}

fn reset(number: u8) -> Result<usize, Errno> {
    // `struct sigaction`: the default handler, no flags, an empty mask. None is larger.
    let action = [0_u64; 4];
    let pointer = (&raw const action).expose_provenance();
    let arguments = [usize::from(number), pointer, 0, 8, 0];
    // SAFETY: the pointer leads to at least as much as is read; the old action is not asked for.
    result(unsafe { syscall(abi::__NR_rt_sigaction, arguments) })
}

/// Lets all signals through. For a child, before its program.
///
/// # Errors
/// None are known.
pub fn unblock_all() -> Result<(), Errno> {
    set_mask(0)
}

/// One record of a signal descriptor: `struct signalfd_siginfo`.
pub const RECORD_BYTES: usize = 128;

/// What is read of a record.
#[derive(Clone, Copy, Debug)]
pub struct Received {
    /// Which signal.
    pub number: u8,
    /// Who sent it; 0 is somebody outside of our namespace, or the kernel.
    pub pid: u32,
    /// For which user.
    pub uid: u32,
}

impl Received {
    /// The words at the front have the same places on every machine: signal, error, code, process,
    /// user.
    pub fn of(record: &[u8]) -> Option<Self> {
        let (words, _) = record.as_chunks();
        let word = |at: usize| words.get(at).copied().map(u32::from_ne_bytes);
        Some(Self {
            number: u8::try_from(word(0)?).ok()?,
            pid: word(3)?,
            uid: word(4)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_standard_signal_that_is_watched_fits_in_one_read() {
        let standard = watched() & ((1 << 31) - 1);
        assert_eq!(
            standard.count_ones(),
            u32::try_from(STANDARD_COUNT).unwrap_or(0)
        );
    }

    #[test]
    fn a_record_tells_signal_and_sender() {
        let mut record = [0; RECORD_BYTES];
        for (at, word) in [(0, 11_u32), (8, 7), (12, 300), (16, 1_000), (20, 9)] {
            record[at..at + 4].copy_from_slice(&word.to_ne_bytes());
        }
        let received = Received::of(&record).map(|it| (it.number, it.pid, it.uid));
        assert_eq!(received, Some((11, 300, 1_000)));
        assert!(Received::of(&record[..16]).is_none());
    }
}
