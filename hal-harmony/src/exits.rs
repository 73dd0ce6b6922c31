//! This file reads the ring in which the kernel tells exits.
//!
//! The kernel keeps the order of exits only while the ring has room. One slot always stays empty,
//! so a ring of one slot more than there can be children never lacks room.

use crate::abi::layout::{
    EXIT_BYTES, RING_HEADER_BYTES, RING_SLOT_COUNT_MAX, RING_WORDS, RingPage,
};
use core::sync::atomic::{AtomicI32, AtomicU64, Ordering};

/// Children that one page of ring is enough for.
pub const CHILD_COUNT_MAX: usize = RING_SLOT_COUNT_MAX - 1;

/// Who ended and with which code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit {
    /// The badge that the process was given.
    pub badge: i32,
    /// Its code; 0 also if it was killed, -1 also if it did what it must not.
    pub code: i32,
}

/// Our end of the ring.
#[derive(Debug)]
pub struct Exits {
    page: &'static RingPage,
    end: u64,
}

/// The header's and a message's bytes, as the ring counts them.
const HEADER: u64 = 32;
const MESSAGE: u64 = 12;
const _: () = assert!(RING_HEADER_BYTES == 32 && EXIT_BYTES == 12);

/// Bytes of a ring with one slot more than there are children. Counted in steps: a constant
/// function has no checked conversion between integers.
const fn ring_bytes(children: usize) -> u64 {
    let (mut slots, mut bytes) = (0, HEADER.saturating_add(MESSAGE));
    while slots < children {
        slots = slots.saturating_add(1);
        bytes = bytes.saturating_add(MESSAGE);
    }
    bytes
}

/// An empty ring's page for so many children.
pub const fn page<const CHILDREN: usize>() -> RingPage {
    const {
        assert!(
            CHILDREN <= CHILD_COUNT_MAX,
            "one page of exit ring is not enough"
        )
    };
    RingPage {
        size: AtomicU64::new(ring_bytes(CHILDREN)),
        consumer: AtomicU64::new(HEADER),
        producer: AtomicU64::new(HEADER),
        message_bytes: AtomicU64::new(MESSAGE),
        words: [const { AtomicI32::new(0) }; RING_WORDS],
    }
}

impl Exits {
    /// Reads this ring, from where it was left.
    pub fn new(page: &'static RingPage) -> Self {
        let end = page.size.load(Ordering::Relaxed);
        Self { page, end }
    }

    /// The page, for the kernel.
    pub fn page(&self) -> &'static RingPage {
        self.page
    }

    /// The oldest exit that was not taken yet.
    pub fn take(&mut self) -> Option<Exit> {
        let at = self.page.consumer.load(Ordering::Relaxed);
        if at == self.page.producer.load(Ordering::Acquire) {
            return None;
        }
        let index = at.checked_sub(HEADER)? / 4;
        let index = usize::try_from(index).ok()?;
        let word = |index: usize| Some(self.page.words.get(index)?.load(Ordering::Relaxed));
        let exit = Exit {
            badge: word(index)?,
            code: word(index.checked_add(1)?)?,
        };
        let after = at.saturating_add(MESSAGE);
        let next = if after >= self.end { HEADER } else { after };
        self.page.consumer.store(next, Ordering::Release);
        Some(exit)
    }
}
