//! This file names what only `unsafe` can do; nothing else in this crate may use it.

#[cfg(feature = "freestanding")]
mod memory;
#[cfg(feature = "freestanding")]
mod unwind;
