//! This file composes the root task of an oh-tee kernel: core, HAL and the tables of one product.
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

/// What this board chooses.
const CONFIG: hal_harmony::Config = hal_harmony::Config {
    images: &product::IMAGES,
    // As the kernel starts its root task.
    own_priority: 10,
    service_priority: 5,
    stack_bytes: 16 * 1_024,
    window: hal_harmony::WINDOW,
    // Above all that the stub hands out.
    reserved: Some(0x4700_1000),
    shared: Some(0x4700_2000),
    ram_disk: product::RAM_DISK,
    // Its kernel has no call for that, and the machine no register.
    reset: None,
};

#[cfg(not(any(feature = "planted-panic", feature = "split")))]
hal_harmony::init!(product, CONFIG);
// The program of `core_process.rs`, which is built first.
#[cfg(all(feature = "split", not(feature = "planted-panic")))]
hal_harmony::keep!(product, CONFIG, include_bytes!(env!("SYSMASTER_CORE")));
#[cfg(feature = "planted-panic")]
hal_harmony::entry!(planted);

#[cfg(feature = "planted-panic")]
fn planted() -> ! {
    let window = core::hint::black_box(CONFIG.window);
    assert!(window > 0, "planted: such a program does not link");
    hal_harmony::walk()
}
