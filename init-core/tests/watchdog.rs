//! This file lets services fall silent: whoever gives no sign of life in its time is stopped and
//! has failed; what follows is its restart policy's.
#![allow(missing_docs)]

mod common;

use common::graph::rules;
use common::{Graph, Machine, RESTART, ms, rule, secs};
use init_core::effect::Failure;
use init_core::event::Event;
use init_core::hal::fake::Script;
use init_core::ident::{Child, Role};
use init_core::status::UnitState;
use init_core::unit::{Readiness, Restart, RestartPolicy};

/// A service that says that it is ready after 20 ms and has 100 ms for each heartbeat.
fn watched(text: &'static str, when: Restart) -> Machine {
    let graph = Graph::new(text).with("a", |a| {
        rules(a).ready = Readiness::Letter;
        let mut rules = rules(a);
        rules.watchdog = ms(100);
        rules.restart = rule(RestartPolicy { when, ..RESTART });
    });
    let script = Script {
        ready_after: Some(ms(20)),
        ..Script::RUNS
    };
    Machine::new(graph).script("a", &[script])
}

fn child(machine: &Machine, name: &str) -> Child {
    let unit = machine.id(name);
    // Each start of it is a generation.
    let starts = machine.times(&format!("spawn {name}")).len();
    Child {
        unit,
        generation: init_core::ident::Generation(u16::try_from(starts).unwrap()),
        role: Role::Main,
    }
}

fn beat(machine: &mut Machine) {
    let child = child(machine, "a");
    machine.event(Event::Heartbeat(child));
}

const ONE: &str = "target main wants a\n service a";

#[test]
fn a_service_that_gives_signs_of_life_runs_on() {
    let mut machine = watched(ONE, Restart::Always);
    machine.boot().run_for(ms(20));
    for _ in 0..100 {
        machine.run_for(ms(99));
        beat(&mut machine);
    }
    assert_eq!(machine.state("a"), UnitState::Active);
    assert_eq!(machine.times("spawn a"), [0]);
}

#[test]
fn one_that_falls_silent_is_stopped_and_started_again() {
    let mut machine = watched(ONE, Restart::Always);
    machine.boot().run_for(ms(119));
    assert_eq!(machine.state("a"), UnitState::Active);
    machine.run_for(ms(1));
    assert_eq!(machine.times("signal a 15"), [120]);
    machine.run_for(secs(2));
    // Ready after 20, silent after 100, a wait that doubles: 100, 200, 400, 800.
    let starts = machine.times("spawn a");
    assert_eq!(starts[..5], [0, 220, 540, 1_060, 1_980]);
    machine.expect(&["failed a watchdog", "spawn a"]);
}

#[test]
fn one_that_does_not_heed_the_signal_is_killed() {
    let graph = Graph::new(ONE).with("a", |a| rules(a).watchdog = ms(100));
    let mut machine = Machine::new(graph).script(
        "a",
        &[Script {
            on_stop: None,
            ..Script::RUNS
        }],
    );
    machine.boot().run_for(secs(6));
    assert_eq!(machine.times("signal a 15"), [100]);
    assert_eq!(machine.times("signal a 9"), [5_100]);
    assert_eq!(machine.state("a"), UnitState::Failed);
    assert_eq!(machine.status("a").failure, Some(Failure::Watchdog));
}

#[test]
fn what_is_bound_to_it_goes_with_it_and_comes_back() {
    let text = "target main wants b\n service b binds-to a\n service a";
    let mut machine = watched(text, Restart::Always);
    machine.boot().run_for(ms(150));
    machine.expect(&["ready b", "failed a watchdog", "stopped b"]);
    machine.run_for(ms(150));
    assert_eq!(machine.state("b"), UnitState::Active);
    machine.expect(&["ready a", "spawn b"]);
}

#[test]
fn a_heartbeat_says_nothing_before_readiness_while_stopping_or_from_the_past() {
    let mut machine = watched(ONE, Restart::Never);
    machine.boot().run_for(ms(10));
    beat(&mut machine);
    assert_eq!(machine.state("a"), UnitState::Starting);
    let first = child(&machine, "a");
    machine.run_for(ms(20)).stop("a");
    machine.event(Event::Heartbeat(first));
    machine.run_for(ms(10));
    assert_eq!(machine.state("a"), UnitState::Inactive);
    machine.start("a").run_for(ms(100));
    machine.event(Event::Heartbeat(first));
    machine.run_for(ms(30));
    assert_eq!(machine.status("a").failure, Some(Failure::Watchdog));
}

#[test]
fn a_long_life_before_the_silence_resets_the_wait() {
    let mut machine = watched(ONE, Restart::Always);
    machine.boot().run_for(secs(2));
    // The third wait was 400; now it lives for longer than the 10 s that reset it.
    machine.run_for(ms(1_980 + 50 - 2_000));
    for _ in 0..120 {
        machine.run_for(ms(99));
        beat(&mut machine);
    }
    let lived = machine.times("spawn a").len();
    machine.run_for(ms(250));
    let starts = machine.times("spawn a");
    assert_eq!(starts.len(), lived + 1, "{starts:?}");
}
