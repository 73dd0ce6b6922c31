//! This file is how a keeper has a core of another image: chosen by a client, tried, and given up
//! again where it does not do.
//!
//! The choice is a word that no core can write, so the keeper's next life goes on with it. The core
//! made from its own memory is always at hand: it takes the place of one that dies twice in a row
//! without having got anything done. Until an image's core has dealt with what it found, the one
//! before it is the choice; and until it takes over, the state is what that one left, of which the
//! keeper has a copy.

use super::line::Ends;
use super::trouble::{Trouble, signal_of};
use super::{Keeper, PATIENCE};
use crate::escalation::VAIN_MAX;
use crate::exchange::become_core;
use crate::heal;
use crate::linux::Linux;
use crate::region::{self, at, stage};
use crate::sys::fd::Fd;
use crate::sys::load::{Birth, Runner};
use crate::sys::shared::{self, SharedWords};
use crate::trial::close_noted;
use init_core::checkpoint::words::{load, store};
use init_core::event::{BootOptions, ExitStatus};
use init_core::hal::Clock;
use init_core::packed::packed;
use init_core::relay::Start;
use init_core::renewal::Handover;
use init_core::time::{Duration, Instant};

/// Deaths in a row of an image's core that got nothing done: with one more, the keeper's own has
/// its place. What both died over has ended two lives by then, so they are fewer than what is put
/// aside: that is not known to be at fault.
const DEATHS_MAX: u32 = 2;

impl Linux {
    /// The image stood its trial for its core: from now on that is the next. What it finds is
    /// written down first, where no core can change it.
    pub(crate) fn begin_exchange(&mut self) -> bool {
        let word = self.region.trial_passed();
        let begins = load(word) == stage::CORE_PASSED;
        if begins {
            let kept =
                self.with_copy(|copy, begin, state| shared::write_words(copy, begin, state).ok());
            // Without it there is no way back: another core takes the place of the one that asked,
            // and says that.
            store(word, kept.map_or(0, |()| stage::CORE_BEGINS));
        }
        begins
    }

    /// Undoes what a core did to the state that was not to do anything.
    fn restore_state(&self) {
        self.with_copy(|copy, begin, state| {
            shared::read_words(copy, begin, state);
            Some(())
        });
    }

    /// Uses what the trial was over: it has a place for the core's part, which begins there.
    fn with_copy(&self, does: impl FnOnce(&Fd, usize, SharedWords) -> Option<()>) -> Option<()> {
        let copy = region::adopt(self.region.word(at::ANSWER))?;
        let [.., (begin, state)] = self.region.parts();
        let done = does(&copy, begin, state);
        copy.leak();
        done
    }

    /// A core has found what there is: from now on what it asks for is done.
    pub(crate) fn note_take_over(&self) {
        let word = self.region.trial_passed();
        if load(word) == stage::CORE_BEGINS {
            store(word, stage::CORE_TAKES_OVER);
        }
    }

    /// Whether an image's core is in the place of the one before, and is not the choice yet.
    fn exchanges(&self) -> bool {
        let stage = load(self.region.trial_passed());
        matches!(stage, stage::CORE_BEGINS | stage::CORE_TAKES_OVER)
    }

    /// A core or a keeper died: whether the image's core has lost its place, which is said.
    pub(crate) fn drop_choice(&mut self) -> bool {
        let region = self.region;
        let is_vain = region.get(at::VAIN) >= DEATHS_MAX || self.intake.killed.get() >= VAIN_MAX;
        // One that is tried instead is to blame first.
        if load(region.choice()) == 0 || !is_vain || self.exchanges() {
            return false;
        }
        close_noted(region.choice());
        // The own one has its chances, and so has what it is given.
        region.set(at::VAIN, 0);
        region.set(at::BLAMED, 0);
        self.intake.killed.set(0);
        self.say(
            "",
            packed!("the image's core got nothing done; process 1's own takes its place for good"),
        );
        true
    }
}

impl Keeper {
    /// Whether an image's core is in the place of the one before, and is not the choice yet.
    pub(super) fn exchanges(&self) -> bool {
        self.linux.exchanges()
    }

    /// Finds what the life before chose, and whose requests those are that wait.
    pub(super) fn find_choice(&mut self) {
        let region = self.linux.region;
        let (image, choice) = (region.word(at::IMAGE), region.choice());
        if load(region.trial_passed()) == stage::CORE_GIVEN_UP {
            self.leave_image();
        }
        if !self.exchanges() {
            return;
        }
        if load(image) == 0 || load(image) == load(choice) {
            // It was being noted as the choice.
            self.note_choice();
        } else if self.has_only_begun() {
            self.desk.put_on_probation();
        }
    }

    /// The core of the life before is gone: what it was to become is tried once more, or given up
    /// if not even the keeper has survived it.
    pub(super) fn go_on_exchanging(&mut self) {
        if !self.exchanges() {
            return;
        }
        if self.linux.region.get(at::VAIN) >= DEATHS_MAX {
            return self.give_image_up(Trouble::Gone, None);
        }
        if self.has_only_begun() {
            self.linux.restore_state();
        }
        self.why_exchanged();
    }

    /// Whether nothing was done yet for an image's core.
    fn has_only_begun(&self) -> bool {
        load(self.linux.region.trial_passed()) == stage::CORE_BEGINS
    }

    /// Why the next core begins, where an image's is about to.
    pub(super) fn why_exchanged(&mut self) {
        if self.exchanges() {
            self.why = Some(Handover::Exchanged);
            self.desk.put_on_probation();
            self.desk.let_renew(false);
        }
    }

    /// Until when an image's core must have become the choice, whatever it says: it has no more to
    /// do than to find what there is, and the machine may wait for it.
    pub(super) fn exchanged_until(&self) -> Option<Instant> {
        let time = [PATIENCE, self.linux.time_to_take_over()];
        let time = time.into_iter().fold(self.patience, Duration::min);
        self.exchanges().then(|| self.begun.after(time))
    }

    /// The core waits, until then: if that is an image's that has taken over and has nothing left
    /// to do, it is the choice.
    pub(super) fn confirm(&mut self, until: Option<Instant>) {
        let has_nothing_to_do = until != Some(Instant::ZERO);
        if has_nothing_to_do && self.exchanges() && !self.desk.is_on_probation() {
            self.choose();
        }
    }

    /// What was tried takes the place of the choice before.
    #[inline(never)]
    fn choose(&mut self) {
        let region = self.linux.region;
        let before = region::adopt(region.choice());
        store(region.choice(), region.get(at::IMAGE));
        self.note_choice();
        drop(before);
    }

    /// What was tried is the choice, which is noted: nothing else is known of it any more.
    #[inline(never)]
    fn note_choice(&mut self) {
        let region = self.linux.region;
        region.set(at::IMAGE, 0);
        // Before the stage, by which a keeper that dies in between comes here again.
        close_noted(region.word(at::ANSWER));
        store(region.trial_passed(), 0);
        self.desk.let_renew(true);
    }

    /// An image's core that was to become the choice ended, or did what no core does: the one
    /// before has its place again, and tells whoever asked for it.
    #[inline(never)]
    pub(super) fn give_image_up(&mut self, trouble: Trouble, how: Option<ExitStatus>) {
        let region = self.linux.region;
        if self.has_only_begun() {
            self.linux.restore_state();
        }
        // First: what it died of is nobody's fault who was there before.
        region.set(at::VAIN, 0);
        store(region.trial_passed(), stage::CORE_GIVEN_UP);
        let signal = signal_of(trouble, how);
        region.set(at::SIGNAL, signal.into());
        region.set(at::OUTCOME, heal::OUTCOME_BACK);
        self.leave_image();
        self.why = Some(Handover::RolledBack(signal));
        self.desk.end_probation();
        self.desk.let_renew(true);
        self.linux.say(
            "",
            packed!("the image's core did not take over; the one before has its place again"),
        );
    }

    /// Nobody needs any more what was given up, and nothing is known of it in the end.
    fn leave_image(&self) {
        let region = self.linux.region;
        for word in [at::IMAGE, at::ANSWER] {
            close_noted(region.word(word));
        }
        store(region.trial_passed(), 0);
    }

    /// The image whose core is the next; none: its own.
    fn image(&self) -> Option<Fd> {
        let region = self.linux.region;
        let word = match self.exchanges() {
            true => region.word(at::IMAGE),
            false => region.choice(),
        };
        region::adopt(word)
    }

    /// For the core's process: becomes what was chosen. Returns only where that is the keeper's own
    /// core, or cannot be.
    pub(super) fn become_chosen(&self, ends: &Ends, options: BootOptions) -> Option<u8> {
        /// What the exit code of such a core says.
        const NOT_BEGUN: u8 = 72;
        let image = self.image()?;
        let start = Start {
            why: self.why,
            now: self.linux.now(),
            options,
        };
        let (words, ring) = self.linux.region.shared_words();
        let birth = Birth::new(words, ring, false, start.write());
        self.give_up_memory();
        let Ok(runner) = Runner::map() else {
            return Some(NOT_BEGUN);
        };
        let ends = (ends.read.number(), ends.write.number());
        let _cause = become_core(
            &image,
            Some(ends),
            (&runner, &birth),
            &[],
            self.linux.kernel,
        );
        Some(NOT_BEGUN)
    }
}
