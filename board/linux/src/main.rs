//! This file composes process 1 for Linux: core, HAL and the tables of one product.
#![no_std]
#![no_main]

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
        arguments.iter().count() > 1,
        "planted: such a program does not link"
    );
}
