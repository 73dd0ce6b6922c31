//! This file is an image's side of an upgrade: it reads what a program with other units left,
//! writes it down for its own, and takes over.
//!
//! Until it takes over it changes nothing: the region of the life before and that one's program
//! stay under their numbers, and a fault leads back to them. On trial it does the same in a child,
//! over a copy, and says which units it knows.

use crate::carried::Upgrades;
use crate::handed::Handed;
use crate::heal;
use crate::linux::Linux;
use crate::region::{self, Region, SPLIT, at};
use crate::sys::fd::Fd;
use crate::sys::process::duplicate_to;
use crate::sys::shared::{self, Lasting, Once, WORDS_FD};
use crate::sys::slices;
use crate::trial::close_noted;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicU32, Ordering};
use init_core::checkpoint::Legacy;
use init_core::checkpoint::Past;
use init_core::checkpoint::words::{load, store};
use init_core::ident::UnitId;
use init_core::renewal::HOT_UPGRADE;
use init_core::unit::Manifest;

/// "The words behind this one say which units the image knows."
pub(crate) const ANSWERED: u32 = 0x616e_7377;

/// The exit code of an image that cannot read what there is.
pub(crate) const OTHER_LAYOUT: u8 = 65;

/// The exit code of an image that would leave the hardware watchdog unfed.
pub(crate) const UNFED: u8 = 66;

/// What [`crate::carried`] leads to.
pub(crate) static WAY: Upgrades = Upgrades {
    core: HOT_UPGRADE,
    begin_trial: Linux::begin_trial,
    forget_image: Linux::forget_image,
    trial_result: Linux::trial_result,
    is_known: Linux::is_known_to_image,
    execute: |linux| heal::upgrade(&linux.region, linux.time_to_take_over()),
    adopt,
    take_over: Linux::end_upgrade,
    left: || LEFT.get(),
    stand_trial,
};

/// What this image wrote down anew. Kept for a keeper, which notes its core's process there until
/// it has taken over: whoever heals before that is the program whose region it is.
static LEFT: Lasting<Region> = Lasting::empty();

fn keep(left: &Region) {
    static PLACE: Once<MaybeUninit<Region>> = Once::new(MaybeUninit::uninit());
    if let Some(place) = PLACE.take() {
        LEFT.set(place.write(*left));
    }
}

/// Writes down anew what the life before left, for these units; the region and its file.
#[inline(never)]
fn adopt(left: &Region, manifest: &Manifest) -> Option<(Region, Fd)> {
    let count = manifest.units.len();
    let legacy = legacy(left)?;
    let (region, file) = Region::blank(manifest)?;
    // The front of both has one layout, or their first words would differ.
    copy(left.head.words(), region.head.words());
    region.mark_kept(manifest);
    region.set(at::HANDOVER, heal::HANDOVER_AGAIN);
    let to = region.core();
    if !legacy.hand_on(to, manifest) {
        return None;
    }
    for unit in (0..u16::MAX).map(UnitId).take(count) {
        if let Some(before) = legacy.before(to, count, unit) {
            copy(left.unit(before), region.unit(unit));
        }
    }
    for word in [at::HANDED, at::SOURCE] {
        let renamed = Handed::renamed(region.get(word), |unit| legacy.after(to, count, unit));
        region.set(word, renamed);
    }
    if SPLIT {
        keep(left);
    }
    // Whom the other image blames may have another number here.
    region.set(at::BLAMED, 0);
    Some((region, file))
}

/// What the life before left. Which unit is which a core does not say that is a process of its own:
/// it might take one unit's process for another's.
fn legacy(left: &Region) -> Option<Legacy<'static>> {
    match SPLIT {
        true => Legacy::named(left.core(), left.names(), left.unit_count()),
        false => Legacy::of(left.core()),
    }
}

fn copy(from: &[AtomicU32], to: &[AtomicU32]) {
    for (from, to) in from.iter().zip(to) {
        to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}

impl Linux {
    /// From here on this program goes on, and the one before is forgotten.
    #[inline(never)]
    fn end_upgrade(&mut self) {
        let Some((file, region)) = self.heritage.take() else {
            return;
        };
        let left = LEFT.get().filter(|_| SPLIT);
        if let Some(left) = left {
            store(region.core_process(), load(left.core_process()));
        }
        region.set(at::OUTCOME, heal::OUTCOME_UPGRADED);
        heal::begin_to_take_over();
        #[cfg(feature = "exchange")]
        if let Some(left) = left {
            // Only that region names it, which the next life may not find any more.
            close_noted(left.choice());
        }
        if let Some(image) = region::adopt(region.word(at::IMAGE)) {
            let _ = duplicate_to(image.number(), heal::COPY);
            // Whoever takes over once more, after a fault, needs it.
            image.leak();
        }
        // Known to fail for bad numbers only.
        let _ = duplicate_to(file.number(), WORDS_FD);
        heal::arm(region, true);
        slices::alarm(0, 0);
        for word in [at::IMAGE, at::ANSWER] {
            close_noted(region.word(word));
        }
        if let Some(left) = left {
            left.give_up();
        }
        self.renew_devices();
    }
}

/// On trial: finds out whether this program could take over from what is under [`WORDS_FD`], and
/// which of its units it knows; the exit code.
fn stand_trial(core: &mut init_core::Core<'static>, manifest: &Manifest) -> u8 {
    let mut is_fed = true;
    let mut pass = || {
        let left = Region::found()?;
        let (region, _file) = adopt(&left, manifest)?;
        is_fed = left.get(at::WATCHDOG) == 0 || manifest.watchdog.is_some();
        let (to, count) = (region.core(), manifest.units.len());
        if !matches!(core.keep_in(to), Past::Restored(_)) {
            return None;
        }
        let legacy = legacy(&left)?;
        // The copy has a word more than its region, and one for each unit.
        let words = shared::found_words()?;
        let answers = words.get(
            left.size()
                .checked_sub(legacy.unit_count())?
                .checked_sub(1)?..,
        )?;
        let (first, rest) = answers.split_first()?;
        for (unit, place) in (0..u16::MAX).map(UnitId).zip(rest) {
            let is_known = legacy.after(to, count, unit).is_some();
            place.store(is_known.into(), Ordering::Relaxed);
        }
        first.store(ANSWERED, Ordering::Release);
        Some(())
    };
    match pass() {
        None => OTHER_LAYOUT,
        Some(()) if is_fed => 0,
        Some(()) => UNFED,
    }
}
