//! This file takes everything at once from process 1 and then lets it die and be exchanged: what
//! that needs it has.

use crate::inject::{Injury, comes_to_program, hurt, injure, show_calls, stop};
use crate::machine::{Machine, copy_program};
use crate::scarce::{after, goes_down, numbers_are_per_namespace};
use crate::skip::skip;
use crate::split::{self, until};
use crate::split_upgrade::{IMAGE, named};
use crate::upgrade::{self, inside, kept};
use nix::libc;
use nix::sys::ptrace;
use nix::unistd::Pid;
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

/// Its next core has the number of the last, or waits until there is one; nobody else notices.
#[test]
fn with_no_room_no_number_and_no_descriptor_a_keeper_lives_again_and_then_its_core() {
    if !numbers_are_per_namespace() {
        skip("this kernel has no process-number limit for a namespace alone");
        return;
    }
    let small = "mount -t tmpfs -o size=64k x /run; exec \"$@\"";
    let Some(mut machine) = split::start_by(&["sh", "-ec", small, "sh"], "numbers") else {
        return;
    };
    for line in ["phoenix: runs", "taker: has them all"] {
        if !machine.console().contains(line) {
            machine.wait_for(line);
        }
    }
    copy_program(&named(IMAGE), &machine.root().join("tmp/upgraded"));
    close_run(&machine);
    let (pid, before) = (machine.pid(), split::named(&machine, "perl"));
    for injury in [
        Injury::Counter(0),
        Injury::Stack(8),
        Injury::Code(&[0xeb, 0xfe]),
    ] {
        machine.limit_descriptors("0:4096");
        injure(pid, injury);
        machine.wait_for("process 1 died");
        // Whoever has its life tells of the last.
        until("it has its descriptors", || split::leads(pid).len() > 3);
        assert_eq!(split::named(&machine, "perl"), before);
    }
    let_go(&machine);
    until("a core answers", || {
        beside(&machine, &["/proc/1/exe", "list"]).status.success()
    });
    assert_eq!(
        (machine.pid(), split::named(&machine, "perl")),
        (pid, before.clone())
    );
    assert_eq!(split::named(&machine, "init-core").len(), 1);
    for _ in 0..2 {
        machine.limit_descriptors("0:4096");
        split::send(split::core(&machine), split::KILL);
        machine.wait_for("the core is a new one and goes on where it was");
    }
    machine.limit_descriptors("0:4096");
    until("it is exchanged", || {
        beside(&machine, &["/proc/1/exe", "upgrade", "/tmp/upgraded"])
            .status
            .success()
    });
    machine.wait_for("process 1 was upgraded and goes on where it was");
    assert_eq!(
        (machine.pid(), split::named(&machine, "perl")),
        (pid, before)
    );
    goes_down(machine);
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
    // Each asks for it without a descriptor for whoever asks.
    while {
        machine.limit_descriptors("0:4096");
        !beside(&machine, &exchange).status.success()
    } {
        assert!(Instant::now() < end, "{}", machine.console());
    }
    machine.wait_for("process 1 was upgraded and goes on where it was");
    assert_eq!(machine.pid(), pid);
    let now = children(&machine);
    let [kept, there] = [&before, &now].map(|line| BTreeSet::from_iter(line.split_whitespace()));
    assert!(kept.is_subset(&there), "{before}, then {now}");
    goes_down(machine);
}

/// Lets the program that it executes next come so often to such a call.
fn comes_to_next(machine: &Machine, cause: impl FnOnce(Pid), call: i64, times: u32) -> Pid {
    let pid = stop(machine.pid(), ptrace::Options::PTRACE_O_TRACEEXEC);
    cause(pid);
    ptrace::cont(pid, None).expect("it is stopped");
    comes_to_program(pid, || false);
    let mut count = 0;
    show_calls(pid, |number, _| {
        count += u32::from(number == call);
        count == times
    });
    pid
}

/// Lets the program that it executes next come so often to a call that makes a descriptor, when
/// somebody has lowered its limit to none. It has the right to raise that.
fn lacks_a_descriptor(machine: &Machine, cause: impl FnOnce(Pid), call: i64, times: u32) {
    let pid = comes_to_next(machine, cause, call, times);
    machine.limit_descriptors("0:4096");
    ptrace::detach(pid, None).expect("it is stopped");
}

/// Lets a life come so often to a call that maps memory, and refuses that until it has slept twice.
fn lacks_memory(machine: &Machine, times: u32) {
    let dies = |pid| hurt(pid, Injury::Counter(0));
    let pid = comes_to_next(machine, dies, libc::SYS_mmap, times);
    machine.limit("--as=4096:unlimited");
    let mut rests = 0;
    show_calls(pid, |number, _| {
        rests += u32::from(matches!(number, libc::SYS_poll | libc::SYS_ppoll));
        rests == 2
    });
    machine.limit("--as=unlimited:unlimited");
    ptrace::detach(pid, None).expect("it is stopped");
}

/// A life that cannot have what the one before it left would boot beside what runs.
#[test]
fn a_life_that_cannot_map_what_is_left_yet_waits_until_it_can() {
    for (machine, maps) in [(Machine::boot("holding"), 1), (split::start("holding"), 2)] {
        let Some(mut machine) = machine else { return };
        machine.wait_for("boot: holding reached");
        let (pid, before) = (machine.pid(), split::services(&machine));
        for times in 1..=maps {
            lacks_memory(&machine, times);
            machine.wait_for("goes on where it was");
            assert_eq!(
                (machine.pid(), split::services(&machine)),
                (pid, before.clone())
            );
            assert!(machine.sctl(&["list"]).status.success());
        }
        let console = machine.console();
        let said = ["process 1 died of SIGSEGV", "boot: holding reached"];
        let counts = said.map(|text| console.matches(text).count());
        assert_eq!(counts, [maps.try_into().expect("few"), 1], "{console}");
        goes_down(machine);
    }
}

const SIGNALS: (i64, u32) = (libc::SYS_signalfd4, 1);
const TIMER: (i64, u32) = (libc::SYS_timerfd_create, 1);
const EVENTS: (i64, u32) = (libc::SYS_epoll_create1, 1);

/// What a life cannot be without each makes anew, and nobody knows who takes it meanwhile.
#[test]
fn a_life_that_cannot_have_its_descriptors_yet_has_them_later() {
    let solo = [SIGNALS, TIMER, EVENTS].to_vec();
    // By which a keeper hears its core.
    let keeper = [&solo[..], &[(TIMER.0, 2), (EVENTS.0, 2)]].concat();
    for (machine, calls) in [
        (Machine::boot("holding"), solo),
        (split::start("holding"), keeper),
    ] {
        let Some(mut machine) = machine else { return };
        machine.wait_for("boot: holding reached");
        let (pid, before) = (machine.pid(), split::services(&machine));
        let count = calls.len();
        for (call, times) in calls {
            let dies = |pid| hurt(pid, Injury::Counter(0));
            lacks_a_descriptor(&machine, dies, call, times);
            machine.wait_for("goes on where it was");
            assert_eq!(
                (machine.pid(), split::services(&machine)),
                (pid, before.clone())
            );
            assert!(machine.sctl(&["list"]).status.success());
        }
        // It was one death each time.
        let console = machine.console();
        assert!(!console.contains("again and again"), "{console}");
        let deaths = console.matches("process 1 died of SIGSEGV").count();
        assert_eq!(deaths, count, "{console}");
        goes_down(machine);
    }
}

/// The program before has them, and goes on.
#[test]
fn an_image_that_cannot_have_its_descriptors_gives_way_to_the_program_before() {
    let Some(mut machine) = upgrade::booted() else {
        return;
    };
    let (image, before) = (inside(&machine, &upgrade::image()), kept(&machine));
    for (call, times) in [SIGNALS, TIMER, EVENTS] {
        let mut tool = machine.tool(&["upgrade", &image]);
        std::thread::scope(|scope| {
            let begins = |_| {
                scope.spawn(move || {
                    let upgrade = tool.output().expect("nsenter starts");
                    assert_eq!(upgrade.status.code(), Some(1), "{upgrade:?}");
                });
            };
            lacks_a_descriptor(&machine, begins, call, times);
        });
        machine.wait_for("process 1 was rolled back and goes on where it was");
        assert_eq!(kept(&machine), before);
    }
    assert!(machine.sctl(&["upgrade", &image]).status.success());
    assert_eq!(kept(&machine), before);
}
