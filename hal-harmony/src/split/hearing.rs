//! This file is the keeper's ears: what the core wants, who has ended, and what services say. Exits
//! and services come first, so that a core that calls without an end keeps nobody waiting.

use super::{Handed, Keeper, Trouble};
use crate::abi::{Asked, Kernel};
use crate::children::CORE;
use init_core::event::{Event, ExitStatus};
use init_core::hal::{Clock, Wake};
use init_core::relay::Breach;
use init_core::time::{Duration, Instant};

/// Letters with something for the core that are taken at once: as many as can wait.
const LETTERS_MAX: usize = 24;

/// How often a core may wake the keeper for nothing. None does: it calls when it wants something,
/// and then waits.
const NOISE_MAX: u32 = 16;

impl<K: Kernel + 'static> Keeper<K> {
    /// Waits for a call of the core, which has something to do, as long as it has time left: that
    /// goes on only while the keeper sleeps, and is renewed by what the core is told, not by calls.
    pub(super) fn hear(&mut self) -> Result<Asked, Trouble> {
        loop {
            if let Some(how) = self.take_end() {
                return Err(Trouble::Gone(how));
            }
            self.listen();
            self.charge_noise()?;
            if let Some(asked) = self.harmony.courier.post.take_core() {
                return Ok(asked);
            }
            if self.left == Duration::ZERO {
                return Err(Trouble::Silent);
            }
            let begun = self.harmony.now();
            // Who else has ended waits until the core can be told.
            let looks_again = self.harmony.children.is_ending(CORE);
            let until = begun.after(self.left);
            self.harmony.doze(Some(until), begun, looks_again);
            self.left = until.since(self.harmony.now());
        }
    }

    /// A call that asks for nothing: it is never answered.
    pub(super) fn ignore(&mut self, vain: Asked) -> Result<(), Breach> {
        self.harmony.courier.post.give_core(vain.forget());
        self.charge(1)
    }

    /// What the core has woken the keeper with that is no call, and calls beside the one that it
    /// waits by.
    fn charge_noise(&mut self) -> Result<(), Breach> {
        let noise = self.harmony.courier.post.take_noise();
        self.charge(noise)
    }

    /// The core has woken the keeper so often for nothing.
    pub(super) fn charge(&mut self, noise: u32) -> Result<(), Breach> {
        self.noise = self.noise.saturating_add(noise);
        if self.noise > NOISE_MAX {
            return Err(Breach::TooOften);
        }
        Ok(())
    }

    /// Takes exits, and what services say.
    pub(super) fn attend(&mut self) {
        self.harmony.take_exits();
        self.harmony.send_mark();
        self.listen();
    }

    /// How the core ended, once it is gone for good.
    pub(super) fn take_end(&mut self) -> Option<ExitStatus> {
        self.harmony.take_exits();
        self.harmony.send_mark();
        let calls = &self.harmony.calls;
        let is_core = |child| child == CORE;
        let ended = self
            .harmony
            .children
            .take_ended(is_core, |group| calls.free(group));
        ended.map(|(_, how)| how)
    }

    /// Answers services; what is for the core is kept.
    pub(super) fn listen(&mut self) {
        for _ in 0..LETTERS_MAX {
            match self.harmony.next_letter() {
                Some(Wake::Event(event)) => self.harmony.children.owe(event),
                Some(Wake::Frame(client)) => self.harmony.sessions.owe(client),
                None => return,
            }
        }
    }

    /// The next event for a core that has nothing to do.
    pub(super) fn next(&mut self, until: Option<Instant>) -> Result<Wake, Trouble> {
        loop {
            if let Some(how) = self.take_end() {
                return Err(Trouble::Gone(how));
            }
            self.charge_noise()?;
            if let Some(second) = self.harmony.courier.post.take_core() {
                self.ignore(second)?;
            }
            if let Some(handed) = self.next_wake() {
                let stamp = self.taken_in;
                self.handed = Some(Handed { stamp, ..handed });
                return Ok(handed.wake);
            }
            let now = self.harmony.now();
            if until.is_some_and(|until| until <= now) {
                return Ok(Wake::Event(Event::Tick));
            }
            self.harmony.sleep(until, now);
        }
    }

    fn next_wake(&mut self) -> Option<Handed> {
        if let Some(handed) = self.again.take() {
            return Some(handed);
        }
        // First what they say, so that it comes before their end.
        self.listen();
        // By turns: neither services nor clients keep the others waiting.
        self.is_clients_turn = !self.is_clients_turn;
        let frame = match self.is_clients_turn {
            true => self.harmony.sessions.take_owed(),
            false => None,
        };
        let wake = match frame {
            Some(client) => Some(Wake::Frame(client)),
            None => self.harmony.next_event().map(Wake::Event),
        };
        let wake = wake.or_else(|| self.harmony.sessions.take_owed().map(Wake::Frame))?;
        Some(Handed {
            wake,
            stamp: 0,
            faults: 0,
            ends: 0,
        })
    }
}
