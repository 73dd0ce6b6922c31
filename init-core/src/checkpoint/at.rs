//! This file says where the words lie that are written alone.

pub const MAGIC: usize = 0;
/// Of the manifest.
pub const FINGERPRINT: usize = 1;
/// The number of the effect that was begun last.
pub const BEGUN: usize = 2;
/// The number of the effect that was done last.
pub const DONE: usize = 3;
/// Incarnations that found the region; in the bits above, which last act the machine was on its
/// way to when it was found last.
pub const LIVES: usize = 4;
/// How many units there are, how long a record is, and where the units' names begin, which the
/// records follow: for programs with other units. 0 in products that are never upgraded.
pub const UNITS: usize = 5;
pub const RECORD_WORDS: usize = 6;
pub const NAMES_AT: usize = 7;
pub const EFFECTS: usize = 8;
