//! This file composes the smallest init: one command is kept, everybody is reaped, nobody stays.
#![no_std]
#![no_main]
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

hal_linux::entry!(hal_linux::keep);
