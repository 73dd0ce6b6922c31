//! This room holds what the scenarios share: manifests in a few words, and a machine to run them.
#![allow(dead_code)]

pub mod graph;
pub mod machine;

pub use graph::{Graph, RESTART};
pub use machine::{Machine, ms, secs};
