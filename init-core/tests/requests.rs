//! This file shows what requests do: conflicts, refusals, superseding, answers, late reports.
#![allow(missing_docs)]

mod common;

use common::graph::rules;

use common::{Graph, Machine, RESTART, ms, secs};
use init_core::event::{ControlRequest, Event, ExitStatus, MachineRequest};
use init_core::hal::Clock;
use init_core::hal::fake::Script;
use init_core::ident::{Child, Generation, Role, UnitId};
use init_core::status::UnitState;

const SLOW: Script = Script {
    ready_after: Some(ms(50)),
    on_stop: Some(ms(50)),
    ..Script::RUNS
};

#[test]
fn starting_a_unit_stops_what_conflicts_with_it_first() {
    for line in ["a conflicts b\n service b", "a\n service b conflicts a"] {
        let text = format!("target main wants b\n service {line}");
        let mut machine = Machine::new(Graph::new(text.leak())).script("b", &[SLOW]);
        machine.boot().run_for(ms(100)).take();
        machine.start("a").run_for(ms(100));
        assert_eq!(machine.times("spawn a"), [150], "b needs 50 ms to stop");
        machine.expect(&["signal b 15", "stopped b", "spawn a", "reply 0 done"]);
    }
}

#[test]
fn a_request_that_contradicts_itself_is_refused_and_changes_nothing() {
    let mut machine = Machine::new(Graph::new(
        "target main wants run
         service run
         service web requires a b
         service a conflicts run
         service b conflicts a",
    ));
    machine.boot().take();
    machine.start("web").run_for(secs(1));
    assert_eq!(
        machine.take(),
        ["reply 0 refused Conflict(UnitId(3), UnitId(4))"]
    );
    assert_eq!(machine.state("run"), UnitState::Active);
    machine.restart("web").run_for(secs(1));
    assert_eq!(
        machine.take(),
        ["reply 1 refused Conflict(UnitId(3), UnitId(4))"]
    );
}

#[test]
fn a_wanted_unit_that_conflicts_is_dropped_with_what_requires_it() {
    let mut machine = Machine::new(Graph::new(
        "target main requires a wants top
         service a
         service top requires b wants c
         service b conflicts a
         service c",
    ));
    machine.boot();
    assert_eq!(machine.state("a"), UnitState::Active);
    assert_eq!(machine.state("b"), UnitState::Inactive);
    assert_eq!(machine.state("top"), UnitState::Inactive);
    assert_eq!(
        machine.state("c"),
        UnitState::Inactive,
        "only top wanted it"
    );
    machine.expect(&["ready main", "boot-done 2 0"]);
}

#[test]
fn of_two_wanted_units_that_conflict_the_first_wins() {
    let mut machine = Machine::new(Graph::new(
        "target main wants a b\n service a conflicts b\n service b",
    ));
    machine.boot();
    assert_eq!(machine.state("a"), UnitState::Active);
    assert_eq!(machine.state("b"), UnitState::Inactive);
}

#[test]
fn what_requires_a_unit_stopped_by_a_conflict_stops_too() {
    let mut machine = Machine::new(Graph::new(
        "target main wants top\n service a conflicts b\n service b\n service top requires b",
    ));
    machine.boot().start("a").settle();
    assert_eq!(machine.state("top"), UnitState::Inactive);
    machine.expect(&["stopped top", "stopped b", "spawn a", "reply 0 done"]);
}

#[test]
fn requests_join_and_supersede_each_other() {
    let mut machine = Machine::new(Graph::new("target main\n service a")).script("a", &[SLOW]);
    machine.boot().take();
    machine
        .start("a")
        .start("a")
        .stop("a")
        .run_for(ms(10))
        .start("a")
        .run_for(secs(1));
    machine.expect(&[
        "reply 0 superseded",
        "reply 1 superseded",
        "signal a 15",
        "reply 2 superseded",
        "stopped a",
        "spawn a",
        "ready a",
        "reply 3 done",
    ]);
}

#[test]
fn a_restart_takes_along_what_runs_and_requires_the_unit() {
    let mut machine = Machine::new(Graph::new(
        "target main wants b\n service a\n service b requires a\n service c requires a",
    ));
    machine.boot().take();
    machine.restart("a").settle();
    assert!(!machine.happened("spawn c"), "it did not run");
    machine.expect(&[
        "stopped b",
        "stopped a",
        "spawn a",
        "ready a",
        "reply 0 done",
        "spawn b",
        "ready b",
    ]);
}

#[test]
fn a_restart_does_not_bring_back_what_is_being_stopped() {
    let mut machine = Machine::new(Graph::new(
        "target main wants b\n service a\n service b requires a",
    ))
    .script("b", &[SLOW]);
    machine.boot().run_for(ms(50)).take();
    machine.stop("b").restart("a").run_for(secs(1));
    assert_eq!(machine.state("b"), UnitState::Inactive);
    machine.expect(&["reply 0 done", "stopped a", "spawn a", "reply 1 done"]);
}

#[test]
fn a_restart_of_a_unit_at_rest_is_a_start() {
    let mut machine = Machine::new(Graph::new("target main\n service a"));
    machine
        .boot()
        .restart("a")
        .settle()
        .expect(&["spawn a", "ready a", "reply 0 done"]);
}

#[test]
fn requests_that_need_nothing_are_answered_at_once() {
    let mut machine = Machine::new(Graph::new("target main wants a\n service a\n service b"));
    machine.boot().take();
    machine.start("a").stop("b");
    machine.ask(ControlRequest::Start(UnitId(99)));
    machine.ask(ControlRequest::Machine(MachineRequest::Rescue));
    assert_eq!(
        machine.take(),
        [
            "reply 0 done",
            "reply 1 done",
            "reply 2 refused NoSuchUnit",
            "reply 3 refused NoRescueTarget",
        ]
    );
}

#[test]
fn a_client_that_is_gone_is_not_answered() {
    let mut machine = Machine::new(Graph::new("target main\n service a")).script("a", &[SLOW]);
    machine.boot().take();
    let client = machine.ask(ControlRequest::Start(UnitId(1)));
    machine.event(Event::ClientGone(client));
    machine.run_for(secs(1));
    assert_eq!(machine.state("a"), UnitState::Active);
    assert!(
        machine
            .trace
            .iter()
            .all(|(_, words)| !words.starts_with("reply"))
    );
}

#[test]
fn a_failure_can_be_forgotten() {
    let mut machine = Machine::new(Graph::new("target main wants a\n service a"));
    machine.boot().crash("a", 1);
    assert_eq!(machine.state("a"), UnitState::Failed);
    machine.ask(ControlRequest::ResetFailed(UnitId(1)));
    assert_eq!(machine.state("a"), UnitState::Inactive);
}

#[test]
fn reports_about_earlier_incarnations_are_counted_and_change_nothing() {
    let graph =
        Graph::new("target main wants a\n service a").with("a", |a| rules(a).restart = &RESTART);
    let mut machine = Machine::new(graph);
    machine.boot().crash("a", 1).run_for(secs(1)).take();
    let child = |generation| Child {
        unit: UnitId(1),
        generation: Generation(generation),
        role: Role::Main,
    };
    let status = ExitStatus::Code(0);
    machine.event(Event::Exited {
        child: child(1),
        status,
    });
    machine.event(Event::Ready(child(1)));
    machine.event(Event::Exited {
        child: child(7),
        status,
    });
    assert_eq!(machine.core.stale_count(), 3);
    assert_eq!(machine.take(), [""; 0]);
    assert_eq!(machine.state("a"), UnitState::Active);
    assert!(machine.fake.now().as_us() > 0);
}
