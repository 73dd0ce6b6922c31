//! This file is the root task on a real processor: what a board's program begins and ends with.

use crate::abi::start::Once;
use crate::abi::{Calls, Svc};
use crate::harmony::{Config, Harmony, Storage};
use crate::{Console, probe as rows};
use init_core::Driver;
use init_core::event::BootOptions;
use init_core::unit::Manifest;

/// An address at which neither program nor stack of a root task lies, for what it maps.
pub const WINDOW: u64 = 0x7000_0000;

/// The probe's ring, which the kernel keeps.
static RING: crate::abi::layout::RingPage = rows::ring();

/// Runs the machine as the manifest says; never returns, whatever happens.
pub fn run<const UNITS: usize, const CHILDREN: usize>(
    manifest: &'static Manifest,
    config: Config,
    core: &'static Once<init_core::Storage<UNITS>>,
    system: &'static Once<Storage<Svc, CHILDREN>>,
) -> ! {
    let (Some(core), Some(system)) = (core.take(), system.take()) else {
        end()
    };
    let Ok(platform) = Harmony::new(Svc, manifest, config, system) else {
        Calls::new(Svc).print(b"init: this is not the root task of an oh-tee kernel\n");
        end()
    };
    let mut driver = Driver::new(core.core(manifest), platform);
    driver.boot(BootOptions::default());
    driver.run();
    loop {
        driver.platform().rest();
    }
}

/// Walks the conformance table, and switches off.
pub fn probe() -> ! {
    let mut console = Console::new(Calls::new(Svc));
    let Ok(_) = rows::run(&Svc, &RING, WINDOW, &mut console);
    end()
}

/// Switches off; where that is not possible, lets others run for ever.
fn end() -> ! {
    let calls = Calls::new(Svc);
    calls.power_off();
    loop {
        calls.give_way();
    }
}
