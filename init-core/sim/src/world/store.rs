//! This file holds what a script has in store: faults that wait for their time.

use crate::random::Random;
use crate::script::Death;
use init_core::ident::UnitId;
use init_core::time::Instant;
use std::collections::VecDeque;

/// No end in sight.
pub(super) const FOR_EVER: u32 = u32::MAX - 1;

/// Faults that wait for their time.
#[derive(Debug)]
pub struct Store {
    /// Processes that cannot be made.
    pub exhaust: u32,
    /// Wake-ups for nothing.
    pub wakes: u32,
    /// Until when process 1 is told nothing.
    pub deaf_until: Instant,
    /// How much longer than it wants process 1 sleeps once.
    pub hold: u64,
    /// Crossings that take long, and how long, in microseconds.
    pub slow: (u32, u64),
    /// The order of what happened in the meantime; `None`: its own.
    pub shuffle: Option<Random>,
    /// The ends of the lives to come.
    pub deaths: VecDeque<Death>,
    /// The end of this life is near.
    pub lit: bool,
    /// Deaths at writes may come right after one, and not only where the next is tried: between an
    /// effect's mark and the effect.
    pub may_be_early: bool,
    /// This one does.
    pub is_early: bool,
    /// Calls that this life has left.
    pub calls: u32,
    /// What is damaged while process 1 is dead.
    pub damage: Vec<(Option<UnitId>, u32, u32)>,
    /// Everybody behaves.
    pub calm: bool,
}

impl Store {
    /// Nothing.
    pub(super) fn new() -> Self {
        Self {
            exhaust: 0,
            wakes: 0,
            deaf_until: Instant::ZERO,
            hold: 0,
            slow: (0, 0),
            shuffle: None,
            deaths: VecDeque::new(),
            lit: false,
            may_be_early: false,
            is_early: false,
            calls: FOR_EVER,
            damage: Vec::new(),
            calm: false,
        }
    }
}
