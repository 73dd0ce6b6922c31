//! This file is what a keeper tells a core that it has not made from its own memory: why it begins,
//! when, and what the boot chose. And it says which cores and keepers understand each other.

use super::PLACES;
use crate::event::BootOptions;
use crate::protocol::{fnv1a, with_counts};
use crate::renewal::Handover;
use crate::time::Instant;
use crate::wire::describe::fields;
use crate::wire::{Value, Wire};

/// Changes whenever a request, an answer or a start changes its shape, or the place where it is
/// told. A request that changes its meaning without that gets another number.
pub const SCHEMA: u32 = with_counts(fnv1a(include_bytes!("schema.txt")), &PLACES);

/// Bytes of a start: what it is made of needs 20 at most.
pub const START_BYTES: usize = 32;

/// How a core begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// Should there have been another before.
    pub why: Option<Handover>,
    /// When.
    pub now: Instant,
    /// What it boots with, if it finds no state.
    pub options: BootOptions,
}

fields!(Start { why, now, options });

impl Start {
    /// As bytes.
    pub fn write(mut self) -> [u8; START_BYTES] {
        let mut bytes = [0; START_BYTES];
        self.pass(&mut Wire::writing(&mut bytes));
        bytes
    }

    /// What these bytes say; `None`: no keeper wrote them.
    pub fn read(bytes: &[u8; START_BYTES]) -> Option<Self> {
        let mut wire = Wire::reading(bytes);
        let mut start = Self::EMPTY;
        start.pass(&mut wire);
        wire.is_whole().then_some(start)
    }
}

#[cfg(test)]
mod tests;
