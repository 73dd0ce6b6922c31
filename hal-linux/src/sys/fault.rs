//! This file catches what would end process 1: its own faults, and the signals that mean faults but
//! were only sent by somebody.
//!
//! A sent one is counted and has no other consequence. A real one goes to [`crate::heal`], once
//! that was told where to record it; before, and in a forked child, it ends the process as it would
//! without a handler. The handler runs on a stack of its own, so that it also runs when the stack
//! is what has ended. It takes no lock, calls nothing that keeps state, and never waits.

use super::signals;
use super::slices;
use super::syscall::{result, syscall};
use crate::heal;
use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicU32, Ordering};
use init_core::event::Errno;
use linux_raw_sys::general as abi;

/// What a processor raises for a fault of the program itself, what a program raises to end, and
/// the end of a slice of processor time, with which endless loops are found, and the end of the
/// time that an image has to take over or a console to take a line.
const CAUGHT: [u32; 9] = [
    abi::SIGILL,
    abi::SIGTRAP,
    abi::SIGABRT,
    abi::SIGBUS,
    abi::SIGFPE,
    abi::SIGSEGV,
    abi::SIGSYS,
    abi::SIGPROF,
    abi::SIGALRM,
];

/// More than the largest frame of the machines that we know, and what the handler needs.
const STACK_BYTES: usize = 16 * 1_024;

/// Not touched, hence not in memory, before something goes wrong.
#[repr(C, align(16))]
struct Stack(UnsafeCell<[MaybeUninit<u8>; STACK_BYTES]>);

// SAFETY: only the kernel and the handler that it calls use it.
unsafe impl Sync for Stack {}

static STACK: Stack = Stack(UnsafeCell::new([MaybeUninit::uninit(); STACK_BYTES]));

/// `stack_t`.
#[repr(C)]
struct Alternate {
    lowest: usize,
    flags: u32,
    bytes: usize,
}

/// The kernel's `struct sigaction`. RISC-V has none of the field that the others return by.
#[repr(C)]
struct Action {
    handler: usize,
    flags: usize,
    #[cfg(not(target_arch = "riscv64"))]
    restorer: usize,
    mask: [u32; 2],
}

/// Whose faults are healed: the process that installed the handler, and none of its children.
static OWNER: AtomicU32 = AtomicU32::new(0);

/// Signals that somebody sent, and who sent the last.
static SENT_COUNT: AtomicU32 = AtomicU32::new(0);
static SENT: [AtomicU32; 3] = [const { AtomicU32::new(0) }; 3];

/// A fault signal that somebody sent.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    /// Such signals since the last that was taken, this one included.
    pub count: u32,
    /// Which signal.
    pub number: u8,
    /// Who sent it; 0 is somebody outside of our namespace.
    pub pid: u32,
    /// For which user.
    pub uid: u32,
}

/// Whether a fault signal was sent that nobody has taken yet.
pub fn was_sent() -> bool {
    SENT_COUNT.load(Ordering::Relaxed) != 0
}

/// The last fault signal that somebody sent since the last call.
pub fn take_sent() -> Sent {
    let count = SENT_COUNT.swap(0, Ordering::Relaxed);
    let [number, pid, uid] = &SENT;
    Sent {
        count,
        number: u8::try_from(load(number)).unwrap_or(0),
        pid: load(pid),
        uid: load(uid),
    }
}

fn load(word: &AtomicU32) -> u32 {
    word.load(Ordering::Relaxed)
}

/// Whether the handler of this signal is ours.
pub fn catches(signal: u8) -> bool {
    let [first, second] = CAUGHT_SET;
    let set = u64::from(second) << 32 | u64::from(first);
    set & signals::bit(signal) != 0
}

/// The set of [`CAUGHT`]; bit `n - 1` stands for signal `n`. Made by the compiler: until it is
/// used, nothing is caught.
const CAUGHT_SET: [u32; 2] = {
    let mut set = 0;
    let mut rest: &[u32] = &CAUGHT;
    while let [signal, others @ ..] = rest {
        set |= 1_u32.wrapping_shl(signal.wrapping_sub(1));
        rest = others;
    }
    [set, 0]
};

/// From here on this process catches its faults. To be called before anything that could fault.
pub fn install() {
    OWNER.store(own_pid(), Ordering::Relaxed);
    let stack = Alternate {
        lowest: STACK.0.get().expose_provenance(),
        flags: 0,
        bytes: STACK_BYTES,
    };
    let pointer = (&raw const stack).expose_provenance();
    // SAFETY: the pointer leads to a description of memory that only signal handlers use.
    unsafe { syscall(abi::__NR_sigaltstack, [pointer, 0]) };
    // No call is taken up again: none of ours waits but for events, and one of the console, should
    // that make us wait, is to end.
    let flags = abi::SA_ONSTACK | abi::SA_SIGINFO | RESTORER_FLAG;
    let mut action = Action {
        handler: (handle as *const ()).expose_provenance(),
        flags: usize::try_from(flags).unwrap_or(0),
        #[cfg(not(target_arch = "riscv64"))]
        restorer: restorer(),
        // One frame at a time: a flood of signals must not fill the stack.
        mask: CAUGHT_SET,
    };
    for &signal in &CAUGHT {
        if signal == abi::SIGPROF {
            // It comes to a process 1 that is well, too, whose stack is in memory anyway. Where
            // there is none, that is a fault; and so is what goes wrong while it is looked at.
            action.flags &= !usize::try_from(abi::SA_ONSTACK).unwrap_or(0);
            action.mask = [0; 2];
        }
        // SAFETY: the handler fits the flags.
        let _ = unsafe { set_action(signal, &action) };
    }
    unblock();
}

/// Lets the caught signals through.
fn unblock() {
    let set = CAUGHT_SET;
    let how = usize::try_from(abi::SIG_UNBLOCK).unwrap_or(0);
    let pointer = (&raw const set).expose_provenance();
    // SAFETY: the pointer leads to a set of the size that is given; the old one is not asked for.
    unsafe { syscall(abi::__NR_rt_sigprocmask, [how, pointer, 0, 8]) };
}

/// # Safety
/// The handler is one for these flags.
unsafe fn set_action(signal: u32, action: &Action) -> Result<usize, Errno> {
    let signal = usize::try_from(signal).unwrap_or(0);
    let pointer = core::ptr::from_ref(action).expose_provenance();
    // SAFETY: the pointer leads to an action; the old one is not asked for. The caller vouches for
    // the rest.
    result(unsafe { syscall(abi::__NR_rt_sigaction, [signal, pointer, 0, 8]) })
}

fn own_pid() -> u32 {
    // SAFETY: there is no pointer.
    let answer = unsafe { syscall(abi::__NR_getpid, []) };
    u32::try_from(answer).unwrap_or(0)
}

#[cfg(target_arch = "x86_64")]
const RESTORER_FLAG: u32 = abi::SA_RESTORER;
/// The kernel brings the way back itself.
#[cfg(not(target_arch = "x86_64"))]
const RESTORER_FLAG: u32 = 0;

#[cfg(target_arch = "x86_64")]
fn restorer() -> usize {
    (way_back as *const ()).expose_provenance()
}

#[cfg(any(target_arch = "aarch64", target_arch = "arm"))]
fn restorer() -> usize {
    0
}

/// Where a handler returns to.
#[cfg(target_arch = "x86_64")]
#[unsafe(naked)]
extern "C" fn way_back() -> ! {
    core::arch::naked_asm!("mov eax, {number}", "syscall", number = const abi::__NR_rt_sigreturn)
}

/// Words before the part of a `siginfo_t` that differs from signal to signal.
const INFO_WORDS: usize = if size_of::<usize>() == 8 { 4 } else { 3 };

/// Where the program counter is in the frame that the kernel left.
const COUNTER_AT: usize = if cfg!(target_arch = "x86_64") {
    168
} else if cfg!(target_arch = "aarch64") {
    440
} else if cfg!(target_arch = "arm") {
    92
} else {
    176
};

/// The kernel calls this.
extern "C" fn handle(signal: u32, info: *const u32, context: *const u8) {
    // SAFETY: the kernel left 128 bytes there; `at` is below 8 in each call.
    let word = |at: usize| unsafe { info.wrapping_add(at).read() };
    let pid = own_pid();
    let is_own = OWNER.load(Ordering::Relaxed) == pid;
    // Codes above 0 are the kernel's own, and nobody else may give them.
    let is_sent = i32::from_ne_bytes(word(2).to_ne_bytes()) <= 0;
    if is_own && is_sent && word(INFO_WORDS) != pid {
        if signal == abi::SIGPROF || signal == abi::SIGALRM {
            // Like other signals without meaning.
            return;
        }
        let [number, sender, user] = &SENT;
        number.store(signal, Ordering::Relaxed);
        sender.store(word(INFO_WORDS), Ordering::Relaxed);
        user.store(word(INFO_WORDS.wrapping_add(1)), Ordering::Relaxed);
        let count = SENT_COUNT.load(Ordering::Relaxed).saturating_add(1);
        return SENT_COUNT.store(count, Ordering::Relaxed);
    }
    // SAFETY: an address, or what nobody reads, in the part that differs.
    let address = unsafe { info.wrapping_add(INFO_WORDS).cast::<usize>().read() };
    // SAFETY: the kernel left its frame there.
    let counter = unsafe { context.wrapping_add(COUNTER_AT).cast::<usize>().read() };
    let is_fault = match signal {
        abi::SIGPROF => heal::is_loop(),
        abi::SIGALRM => slices::rings() && heal::is_taking_over(),
        _ => true,
    };
    if is_own && !is_sent && !is_fault {
        return;
    }
    if is_own && heal::can_live_again() {
        // What goes wrong from here on shall end up here again.
        unblock();
        heal::live_again(&heal::Death {
            signal,
            code: word(2),
            counter,
            address,
        });
    }
    die_of(signal, pid);
}

/// Ends this process by its signal. A real fault comes again by itself when the handler returns,
/// and also ends process 1; one that a child sent itself is sent once more.
fn die_of(signal: u32, pid: u32) {
    let action = Action {
        handler: 0,
        flags: 0,
        #[cfg(not(target_arch = "riscv64"))]
        restorer: 0,
        mask: [0; 2],
    };
    // SAFETY: the default needs no handler.
    let _ = unsafe { set_action(signal, &action) };
    let pid = usize::try_from(pid).unwrap_or(0);
    let signal = usize::try_from(signal).unwrap_or(0);
    // SAFETY: there is no pointer.
    unsafe { syscall(abi::__NR_kill, [pid, signal]) };
}
