//! This crate is a stub: a minimal kernel of our own, for QEMU's `virt` machine, that answers the
//! calls of the public oh-tee ABI as `hal-harmony/conformance.tsv` says, so that the very root
//! images which are made for that kernel run on a processor with memory protection.
//!
//! It is not that kernel, and shows nothing about it. It shares no code with `hal-harmony` but the
//! numbers of the calls. Where that kernel is known to die, this one says so and switches off.
#![no_std]

extern crate alloc;

mod calls;
mod channel;
mod copy;
mod deaths;
mod exits;
mod kernel;
mod memory;
#[path = "../../../hal-harmony/src/abi/number.rs"]
#[allow(dead_code, reason = "the table of the HAL, as a whole")]
mod number;
mod object;
mod process;
mod root;
mod schedule;
mod space;
mod sys;
