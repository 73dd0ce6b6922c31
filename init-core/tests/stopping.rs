//! This file shows how units go down: order, the stop ladder, units that cannot be killed.
#![allow(missing_docs)]

mod common;

use common::graph::rules;

use common::{Graph, Machine, RESTART, ms, rule, secs};
use init_core::hal::fake::Script;
use init_core::ident::Role;
use init_core::status::UnitState;
use init_core::unit::{Readiness, Signal, StopPolicy};

const STUBBORN: Script = Script {
    on_stop: None,
    ..Script::RUNS
};
const UNKILLABLE: Script = Script {
    on_stop: None,
    on_kill: None,
    ..Script::RUNS
};

fn one_service() -> Graph {
    Graph::new("target main wants a\n service a")
}

fn with_stop_program(graph: Graph) -> Graph {
    graph.with("a", |a| rules(a).stop = common::graph::PROGRAM)
}

#[test]
fn units_stop_in_the_reverse_of_their_order() {
    let mut machine = Machine::new(Graph::new(
        "target main wants c
         service a
         service b requires a
         service c requires b",
    ));
    machine.boot().take();
    machine.stop("a").run_for(secs(1)).expect(&[
        "signal c 15",
        "stopped c",
        "signal b 15",
        "stopped b",
        "signal a 15",
        "stopped a",
        "reply 0 done",
    ]);
}

#[test]
fn a_stop_takes_along_what_requires_the_unit_and_leaves_what_wants_it() {
    let mut machine = Machine::new(Graph::new(
        "target main wants a b c
         service a
         service b requires a
         service c wants a after a",
    ));
    machine.boot().stop("a").settle();
    assert_eq!(machine.state("a"), UnitState::Inactive);
    assert_eq!(machine.state("b"), UnitState::Inactive);
    assert_eq!(machine.state("c"), UnitState::Active);
}

#[test]
fn the_ladder_is_signal_then_kill_after_the_stop_timeout() {
    let mut machine = Machine::new(one_service()).script("a", &[STUBBORN]);
    machine.boot().stop("a").run_for(secs(60));
    assert_eq!(machine.times("signal a 15"), [0]);
    assert_eq!(machine.times("signal a 9"), [5_000]);
    machine.expect(&["killing a", "stopped a", "reply 0 done"]);
}

#[test]
fn a_manifest_chooses_the_stop_signal() {
    let mut machine = Machine::new(one_service().with("a", |a| {
        rules(a).stopping = rule(StopPolicy {
            signal: Signal::INT,
            ..StopPolicy::USUAL
        });
    }));
    machine
        .boot()
        .stop("a")
        .settle()
        .expect(&["signal a 2", "stopped a"]);
}

#[test]
fn the_stop_program_runs_first_and_has_its_own_timeout() {
    let mut machine = Machine::new(with_stop_program(one_service()));
    machine.boot().take();
    machine
        .fake
        .script(machine.id("a"), Role::Stop, &[Script::exits(ms(20), 0)]);
    machine.stop("a").run_for(secs(1));
    assert_eq!(machine.times("spawn-stop a"), [0]);
    assert_eq!(machine.times("signal a 15"), [20]);
    machine.start("a").settle();
    machine
        .fake
        .script(machine.id("a"), Role::Stop, &[STUBBORN]);
    machine.take();
    machine.stop("a").run_for(secs(60)).expect(&[
        "spawn-stop a",
        "signal-stop a 9",
        "signal a 15",
        "stopped a",
        "reply 2 done",
    ]);
}

#[test]
fn the_ladder_is_climbed_once_even_when_a_killed_stop_program_ends_late() {
    let mut machine = Machine::new(with_stop_program(one_service())).script(
        "a",
        &[Script {
            on_kill: Some(secs(3)),
            ..STUBBORN
        }],
    );
    machine.boot();
    let late = Script {
        on_kill: Some(secs(6)),
        ..STUBBORN
    };
    machine.fake.script(machine.id("a"), Role::Stop, &[late]);
    machine.stop("a").run_for(secs(120));
    assert_eq!(machine.times("signal a 15"), [5_000]);
    assert_eq!(machine.times("signal a 9"), [10_000]);
    assert_eq!(machine.state("a"), UnitState::Inactive);
}

#[test]
fn an_unkillable_unit_frees_the_others_and_never_gets_a_second_instance() {
    let mut machine = Machine::new(Graph::new(
        "target main wants b
         service a
         service b requires a",
    ))
    .script("b", &[UNKILLABLE]);
    machine.boot().stop("a").run_for(secs(60)).expect(&[
        "signal b 15",
        "killing b",
        "given-up b",
        "signal a 15",
        "stopped a",
        "reply 0 done",
    ]);
    machine
        .start("b")
        .run_for(secs(60))
        .expect(&["reply 1 failed b unkillable"]);
    assert_eq!(machine.fake.count(machine.id("b"), Role::Main), 1);
    machine.crash("b", 0);
    machine.expect(&["stopped b"]);
    machine
        .start("b")
        .settle()
        .expect(&["spawn b", "ready b", "reply 2 done"]);
}

#[test]
fn a_unit_given_up_while_it_was_to_be_tried_again_is_tried_again_once_it_is_gone() {
    let mut machine = Machine::new(one_service().with("a", |a| {
        rules(a).ready = Readiness::Newline(3);
        rules(a).start_timeout = secs(1);
        rules(a).restart = &RESTART;
    }))
    .script(
        "a",
        &[
            Script {
                ready_after: None,
                ..UNKILLABLE
            },
            Script::RUNS,
        ],
    );
    machine.boot().run_for(secs(60)).expect(&["given-up a"]);
    assert_eq!(machine.state("a"), UnitState::Failed);
    machine.crash("a", 0).run_for(secs(1));
    machine.expect(&["retry a in 100 #1", "spawn a", "ready a"]);
}

#[test]
fn a_mount_that_cannot_be_unmounted_is_reported() {
    let mut machine = Machine::new(Graph::new("target main wants data\n mount data"));
    machine.boot();
    machine
        .fake
        .script(machine.id("data"), Role::Stop, &[Script::exits(ms(1), 1)]);
    machine.stop("data").run_for(ms(1));
    machine.expect(&[
        "spawn-stop data",
        "failed data exit 1",
        "reply 0 failed data exit 1",
    ]);
}

#[test]
fn a_mount_whose_unmount_cannot_be_run_is_not_reported_as_unmounted() {
    let mut machine = Machine::new(Graph::new("target main wants data\n mount data"));
    machine.boot();
    let error = Some(init_core::event::Errno(11));
    let broken = Script {
        spawn_error: error,
        ..Script::RUNS
    };
    machine
        .fake
        .script(machine.id("data"), Role::Stop, &[broken]);
    machine.stop("data").settle();
    machine.expect(&[
        "failed data spawn-error 11",
        "reply 0 failed data spawn-error 11",
    ]);
}

#[test]
fn a_unit_that_is_stopped_while_it_starts_goes_down_at_once() {
    let mut machine =
        Machine::new(one_service().with("a", |a| rules(a).ready = Readiness::Newline(3))).script(
            "a",
            &[Script {
                ready_after: None,
                ..Script::RUNS
            }],
        );
    machine.boot();
    assert_eq!(machine.state("a"), UnitState::Starting);
    machine
        .stop("a")
        .settle()
        .expect(&["signal a 15", "stopped a", "reply 0 done"]);
}
