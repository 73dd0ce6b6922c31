//! This file tells exits: in the root task's ring, by a notification.

use crate::kernel::{BAD_CAP, INVALID, Kernel, NO_PERMISSION};
use crate::object::Notification;
use crate::space::WRITE;
use crate::sys::page;
use alloc::rc::Rc;
use alloc::vec;

/// Where exits are told.
pub struct Recycler {
    bell: Rc<Notification>,
    /// The ring's physical address: one page of the root task's, which nobody takes away.
    ring: u64,
}

/// The ring's fields, and its first slot.
const SIZE: u64 = 0;
const CONSUMER: u64 = 8;
const PRODUCER: u64 = 16;
const MESSAGE: u64 = 24;
const FIRST: u64 = 32;

impl Recycler {
    fn after(&self, offset: u64) -> u64 {
        let (size, message) = (
            page::word(self.ring + SIZE),
            page::word(self.ring + MESSAGE),
        );
        if offset == size - message {
            FIRST
        } else {
            offset + message
        }
    }

    fn is_full(&self) -> bool {
        self.after(page::word(self.ring + PRODUCER)) == page::word(self.ring + CONSUMER)
    }

    fn put(&self, (badge, code): (i32, i32)) {
        let producer = page::word(self.ring + PRODUCER);
        let mut message = [0; 12];
        message[..4].copy_from_slice(&badge.to_le_bytes());
        message[4..8].copy_from_slice(&code.to_le_bytes());
        page::write(self.ring + producer, &message);
        page::set_word(self.ring + PRODUCER, self.after(producer));
    }
}

impl Kernel {
    /// Exits are told by this notification in that ring.
    pub fn register(&mut self, cap: u64, ring: u64) -> i64 {
        if self.group().badge != 1 {
            return NO_PERMISSION;
        }
        let Some(bell) = self.find_notification(cap) else {
            return BAD_CAP;
        };
        let Some(at) = self.group().space.physical(ring, WRITE) else {
            return INVALID;
        };
        assert!(ring.is_multiple_of(page::PAGE), "the ring crosses pages");
        self.recycler = Some(Recycler { bell, ring: at });
        0
    }

    /// Tells an exit. Without room it waits, unsignalled, until there is another one.
    pub fn tell(&mut self, badge: i32, code: i32) {
        let Some(recycler) = self.recycler.take() else {
            panic!("badge {badge} ends, and nobody is told of exits");
        };
        if recycler.is_full() {
            self.surplus.insert(0, (badge, code));
        } else {
            let mut told = vec![(badge, code)];
            told.append(&mut self.surplus);
            let mut rest = told.into_iter();
            while let Some(exit) = rest.next() {
                if recycler.is_full() {
                    self.surplus.push(exit);
                    self.surplus.extend(rest.by_ref());
                    break;
                }
                recycler.put(exit);
            }
            let broken = recycler.bell.broken.get();
            assert!(!broken, "H1: an exit, and what it is told by is broken");
            self.signal(&recycler.bell);
        }
        self.recycler = Some(recycler);
    }
}
