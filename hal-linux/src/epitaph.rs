//! This file says what process 1 died of, and, where it has a flight recorder, what it was about:
//! what it had taken from the kernel, or which unit it was starting.

use crate::children;
use crate::handed::Handed;
use crate::region::{EXIT_WORDS, RECORDS, Region, SPLIT, at};
use crate::sys::wait;
use init_core::ROLES;
use init_core::checkpoint::words::load;
use init_core::ident::{Child, Generation, UnitId};
use init_core::packed::packed;
use init_core::report::Line;
use init_core::unit::Manifest;

/// In the place of a signal's code: it was not process 1 that died. No kernel gives this one.
const CORE: u32 = 0x636f_7265;

/// Leaves behind what a core died of; 0: it did not die by itself. Nothing else of it is known.
pub(crate) fn leave_of_core(region: &Region, signal: u8) {
    region.set(at::SIGNAL, signal.into());
    region.set(at::CODE, CORE);
}

/// What the life before died of.
pub(crate) fn write(region: &Region, manifest: &Manifest, line: &mut Line<'_>) {
    let signal = u8::try_from(region.get(at::SIGNAL)).unwrap_or(0);
    if SPLIT && region.get(at::CODE) == CORE {
        match signal {
            0 => line.say(packed!("the core had to be replaced")),
            signal => line.say(packed!("the core died of ")).signal(signal),
        };
    } else {
        line.say(packed!("process 1 died of ")).signal(signal);
        line.say(packed!(" at ")).address(region.long(at::COUNTER));
        line.say(packed!(", address "))
            .address(region.long(at::ADDRESS));
    }
    if RECORDS {
        about(region, manifest, line);
    }
}

/// What process 1, or its core, was about; nothing where it had been asked for nothing.
#[inline(never)]
pub(crate) fn about(region: &Region, manifest: &Manifest, line: &mut Line<'_>) {
    let name = |unit| manifest.unit(unit).map_or("the machine", |desc| desc.name);
    let starting = region.get(at::STARTING) >> 16;
    let starting = u16::try_from(starting).ok().and_then(children::unit);
    if let Some(unit) = starting {
        line.say(packed!(", as it started ")).text(name(unit));
        return;
    }
    match Handed::of(region.get(at::HANDED)) {
        None => line,
        Some(Handed::Signal) => line.say(packed!(", as it took in a signal")),
        Some(Handed::Frame(_)) => line.say(packed!(", as it took in a client's request")),
        Some(Handed::Ready(unit)) => line
            .say(packed!(", as it took in the readiness of "))
            .text(name(unit)),
        Some(Handed::Exit) => {
            line.say(packed!(", as it took in the end of "));
            match served_by_taken(region, manifest) {
                Some(unit) => line.text(name(unit)),
                None => line.say(packed!("a process of no unit")),
            }
        }
    };
}

/// Whose process it was whose end was taken from the kernel.
fn served_by_taken(region: &Region, manifest: &Manifest) -> Option<UnitId> {
    let (pid, _) = wait::taken(region.part(at::EXIT, EXIT_WORDS))?;
    let units = (0..u16::MAX).map(UnitId).zip(manifest.units);
    let mut units = units.map(|(unit, _)| unit).chain([UnitId::SYSTEM]);
    units.find(|unit| {
        ROLES.iter().any(|&role| {
            let [number, ..] = region.entry(Child {
                unit: *unit,
                generation: Generation(0),
                role,
            });
            load(number) == pid
        })
    })
}
