//! This crate is what the benchmark measures: the lives that every contender lives, in turn, as
//! process 1 of a machine of its own, and what they cost.
//!
//! It runs where the contenders run: within `cargo xtask bench` on this machine's kernel, and as
//! the program `referee` in a virtual board. It builds nothing: roots and files lie ready in a
//! folder. Times come from the programs that are run, never from how often the harness looks; but
//! how long healing takes is what a client sees that asks again every 200 microseconds, and where
//! instructions are counted as time, looks of the harness are counted with the contender's work.
#![forbid(unsafe_code)]

mod cgroup;
pub mod contender;
pub mod extent;
mod healing;
mod journal;
mod lives;
mod memory;
pub mod order;
pub mod own;
pub mod plan;
pub mod rows;
pub mod samples;
mod stage;
mod turns;
