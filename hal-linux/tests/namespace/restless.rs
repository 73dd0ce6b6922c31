//! This file looks for what could keep process 1 busy without end: descriptors that stay ready,
//! callers that cannot be accepted; and shows that it sleeps when there is nothing to do.
//!
//! Whoever spins uses all of a processor. What is allowed here is far below that and far above what
//! the honest work costs, so that a slow or busy machine changes no result.

use crate::boot;
use crate::control::connection;
use crate::machine::{End, Machine};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// How long process 1 is watched.
const WATCHED: Duration = Duration::from_secs(2);

/// Of that, what it may use.
const CPU_MAX: Duration = Duration::from_millis(400);

/// Watches process 1 for some time, in which the test does nothing either.
pub fn does_not_spin(machine: &Machine, why: &str) {
    let (before, since) = (machine.cpu_time(), Instant::now());
    std::thread::sleep(WATCHED);
    let (used, span) = (machine.cpu_time() - before, since.elapsed());
    assert!(used < CPU_MAX, "{why}: {used:?} of {span:?} used");
}

/// A tool that has been started and not waited for.
fn asking(machine: &Machine, words: &[&str]) -> Child {
    let mut tool = machine.tool(words);
    let tool = tool.stdout(Stdio::null()).stderr(Stdio::null());
    tool.spawn().expect("nsenter starts")
}

#[test]
fn an_idle_machine_does_not_wake_up() {
    let mut machine = boot!("idle");
    machine.wait_for("boot: idle reached");
    let before = machine.wake_ups_when_asleep();
    std::thread::sleep(Duration::from_secs(5));
    // Asleep before and after, and not once awake in between.
    assert_eq!(
        machine.wake_ups_when_asleep(),
        before,
        "{}",
        machine.console()
    );
}

#[test]
fn a_service_that_writes_to_its_readiness_descriptor_without_end_is_cut_off() {
    let mut machine = boot!("chatterer");
    machine.wait_for("chatterer: cut off");
    does_not_spin(&machine, "bytes without a newline");
}

#[test]
fn a_caller_that_cannot_be_accepted_does_not_keep_process_1_busy() {
    let mut machine = boot!("idle");
    machine.wait_for("boot: idle reached");
    machine.limit_descriptors("0:4096");
    let caller = connection(&machine);
    does_not_spin(&machine, "no descriptor for a caller");
    machine.limit_descriptors("4096:4096");
    // Accepted by itself: the tool comes after the caller.
    assert!(machine.sctl(&["list"]).status.success());
    drop(caller);
}

#[test]
fn clients_that_wait_for_ever_keep_nobody_out() {
    let mut machine = boot!("idle");
    machine.wait_for("boot: idle reached");
    let mut waiting: Vec<Child> = (0..8)
        .map(|_| asking(&machine, &["start", "never-ready"]))
        .collect();
    machine.wait_for("never-ready: runs");
    let list = machine.sctl(&["list"]);
    let words = String::from_utf8_lossy(&list.stderr).into_owned();
    assert!(list.status.success(), "{words}");
    does_not_spin(&machine, "clients that wait");
    // Those that had to go asked for something that goes on.
    assert_eq!(
        machine.inside("pgrep -xc sleep"),
        "1",
        "{}",
        machine.console()
    );
    machine.signal(15);
    assert_eq!(machine.end(), End::Off, "{}", machine.console());
    for tool in &mut waiting {
        let _ = tool.wait();
    }
}

#[test]
fn a_client_that_closes_in_the_middle_of_its_request_is_forgotten() {
    let mut machine = boot!("idle");
    machine.wait_for("boot: idle reached");
    for _ in 0..8 {
        machine.inside("timeout -s KILL 0.1 /proc/1/exe start never-ready || true");
    }
    does_not_spin(&machine, "connections that ended");
    assert!(machine.sctl(&["list"]).status.success());
    // What the first of them asked for goes on.
    machine.wait_for("never-ready: runs");
    assert!(machine.inside("pgrep -x sleep").lines().count() > 0);
}
