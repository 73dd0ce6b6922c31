//! This file runs the largest product that limits allow: 8 192 units.
#![allow(missing_docs)]

mod common;

use common::Graph;
use common::graph::{RESTART, rules, unit};
use init_core::Storage;
use init_core::effect::Effect;
use init_core::event::{BootOptions, Event, ExitStatus, MachineRequest};
use init_core::ident::{Child, Generation, Role, UnitId};
use init_core::limits::UNIT_COUNT_MAX;
use init_core::status::UnitState;
use init_core::supervisor::Core;
use init_core::time::Instant;
use init_core::unit::{EdgeKind, Manifest, UnitKind};

/// Storage of the largest product is on the stack for a moment.
const STACK_BYTES: usize = 64 << 20;

fn largest() -> &'static Manifest {
    let mut graph = Graph::empty();
    graph.units.push(unit("main", UnitKind::Target));
    graph.units.push(unit("setup", UnitKind::Task));
    for index in 2..UNIT_COUNT_MAX {
        let name: &'static str = format!("u{index}").leak();
        let mut service = unit(name, UnitKind::Service);
        rules(&mut service).restart = &RESTART;
        rules(&mut service).awaited = false;
        graph.units.push(service);
        graph.relate(0, EdgeKind::Wants, index);
        graph.relate(index, EdgeKind::Requires, 1);
    }
    graph.manifest()
}

/// Does all that is asked, every process as it should; the number of effects.
fn drain(core: &mut Core, now: Instant) -> usize {
    let mut count = 0;
    let mut exits = Vec::new();
    loop {
        while let Some(effect) = core.next_effect(now) {
            count += 1;
            match effect {
                Effect::Spawn(child) => {
                    core.step(Event::Spawned { child, pid: 7 }, now);
                    if child.unit == UnitId(1) {
                        exits.push(child);
                    }
                }
                Effect::Signal { child, .. } => exits.push(child),
                Effect::KillAll(_) => core.step(Event::NoChildLeft, now),
                _ => {}
            }
        }
        let Some(child) = exits.pop() else {
            return count;
        };
        let status = ExitStatus::Code(0);
        core.step(Event::Exited { child, status }, now);
    }
}

fn run() {
    let manifest = largest();
    let mut storage = Box::new(Storage::<UNIT_COUNT_MAX>::new());
    let mut core = storage.core(manifest);
    let now = Instant::ZERO;
    core.step(Event::Boot(BootOptions::default()), now);
    drain(&mut core, now);
    assert_eq!(usize::from(core.machine_status().ready), UNIT_COUNT_MAX);
    let id = UnitId(5_000);
    let mut generation = Generation(1);
    let mut now = now;
    for _ in 0..1_000 {
        let child = Child {
            unit: id,
            generation,
            role: Role::Main,
        };
        let status = ExitStatus::Code(1);
        core.step(Event::Exited { child, status }, now);
        drain(&mut core, now);
        now = core.next_deadline().unwrap();
        core.step(Event::Tick, now);
        drain(&mut core, now);
        assert_eq!(core.status(id).unwrap().state, UnitState::Active);
        generation = generation.next();
    }
    assert_eq!(core.stale_count(), 0);
    core.step(Event::Machine(MachineRequest::PowerOff), now);
    drain(&mut core, now);
    assert_eq!(core.machine_status().ready, 0);
}

#[test]
fn the_largest_product_boots_heals_and_shuts_down() {
    let thread = std::thread::Builder::new()
        .stack_size(STACK_BYTES)
        .spawn(run);
    thread.unwrap().join().unwrap();
}
