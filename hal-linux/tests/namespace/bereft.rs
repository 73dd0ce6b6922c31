//! This file takes everything at once from process 1 and then lets it die and be exchanged: what
//! that needs it has.

use crate::inject::{Injury, injure};
use crate::machine::{Machine, copy_program};
use crate::scarce::{after, goes_down, numbers_are_per_namespace};
use crate::skip::skip;
use crate::upgrade;
use std::collections::BTreeSet;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// Runs a program that sees the machine's files and has no process number there.
pub fn beside(machine: &Machine, words: &[&str]) -> Output {
    let pid = machine.pid().to_string();
    let mut command = Command::new("nsenter");
    command
        .args(["--target", &pid, "--mount", "--"])
        .args(words);
    let output = command.output();
    output.expect("nsenter starts: it is part of util-linux")
}

/// The children of process 1, by their numbers outside.
fn children(machine: &Machine) -> String {
    let pid = machine.pid();
    let file = format!("/proc/{pid}/task/{pid}/children");
    std::fs::read_to_string(file).expect("the kernel lists them")
}

/// Fills `/run` and lets nobody write to it.
pub fn close_run(machine: &Machine) {
    let fill = "dd if=/dev/zero of=/run/full bs=4k 2>/dev/null; mount -o remount,ro /run";
    let closed = beside(machine, &["sh", "-c", fill]);
    assert!(closed.status.success(), "{closed:?}");
}

/// Lets whoever took all process numbers give them back.
pub fn let_go(machine: &Machine) {
    let let_go = "mount -o remount,rw /run && : > /run/let-go && mount -o remount,ro /run";
    let let_go = beside(machine, &["sh", "-c", let_go]);
    assert!(let_go.status.success(), "{let_go:?}");
}

#[test]
fn with_no_room_no_number_and_no_descriptor_it_lives_again_and_is_exchanged() {
    if !numbers_are_per_namespace() {
        skip("this kernel has no process-number limit for a namespace alone");
        return;
    }
    let Some(mut machine) = after("mount -t tmpfs -o size=64k x /run", "numbers") else {
        return;
    };
    for line in ["phoenix: runs", "taker: has them all"] {
        if !machine.console().contains(line) {
            machine.wait_for(line);
        }
    }
    let image = machine.root().join("tmp/upgraded");
    copy_program(&upgrade::image(), &image);
    close_run(&machine);
    let (pid, before) = (machine.pid(), children(&machine));

    for injury in [
        Injury::Counter(0),
        Injury::Stack(8),
        Injury::Code(&[0xeb, 0xfe]),
    ] {
        machine.limit_descriptors("0:4096");
        injure(pid, injury);
        machine.wait_for("goes on where it was");
        assert_eq!((machine.pid(), children(&machine)), (pid, before.clone()));
    }
    let again = beside(&machine, &["/proc/1/exe", "reexec"]);
    assert!(again.status.success(), "{again:?}\n{}", machine.console());
    machine.wait_for("was executed again and goes on where it was");

    // Another image is tried by a child, which wants a number.
    let exchange = ["/proc/1/exe", "upgrade", "/tmp/upgraded"];
    let refused = beside(&machine, &exchange);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("Resource temporarily unavailable"), "{said}");
    assert_eq!((machine.pid(), children(&machine)), (pid, before.clone()));
    let_go(&machine);
    let end = Instant::now() + Duration::from_secs(60);
    while !beside(&machine, &exchange).status.success() {
        assert!(Instant::now() < end, "{}", machine.console());
    }
    machine.wait_for("process 1 was upgraded and goes on where it was");
    assert_eq!(machine.pid(), pid);
    let now = children(&machine);
    let [kept, there] = [&before, &now].map(|line| BTreeSet::from_iter(line.split_whitespace()));
    assert!(kept.is_subset(&there), "{before}, then {now}");
    goes_down(machine);
}
