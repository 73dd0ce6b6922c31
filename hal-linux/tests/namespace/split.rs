//! This file does to the core what it must survive where it is a process of its own: it is locked
//! in, killed, held, and dies again and again of one request.

use crate::machine::{End, Machine};
use crate::skip::skip;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Names process 1 of `split.toml`, built by `cargo xtask test`.
const PROGRAM: &str = "SYSMASTER_SPLIT_INIT";
pub const SYMBOLS: &str = "SYSMASTER_SPLIT_SYMBOLS";

/// Far above what any of it takes.
pub const LIMIT: Duration = Duration::from_secs(60);

pub const KILL: Signal = Signal::SIGKILL;
const STOP: Signal = Signal::SIGSTOP;
const CONT: Signal = Signal::SIGCONT;

/// Process 1 of a split machine; `None` with a loud word where nobody has built one.
pub fn program() -> Option<PathBuf> {
    let program = std::env::var_os(PROGRAM).map(PathBuf::from);
    if program.is_none() {
        skip(&format!(
            "{PROGRAM} names no process 1; `cargo xtask test` builds and names one"
        ));
    }
    program
}

/// Begins to boot a split machine, by way of `first`.
pub fn start_by(first: &[&str], target: &str) -> Option<Machine> {
    Machine::boot_copy(first, Some(&program()?), target)
}

/// Begins to boot a split machine.
pub fn start(target: &str) -> Option<Machine> {
    start_by(&[], target)
}

/// Boots a split machine.
pub fn boot(target: &str) -> Option<Machine> {
    let mut machine = start(target)?;
    machine.wait_for(&format!("boot: {target} reached"));
    Some(machine)
}

/// The services of `target.holding`, once all run, as numbered outside.
pub fn services(machine: &Machine) -> Vec<u32> {
    until("all services run", || named(machine, "sleep").len() == 5);
    named(machine, "sleep")
}

/// Processes of a machine that run, by their name.
pub fn named(machine: &Machine, name: &str) -> Vec<u32> {
    named_below(machine.pid(), name)
}

pub fn named_below(pid: u32, name: &str) -> Vec<u32> {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let children = children.expect("process 1 is there");
    let pids = children.split_whitespace().filter_map(|it| it.parse().ok());
    let is_named = |pid: &u32| {
        let comm = std::fs::read_to_string(format!("/proc/{pid}/comm"));
        comm.is_ok_and(|comm| comm.trim_end() == name) && !status(*pid, "State").starts_with('Z')
    };
    pids.filter(is_named).collect()
}

/// The core, once there is one.
pub fn core(machine: &Machine) -> u32 {
    let mut found = 0;
    until("there is a core", || {
        found = named(machine, "init-core").first().copied().unwrap_or(0);
        found != 0
    });
    found
}

pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + LIMIT;
    while !holds() {
        assert!(Instant::now() < end, "not in time: {what}");
        std::thread::yield_now();
    }
}

pub fn send(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(pid.try_into().expect("a pid is small"));
    kill(pid, signal).expect("it is there");
}

/// A value of `/proc/<pid>/status`.
pub fn status(pid: u32, key: &str) -> String {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(key));
    let value = line.and_then(|line| line.strip_prefix(':'));
    value.unwrap_or_default().trim().to_string()
}

/// Where the descriptors of a process lead.
pub fn leads(pid: u32) -> Vec<PathBuf> {
    let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("it is there");
    let paths = descriptors.map(|entry| entry.expect("it is there").path());
    // One may be closed by now.
    paths
        .filter_map(|path| std::fs::read_link(path).ok())
        .collect()
}

/// Memory of a process that others see and write, too.
pub fn shared(pid: u32) -> Vec<String> {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).expect("it is there");
    let lines = maps.lines().filter(|line| line.contains("rw-s"));
    lines.map(str::to_string).collect()
}

#[test]
fn the_core_holds_nothing_but_two_ends_of_pipes_and_shared_words() {
    let Some(machine) = boot("holding") else {
        return;
    };
    let core = core(&machine);
    until("it is locked in", || status(core, "Seccomp") == "2");
    assert_eq!(status(core, "NoNewPrivs"), "1");
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert_eq!(status(core, set), "0000000000000000", "{set}");
    }
    let leads = leads(core);
    assert_eq!(leads.len(), 2, "{leads:?}");
    let is_pipe = |path: &PathBuf| path.to_string_lossy().starts_with("pipe:");
    assert!(leads.iter().all(is_pipe), "{leads:?}");
    let (its, all) = (shared(core), shared(machine.pid()));
    assert_eq!((its.len(), all.len()), (1, 2), "{its:?} of {all:?}");
}

/// A kernel without filters has a mode that is as narrow, and says nothing of what it ended.
#[cfg(target_arch = "x86_64")]
#[test]
fn on_a_kernel_without_filters_the_core_is_locked_in_all_the_same() {
    use crate::inject::{Injury, at_birth, injure, refuse_filter};
    /// getpid(), over and over
    const CALLS: &[u8] = &[0xb8, 39, 0, 0, 0, 0x0f, 0x05, 0xeb, 0xf7];
    let Some(mut machine) = boot("holding") else {
        return;
    };
    let (before, first) = (services(&machine), core(&machine));
    at_birth(machine.pid(), || send(first, KILL), refuse_filter);
    machine.wait_for("the core ended: SIGKILL; another takes its place");
    machine.wait_for("the core is a new one and goes on where it was");
    let locked = core(&machine);
    assert_eq!(status(locked, "Seccomp"), "1", "{}", machine.console());
    assert!(machine.sctl(&["restart", "held@1"]).status.success());
    assert_eq!(core(&machine), locked, "{}", machine.console());
    injure(locked, Injury::Code(CALLS));
    machine.wait_for("the core ended: SIGKILL; another takes its place");
    machine.wait_for("the core is a new one and goes on where it was");
    assert_eq!(status(core(&machine), "Seccomp"), "2");
    // The one that was restarted is the youngest.
    assert_eq!(services(&machine)[..4], before[1..]);
    let told = machine.console().contains("less locked in");
    assert!(!told, "{}", machine.console());
}

#[test]
fn a_core_that_is_killed_again_and_again_is_replaced_and_no_service_is() {
    let Some(mut machine) = boot("holding") else {
        return;
    };
    let before = services(&machine);
    for _ in 0..20 {
        send(core(&machine), KILL);
        // Two ends in one millisecond are one line; two new cores are not.
        machine.wait_for("the core is a new one and goes on where it was");
        let told = machine.console();
        assert!(told.contains("the core ended: SIGKILL; another takes its place"));
    }
    assert!(machine.sctl(&["list"]).status.success());
    assert_eq!(named(&machine, "sleep"), before);
    send(before[0], KILL);
    machine.wait_for("held@1: ended: SIGKILL");
    machine.wait_for("held 1: runs");
    machine.signal(15);
    assert_eq!(machine.end(), End::Off, "{}", machine.console());
}

#[cfg(target_arch = "x86_64")]
#[test]
fn a_keeper_that_dies_again_and_again_keeps_its_services() {
    use crate::inject::{Injury, injure};
    let Some(mut machine) = boot("holding") else {
        return;
    };
    let before = services(&machine);
    for _ in 0..5 {
        injure(machine.pid(), Injury::Counter(0));
        machine.wait_for("goes on where it was");
        assert!(machine.sctl(&["list"]).status.success());
    }
    assert_eq!(named(&machine, "sleep"), before, "{}", machine.console());
    send(before[0], KILL);
    machine.wait_for("held@1: ended: SIGKILL");
    machine.wait_for("held 1: runs");
    assert_eq!(named(&machine, "init-core").len(), 1, "one core is enough");
}

/// As soon as its handlers are there, it finds what it keeps also from within them.
#[cfg(target_arch = "x86_64")]
#[test]
fn a_keeper_may_die_again_before_it_knows_what_it_keeps() {
    use crate::inject::{Fate, in_next_program};
    let Some(mut machine) = boot("holding") else {
        return;
    };
    let (before, pid) = (services(&machine), machine.pid());
    let caught = || {
        let set = u64::from_str_radix(&status(pid, "SigCgt"), 16);
        set.is_ok_and(|set| set & 0x4000_04f8 == 0x4000_04f8)
    };
    for later in [0, 30, 60, 90, 150, 1_000] {
        let mut reexec = machine.tool(&["reexec"]);
        in_next_program(pid, &Fate::Injured(later, &caught), || {
            // Answered by the life after, or told that there is no answer.
            let _ = reexec.output().expect("nsenter starts");
        });
        machine.wait_for("goes on where it was");
        assert!(machine.sctl(&["list"]).status.success());
    }
    assert_eq!(named(&machine, "sleep"), before, "{}", machine.console());
}

/// Its core has taken an exit in and is about to start the service again, and the keeper dies
/// before it has heard of that: the next one does not take who is gone for who is there.
#[cfg(target_arch = "x86_64")]
#[test]
fn wherever_a_keeper_dies_over_an_exit_it_is_one_exit_and_one_start() {
    use crate::inject::at_call;
    /// Longer than any back-off before the next start.
    const LATER: Duration = Duration::from_millis(30);
    let Some(mut machine) = boot("holding") else {
        return;
    };
    let count = services(&machine).len();
    for stop in 1..=STOPS {
        let victim = services(&machine)[0];
        let core = core(&machine);
        // The keeper is held: a core that sleeps has taken in all that it was told.
        let settles = || {
            std::thread::sleep(LATER);
            until("the core has done its part", || {
                !status(core, "State").starts_with('R')
            });
        };
        at_call(machine.pid(), stop, || send(victim, KILL), settles);
        until("the next one runs", || {
            let all = named(&machine, "sleep");
            all.len() == count && !all.contains(&victim)
        });
    }
    machine.signal(15);
    assert_eq!(machine.end(), End::Off);
    let console = machine.console();
    // Whoever died behind a line says it again.
    let ends: BTreeSet<_> = console
        .lines()
        .filter_map(|line| line.split_once(": ended: SIGKILL; restart"))
        .map(|(name, number)| (name.rsplit(' ').next(), number))
        .collect();
    let stops = usize::try_from(STOPS).expect("a few");
    assert_eq!(ends.len(), stops, "{console}");
    assert!(
        !console.contains("no process could be created"),
        "{console}"
    );
}

/// Stops at system calls of a keeper from an exit to its next sleep, and a few more.
#[cfg(target_arch = "x86_64")]
const STOPS: u32 = 24;

/// Process 1 itself decides nothing.
#[test]
fn while_the_core_is_held_nothing_is_started_and_then_each_is_once() {
    let Some(mut machine) = boot("holding") else {
        return;
    };
    let before = services(&machine);
    let held = core(&machine);
    send(held, STOP);
    until("it is held", || status(held, "State").starts_with('T'));
    for pid in &before {
        send(*pid, KILL);
    }
    let gone = |pid: &u32| matches!(status(*pid, "State").as_bytes(), [] | [b'Z', ..]);
    until("all have ended", || before.iter().all(gone));
    // Others have to wait as well.
    let mut list = machine.tool(&["list"]);
    let list = list.stdout(std::process::Stdio::null()).spawn();
    let mut list = list.expect("nsenter starts");
    machine.inside("true");
    assert!(named(&machine, "sleep").is_empty(), "somebody was started");
    assert_eq!(core(&machine), held, "it was replaced");
    send(held, CONT);
    for number in 1..=5 {
        until("it runs again", || {
            let pattern = format!("pgrep -f '^sleep 3141{number}' | wc -l");
            machine.inside(&pattern) == "1"
        });
    }
    assert!(list.wait().expect("it was started").success());
    machine.signal(15);
    assert_eq!(machine.end(), End::Off);
    let console = machine.console();
    for number in 1..=5 {
        let starts = console.matches(&format!("held {number}: runs")).count();
        assert_eq!(starts, 2, "{console}");
    }
    assert!(!console.contains("another takes its place"), "{console}");
}
