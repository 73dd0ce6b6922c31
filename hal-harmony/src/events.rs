//! This file is the place where the root task sleeps.

use crate::abi::{Kernel, Patience};
use crate::children::CORE;
use crate::clock::Mode;
use crate::harmony::Harmony;
use init_core::event::Event;
use init_core::hal::{Clock, EventSource, Wake};
use init_core::time::Instant;

/// Letters that are looked at before the time is: a service that says much without an end has the
/// others wait no longer than that.
const LETTERS_PER_TURN_MAX: u32 = 32;

impl<K: Kernel + 'static> EventSource for Harmony<K> {
    fn wait(&mut self, until: Option<Instant>, _taken_in: u32) -> Wake {
        loop {
            if let Some(wake) = self.next_event().map(Wake::Event) {
                return wake;
            }
            if let Some(wake) = self.next_letter() {
                return wake;
            }
            let now = self.now();
            if until.is_some_and(|until| until <= now) {
                return Wake::Event(Event::Tick);
            }
            self.sleep(until, now);
        }
    }
}

impl<K: Kernel + 'static> Harmony<K> {
    pub(crate) fn next_event(&mut self) -> Option<Event> {
        if let Some(request) = self.asked.take() {
            return Some(Event::Machine(request));
        }
        self.take_exits();
        self.send_mark();
        if let Some(client) = self.sessions.take_gone() {
            return Some(Event::ClientGone(client));
        }
        // What a process has said comes before its end, and ends before what others say again and
        // again.
        if let Some(event) = self.children.take_owed_of_ended() {
            return Some(event);
        }
        let free = |group| self.calls.free(group);
        let is_unit = |child| child != CORE;
        if let Some((child, status)) = self.children.take_ended(is_unit, free) {
            return Some(Event::Exited { child, status });
        }
        if let Some(event) = self.children.take_owed() {
            return Some(event);
        }
        if self.owes_alone && self.children.is_empty() {
            self.owes_alone = false;
            return Some(Event::NoChildLeft);
        }
        None
    }

    pub(crate) fn next_letter(&mut self) -> Option<Wake> {
        for _ in 0..LETTERS_PER_TURN_MAX {
            let Some(letter) = self.courier.post.take() else {
                self.tell_lost();
                return None;
            };
            if let Some(wake) = self.open(letter) {
                return Some(wake);
            }
        }
        Some(Wake::Event(Event::Tick))
    }

    /// Until an exit is told or a letter comes, or a while; too short is no harm.
    pub(crate) fn sleep(&self, until: Option<Instant>, now: Instant) {
        // A process whose threads are not gone yet is not told again: it is looked at again.
        self.doze(until, now, self.children.has_ended());
    }

    /// As [`Self::sleep`], but where somebody is to be looked at again, only others run meanwhile.
    pub(crate) fn doze(&self, until: Option<Instant>, now: Instant, looks_again: bool) {
        // The core carries its own.
        #[cfg(all(feature = "root", target_arch = "aarch64", target_os = "none"))]
        if !crate::SPLIT {
            crate::abi::log::carry(u32::MAX);
        }
        let looks_again = looks_again || self.time.mode == Mode::CounterPoll;
        let patience = match until {
            _ if looks_again => Patience::None,
            Some(until) => Patience::Us(until.since(now).as_us()),
            None => Patience::Endless,
        };
        let _ = self.calls.wait(&self.courier.bell, patience);
        if looks_again {
            self.calls.give_way();
        }
    }
}
