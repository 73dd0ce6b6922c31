//! This file replaces process 1's program by request: its services, its clients and its own number
//! stay, and whoever asked has the answer of the next life.

use crate::boot;
use crate::machine::{End, Machine};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// Units and the numbers of their processes.
fn processes(machine: &Machine) -> Vec<(String, String)> {
    let list = machine.sctl(&["list"]);
    assert!(list.status.success(), "{}", machine.console());
    let text = String::from_utf8(list.stdout).expect("sctl writes text");
    let pids = text.lines().skip(1).filter_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [name, _, _, pid, ..] = words[..] else {
            panic!("no row of a list: {line}");
        };
        (pid != "-").then(|| (name.to_string(), pid.to_string()))
    });
    pids.collect()
}

/// Waits until the one that comes and goes has come again.
fn wait_for_all(machine: &Machine) {
    let end = Instant::now() + Duration::from_secs(60);
    while processes(machine).len() != 3 {
        assert!(Instant::now() < end, "{}", machine.console());
    }
}

#[test]
fn a_hundred_executions_change_no_process_and_lose_no_exit_and_no_client() {
    let mut machine = boot!("renewal");
    // Nobody can be asked before; and then the machine's own units have done their work.
    machine.wait_for("setup: ready");
    wait_for_all(&machine);
    // Written to before the service has made its pipe, it would be a file.
    machine.inside("until [ -p /run/go ]; do sleep 0.01; done");
    let pid = machine.pid();
    let mut waiting = machine.tool(&["start", "says-when-told"]);
    let waiting = waiting.stdout(Stdio::null()).spawn();
    let mut waiting = waiting.expect("nsenter starts");
    for count in 0..100 {
        let before = processes(&machine);
        assert!(machine.sctl(&["reexec"]).status.success(), "{count}");
        machine.wait_for("was executed again and goes on where it was");
        assert_eq!(machine.pid(), pid);
        assert_eq!(processes(&machine), before, "{count}");
        if count % 10 == 0 {
            machine.inside("echo > /run/go");
            machine.wait_for("comes-and-goes: ended: exit code 3; restart");
            wait_for_all(&machine);
        }
    }
    assert!(
        waiting.try_wait().expect("it is our child").is_none(),
        "answered"
    );
    machine.inside("touch /run/say");
    assert!(waiting.wait().expect("it is our child").success());
    machine.wait_for("boot: renewal reached");
    assert!(!machine.console().contains("died"), "{}", machine.console());
    machine.signal(15);
    assert_eq!(machine.end(), End::Off, "{}", machine.console());
}
