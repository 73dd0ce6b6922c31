//! This file queues what one event or one look at a job asks for, until the driver takes it.
//!
//! A ring of its own: the usual container's index arithmetic brings a panic into the firmware.

use crate::effect::Effect;
use crate::limits::CLIENT_COUNT_MAX;

/// Effects that one event or one look at a job can leave: notices, three processes, and a reply to
/// each client, twice over. A power of two, so that an index wraps by masking.
const EFFECT_COUNT_MAX: usize = 32;

const _: () = assert!(EFFECT_COUNT_MAX.is_power_of_two());
const _: () = assert!(EFFECT_COUNT_MAX >= 4 * CLIENT_COUNT_MAX);

/// The queue.
#[derive(Debug)]
pub(super) struct Outbox {
    ring: [Option<Effect>; EFFECT_COUNT_MAX],
    first: usize,
    count: usize,
}

impl Outbox {
    pub(super) const fn new() -> Self {
        Self {
            ring: [None; EFFECT_COUNT_MAX],
            first: 0,
            count: 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Queues an effect; `false`: full, and nothing was changed.
    pub(super) fn push(&mut self, effect: Effect) -> bool {
        if self.count == EFFECT_COUNT_MAX {
            return false;
        }
        let at = place(self.first.wrapping_add(self.count));
        if let Some(slot) = self.ring.get_mut(at) {
            *slot = Some(effect);
            self.count = self.count.wrapping_add(1);
        }
        true
    }

    /// Puts an effect in the place of the one queued last.
    pub(super) fn replace_last(&mut self, effect: Effect) {
        let at = place(self.first.wrapping_add(self.count).wrapping_sub(1));
        if let Some(slot) = self.ring.get_mut(at) {
            *slot = Some(effect);
        }
    }

    /// Takes the effect queued first.
    pub(super) fn pop(&mut self) -> Option<Effect> {
        if self.count == 0 {
            return None;
        }
        let effect = self.ring.get_mut(self.first)?.take();
        self.first = place(self.first.wrapping_add(1));
        self.count = self.count.wrapping_sub(1);
        effect
    }
}

fn place(index: usize) -> usize {
    index & EFFECT_COUNT_MAX.wrapping_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effect::{Fault, Notice};
    use crate::ident::UnitId;
    use crate::unit::Signal;

    fn effect(number: usize) -> Effect {
        Effect::KillAll(Signal(u8::try_from(number % 64).unwrap()))
    }

    #[test]
    fn effects_leave_in_their_order_wherever_the_ring_begins() {
        let mut outbox = Outbox::new();
        for begin in 0..3 * EFFECT_COUNT_MAX {
            for number in 0..begin % (EFFECT_COUNT_MAX + 1) {
                assert!(outbox.push(effect(number)));
            }
            for number in 0..begin % (EFFECT_COUNT_MAX + 1) {
                assert_eq!(outbox.pop(), Some(effect(number)));
            }
            assert_eq!(outbox.pop(), None);
        }
    }

    #[test]
    fn a_full_queue_refuses_and_its_last_can_be_replaced() {
        let mut outbox = Outbox::new();
        assert!(outbox.push(effect(1)) && outbox.pop().is_some());
        for number in 0..EFFECT_COUNT_MAX {
            assert!(outbox.push(effect(number)));
        }
        assert!(!outbox.push(effect(0)));
        let fault = Effect::Notice(Notice::Fault(Fault::UnexpectedEvent(UnitId(0))));
        outbox.replace_last(fault);
        for number in 0..EFFECT_COUNT_MAX - 1 {
            assert_eq!(outbox.pop(), Some(effect(number)));
        }
        assert_eq!((outbox.pop(), outbox.pop()), (Some(fault), None));
    }
}
