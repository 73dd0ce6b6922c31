//! This file takes from process 1 what it needs: descriptors, process numbers, room below `/run`.
//! It says what is missing, goes on with the rest, and recovers by itself when it is there again.

use crate::boot;
use crate::machine::{End, Machine};
use crate::skip::skip;

/// A shell that prepares the namespaces and then executes what follows.
pub fn after(script: &str, target: &str) -> Option<Machine> {
    let script = format!("{script}; exec \"$@\"");
    Machine::boot_by(&["sh", "-ec", &script, "sh"], target)
}

pub fn goes_down(mut machine: Machine) {
    machine.signal(15);
    assert_eq!(machine.end(), End::Off, "{}", machine.console());
}

#[test]
fn a_machine_started_with_hardly_a_descriptor_boots() {
    for limits in ["--nofile=4:4096", "--nofile=0:4096"] {
        let Some(mut machine) = Machine::boot_by(&["prlimit", limits], "readiness") else {
            return;
        };
        machine.wait_for("boot: readiness reached");
        assert!(machine.sctl(&["list"]).status.success());
        goes_down(machine);
    }
}

#[test]
fn without_descriptors_a_service_fails_with_the_cause_and_comes_when_there_are_some() {
    let mut machine = boot!("idle");
    machine.wait_for("boot: idle reached");
    // Asked for while it can be; the next start needs a pipe that it cannot have.
    machine.inside("/proc/1/exe --no-wait start needs-a-pipe");
    machine.wait_for("needs-a-pipe: runs");
    machine.limit_descriptors("0:4096");
    machine.inside("pkill -KILL -f 'sleep 3133[7]'");
    machine.wait_for("Too many open files");
    machine.limit_descriptors("4096:4096");
    machine.wait_for("needs-a-pipe: runs");
    goes_down(machine);
}

/// Whether a process-number limit can be set for one namespace alone (since Linux 6.14).
pub fn numbers_are_per_namespace() -> bool {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut parts = release.split('.').map(|part| part.parse().unwrap_or(0_u32));
    (parts.next(), parts.next()) >= (Some(6), Some(14))
}

#[test]
fn without_process_numbers_services_back_off_and_come_when_there_are_some() {
    if !numbers_are_per_namespace() {
        skip("this kernel has no process-number limit for a namespace alone");
        return;
    }
    let mut machine = boot!("numbers");
    machine.wait_for("taker: has them all");
    // From outside: nothing new can run inside.
    let run = machine.root().join("run");
    std::fs::write(run.join("die"), "").expect("/run is a directory");
    machine.wait_for("phoenix: ended");
    machine.wait_for("Resource temporarily unavailable");
    std::fs::write(run.join("let-go"), "").expect("/run is a directory");
    machine.wait_for("phoenix: runs");
    goes_down(machine);
}

#[test]
fn a_run_directory_that_is_full_or_read_only_is_told_and_costs_the_control_socket_alone() {
    for (mount, cause) in [
        ("mount -t tmpfs -o nr_inodes=1 x /run", "No space left"),
        ("mount -t tmpfs -o ro x /run", "Read-only file system"),
    ] {
        let Some(mut machine) = after(mount, "readiness-but-path") else {
            return;
        };
        machine.wait_for("no control socket");
        machine.wait_for("boot: readiness-but-path reached");
        assert!(machine.console().contains(cause), "{}", machine.console());
        goes_down(machine);
    }
}

#[test]
fn a_run_directory_that_fills_up_later_changes_nothing() {
    let Some(mut machine) = after("mount -t tmpfs -o size=64k x /run", "layers") else {
        return;
    };
    machine.wait_for("boot: layers reached");
    machine.inside("dd if=/dev/zero of=/run/full bs=4k 2>/dev/null || true");
    assert!(machine.sctl(&["restart", "top"]).status.success());
    goes_down(machine);
}
