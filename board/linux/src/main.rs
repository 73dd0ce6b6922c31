//! This file composes process 1 for Linux: core, HAL and the tables of one product.
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
    //! The compiled manifest.
    init_core::include_manifest!();
}

#[cfg(not(feature = "planted-panic"))]
hal_linux::init!(product);
#[cfg(feature = "planted-panic")]
hal_linux::init!(product, first = planted);

#[cfg(feature = "planted-panic")]
fn planted(arguments: hal_linux::Arguments) {
    assert!(
        arguments.get(1).is_some(),
        "planted: such a program does not link"
    );
}
