//! This file is the root task on a real processor: what a board's program begins and ends with.

use crate::abi::start::Once;
use crate::abi::{Calls, Svc};
use crate::harmony::{Config, Harmony, Storage};
use crate::split::{Keeper, SHARED_AT, decide};
use crate::{Console, Image, probe as rows};
use core::sync::atomic::AtomicU32;
use init_core::Driver;
use init_core::event::BootOptions;
use init_core::unit::Manifest;

/// An address at which neither program nor stack of a root task lies, for what it maps.
pub const WINDOW: u64 = 0x7000_0000;

/// The probe's ring, which the kernel keeps.
static RING: crate::abi::layout::RingPage = rows::ring();

/// Where the keeper stands in what the core writes: out of its reach.
static PLACE: AtomicU32 = AtomicU32::new(0);

const NOT_ROOT: &[u8] = b"init: this is not the root task of an oh-tee kernel\n";

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
        Calls::new(Svc).print(NOT_ROOT);
        end()
    };
    let mut driver = Driver::new(core.core(manifest), platform);
    driver.boot(BootOptions::default());
    driver.run();
    loop {
        driver.platform().rest();
    }
}

/// Keeps a core that runs the machine as the manifest says; never returns, whatever happens.
pub fn keep<const CHILDREN: usize>(
    manifest: &'static Manifest,
    config: Config,
    program: &'static Image,
    system: &'static Once<Storage<Svc, CHILDREN>>,
) -> ! {
    let Some(system) = system.take() else { end() };
    let keeper = Harmony::new(Svc, manifest, config, system)
        .and_then(|harmony| Keeper::new(harmony, manifest, program, (&PLACE, SHARED_AT)));
    let Ok(mut keeper) = keeper else {
        Calls::new(Svc).print(NOT_ROOT);
        end()
    };
    keeper.keep();
    loop {
        keeper.rest();
    }
}

/// Is the core that a keeper made, and shares these words with it; never returns, but ends.
pub fn core<const UNITS: usize>(
    manifest: &'static Manifest,
    core: &'static Once<init_core::Storage<UNITS>>,
    words: &'static [AtomicU32],
    channel: u64,
) -> ! {
    if let (Some(core), Ok(channel)) = (core.take(), i32::try_from(channel)) {
        decide(Svc, manifest, core, (words, channel));
    }
    loop {
        Calls::new(Svc).give_way();
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
