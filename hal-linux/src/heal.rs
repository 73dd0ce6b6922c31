//! This file is what process 1 does after a fault of its own: it records the fault, and executes
//! its program again. Children and descriptors stay; the next life finds them.
//!
//! It is called on the handler's stack, at any instruction of process 1, so it uses atomics,
//! system calls and nothing else. What goes wrong here leads back here, to the next means.

use crate::carried::upgrades;
use crate::handed;
use crate::probe;
use crate::region::{self, Region, at};
#[cfg(feature = "freestanding")]
use crate::sys::image::{self, Source};
use crate::sys::process::{self, duplicate_to};
use crate::sys::shared::{self, Lasting};
use crate::sys::{fd, limits, slices};
use core::sync::atomic::{AtomicU32, Ordering};
use init_core::event::Errno;
#[cfg(feature = "freestanding")]
use init_core::time::Duration;

/// The handover's cause: the program died of a fault.
pub(crate) const HANDOVER_FAULT: u32 = 1;

/// The handover's cause: somebody asked for it.
pub(crate) const HANDOVER_AGAIN: u32 = 2;

/// The handover's cause: an image is to take over, and has not yet.
pub(crate) const HANDOVER_UPGRADE: u32 = 3;

/// The handover's cause: the image ended before that.
pub(crate) const HANDOVER_BACK: u32 = 4;

/// What became of an image: it took over, or it did not.
pub(crate) const OUTCOME_UPGRADED: u32 = 1;
pub(crate) const OUTCOME_BACK: u32 = 2;

/// Until what could not be executed for lack of memory is tried again, in milliseconds: others may
/// give memory back meanwhile, also where there is but one processor.
const RETRY_MS: u16 = 20;

/// Lives in a row that ended before they had found out what there is: more are in vain.
const EARLY_DEATHS_MAX: u32 = 32;

/// The descriptor of the program's copy.
pub(crate) const COPY: u16 = 4;

/// A fault.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Death {
    pub(crate) signal: u32,
    pub(crate) code: u32,
    pub(crate) counter: usize,
    pub(crate) address: usize,
}

/// Empty as long as a death is a death.
static REGION: Lasting<Region> = Lasting::empty();

/// How many means were tried in this life.
static TRIED_COUNT: AtomicU32 = AtomicU32::new(0);

/// From here on a fault is healed, and the next life finds the region.
#[inline(never)]
pub(crate) fn arm(region: &'static Region, is_heir: bool) {
    REGION.set(region);
    #[cfg(feature = "freestanding")]
    {
        // Refused: there is still the file that the program was started from.
        let _ = image::keep(is_heir);
    }
    if is_heir {
        let _ = fd::close_on_exec(shared::WORDS_FD);
        let _ = fd::close_on_exec(COPY);
        if upgrades().is_some() {
            region.keep_images();
        }
    }
    limits::remember();
    slices::begin();
}

/// Whether this life has taken over: there is no other program to go back to.
pub(crate) fn is_armed() -> bool {
    REGION.get().is_some()
}

/// Whether a fault is healed: by what this life has found, or by what the one before left.
pub(crate) fn can_live_again() -> bool {
    let left = || Region::inherited().is_some_and(|it| it.get(at::VAIN) < EARLY_DEATHS_MAX);
    region::HEALS && (is_armed() || left())
}

/// An image begins to take over: from the next step on, its program and the region of the one
/// before belong together no longer.
#[cfg(feature = "freestanding")]
pub(crate) fn begin_to_take_over() {
    TAKES_OVER.store(1, Ordering::Relaxed);
}

/// Whether [`begin_to_take_over`] was called in this life.
static TAKES_OVER: AtomicU32 = AtomicU32::new(0);

/// This image cannot read what there is: the one before goes on.
#[inline(never)]
pub(crate) fn go_back() -> ! {
    live_again(&Death {
        signal: 0,
        code: 0,
        counter: 0,
        address: 0,
    })
}

/// What there must be for this life to go on.
pub(crate) fn needed<T>(result: Result<T, Errno>) -> T {
    result.unwrap_or_else(|_| lacks())
}

/// What no life can be without is not to be had. The one before had it, so somebody has taken it
/// since, and may give it back: until then one after another is begun. None of them died. A first
/// one ends.
#[cold]
#[inline(never)]
fn lacks() -> ! {
    if Region::inherited().is_none() {
        process::exit(1);
    }
    wait_for_memory();
    go_back()
}

/// Waits a while for others to give memory back.
#[inline(never)]
pub(crate) fn wait_for_memory() {
    probe::pause(None, RETRY_MS);
}

/// This image's core ended by that signal before it had taken over: the one before goes on.
#[inline(never)]
pub(crate) fn go_back_after(signal: u8) -> ! {
    live_again(&Death {
        signal: signal.into(),
        code: 0,
        counter: 0,
        address: 0,
    })
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
    let [seen_progress, seen_sleeps] = &SEEN;
    let (progress, sleeps) = (PROGRESS.load(Ordering::Relaxed), slices::sleep_count());
    let same = seen_progress.load(Ordering::Relaxed) == progress
        && seen_sleeps.load(Ordering::Relaxed) == sleeps;
    seen_progress.store(progress, Ordering::Relaxed);
    seen_sleeps.store(sleeps, Ordering::Relaxed);
    let before = SLICE_COUNT.load(Ordering::Relaxed);
    let count = if same { before.saturating_add(1) } else { 0 };
    SLICE_COUNT.store(count, Ordering::Relaxed);
    count >= SLICES_MAX
}

/// Whether the alarm is the one of a life that has not taken over, and not the console's.
pub(crate) fn is_taking_over() -> bool {
    upgrades().is_some() && !is_armed()
}

/// Records the death and executes the program again.
pub(crate) fn live_again(death: &Death) -> ! {
    let left;
    let region = match REGION.get() {
        Some(region) => Some(region),
        None => {
            left = Region::inherited();
            left.as_ref()
        }
    };
    if let Some(region) = region {
        if TRIED_COUNT.load(Ordering::Relaxed) == 0 {
            record(region, death);
        }
        hand_over_all(region);
        #[cfg(feature = "freestanding")]
        if upgrades().is_some() && region.get(at::HANDOVER) == HANDOVER_BACK {
            limits::restore();
            by_copy_only();
        }
    }
    limits::restore();
    by_all_means()
}

/// The copy is the program whose region it is; what process 1 runs now, and what may lie under its
/// path, are not. [`upgrade`] saw to it that there is one: what is refused now, for lack of memory,
/// is not for ever.
#[cfg(feature = "freestanding")]
fn by_copy_only() -> ! {
    loop {
        for bare in [false, true] {
            image::execute(Source::Copy, bare);
        }
        wait_for_memory();
    }
}

/// Executes the program again although nothing is wrong with it. All that the next life needs to
/// know is in the region at any time.
#[inline(never)]
pub(crate) fn renew(region: &Region) -> ! {
    region.set(at::HANDOVER, HANDOVER_AGAIN);
    hand_over_all(region);
    limits::restore();
    by_all_means()
}

/// Executes an image, which must have taken over within this time. Returns only if that cannot be:
/// then all is as before.
#[cfg(feature = "freestanding")]
#[inline(never)]
pub(crate) fn upgrade(region: &Region, time: Duration) -> Errno {
    let number = region.get(at::IMAGE).wrapping_sub(1);
    let Ok(number) = u16::try_from(number) else {
        return Errno(9); // EBADF
    };
    // The way back.
    if let Err(error) = image::keep(true) {
        return error;
    }
    region.set(at::HANDOVER, HANDOVER_UPGRADE);
    hand_over_all(region);
    limits::restore();
    let (seconds, us) = time.parts();
    let word = |part: u32| usize::try_from(part).unwrap_or(0);
    slices::alarm(word(seconds), word(us));
    // Refused: the alarm ends with the line that says so.
    let error = image::execute(Source::File(number), false);
    region.set(at::HANDOVER, 0);
    region.each_descriptor(|number| {
        let _ = fd::close_on_exec(number);
    });
    error
}

/// The next life gets all that the region names, the region itself and the program.
fn hand_over_all(region: &Region) {
    region.each_descriptor(hand_over);
    hand_over(shared::WORDS_FD);
    hand_over(COPY);
}

fn hand_over(number: u16) {
    let _ = fd::keep_over_exec(number);
}

fn record(region: &Region, death: &Death) {
    let is_image = upgrades().is_some() && region.get(at::HANDOVER) == HANDOVER_UPGRADE;
    if death.signal == 0 && !is_image {
        return;
    }
    let long = |value: usize| u64::try_from(value).unwrap_or(u64::MAX);
    region.set(at::SIGNAL, death.signal);
    region.set(at::CODE, death.code);
    region.set_long(at::COUNTER, long(death.counter));
    region.set_long(at::ADDRESS, long(death.address));
    if is_image {
        if TAKES_OVER.load(Ordering::Relaxed) == 0 {
            region.set(at::OUTCOME, OUTCOME_BACK);
            region.set(at::HANDOVER, HANDOVER_BACK);
            return;
        }
        // It begins to take over once more, and it is the image that does: what is kept may still
        // be the program before, which would take its own region for another's.
        if let Ok(image) = u16::try_from(region.get(at::IMAGE).wrapping_sub(1)) {
            let _ = duplicate_to(image, COPY);
        }
        return region.set(at::VAIN, region.get(at::VAIN).saturating_add(1));
    }
    region.set(at::VAIN, region.get(at::VAIN).saturating_add(1));
    handed::blame(region);
    region.set(at::HANDOVER, HANDOVER_FAULT);
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
