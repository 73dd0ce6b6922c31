//! This crate decides what an init does: which unit starts, stops or restarts, and when.
//!
//! It guarantees: no allocation, no unsafe code, no recursion, no panic, no clock and no input or
//! output of its own. The same events at the same times give the same effects.
//! It must never learn what kind of kernel it runs on: that is a HAL's business.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unwrap_used,
        clippy::wildcard_enum_match_arm
    )
)]

#[cfg(feature = "fake")]
extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod checkpoint;
pub mod cmdline;
mod dictionary;
#[cfg(feature = "fake")]
mod digest;
pub mod driver;
pub mod effect;
pub mod errno;
pub mod event;
#[cfg(test)]
mod fixture;
pub mod hal;
pub mod ident;
pub mod job;
pub mod keeper;
pub mod limits;
pub mod packed;
pub mod protocol;
pub mod relay;
pub mod renewal;
pub mod report;
pub mod ring;
pub mod status;
pub mod storage;
pub mod supervisor;
pub mod system;
pub mod text;
pub mod time;
pub mod tool;
pub mod unit;
mod upgrade;
mod uses;
mod view;
pub mod wire;

pub use driver::Driver;
pub use storage::Storage;
pub use supervisor::Core;
pub use uses::ROLES;

/// Includes the tables that `manifests::build()` wrote for this crate's product: a
/// `MANIFEST: init_core::unit::Manifest` and the storage sizes that go with it.
#[macro_export]
macro_rules! include_manifest {
    () => {
        include!(concat!(env!("OUT_DIR"), "/manifest.rs"));
    };
}
