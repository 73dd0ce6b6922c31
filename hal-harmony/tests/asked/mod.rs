//! This file is about what a board asks of its machine, cores that end of being told so, and cores
//! that ask for everybody's end, and for the machine's.

use crate::world::graph::Graph;
use crate::world::speech::{beat, work};
use crate::world::split::SplitWorld;
use crate::world::{Ground, runs_native};
use crate::{BOTH, LINGERS_MS, TOO_MANY, end_first, get, is_good, keep, machine, remote};
use hal_harmony::abi::Line;
use init_core::Driver;
use init_core::effect::FinalAction;
use init_core::event::{Event, ExitStatus, MachineRequest};
use init_core::hal::{Clock, EventSource, Power, Process, Wake};
use init_core::ident::{Child, Generation, Role, UnitId};
use init_core::storage::Storage;
use init_core::time::Instant;
use init_core::unit::{Program, Readiness, Signal};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

/// A machine of which its board asks this: of two services one listens. Cores start both, if this
/// is a machine's first, and end of what they are told until this number. How many services began,
/// and how many were told to stop.
fn asked_machine(request: MachineRequest, good_from: u32) -> (Arc<[AtomicU32; 2]>, SplitWorld) {
    let counts = Arc::new([const { AtomicU32::new(0) }; 2]);
    let graph = Graph::new("target main wants a b\n service a\n service b");
    let (its, others) = (Arc::clone(&counts), Arc::clone(&counts));
    let a = runs_native("a", move |sim, channel| {
        its[0].fetch_add(1, Ordering::Relaxed);
        let line = Line::new(sim.clone(), channel);
        beat(&sim, &line);
        its[1].fetch_add(1, Ordering::Relaxed);
    });
    let b = runs_native("b", move |sim, channel| {
        others[0].fetch_add(1, Ordering::Relaxed);
        let line = Line::new(sim.clone(), channel);
        loop {
            work(&sim, &line, 100);
        }
    });
    let ground = Ground::new(graph, &[a, b], |_| {});
    let world = SplitWorld::asked(Some(request), ground, move |life| {
        let mut remote = remote(life);
        if life.number >= good_from {
            // Nothing is asked any more: it ends the machine when this time is over.
            let end = Instant::from_us(3_000_000);
            let mut taken_in = 0;
            while remote.now() < end {
                let _ = remote.wait(Some(end), taken_in);
                taken_in += 1;
            }
            return remote.finish(FinalAction::PowerOff, Instant::MAX);
        }
        for unit in (1..3).map(UnitId).filter(|_| life.number == 1) {
            let child = Child {
                unit,
                generation: Generation(1),
                role: Role::Main,
            };
            let started = remote.spawn(child, Program::None, Readiness::Exec, false);
            assert!(started.is_ok(), "{started:?}");
        }
        let _ = remote.wait(None, 0);
        Line::new(life.sim.clone(), life.channel).exit(3);
    });
    (counts, world)
}

#[test]
fn a_boards_request_that_two_cores_end_of_still_leads_down() {
    let (counts, mut world) = asked_machine(MachineRequest::PowerOff, 3);
    world.keep();
    let console = world.sim.console();
    let aside = "keeper: cores end of it, so it is put aside: an event of the machine";
    assert_eq!(world.lines(aside), 1, "{console}");
    let down = "keeper: the machine goes down all the same";
    assert_eq!(world.lines(down), 1, "{console}");
    // Two that ended, and one that waited.
    assert_eq!(get(&world.lives), 3, "{console}");
    assert_eq!(counts.each_ref().map(get), [2, 1], "{console}");
}

#[test]
fn a_boards_request_for_anything_else_is_put_aside_and_the_machine_goes_on() {
    let (counts, mut world) = asked_machine(MachineRequest::Rescue, 3);
    world.keep();
    let console = world.sim.console();
    let down = "keeper: the machine goes down all the same";
    assert_eq!(world.lines(down), 0, "{console}");
    assert!(world.sim.state().now_ns > 2_900_000_000, "{console}");
    assert_eq!(get(&counts[0]), 2, "{console}");
}

#[test]
fn a_core_may_end_the_machine() {
    let (_, mut world) = machine(true, 10_000, |life| {
        let mut remote = remote(life);
        let _ = remote.wait(Some(Instant::from_us(50_000)), 0);
        remote.finish(FinalAction::PowerOff, Instant::MAX);
    });
    world.keep();
    assert_eq!(get(&world.lives), 1);
}

#[test]
fn a_core_that_asks_for_everybodys_end_again_is_told_each_time_that_nobody_is_left() {
    for has_clock in BOTH {
        let (seen, mut world) = machine(has_clock, 60_000, |life| {
            if life.number == 1 {
                return life.be_good();
            }
            let mut remote = remote(life);
            let (mut taken_in, mut exits) = (1_000, 0);
            for signal in [Signal::KILL, Signal::KILL, Signal::TERM, Signal::KILL] {
                remote.signal_all(signal);
                loop {
                    taken_in += 1;
                    match remote.wait(None, taken_in) {
                        Wake::Event(Event::NoChildLeft) => break,
                        Wake::Event(Event::Exited { .. }) => exits += 1,
                        _ => {}
                    }
                }
            }
            assert_eq!(exits, 1);
            remote.finish(FinalAction::PowerOff, Instant::ZERO);
        });
        end_first(&world, 100);
        keep(&seen, &mut world);
        assert_eq!(get(&world.lives), 2, "{}", world.sim.console());
    }
}

#[test]
fn an_end_that_cores_end_of_is_told_as_one_of_which_nothing_can_be_told() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&told);
    let a = runs_native("a", |_, _| {});
    let graph = Graph::new("target main wants a\n service a");
    let mut world = SplitWorld::new(Ground::new(graph, &[a], |_| {}), move |life| {
        let mut remote = remote(life);
        if life.number == 1 {
            let child = Child {
                unit: UnitId(1),
                generation: Generation(1),
                role: Role::Main,
            };
            let started = remote.spawn(child, Program::None, Readiness::Exec, false);
            assert!(started.is_ok(), "{started:?}");
        }
        // The first has taken in that it began.
        let mut taken_in = u32::from(life.number > 1);
        let end = Instant::from_us(2_000_000);
        while remote.now() < end {
            if let Wake::Event(Event::Exited { status, .. }) = remote.wait(Some(end), taken_in) {
                seen.lock().expect("nobody panics").push(status);
                return Line::new(life.sim.clone(), life.channel).exit(3);
            }
            taken_in += 1;
        }
        remote.finish(FinalAction::PowerOff, Instant::MAX);
    });
    world.keep();
    let told = told.lock().expect("nobody panics");
    let wanted = [ExitStatus::Code(0), ExitStatus::PUT_ASIDE].map(|status| [status; 2]);
    assert_eq!(*told, wanted.concat(), "{}", world.sim.console());
    let aside = "keeper: cores end of it, so it is put aside: the end of a process";
    assert_eq!(world.lines(aside), 2, "{}", world.sim.console());
}

#[test]
fn cores_that_all_end_on_the_way_down_have_the_machine_switched_off_if_that_was_asked_for() {
    for has_clock in BOTH {
        let (seen, mut world) = machine(has_clock, 300, |life| {
            if is_good(life, 14) {
                return life.be_good();
            }
            // It finds what there is, and no more.
            let core = Box::leak(Box::new(Storage::<16>::new())).core(life.manifest);
            assert!(Driver::new(core, remote(life)).resume());
            Line::new(life.sim.clone(), life.channel).exit(0);
        });
        end_first(&world, 300 + LINGERS_MS / 2);
        keep(&seen, &mut world);
        let console = world.sim.console();
        let told = "keeper: the core ends again and again: the machine is switched off";
        assert!(world.lines(told) > 0, "{console}");
        assert_eq!(world.lines(TOO_MANY), 0, "{console}");
        assert_eq!(get(&seen.resets), 0, "{console}");
    }
}
