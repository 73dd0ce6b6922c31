//! This crate performs a recording again: the production core and driver take in what the flight
//! recorder of a device kept, at the same times, and must come to the same after each step.
//!
//! A file is read (`file`), and its events go through the driver (`replay`) over a platform that
//! answers as the device did (`port`). What came of each is told in words (`words`).
#![forbid(unsafe_code)]

mod begin;
pub mod file;
mod port;
pub mod replay;
mod tape;
mod trouble;
mod words;

pub use replay::{Desk, End, Replay, Step};
pub use trouble::Trouble;
