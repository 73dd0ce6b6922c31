//! This file shows what follows an end: back-off, start limits and their actions, bound units.
#![allow(missing_docs)]

mod common;

use common::graph::rules;

use common::{Graph, Machine, RESTART, ms, rule, secs};
use init_core::event::ExitStatus;
use init_core::hal::fake::Script;
use init_core::status::UnitState;
use init_core::unit::{LimitAction, Restart, RestartPolicy, StartLimit};

fn one_service(when: Restart) -> Graph {
    Graph::new("target main wants a\n service a\n target rescue").with("a", |a| {
        rules(a).restart = rule(RestartPolicy { when, ..RESTART });
    })
}

fn limited(limit: StartLimit) -> &'static RestartPolicy {
    rule(RestartPolicy { limit, ..RESTART })
}

#[test]
fn the_wait_doubles_to_its_ceiling_and_is_reset_by_a_long_run() {
    let mut machine =
        Machine::new(one_service(Restart::Always)).script("a", &[Script::exits(ms(10), 1)]);
    machine.boot().run_for(secs(5));
    let starts = machine.times("spawn a");
    let waits: Vec<u64> = starts
        .windows(2)
        .map(|pair| pair[1] - pair[0] - 10)
        .collect();
    assert_eq!(waits[..6], [100, 200, 400, 800, 800, 800]);
    machine.fake.script(
        machine.id("a"),
        init_core::ident::Role::Main,
        &[Script::exits(secs(10), 1), Script::exits(ms(10), 1)],
    );
    machine.run_for(secs(10)).take();
    machine
        .run_for(secs(1))
        .expect(&["ended a again in 100 #1", "spawn a"]);
}

#[test]
fn the_policy_decides_after_which_ends_a_service_returns() {
    let table = [
        (Restart::Always, 0, true),
        (Restart::Always, 1, true),
        (Restart::OnFailure, 0, false),
        (Restart::OnFailure, 1, true),
        (Restart::Never, 0, false),
        (Restart::Never, 1, false),
    ];
    for (when, code, returns) in table {
        let mut machine = Machine::new(one_service(when));
        machine.boot().crash("a", code).run_for(secs(1));
        let expected = match (returns, code) {
            (true, _) => UnitState::Active,
            (false, 0) => UnitState::Inactive,
            (false, _) => UnitState::Failed,
        };
        assert_eq!(machine.state("a"), expected, "{when:?} after {code}");
    }
}

#[test]
fn a_service_that_ends_at_once_is_started_once_only() {
    let mut machine = Machine::new(one_service(Restart::Never)).script(
        "a",
        &[Script {
            ready_after: Some(ms(1)),
            ..Script::exits(ms(0), 0)
        }],
    );
    machine.boot().run_for(secs(1));
    assert_eq!(machine.times("spawn a"), [0]);
}

/// What is bound to it goes with it, as ever.
#[test]
fn a_service_of_whose_end_nothing_can_be_told_has_failed_until_somebody_starts_it() {
    let graph = "target main wants a b\n service a\n service b binds-to a\n target rescue";
    let mut machine = Machine::new(Graph::new(graph).with("a", |a| {
        rules(a).restart = rule(RestartPolicy {
            when: Restart::Always,
            ..RESTART
        });
    }));
    machine.boot();
    machine.fake.crash(machine.id("a"), ExitStatus::PUT_ASIDE);
    machine.run_for(secs(60));
    let states = ["a", "b"].map(|unit| machine.state(unit));
    assert_eq!(states, [UnitState::Failed, UnitState::Inactive]);
    assert_eq!(machine.times("spawn a").len(), 1);
    machine.start("a").run_for(secs(1));
    assert_eq!(machine.state("a"), UnitState::Active);
    assert_eq!(machine.times("spawn a").len(), 2);
}

#[test]
fn a_stop_on_request_is_final() {
    let mut machine = Machine::new(one_service(Restart::Always));
    machine.boot().stop("a").run_for(secs(60));
    assert_eq!(machine.state("a"), UnitState::Inactive);
    assert_eq!(machine.times("spawn a").len(), 1);
}

#[test]
fn a_start_limit_ends_restarting_and_does_what_the_manifest_says() {
    let table = [
        (LimitAction::Fail, "failed a limit"),
        (LimitAction::Rescue, "ready rescue"),
        (LimitAction::Reboot, "final Reboot"),
        (LimitAction::PowerOff, "final PowerOff"),
    ];
    for (then, words) in table {
        let graph = one_service(Restart::Always).with("a", |a| {
            rules(a).restart = limited(StartLimit {
                count: 3,
                within: secs(60),
                then,
            });
        });
        let mut machine = Machine::new(graph).script("a", &[Script::exits(ms(10), 1)]);
        machine.boot().run_for(secs(30));
        let starts = machine.times("spawn a").len();
        assert_eq!(starts, 4, "{then:?}: one start, three restarts");
        machine.expect(&["ended a", words]);
    }
}

#[test]
fn a_window_that_has_passed_allows_further_restarts() {
    let graph = one_service(Restart::Always).with("a", |a| {
        rules(a).restart = limited(StartLimit {
            count: 2,
            within: secs(5),
            then: LimitAction::Fail,
        });
    });
    let mut machine = Machine::new(graph).script("a", &[Script::exits(secs(4), 1)]);
    machine.boot().run_for(secs(60));
    assert!(machine.times("spawn a").len() > 10);
    assert_ne!(machine.state("a"), UnitState::Failed);
}

#[test]
fn a_request_does_not_wait_for_the_back_off_and_forgives() {
    let mut machine =
        Machine::new(one_service(Restart::Always)).script("a", &[Script::exits(ms(10), 1)]);
    machine.boot().run_for(ms(3_000));
    assert_eq!(machine.state("a"), UnitState::Restarting);
    machine.take();
    machine.start("a").settle();
    assert_eq!(machine.times("spawn a"), [3_000]);
    machine.run_for(ms(20)).expect(&["ended a again in 100 #1"]);
}

#[test]
fn a_task_is_active_after_success_and_tried_again_after_failure() {
    let graph =
        Graph::new("target main wants t\n task t").with("t", |t| rules(t).restart = &RESTART);
    let mut machine =
        Machine::new(graph).script("t", &[Script::exits(ms(1), 1), Script::exits(ms(1), 0)]);
    machine.boot().run_for(secs(60));
    assert_eq!(machine.times("spawn t").len(), 2);
    assert_eq!(machine.state("t"), UnitState::Active);
}

#[test]
fn bound_units_stop_with_what_they_are_bound_to_and_return_after_it() {
    let graph = || {
        Graph::new(
            "target main wants c d
             service a
             service b binds-to a
             service c requires b
             service d requires a",
        )
    };
    let mut gone = Machine::new(graph());
    gone.boot().crash("a", 1).run_for(secs(1));
    assert_eq!(gone.state("a"), UnitState::Failed);
    assert_eq!(gone.state("b"), UnitState::Inactive);
    assert_eq!(
        gone.state("c"),
        UnitState::Inactive,
        "it requires what was stopped"
    );
    assert_eq!(
        gone.state("d"),
        UnitState::Active,
        "it only requires what failed by itself"
    );
    let mut back = Machine::new(graph().with("a", |a| rules(a).restart = &RESTART));
    back.boot().take();
    back.crash("a", 1).run_for(secs(1));
    back.expect(&[
        "signal c 15",
        "signal b 15",
        "ready a",
        "spawn b",
        "ready b",
        "spawn c",
    ]);
    assert_eq!(back.state("d"), UnitState::Active);
}
