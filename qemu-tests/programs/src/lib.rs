//! This crate is what the programs of `cargo xtask bench` share: system calls, the first
//! instruction, and the journal to which every program of a run appends. A program of a scenario
//! has its system calls from here, too.
//!
//! It is made for measuring: no libc, no allocation, nothing that is not needed. Never part of a
//! device.
#![no_std]

pub mod journal;
pub mod sys;
