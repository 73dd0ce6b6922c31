//! This room holds what the scenarios share: manifests in a few words, and a machine to run them.
#![allow(dead_code)]

pub mod distance;
pub mod machine;
pub mod model;
pub mod mortal;
pub mod random;
pub mod witness;

#[allow(unused_imports)]
pub use graph::{Graph, RESTART, rule};
#[allow(unused_imports)]
pub use init_core_sim::graph;
#[allow(unused_imports)]
pub use machine::{Machine, ms, secs};
