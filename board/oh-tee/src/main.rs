//! This file composes the root task of an oh-tee kernel: core, HAL and the tables of one product.
#![no_std]
#![no_main]

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
    // Its kernel has no call for that, and the machine no register.
    reset: None,
};

hal_harmony::init!(product, CONFIG);
