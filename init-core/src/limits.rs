//! This file holds every capacity that a manifest does not choose, with where the number comes
//! from.

/// Units in one manifest. A unit is named by 16 bits; the last values are kept for
/// [`crate::ident::UnitId::SYSTEM`]. Tables are sized by the manifest, not by this.
pub const UNIT_COUNT_MAX: usize = 8_192;

/// Bytes of a unit's name: fits one line of a console table and one control frame many times.
pub const NAME_BYTES_MAX: usize = 48;

/// Bytes of one control frame, header included: the status of about eight units.
pub const FRAME_BYTES_MAX: usize = 1_024;

/// Control clients served at once. Each holds one frame buffer in process 1.
pub const CLIENT_COUNT_MAX: usize = 4;

/// Bytes of a detail text in a reply or a notice.
pub const DETAIL_BYTES_MAX: usize = 96;

const _: () = assert!(UNIT_COUNT_MAX < 65_535);
const _: () = assert!(NAME_BYTES_MAX * 4 < FRAME_BYTES_MAX);
