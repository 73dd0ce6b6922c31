//! This file composes a root task that walks the conformance table over the kernel it runs on.
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

hal_harmony::entry!(hal_harmony::walk);
