//! This file composes process 1 for Linux: core, HAL and the tables of one product.
#![no_std]
#![no_main]

use hal_linux::sys::shared::Once;
use hal_linux::{Arguments, Linux, Role};
use init_core::Driver;

mod product {
    //! The compiled manifest.
    init_core::include_manifest!();
}

use product::{MANIFEST, UNIT_COUNT};

static CORE: Once<init_core::Storage<UNIT_COUNT>> = Once::new(init_core::Storage::new());
static SYSTEM: Once<hal_linux::Storage<UNIT_COUNT>> = Once::new(hal_linux::Storage::new());

hal_linux::entry!(main);

/// Runs as init in process 1, as the control tool elsewhere; the exit code.
fn main(arguments: Arguments) -> u8 {
    match hal_linux::role() {
        Role::Init => init(arguments),
        Role::Tool => tool(arguments),
    }
}

fn init(arguments: Arguments) -> u8 {
    let (Some(core), Some(system)) = (CORE.take(), SYSTEM.take()) else {
        return 1;
    };
    let Ok(platform) = Linux::new(&MANIFEST, system) else {
        return 1;
    };
    let driver = Driver::new(core.core(&MANIFEST), platform);
    hal_linux::begin(driver, &MANIFEST, arguments.iter());
    0
}

fn tool(arguments: Arguments) -> u8 {
    #[cfg(feature = "planted-panic")]
    assert!(
        arguments.iter().count() > 1,
        "planted: such a program does not link"
    );
    hal_linux::sctl(arguments.iter())
}
