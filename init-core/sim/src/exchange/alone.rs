//! This file lets a core alone be exchanged for an image's: it finds the state and takes over, or
//! the one before has its place again, with the state as that one left it.

use super::Region;
use super::kernel::{Kernel, Trial};
use init_core::relay::Desk;
use init_core::renewal::Handover;
use init_core::time::Instant;
use std::sync::atomic::Ordering;

/// Keepers that may die while such a core is on its way: with one more it is given up.
const DEATHS_MAX: u32 = 2;

/// How far it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    None,
    /// It is to find the state, and to do nothing before that.
    Begins,
    /// It has, and is not the choice yet.
    TakesOver,
}

/// An exchange of the core alone, as the keeper knows it.
#[derive(Debug, Default)]
pub(super) struct Exchange {
    stage: Stage,
    /// The state, where no core can change it.
    copy: Vec<u32>,
    /// Deaths of keepers meanwhile.
    deaths: u32,
    /// Cores that have taken over, and that have become the choice.
    pub(super) took_over: u64,
    pub(super) stayed: u64,
}

impl Exchange {
    pub(super) fn goes_on(&self) -> bool {
        self.stage != Stage::None
    }

    /// Nothing is to be done for it yet.
    pub(super) fn has_only_begun(&self) -> bool {
        self.stage == Stage::Begins
    }

    /// The core has found the state; whether it is one that is being exchanged.
    pub(super) fn take_over(&mut self) -> bool {
        let is_it = self.goes_on();
        if is_it {
            self.took_over += 1;
            self.stage = Stage::TakesOver;
        }
        is_it
    }
}

impl Kernel {
    /// The image whose trial is over is for the core alone: its core is the next.
    pub(super) fn begin_exchange(&mut self) -> bool {
        let has_passed = matches!(self.trial, Trial::Passed | Trial::Ended(None));
        let begins = self.tries_core && has_passed;
        if begins {
            self.exchange.stage = Stage::Begins;
            self.exchange.deaths = 0;
            self.exchange.copy.clear();
        }
        begins
    }

    /// Another core is about to begin: an image's, or not; and why.
    pub(super) fn prepare_exchange(&mut self, own: &Region, desk: &mut Desk) -> Option<Handover> {
        if !self.exchange.goes_on() {
            return None;
        }
        let state = own.checkpoint.iter();
        if self.exchange.copy.is_empty() {
            self.exchange.copy = state.map(|word| word.load(Ordering::Relaxed)).collect();
        }
        desk.put_on_probation();
        desk.let_renew(false);
        Some(Handover::Exchanged)
    }

    /// It waits until then: if there is nothing to do, it is the choice.
    pub(super) fn confirm_exchange(&mut self, until: Option<Instant>, desk: &mut Desk) {
        let is_done = self.exchange.stage == Stage::TakesOver && !desk.is_on_probation();
        if is_done && until != Some(Instant::ZERO) {
            self.exchange.stage = Stage::None;
            self.exchange.stayed += 1;
            self.trial = Trial::None;
            desk.let_renew(true);
        }
    }

    /// The image's core died: the one before has its place again.
    pub(super) fn give_exchange_up(&mut self, own: &Region, desk: &mut Desk) {
        if !self.exchange.goes_on() {
            return;
        }
        self.restore(own);
        self.exchange.stage = Stage::None;
        self.trial = Trial::None;
        self.outcome = Some(Handover::RolledBack(super::keeper::SIGNAL));
        desk.end_probation();
        desk.let_renew(true);
    }

    /// The keeper died while an image's core was on its way.
    pub(super) fn go_on_exchanging(&mut self, own: &Region, desk: &mut Desk) {
        if !self.exchange.goes_on() {
            return;
        }
        self.exchange.deaths += 1;
        match self.exchange.deaths >= DEATHS_MAX {
            true => self.give_exchange_up(own, desk),
            false => self.restore(own),
        }
    }

    /// What a core did to the state that was not to do anything is undone.
    fn restore(&self, own: &Region) {
        if self.exchange.stage == Stage::Begins {
            for (word, value) in own.checkpoint.iter().zip(&self.exchange.copy) {
                word.store(*value, Ordering::Relaxed);
            }
        }
    }
}
