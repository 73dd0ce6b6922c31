//! This file is process 1 of the Acme sensor.
#![no_std]
#![no_main]

mod product {
    //! What `product.toml` was compiled into.
    init_core::include_manifest!();
}

hal_linux::init!(product);
