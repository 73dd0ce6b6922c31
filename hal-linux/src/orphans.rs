//! This file has process 1 wait while many orphans die at once.
//!
//! To find a child that ended, the kernel walks over those that still run, and none of them can end
//! meanwhile. Who takes each of ten thousand as soon as it ends has it take fifty million steps:
//! over a second of processor time, and as much until all are gone, where somebody who comes when
//! the last is dead takes 40 ms. So once some came, process 1 waits until nobody has ended between
//! two looks at its signals. A service's exit is found meanwhile if it is the first in the kernel's
//! list, where those lie before the orphans that began before these were handed over.

use crate::events::Source;
use crate::linux::Linux;
use rustix::fd::AsFd;

/// Between two looks.
pub(crate) const LOOK_MS: u16 = 2;

/// One exit is taken at every so many looks.
const LOOKS_PER_EXIT: u8 = 8;

/// Looks after which all that ended are taken, though others still die: a quarter of a second. They
/// keep their process numbers, of which there are not many more.
const LOOK_COUNT_MAX: u8 = 128;

/// How orphans come, as a number: so many were taken one by one, below [`DYING`]; from there on, so
/// many times it was looked whether more die; [`DEAD`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Orphans(u8);

/// They are many. Signals wake nobody.
const DYING: u8 = 8;

/// Nobody ended between two looks: all there are to be taken are, until none is left.
const DEAD: u8 = DYING + LOOK_COUNT_MAX;

// The look that finds nobody takes what there is.
const _: () = assert!(DEAD.is_multiple_of(LOOKS_PER_EXIT));

impl Orphans {
    /// None came.
    pub(crate) const NONE: Self = Self(0);

    /// Whether to sleep until the next look.
    pub(crate) fn are_dying(self) -> bool {
        matches!(self.0, DYING..DEAD)
    }

    /// Whether an exit is taken at this look.
    fn is_turn(self) -> bool {
        !self.are_dying() || self.0.is_multiple_of(LOOKS_PER_EXIT)
    }

    /// One was taken.
    fn taken(self) -> Self {
        match self {
            Self(count @ ..DYING) => Self(count.wrapping_add(1)),
            many => many,
        }
    }

    /// It was looked whether somebody ended since the last look.
    fn looked(self, is_any: bool) -> Self {
        match self {
            few if !few.are_dying() => few,
            Self(count) if is_any => Self(count.wrapping_add(1)),
            Self(_) => Self(DEAD),
        }
    }

    /// No child is left that ended.
    pub(crate) fn gone(self) -> Self {
        match self {
            Self(DEAD) => Self::NONE,
            others => others,
        }
    }
}

impl Linux {
    /// Nobody's exit was taken.
    #[inline(never)]
    pub(crate) fn orphan_taken(&mut self) {
        self.note_orphans(self.intake.orphans.taken());
        self.intake.reap = !self.intake.orphans.are_dying();
    }

    /// It was looked for signals, which tell whether somebody ended since the last look.
    pub(crate) fn signals_looked_for(&mut self, is_any: bool) {
        self.note_orphans(self.intake.orphans.looked(is_any));
        self.intake.reap = self.intake.orphans.is_turn();
    }

    #[inline(never)]
    fn note_orphans(&mut self, orphans: Orphans) {
        let was_listening = !self.intake.orphans.are_dying();
        self.intake.orphans = orphans;
        let is_listening = !orphans.are_dying();
        if is_listening != was_listening {
            let waiting = &self.waiting;
            waiting.listen_for_input(waiting.signals.as_fd(), Source::Signals, is_listening);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes so many, one by one.
    fn after(count: usize) -> Orphans {
        (0..count).fold(Orphans::NONE, |orphans, _| orphans.taken())
    }

    #[test]
    fn a_few_orphans_are_taken_at_once_however_long_nobody_looks() {
        for count in 0..usize::from(DYING) {
            let few = after(count);
            assert!(!few.are_dying() && few.is_turn(), "{count}");
            assert_eq!((few.looked(true), few.looked(false)), (few, few));
            assert_eq!(few.gone(), few);
        }
    }

    #[test]
    fn many_are_waited_for_until_a_look_finds_that_nobody_ended() {
        let many = after(usize::from(DYING));
        assert!(many.are_dying());
        assert_eq!(many, many.taken());
        let seen = many.looked(true).looked(true);
        assert!(seen.are_dying());
        let dead = seen.looked(false);
        assert!(!dead.are_dying() && dead.is_turn());
        // However many: they are taken to the last, and then counted anew.
        assert_eq!(dead.taken(), dead);
        assert_eq!(dead.gone(), Orphans::NONE);
    }

    #[test]
    fn who_goes_on_dying_is_waited_for_a_quarter_of_a_second_and_some_are_taken_meanwhile() {
        let mut orphans = after(usize::from(DYING));
        let (mut looks, mut exits) = (0, 0);
        while orphans.are_dying() {
            orphans = orphans.looked(true);
            looks += 1;
            exits += usize::from(orphans.is_turn());
        }
        assert_eq!(looks, usize::from(LOOK_COUNT_MAX));
        assert_eq!(exits, looks / usize::from(LOOKS_PER_EXIT));
        assert_eq!(orphans.gone(), Orphans::NONE);
    }
}
