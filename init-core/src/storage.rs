//! This file owns the core's memory: one place for each unit of the manifest, nothing else.

use crate::job::{Plan, Scratch};
use crate::supervisor::Core;
use crate::supervisor::unit::Unit;
use crate::unit::Manifest;

/// Memory for as many units as the manifest has. A board keeps one in a static.
#[derive(Debug)]
pub struct Storage<const UNITS: usize> {
    units: [Unit; UNITS],
    scratch: [Scratch; UNITS],
}

/// Bytes of state that the core keeps for each unit.
pub const UNIT_BYTES: usize = size_of::<Unit>() + size_of::<Scratch>();

/// DESIGN: each further service costs at most 512 bytes of state in all; the HAL needs its share.
const _: () = assert!(UNIT_BYTES <= 256);

impl<const UNITS: usize> Storage<UNITS> {
    /// Memory that [`Self::core`] makes ready.
    pub const fn new() -> Self {
        Self {
            units: [Unit::BLANK; UNITS],
            scratch: [Scratch::EMPTY; UNITS],
        }
    }

    /// The core of a product. `UNITS` is the manifest's own `UNIT_COUNT`; places beyond it stay
    /// unused, and units beyond `UNITS` do not exist.
    pub fn core(&mut self, manifest: &'static Manifest) -> Core<'_> {
        let count = manifest.units.len();
        Core::new(
            manifest,
            front(&mut self.units, count),
            Plan::new(front(&mut self.scratch, count)),
        )
    }
}

impl<const UNITS: usize> Default for Storage<UNITS> {
    fn default() -> Self {
        Self::new()
    }
}

fn front<T>(places: &mut [T], count: usize) -> &mut [T] {
    let count = count.min(places.len());
    places.get_mut(..count).unwrap_or_default()
}
