//! This file starts children that share process 1's memory until they execute their program: no
//! page table is copied, and process 1 goes on at once, whatever the child waits for. Only where
//! all places are taken it waits for one, for a millisecond.
//!
//! Each has a stack of its own from a pool, of which a burst's part is given back. The kernel says
//! when the stack is free again: it clears the place's word when the child executes its program or
//! ends, and that is how its execution is told as well. Such a child reads what never changes, and
//! writes its stack, its place and its word of shared memory; it calls nothing that keeps state. It
//! is offered only where the kernel takes the signal handlers off the child, and where a child that
//! dies cannot take process 1 with it (see `set_dumpable` in `linux.rs`).

use super::clone::clone3;
use super::futex;
use super::shared::Once;
use super::syscall::{self, result};
use crate::child::{self, Job};
use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicU32, Ordering};
use init_core::event::Errno;
use linux_raw_sys::general as abi;
use rustix::mm::{Advice, madvise};

/// Places whose memory is kept: together smaller than a page. They lie beside what else is always
/// used.
const KEPT_COUNT: usize = 4;

/// Places whose memory is given back after a burst. Together with the others as many children are
/// at once between their creation and their program as keep several processors busy.
const BURST_COUNT: usize = 12;

/// `cargo xtask size` compares it with the deepest path from [`enter`].
const STACK_BYTES: usize = 768;

/// `CLONE_CLEAR_SIGHAND` of `linux/sched.h`, too wide for the generated constant.
const CLONE_CLEAR_SIGHAND: u64 = 1 << 32;

/// A place with a child whose number is not known yet.
const TAKEN: u32 = u32::MAX;

#[derive(Debug)]
#[repr(C, align(16))]
struct Stack(UnsafeCell<[MaybeUninit<u8>; STACK_BYTES]>);

/// A stack, what its child does, and whether there is one: its number, or 0.
#[derive(Debug)]
pub(super) struct Place {
    stack: Stack,
    child: AtomicU32,
    job: UnsafeCell<MaybeUninit<Job>>,
}

impl Place {
    const fn new() -> Self {
        Self {
            stack: Stack(UnsafeCell::new([MaybeUninit::uninit(); STACK_BYTES])),
            child: AtomicU32::new(0),
            job: UnsafeCell::new(MaybeUninit::uninit()),
        }
    }
}

/// Places on pages of their own, where pages are as small as on most machines.
#[repr(C, align(4096))]
struct Burst([Place; BURST_COUNT]);

// SAFETY: whoever has the kept places, of which there is one, has these.
unsafe impl Sync for Burst {}

static KEPT: Once<[Place; KEPT_COUNT]> = Once::new([const { Place::new() }; KEPT_COUNT]);
static BURST: Burst = Burst([const { Place::new() }; BURST_COUNT]);

/// The places.
#[derive(Debug)]
pub struct Pool {
    kept: &'static [Place; KEPT_COUNT],
    /// Places were used whose memory is not kept.
    has_burst: bool,
    /// The last wait found no place, and none was free since: programs that lie on a stalled file
    /// system hold theirs for ever. Until one is seen free again children are forked at once, which
    /// takes three times as long.
    in_vain: bool,
}

/// `struct clone_args` of `linux/sched.h` in its first version.
#[derive(Debug)]
#[repr(C)]
pub(super) struct CloneArguments {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
}

const _: () = assert!(size_of::<CloneArguments>() == 64);

impl Pool {
    /// The pool, for the first caller.
    pub fn take() -> Option<Self> {
        KEPT.take().map(|kept| Self {
            kept,
            has_burst: false,
            in_vain: false,
        })
    }

    /// Starts a child that does the job. `None`: no place is free. The kernel writes the child's
    /// number into the word before this process goes on.
    ///
    /// # Errors
    /// What clone3 answers; no child was made.
    pub fn start(&mut self, job: &Job, word: &AtomicU32) -> Option<Result<u32, Errno>> {
        let mut found = self.free();
        if found.is_none() && !self.in_vain {
            let Burst([.., last]) = &BURST;
            last.wait();
            found = self.free();
        }
        self.in_vain = found.is_none();
        let place = found?;
        // SAFETY: the place is free: no child reads it.
        unsafe { place.job.get().write(MaybeUninit::new(*job)) };
        place.child.store(TAKEN, Ordering::Release);
        let flags = abi::CLONE_VM | abi::CLONE_PARENT_SETTID | abi::CLONE_CHILD_CLEARTID;
        let arguments = CloneArguments {
            flags: u64::from(flags) | CLONE_CLEAR_SIGHAND,
            pidfd: 0,
            child_tid: address(place.child.as_ptr()),
            parent_tid: address(word.as_ptr()),
            exit_signal: u64::from(abi::SIGCHLD),
            stack: address(place.stack.0.get()),
            stack_size: u64::try_from(STACK_BYTES).unwrap_or(0),
            tls: 0,
        };
        // SAFETY: the stack is the child's alone until the kernel clears the word, or the child was
        // reaped; until then nobody writes to the place, which is never moved.
        let answer = unsafe { clone3(&arguments, place) };
        let pid = result(answer).map(syscall::pid);
        // The child may have come to its program by now.
        let (child, set, order) = (pid.unwrap_or(0), Ordering::AcqRel, Ordering::Relaxed);
        let _ = place.child.compare_exchange(TAKEN, child, set, order);
        Some(pid)
    }

    /// A place without a child.
    fn free(&mut self) -> Option<&'static Place> {
        let free = |place: &&Place| place.is_free();
        let kept = self.kept.iter().find(free);
        kept.or_else(|| {
            self.has_burst = true;
            BURST.0.iter().find(free)
        })
    }

    /// The word of a child that has not come to its program: its number, until it has.
    pub fn word_of(&self, pid: u32) -> Option<&'static AtomicU32> {
        let mut words = self.kept.iter().chain(&BURST.0).map(|place| &place.child);
        words.find(|word| pid != 0 && word.load(Ordering::Acquire) == pid)
    }

    /// Frees the place of a child that was reaped: older kernels do not clear the word of a child
    /// that left a core file.
    pub fn ended(&mut self, pid: u32) {
        if let Some(word) = self.word_of(pid) {
            word.store(0, Ordering::Release);
        }
    }

    /// Gives the memory of places back that only a burst needed, when all of them are free.
    pub fn rest(&mut self) {
        if !self.has_burst || !BURST.0.iter().all(Place::is_free) {
            return;
        }
        self.has_burst = false;
        let begin = (&raw const BURST).cast_mut();
        let (end, bytes) = (begin.wrapping_add(1).cast(), size_of::<Burst>());
        // Where pages are larger the kernel would round the length up to one, and take what lies
        // behind the places as well: an end that is none of a page it refuses as a beginning.
        // SAFETY: no byte is given back.
        let is_page = unsafe { madvise(end, 0, Advice::LinuxDontNeed) }.is_ok();
        if is_page {
            // SAFETY: these pages hold nothing but places, which all are free: what is found there
            // later is zero, as it was at first.
            let _ = unsafe { madvise(begin.cast(), bytes, Advice::LinuxDontNeed) };
        }
    }
}

impl Place {
    fn is_free(&self) -> bool {
        self.child.load(Ordering::Acquire) == 0
    }

    /// Sleeps until it is free, as long as is waited at most: the kernel wakes who waits when it
    /// clears the word.
    fn wait(&'static self) {
        let number = self.child.load(Ordering::Acquire);
        if number != 0 {
            futex::wait(&self.child, number);
        }
    }
}

fn address<T>(pointer: *mut T) -> u64 {
    u64::try_from(pointer.expose_provenance()).unwrap_or(0)
}

/// The child's first function, on its own stack.
pub(super) extern "C" fn enter(place: &Place) -> ! {
    // SAFETY: `Pool::start` leaves the place alone as long as the child has it.
    let job = unsafe { &*place.job.get() };
    // SAFETY: `Pool::start` wrote it before it made the child.
    child::run(unsafe { job.assume_init_ref() })
}
