//! This crate runs the production core and driver over a simulated kernel.
#![forbid(unsafe_code)]

pub mod graph;
pub mod random;
