//! This file shows the machine as a whole: boot, rescue, shutdown and its deadlines.
#![allow(missing_docs)]

mod common;

use common::graph::rules;

use common::{Graph, Machine, RESTART, ms, secs};
use init_core::event::{BootOptions, ControlRequest, Event, MachineRequest};
use init_core::hal::fake::Script;
use init_core::ident::UnitId;
use init_core::status::{MachinePhase, UnitState};

const UNKILLABLE: Script = Script {
    on_stop: None,
    on_kill: None,
    ..Script::RUNS
};

fn product() -> Graph {
    Graph::new(
        "target main wants web getty
         service web requires db
         service db requires data
         mount data requires setup
         task setup
         service getty after setup wants setup
         target rescue wants shell
         service shell requires setup conflicts getty",
    )
}

#[test]
fn a_shutdown_stops_everything_in_reverse_order_and_then_acts() {
    let mut machine = Machine::new(product());
    machine.boot().take();
    machine
        .machine(MachineRequest::PowerOff)
        .run_for(secs(60))
        .expect(&[
            "shutdown",
            "stopped web",
            "stopped db",
            "spawn-stop data",
            "stopped data",
            "leftovers-asked",
            "kill-all 15",
            "shutdown-final",
            "final PowerOff",
        ]);
    assert!(machine.finished);
    assert_eq!(
        machine.core.machine_status().phase,
        MachinePhase::ShuttingDown
    );
}

#[test]
fn leftovers_are_asked_and_then_killed() {
    let mut machine = Machine::new(product());
    machine.boot();
    machine.fake.orphans = 3;
    machine.fake.stubborn = true;
    machine.machine(MachineRequest::Reboot).run_for(secs(60));
    assert_eq!(machine.times("kill-all 15"), [0]);
    assert_eq!(machine.times("kill-all 9"), [2_000]);
    assert_eq!(machine.times("final Reboot"), [2_000]);
}

#[test]
fn the_total_deadline_bounds_everything() {
    let mut machine = Machine::new(product()).script("web", &[UNKILLABLE]);
    machine
        .boot()
        .machine(MachineRequest::Halt)
        .run_for(secs(120));
    let end = machine.times("final Halt");
    assert_eq!(end.len(), 1);
    assert!(end[0] <= 31_000, "{end:?}");
    let mut graph = product();
    graph.shutdown.timeout = secs(3);
    let mut machine = Machine::new(graph).script("web", &[UNKILLABLE]);
    machine
        .boot()
        .machine(MachineRequest::Halt)
        .run_for(secs(120));
    assert_eq!(machine.times("overdue"), [3_000]);
    assert_eq!(machine.times("kill-all 9"), [3_000]);
    assert_eq!(machine.times("final Halt"), [4_000]);
}

#[test]
fn a_later_shutdown_request_chooses_the_action_and_begins_nothing_anew() {
    let mut machine = Machine::new(product());
    machine.boot();
    machine.fake.orphans = 1;
    machine.fake.stubborn = true;
    machine
        .machine(MachineRequest::PowerOff)
        .machine(MachineRequest::CtrlAltDel);
    machine.run_for(secs(60));
    assert_eq!(machine.times("shutdown").len(), 1);
    machine.expect(&["final Reboot"]);
}

#[test]
fn requests_during_a_shutdown_are_refused_and_waiting_clients_told() {
    let mut machine = Machine::new(product()).script(
        "getty",
        &[Script {
            on_stop: Some(secs(1)),
            ready_after: Some(secs(1)),
            ..Script::RUNS
        }],
    );
    machine.boot().run_for(secs(2)).take();
    machine
        .restart("getty")
        .machine(MachineRequest::PowerOff)
        .start("web");
    machine.ask(ControlRequest::Machine(MachineRequest::Rescue));
    machine.run_for(secs(60)).expect(&[
        "shutdown",
        "reply 0 superseded",
        "reply 1 refused ShuttingDown",
        "reply 2 refused ShuttingDown",
        "final PowerOff",
    ]);
}

#[test]
fn nothing_is_restarted_during_a_shutdown() {
    let mut machine = Machine::new(product().with("db", |db| rules(db).restart = &RESTART)).script(
        "web",
        &[Script {
            on_stop: Some(secs(2)),
            ..Script::RUNS
        }],
    );
    machine.boot().take();
    machine
        .machine(MachineRequest::PowerOff)
        .crash("db", 1)
        .run_for(secs(60));
    assert!(!machine.happened("spawn db"));
    machine.expect(&["final PowerOff"]);
}

#[test]
fn rescue_stops_what_it_does_not_need_and_keeps_the_rest() {
    let mut machine = Machine::new(product());
    machine.boot().take();
    machine.machine(MachineRequest::Rescue).run_for(secs(1));
    for (name, state) in [
        ("web", UnitState::Inactive),
        ("data", UnitState::Inactive),
        ("getty", UnitState::Inactive),
        ("main", UnitState::Inactive),
        ("setup", UnitState::Active),
        ("shell", UnitState::Active),
        ("rescue", UnitState::Active),
    ] {
        assert_eq!(machine.state(name), state, "{name}");
    }
    assert!(!machine.happened("spawn setup"));
    machine.expect(&["rescue", "stopped getty", "spawn shell", "ready shell"]);
}

#[test]
fn the_command_line_chooses_the_target_once() {
    let mut machine = Machine::new(product());
    let options = BootOptions {
        target: Some(UnitId(6)),
        log_level: None,
    };
    machine.event(Event::Boot(options));
    machine.event(Event::Boot(BootOptions::default()));
    machine
        .run_for(secs(1))
        .expect(&["ready rescue", "ready shell", "boot-done 3 0"]);
    assert_eq!(machine.state("main"), UnitState::Inactive);
}

#[test]
fn an_impossible_target_leads_to_rescue() {
    let mut machine = Machine::new(Graph::new(
        "target main requires a b\n service a conflicts b\n service b\n target rescue",
    ));
    machine.boot().expect(&[
        "refused main Conflict(UnitId(1), UnitId(2))",
        "rescue",
        "ready rescue",
        "boot-done 1 0",
    ]);
}

#[test]
fn the_boot_is_over_when_all_that_is_left_waits_for_a_retry() {
    let graph = product().with("db", |db| rules(db).restart = &RESTART);
    let mut machine = Machine::new(graph).script(
        "db",
        &[Script {
            spawn_error: Some(init_core::event::Errno(2)),
            ..Script::RUNS
        }],
    );
    machine
        .boot()
        .run_for(ms(50))
        .expect(&["retry db in 100 #1", "boot-done 4 0 retrying 1"]);
}
