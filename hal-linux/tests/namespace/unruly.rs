//! This file runs services that do not do as they should: they multiply, run away from their
//! session, close what they were given, or end by the hundred at once.

use crate::boot;
use crate::machine::{End, Machine};

fn others_go_on_and_it_goes_down(mut machine: Machine) {
    assert!(machine.sctl(&["restart", "sleeper"]).status.success());
    machine.signal(15);
    assert_eq!(machine.end(), End::Off, "{}", machine.console());
}

#[test]
fn a_service_with_thousands_of_children_is_stopped_with_all_of_them() {
    let mut machine = boot!("multiplier");
    machine.wait_for("multiplier: 2000 children");
    assert!(machine.sctl(&["stop", "multiplies"]).status.success());
    // They were all asked to end by one signal; the last do so a moment later.
    machine.inside("while pgrep -f '^multiplie[r]' > /dev/null; do :; done");
    others_go_on_and_it_goes_down(machine);
}

#[test]
fn a_burst_of_exits_loses_none_and_delays_nobody() {
    let mut machine = boot!("multiplier");
    machine.wait_for("multiplier: 2000 children");
    // Its children become process 1's, and all die at the same time.
    machine.inside("pkill -KILL -f '^multiplie[r]'");
    machine.wait_for("multiplies: ended: ");
    machine.inside("while grep -qs '^State:.Z' /proc/[0-9]*/status; do :; done");
    others_go_on_and_it_goes_down(machine);
}

#[test]
fn a_service_that_leaves_its_session_is_left_alone_and_goes_with_the_machine() {
    let mut machine = boot!("runaway");
    machine.wait_for("runaway: has left");
    machine.wait_for("runs-away: ended: exit code 0");
    machine.signal(15);
    machine.wait_for("runaway: was asked to end");
    assert_eq!(machine.end(), End::Off, "{}", machine.console());
}

#[test]
fn a_readiness_descriptor_that_is_closed_or_replaced_makes_nobody_ready() {
    let mut machine = boot!("never-said");
    machine.wait_for("boot: never-said reached");
    for unit in ["closes", "replaces"] {
        assert_eq!(
            machine.sctl(&["start", unit]).status.code(),
            Some(1),
            "{unit}"
        );
        machine.wait_for(&format!("{unit}: failed: not ready in time"));
    }
    others_go_on_and_it_goes_down(machine);
}
