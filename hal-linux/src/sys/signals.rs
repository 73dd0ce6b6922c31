//! This file takes signals over, reads them from a descriptor, and frees a child of what it
//! inherits.

use super::fd::Fd;
use super::syscall::{result, syscall};
use super::wait::{DUMPED, EXITED};
use init_core::event::{Errno, MachineRequest, machine_request};
use init_core::unit::Signal;
use linux_raw_sys::general as abi;

/// A set of signals as the kernel has it on every machine: bit `n - 1` stands for signal `n`.
pub type SignalSet = u64;

const _: () = assert!(size_of::<SignalSet>() == 8);

/// Of `linux/signalfd.h`: the flags of open, which are the same on the machines that we know.
const SFD_NONBLOCK: usize = 0o4000;
const SFD_CLOEXEC: usize = 0o2_000_000;

/// The last signal that there is.
pub const LAST: u8 = 64;

/// Standard signals in [`WATCHED`], of which the kernel keeps at most one each: whoever reads as
/// many records at once cannot be kept from one of them by a flood of the others.
pub const STANDARD_COUNT: usize = 5;

/// What is read from the descriptor: exits and requests. Faults go to their handler.
///
/// All others are left to the kernel, unblocked and without a handler: for process 1 that means
/// dropped where they are sent. A flood of them costs us nothing.
const WATCHED: SignalSet = {
    let mut set = 1 << (abi::SIGCHLD - 1);
    let mut number = 1;
    while number <= LAST {
        if !matches!(machine_request(Signal(number)), MachineRequest::Ignore) {
            set |= 1 << (number - 1);
        }
        number += 1;
    }
    set
};

/// The signals that wait to be taken.
pub fn pending() -> SignalSet {
    let mut set: SignalSet = 0;
    let pointer = (&raw mut set).expose_provenance();
    // SAFETY: the pointer leads to room for a set of the size that is given.
    unsafe { syscall(abi::__NR_rt_sigpending, [pointer, 8]) };
    set
}

/// A signal in a set.
pub fn bit(number: u8) -> SignalSet {
    1_u64.rotate_left(u32::from(number).wrapping_sub(1))
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
    let answer = unsafe { syscall(abi::__NR_rt_sigprocmask, [how, pointer, 0, 8]) };
    result(answer).map(|_| ())
}

/// Gives every signal but faults its default meaning, whatever we were started with: ignored ones
/// would be inherited by every service, and with SIGCHLD ignored no exit would ever be told. Then
/// blocks what matters to process 1, and returns a descriptor that reads it.
///
/// # Errors
/// What signalfd answers, for lack of memory or descriptors.
pub fn take_over() -> Result<Fd, Errno> {
    for number in 1..LAST + 1 {
        if !super::fault::catches(number) {
            // SIGKILL and SIGSTOP refuse, and need nothing.
            let _ = reset(number);
        }
    }
    set_mask(WATCHED)?;
    super::fd::signals(WATCHED, SFD_NONBLOCK | SFD_CLOEXEC)
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

/// The child of whose end a record tells, by its words for the signal, why it was sent, and about
/// whom; 0: of none's. No process can send such a cause.
pub fn ended_child([number, code, pid]: [u32; 3]) -> u32 {
    match number == abi::SIGCHLD && (EXITED..=DUMPED).contains(&code) {
        true => pid,
        false => 0,
    }
}

/// The signal of a record: its first word on every machine.
pub fn number_of(record: &[u8]) -> Option<u8> {
    let first = record.first_chunk().copied().map(u32::from_ne_bytes);
    u8::try_from(first?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_standard_signal_that_is_watched_fits_in_one_read() {
        let standard = WATCHED & ((1 << 31) - 1);
        assert_eq!(
            standard.count_ones(),
            u32::try_from(STANDARD_COUNT).unwrap_or(0)
        );
    }

    #[test]
    fn a_record_tells_its_signal() {
        let mut record = [0; RECORD_BYTES];
        record[..4].copy_from_slice(&11_u32.to_ne_bytes());
        assert_eq!(number_of(&record), Some(11));
        assert!(number_of(&record[..3]).is_none());
    }
}
