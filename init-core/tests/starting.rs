//! This file shows how units come up: order, parallelism, failures on the way, readiness.
#![allow(missing_docs)]

mod common;

use common::graph::rules;

use common::{Graph, Machine, RESTART, ms, secs};
use init_core::event::Errno;
use init_core::hal::fake::Script;
use init_core::ident::{Role, UnitId};
use init_core::status::UnitState;
use init_core::unit::{Readiness, Success};

#[test]
fn a_unit_starts_when_what_it_is_ordered_after_is_ready() {
    let mut machine = Machine::new(Graph::new(
        "target main requires web
         service web requires db keys
         service db
         task keys",
    ))
    .script("keys", &[Script::exits(ms(50), 0)]);
    machine.boot().run_for(ms(100));
    assert_eq!(machine.times("spawn db"), [0]);
    assert_eq!(machine.times("spawn keys"), [0]);
    assert_eq!(machine.times("spawn web"), [50]);
    machine.expect(&[
        "spawn db",
        "ready db",
        "ready keys",
        "spawn web",
        "ready web",
        "ready main",
        "boot-done 4 0",
    ]);
}

#[test]
fn units_without_order_start_at_once_and_in_parallel() {
    let mut machine = Machine::new(Graph::new(
        "target main wants a b c
         service a
         service b
         service c after a",
    ));
    let slow = Script {
        ready_after: Some(ms(30)),
        ..Script::RUNS
    };
    for name in ["a", "b", "c"] {
        machine = machine.script(name, &[slow]);
    }
    machine.boot().run_for(ms(100));
    assert_eq!(machine.times("spawn a"), [0]);
    assert_eq!(machine.times("spawn b"), [0]);
    assert_eq!(machine.times("spawn c"), [30]);
}

#[test]
fn a_required_failure_fails_what_requires_it_and_a_wanted_one_does_not() {
    let mut machine = Machine::new(Graph::new(
        "target main wants hard soft
         service hard requires bad
         service soft wants bad after bad
         task bad",
    ))
    .script("bad", &[Script::exits(ms(5), 3)]);
    machine.boot().run_for(ms(10));
    machine.expect(&[
        "failed bad exit 3",
        "failed hard needs bad",
        "boot-done 2 2",
    ]);
    assert_eq!(machine.state("soft"), UnitState::Active);
    assert_eq!(machine.state("hard"), UnitState::Failed);
}

#[test]
fn a_failure_travels_up_a_chain_of_requirements() {
    let mut machine = Machine::new(Graph::new(
        "target main requires a
         service a requires b
         service b requires c
         service c",
    ))
    .script(
        "c",
        &[Script {
            spawn_error: Some(Errno(2)),
            ..Script::RUNS
        }],
    );
    machine.boot().expect(&[
        "failed c spawn-error 2",
        "failed b needs c",
        "failed a needs b",
        "failed main needs a",
        "boot-done 0 4",
    ]);
}

#[test]
fn what_waits_for_a_retry_starts_when_the_retry_succeeds() {
    let mut machine = Machine::new(
        Graph::new(
            "target main wants web log
             service web requires db
             service log after web
             service db",
        )
        .with("db", |db| rules(db).restart = &RESTART),
    )
    .script(
        "db",
        &[
            Script {
                spawn_error: Some(Errno(11)),
                ..Script::RUNS
            },
            Script::RUNS,
        ],
    );
    machine.boot();
    assert_eq!(
        machine.state("log"),
        UnitState::Active,
        "nothing waits for a second attempt"
    );
    machine.expect(&[
        "failed db spawn-error 11",
        "retry db in 100 #1",
        "boot-done 2 0 retrying 1",
    ]);
    machine.run_for(ms(200));
    machine.expect(&["ready db", "spawn web", "ready web"]);
}

#[test]
fn a_client_that_starts_a_unit_is_told_of_the_first_failure_on_the_way() {
    let mut machine = Machine::new(
        Graph::new(
            "target main
             service web requires mid
             service mid requires db
             service db",
        )
        .with("db", |db| rules(db).restart = &RESTART),
    )
    .script(
        "db",
        &[
            Script {
                spawn_error: Some(Errno(11)),
                ..Script::RUNS
            },
            Script::RUNS,
        ],
    );
    machine.boot().start("web").settle();
    machine.expect(&[
        "failed db spawn-error 11",
        "reply 0 failed db spawn-error 11",
    ]);
    machine.run_for(ms(200));
    assert_eq!(machine.state("web"), UnitState::Active);
    assert!(
        !machine
            .trace
            .iter()
            .any(|(_, words)| words.starts_with("reply"))
    );
}

#[test]
fn a_newline_makes_ready_and_a_lost_one_ends_in_the_start_timeout() {
    let graph = || {
        Graph::new("target main wants a\n service a").with("a", |a| {
            rules(a).ready = Readiness::Newline(3);
            rules(a).start_timeout = secs(5);
        })
    };
    let mut good = Machine::new(graph()).script(
        "a",
        &[Script {
            ready_after: Some(secs(1)),
            ..Script::RUNS
        }],
    );
    good.boot().run_for(secs(60));
    assert_eq!(good.times("ready a"), [1_000]);
    let mut bad = Machine::new(graph()).script(
        "a",
        &[Script {
            ready_after: None,
            on_stop: Some(ms(10)),
            ..Script::RUNS
        }],
    );
    bad.boot().run_for(secs(60));
    assert_eq!(bad.times("signal a 15"), [5_000]);
    assert_eq!(bad.times("failed a timeout"), [5_010]);
    assert_eq!(bad.state("a"), UnitState::Failed);
}

#[test]
fn a_probe_that_ends_with_success_makes_ready() {
    let mut machine = Machine::new(
        Graph::new("target main wants b\n service a\n service b requires a").with("a", |a| {
            rules(a).ready = Readiness::Probe(0);
        }),
    );
    machine
        .fake
        .script(UnitId(1), Role::Probe, &[Script::exits(ms(70), 0)]);
    machine.boot().run_for(secs(1));
    assert_eq!(machine.times("spawn b"), [70]);
    machine.expect(&["spawn a", "spawn-probe a", "ready a", "spawn b"]);
}

#[test]
fn a_probe_is_killed_when_its_service_ends_first() {
    let mut machine = Machine::new(
        Graph::new("target main wants a\n service a").with("a", |a| {
            rules(a).ready = Readiness::Probe(0);
        }),
    )
    .script("a", &[Script::exits(ms(5), 1)]);
    machine.fake.script(UnitId(1), Role::Probe, &[Script::RUNS]);
    machine
        .boot()
        .run_for(ms(5))
        .expect(&["signal-probe a 9", "failed a exit 1"]);
    assert_eq!(machine.fake.running_count(), 0);
}

#[test]
fn a_unit_on_which_nobody_waits_is_ready_once_it_is_created() {
    let mut machine = Machine::new(
        Graph::new("target main wants a\n service a").with("a", |a| rules(a).awaited = false),
    )
    .script(
        "a",
        &[Script {
            ready_after: None,
            ..Script::RUNS
        }],
    );
    machine.boot();
    assert_eq!(machine.state("a"), UnitState::Active);
}

#[test]
fn further_success_codes_count_as_success() {
    let mut machine = Machine::new(Graph::new("target main wants a b\n task a\n task b").with(
        "a",
        |a| {
            rules(a).success = &Success {
                codes: &[7],
                signals: &[],
            };
        },
    ))
    .script("a", &[Script::exits(ms(1), 7)])
    .script("b", &[Script::exits(ms(1), 7)]);
    machine.boot().run_for(ms(1));
    assert_eq!(machine.state("a"), UnitState::Active);
    assert_eq!(machine.state("b"), UnitState::Failed);
}
