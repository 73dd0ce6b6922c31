//! This crate does on OpenHarmony's own microkernel what `init-core` asks for: the public oh-tee
//! ABI, as its root task.
//!
//! It guarantees: no allocation, no panic, no capability of ours in another process, and no call
//! of which the kernel is known to die. Decisions are not made here.
#![no_std]
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unwrap_used
    )
)]

pub mod abi;
mod children;
mod clock;
mod console;
mod control;
mod events;
mod exits;
mod harmony;
mod image;
mod power;
pub mod probe;
mod start;

pub use clock::Mode;
pub use console::Console;
pub use harmony::{Config, Harmony, Storage};
pub use image::{Image, Malformed};
