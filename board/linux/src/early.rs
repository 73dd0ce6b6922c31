//! This file composes the program that goes over to the disk and executes process 1 from there.
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

hal_linux::entry!(hal_linux::early);
