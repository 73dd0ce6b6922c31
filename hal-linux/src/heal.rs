//! This file is what process 1 does after a fault of its own: it records the fault, and executes
//! its program again. Children and descriptors stay; the next life finds them.
//!
//! It is called on the handler's stack, at any instruction of process 1, so it uses atomics,
//! system calls and nothing else. What goes wrong here leads back here, to the next means.

#[cfg(feature = "freestanding")]
use crate::sys::image::{self, Source};
use crate::sys::shared::Lasting;
use crate::sys::{fd, limits, slices};
use core::sync::atomic::{AtomicU16, AtomicU32, Ordering};

/// Where a death is recorded, in memory that outlives the program.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Epitaph {
    /// Why the program is executed again; 0: it was not.
    pub(crate) handover: AtomicU32,
    pub(crate) signal: AtomicU32,
    pub(crate) code: AtomicU32,
    /// The program counter and the address in question, low half first.
    pub(crate) counter: [AtomicU32; 2],
    pub(crate) address: [AtomicU32; 2],
}

impl Epitaph {
    /// Nobody has died.
    #[cfg(feature = "freestanding")]
    pub(crate) const fn new() -> Self {
        Self {
            handover: AtomicU32::new(0),
            signal: AtomicU32::new(0),
            code: AtomicU32::new(0),
            counter: [const { AtomicU32::new(0) }; 2],
            address: [const { AtomicU32::new(0) }; 2],
        }
    }
}

/// The handover's cause: the program died of a fault.
pub(crate) const HANDOVER_FAULT: u32 = 1;

/// A fault.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Death {
    pub(crate) signal: u32,
    pub(crate) code: u32,
    pub(crate) counter: usize,
    pub(crate) address: usize,
}

/// Empty as long as a death is a death.
static EPITAPH: Lasting<Epitaph> = Lasting::empty();

/// The last descriptor that the next life gets.
static LAST_KEPT: AtomicU16 = AtomicU16::new(0);

/// The first descriptor that the next life gets.
const FIRST_KEPT: u16 = 3;

/// How many means were tried in this life.
static TRIED_COUNT: AtomicU32 = AtomicU32::new(0);

/// From here on a fault is healed. Descriptors from 3 to `last_kept` are handed over.
#[cfg(feature = "freestanding")]
pub(crate) fn arm(epitaph: &'static Epitaph, last_kept: u16) {
    LAST_KEPT.store(last_kept, Ordering::Relaxed);
    EPITAPH.set(epitaph);
    limits::remember();
    slices::begin();
}

/// Whether a fault is healed.
pub(crate) fn is_armed() -> bool {
    EPITAPH.get().is_some()
}

/// Slices of processor time without progress after which process 1 is taken for looping: slow
/// machines, and emulators, need a whole one for a turn.
const SLICES_MAX: u32 = 4;

/// Counts what process 1 took from the kernel and did for the core.
static PROGRESS: AtomicU32 = AtomicU32::new(0);

/// What the last slice ended with: progress, and how often process 1 had slept.
static SEEN: [AtomicU32; 2] = [const { AtomicU32::new(0) }; 2];

/// Slices that nothing was seen in.
static SLICE_COUNT: AtomicU32 = AtomicU32::new(0);

/// Process 1 took something from the kernel, or did something for the core.
pub(crate) fn made_progress() {
    let count = PROGRESS.load(Ordering::Relaxed).wrapping_add(1);
    PROGRESS.store(count, Ordering::Relaxed);
}

/// A slice of processor time has ended: whether process 1 has done nothing but use it up, and those
/// before, neither sleeping nor doing anything for the core.
pub(crate) fn is_loop() -> bool {
    let now = [PROGRESS.load(Ordering::Relaxed), slices::sleep_count()];
    let mut same = true;
    for (seen, now) in SEEN.iter().zip(now) {
        same &= seen.swap(now, Ordering::Relaxed) == now;
    }
    let before = SLICE_COUNT.load(Ordering::Relaxed);
    let count = if same { before.saturating_add(1) } else { 0 };
    SLICE_COUNT.store(count, Ordering::Relaxed);
    count >= SLICES_MAX
}

/// Records the death and executes the program again.
pub(crate) fn live_again(death: &Death) -> ! {
    if let Some(epitaph) = EPITAPH.get()
        && TRIED_COUNT.load(Ordering::Relaxed) == 0
    {
        record(epitaph, death);
    }
    for number in FIRST_KEPT..=LAST_KEPT.load(Ordering::Relaxed) {
        // Refused where there is none.
        let _ = fd::keep_over_exec(number);
    }
    limits::restore();
    by_all_means()
}

fn record(epitaph: &Epitaph, death: &Death) {
    let halves = |value: usize| {
        let value = u64::try_from(value).unwrap_or(u64::MAX);
        let low = u32::try_from(value & u64::from(u32::MAX)).unwrap_or(0);
        [low, u32::try_from(value >> 32).unwrap_or(0)]
    };
    epitaph.signal.store(death.signal, Ordering::Relaxed);
    epitaph.code.store(death.code, Ordering::Relaxed);
    for (places, value) in [
        (&epitaph.counter, death.counter),
        (&epitaph.address, death.address),
    ] {
        for (place, half) in places.iter().zip(halves(value)) {
            place.store(half, Ordering::Relaxed);
        }
    }
    epitaph.handover.store(HANDOVER_FAULT, Ordering::Release);
}

/// The copy in memory, the program's file, the path that it was started as; with the arguments,
/// then without; and when the kernel executes nothing, without its help.
#[cfg(feature = "freestanding")]
fn by_all_means() -> ! {
    const SOURCES: [Source; 3] = [Source::Copy, Source::Own, Source::Path];
    loop {
        let tried = TRIED_COUNT.load(Ordering::Relaxed);
        let (bare, index) = match tried.checked_sub(3) {
            None => (false, tried),
            Some(index) => (true, index),
        };
        let source = usize::try_from(index)
            .ok()
            .and_then(|index| SOURCES.get(index));
        let Some(source) = source else {
            break;
        };
        TRIED_COUNT.store(tried.saturating_add(1), Ordering::Relaxed);
        image::execute(*source, bare);
    }
    image::restart()
}

/// In a test there is no program to execute.
#[cfg(not(feature = "freestanding"))]
fn by_all_means() -> ! {
    crate::sys::process::exit(1)
}
