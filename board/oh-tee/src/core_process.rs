//! This file composes the core of an oh-tee kernel's root task, where that is its keeper: the
//! tables of one product, and a process of its own.
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

mod product {
    //! The compiled manifest. Programs are the keeper's to start.
    #![allow(dead_code, reason = "the programs of services are the keeper's")]
    init_core::include_manifest!();
}

hal_harmony::core!(product);
