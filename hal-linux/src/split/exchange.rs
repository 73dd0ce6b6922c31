//! This file is how a keeper has a core of another image: chosen by a client, tried, and given up
//! again where it does not do.
//!
//! The choice is a word that no core can write, so the keeper's next life goes on with it. The core
//! made from its own memory is always at hand: it takes the place of one that dies twice in a row
//! without having got anything done. Until an image's core has dealt with what it found, the one
//! before it is the choice.

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
use crate::trial::close_noted;
use init_core::checkpoint::words::{load, store};
use init_core::event::{BootOptions, ExitStatus};
use init_core::hal::Clock;
use init_core::packed::packed;
use init_core::relay::Start;
use init_core::renewal::Handover;
use init_core::report;
use init_core::time::Duration;

/// Deaths in a row of an image's core that got nothing done: with one more, the keeper's own has
/// its place. What both died over has ended two lives by then, so they are fewer than what is put
/// aside: that is not known to be at fault.
const DEATHS_MAX: u32 = 2;

impl Linux {
    /// The image stood its trial for its core: from now on that is the next.
    pub(crate) fn begin_exchange(&mut self) -> bool {
        let word = self.region.trial_passed();
        let begins = load(word) == stage::CORE_PASSED;
        if begins {
            store(word, stage::CORE_BEGINS);
        }
        begins
    }
}

impl Keeper {
    /// Whether an image's core takes the place of the one before, and has not yet.
    pub(super) fn exchanges(&self) -> bool {
        load(self.linux.region.trial_passed()) == stage::CORE_BEGINS
    }

    /// Finds what the life before chose.
    pub(super) fn find_choice(&mut self) {
        let region = self.linux.region;
        let (image, choice) = (region.word(at::IMAGE), load(region.choice()));
        if !self.exchanges() {
            return;
        }
        if load(image) == 0 || load(image) == choice {
            // It was being noted as the choice.
            self.note_choice();
        } else if region.get(at::VAIN) >= DEATHS_MAX {
            // Not even the keeper has survived it.
            self.give_image_up(Trouble::Gone, None);
        }
    }

    /// Why the next core begins, where an image's is about to.
    pub(super) fn why_exchanged(&mut self) {
        if self.exchanges() {
            self.why = Some(Handover::Exchanged);
            self.desk.put_on_probation();
        }
    }

    /// How long the core may be silent: one that is to take over has no more to do than to find
    /// what there is, and the machine may wait for it.
    pub(super) fn time_to_exchange(&self) -> Duration {
        match self.exchanges() {
            true => [PATIENCE, self.linux.time_to_take_over()]
                .into_iter()
                .fold(self.patience, Duration::min),
            false => self.patience,
        }
    }

    /// The core has nothing to do: if it is an image's that has taken over, it is the choice.
    pub(super) fn confirm(&mut self) {
        if self.exchanges() && !self.desk.is_on_probation() {
            let region = self.linux.region;
            let before = region::adopt(region.choice());
            store(region.choice(), region.get(at::IMAGE));
            self.note_choice();
            drop(before);
        }
    }

    /// What was tried is the choice, which is noted: nothing else is known of it any more.
    fn note_choice(&mut self) {
        let region = self.linux.region;
        region.set(at::IMAGE, 0);
        store(region.trial_passed(), 0);
        close_noted(region.word(at::ANSWER));
    }

    /// An image's core that has not taken over ended, or did what no core does: the one before has
    /// its place again, and tells whoever asked for it.
    pub(super) fn give_image_up(&mut self, trouble: Trouble, how: Option<ExitStatus>) {
        let region = self.linux.region;
        store(region.trial_passed(), 0);
        let signal = signal_of(trouble, how);
        region.set(at::SIGNAL, signal.into());
        region.set(at::OUTCOME, heal::OUTCOME_BACK);
        self.why = Some(Handover::RolledBack(signal));
        self.desk.end_probation();
    }

    /// Another one died: whether the image's core has lost its place, which is said.
    pub(super) fn drop_choice(&mut self) {
        let region = self.linux.region;
        let vain = region.get(at::VAIN);
        let killed = self.linux.intake.killed.get();
        if load(region.choice()) == 0 || vain < DEATHS_MAX && killed < VAIN_MAX {
            return;
        }
        close_noted(region.choice());
        // The own one has its chances, and so has what it is given.
        region.set(at::VAIN, 0);
        region.set(at::BLAMED, 0);
        let now = self.linux.now();
        report::write_line(&mut self.linux.console, now, &|line| {
            line.say(packed!(
                "the image's core got nothing done; process 1's own takes its place for good"
            ));
        });
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
        let Ok(runner) = Runner::map() else {
            return Some(NOT_BEGUN);
        };
        let start = Start {
            why: self.why,
            now: self.linux.now(),
            options,
        };
        let (words, ring) = self.linux.region.shared_words();
        let birth = Birth::new(words, ring, false, start.write());
        self.give_up_regions();
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
