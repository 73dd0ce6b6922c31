//! This file tells the core which units an image knows that stood its trial: one bit for each.

use crate::hal::Platform;
use crate::ident::UnitId;
use crate::limits::{FRAME_BYTES_MAX, UNIT_COUNT_MAX};
use crate::unit::Manifest;

const UNITS_PER_BYTE: usize = 8;

/// A bit for each unit, in the units' order.
pub(super) type Known = [u8; UNIT_COUNT_MAX.div_ceil(UNITS_PER_BYTE)];

/// Nothing is known.
pub(super) const NONE: Known = [0; UNIT_COUNT_MAX.div_ceil(UNITS_PER_BYTE)];

const _: () = assert!(
    size_of::<Known>() <= FRAME_BYTES_MAX,
    "a letter has room for it"
);

/// Asks the platform for each of the manifest's units; how many bytes that makes.
#[inline(never)]
pub(super) fn ask(known: &mut Known, manifest: &Manifest, platform: &impl Platform) -> usize {
    let mut units = (0..u16::MAX).map(UnitId).zip(manifest.units);
    let length = manifest.units.len().div_ceil(UNITS_PER_BYTE);
    for byte in known.iter_mut().take(length) {
        for bit in 0..UNITS_PER_BYTE {
            let is_known = units
                .next()
                .is_some_and(|(unit, _)| platform.is_known(unit));
            *byte |= u8::from(is_known) << bit;
        }
    }
    length
}

/// Whether a unit is among them.
pub(super) fn has(known: &[u8], unit: UnitId) -> bool {
    let byte = known.get(unit.index() / UNITS_PER_BYTE);
    byte.is_some_and(|byte| byte >> (unit.index() % UNITS_PER_BYTE) & 1 != 0)
}
