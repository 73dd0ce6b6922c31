//! This room holds what rustix has no public call for, and all unsafe code of this crate.
//!
//! Each file offers safe functions whose documentation says why they are safe to call.

pub mod apart;
pub mod cage;
pub mod clock;
mod clone;
pub mod fault;
pub mod fd;
pub mod futex;
pub mod group;
#[cfg(feature = "freestanding")]
pub mod image;
pub mod kernel;
pub mod limits;
#[cfg(all(feature = "freestanding", feature = "exchange"))]
pub mod load;
#[cfg(any(feature = "freestanding", test))]
mod memory;
#[cfg(feature = "freestanding")]
pub mod module;
pub mod network;
pub mod parcel;
pub mod pool;
pub mod process;
#[cfg(feature = "freestanding")]
pub mod seldom;
pub mod shared;
pub mod signals;
pub mod slices;
#[cfg(feature = "freestanding")]
pub mod start;
mod syscall;
pub mod text;
pub mod timer;
#[cfg(feature = "freestanding")]
mod unwind;
#[cfg(feature = "freestanding")]
pub mod uses;
pub mod vector;
pub mod wait;
pub mod watchdog;
