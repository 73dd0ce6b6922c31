//! This file queues a bounded number of things: what the core asks for until the driver takes it,
//! what a HAL has seen until the core is told.
//!
//! A ring of its own: the usual container's index arithmetic brings a panic into the firmware.

/// A queue of at most `N` things; `N` is a power of two, so that an index wraps by masking.
#[derive(Debug)]
pub struct Ring<T, const N: usize> {
    places: [Option<T>; N],
    first: usize,
    count: usize,
}

impl<T: Copy, const N: usize> Ring<T, N> {
    const MASK: usize = {
        assert!(N.is_power_of_two());
        N.wrapping_sub(1)
    };

    /// A queue with nothing in it.
    pub const fn new() -> Self {
        Self {
            places: [None; N],
            first: 0,
            count: 0,
        }
    }

    /// Whether nothing is queued.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Queues one more; `false`: full, and nothing was changed.
    pub fn push(&mut self, item: T) -> bool {
        if self.count == N {
            return false;
        }
        let at = self.first.wrapping_add(self.count) & Self::MASK;
        if let Some(place) = self.places.get_mut(at) {
            *place = Some(item);
            self.count = self.count.wrapping_add(1);
        }
        true
    }

    /// Puts something in the place of what was queued last.
    pub fn replace_last(&mut self, item: T) {
        let at = self.first.wrapping_add(self.count).wrapping_sub(1) & Self::MASK;
        if let Some(place) = self.places.get_mut(at) {
            *place = Some(item);
        }
    }

    /// Takes what was queued first.
    pub fn pop(&mut self) -> Option<T> {
        if self.count == 0 {
            return None;
        }
        let item = self.places.get_mut(self.first)?.take();
        self.first = self.first.wrapping_add(1) & Self::MASK;
        self.count = self.count.wrapping_sub(1);
        item
    }
}

impl<T: Copy, const N: usize> Default for Ring<T, N> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const N: usize = 8;

    #[test]
    fn things_leave_in_their_order_wherever_the_ring_begins() {
        let mut ring = Ring::<usize, N>::new();
        for begin in 0..3 * N {
            for number in 0..begin % (N + 1) {
                assert!(ring.push(number));
            }
            for number in 0..begin % (N + 1) {
                assert_eq!(ring.pop(), Some(number));
            }
            assert_eq!(ring.pop(), None);
        }
    }

    #[test]
    fn a_full_queue_refuses_and_its_last_can_be_replaced() {
        let mut ring = Ring::<usize, N>::new();
        assert!(ring.push(1) && ring.pop().is_some());
        for number in 0..N {
            assert!(ring.push(number));
        }
        assert!(!ring.push(0));
        ring.replace_last(99);
        for number in 0..N - 1 {
            assert_eq!(ring.pop(), Some(number));
        }
        assert_eq!((ring.pop(), ring.pop()), (Some(99), None));
    }
}
