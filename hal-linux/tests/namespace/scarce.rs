//! This file takes from process 1 what it needs: descriptors, process numbers, room below `/run`.
//! It says what is missing, goes on with the rest, and recovers by itself when it is there again.

use crate::boot;
use crate::control::{asks, asks_after, connection, hears};
use crate::machine::{End, Machine};
use crate::skip::skip;
use crate::split::{self, KILL, core, named, send, services, until};
use crate::strace::{Calls, has_strace};
use init_core::protocol::Change;

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

fn kills_one_service(machine: &Machine, running: &[u32]) {
    send(running[0], KILL);
    until("it is started again", || {
        let now = named(machine, "sleep");
        now.len() == running.len() && !now.contains(&running[0])
    });
}

/// Booted, with five services; `None` where process 1's calls cannot be refused.
fn with_services(machine: Option<Machine>) -> Option<(Machine, Vec<u32>)> {
    if !has_strace() {
        skip("there is no strace; `apt-get install strace` as root brings it");
        return None;
    }
    let mut machine = machine?;
    machine.wait_for("boot: holding reached");
    let running = services(&machine);
    Some((machine, running))
}

#[test]
fn without_a_file_left_in_the_kernel_services_go_on_and_callers_are_heard_later() {
    let Some((mut machine, _)) = with_services(Machine::boot("holding")) else {
        return;
    };
    machine.inside("/proc/1/exe --no-wait start needs-a-pipe");
    machine.wait_for("needs-a-pipe: runs");
    let client = connection(&machine);
    asks_after(&client, "held@1");
    until("all six run", || named(&machine, "sleep").len() == 6);
    let running = named(&machine, "sleep");
    let its = machine.inside("until pgrep -f 'sleep 3133[7]'; do sleep 0.01; done");

    let no_file = Calls::without_a_file(&machine);
    let caller = connection(&machine);
    kills_one_service(&machine, &running);
    machine.inside(&format!("kill -KILL {its}"));
    machine.wait_for("Too many open files in system");
    asks(&client, Change::Restart, "held@2", true);
    hears(&client);
    // Looked at once a second: the rest of the time process 1 sleeps or does something.
    until("the caller is looked at again", || {
        no_file.refused("accept4") > 1
    });
    let (looks, seconds) = (
        no_file.refused("accept4"),
        no_file.since.elapsed().as_secs(),
    );
    assert!(
        u64::try_from(looks).is_ok_and(|looks| looks <= seconds + 2),
        "{looks}, {seconds} s"
    );
    no_file.ends();

    asks_after(&caller, "held@1");
    machine.wait_for("needs-a-pipe: runs");
    assert!(machine.sctl(&["list"]).status.success());
    // Nor is a file needed on the way down.
    let _no_file = Calls::without_a_file(&machine);
    goes_down(machine);
}

#[test]
fn without_a_file_left_in_the_kernel_a_core_that_is_lost_comes_back_later() {
    let Some((machine, running)) = with_services(split::start("holding")) else {
        return;
    };
    let lost = core(&machine);
    let no_file = Calls::without_a_file(&machine);
    send(lost, KILL);
    until("another core is tried in vain", || {
        no_file.refused("pipe2") > 0
    });
    assert_eq!(named(&machine, "sleep"), running);
    no_file.ends();
    until("there is another", || ![lost, 0].contains(&core(&machine)));
    assert!(machine.sctl(&["list"]).status.success());
    kills_one_service(&machine, &running);
    goes_down(machine);
}

#[test]
fn without_a_process_number_for_a_core_the_machine_goes_down_when_it_is_asked_to() {
    for (signal, end) in [(15, End::Off), (2, End::Reboot)] {
        if !has_strace() {
            skip("there is no strace; `apt-get install strace` as root brings it");
            return;
        }
        let Some(mut machine) = split::boot("layers") else {
            return;
        };
        let lost = core(&machine);
        let no_number = Calls::without_a_number(&machine);
        send(lost, KILL);
        until("another core is tried in vain", || {
            no_number.refused("clone") > 0
        });
        // It asks for something else, and comes first.
        machine.signal(1);
        machine.signal(signal);
        machine.wait_for("the machine goes down all the same");
        // Until then a core could have gone down in order.
        let tried = no_number.refused("clone");
        assert!(tried >= 100, "{tried}");
        let ended = machine.end();
        let console = machine.console();
        assert_eq!(ended, end, "{console}");
        for name in ["top", "middle", "bottom", "leftover"] {
            assert!(console.contains(&format!("{name}: stops")), "{console}");
        }
        assert!(!console.contains("the core is a new one"), "{console}");
    }
}

#[test]
fn where_all_process_numbers_are_taken_the_last_act_has_one_all_the_same() {
    if !has_strace() || !numbers_are_per_namespace() {
        skip("there is no strace, or no process-number limit for a namespace alone");
        return;
    }
    let Some(mut machine) = split::start("numbers") else {
        return;
    };
    machine.wait_for("taker: has them all");
    let lost = core(&machine);
    let mut calls = Calls::of(&machine, "clone");
    send(lost, KILL);
    let is_refused = |line: &str| line.contains("EAGAIN");
    until("another core is tried in vain", || {
        calls.count("clone", is_refused) > 0
    });
    machine.signal(15);
    machine.wait_for("the machine goes down all the same");
    assert_eq!(machine.end(), End::Off, "{}", machine.console());
    calls.wait();
    // Who has ended kept a number until it was let go; then caches could be written back.
    assert_eq!(calls.count("clone", |line| !is_refused(line)), 1);
}
