//! This file puts programs on a file system that never answers. More services than any pool of
//! stacks has places lie on it.

use crate::control::{asks, asks_after, connection, hears};
#[cfg(target_arch = "x86_64")]
use crate::damage::{region, set_word, word};
#[cfg(target_arch = "x86_64")]
use crate::inject::{Injury, bears, injure, show_calls, stop};
use crate::machine::{End, Machine};
pub use crate::silence::Silence;
use crate::split::{named, send, services, status, until};
use crate::strace::{Record, has_strace};
use init_core::protocol::Change;
#[cfg(target_arch = "x86_64")]
use nix::libc;
#[cfg(target_arch = "x86_64")]
use nix::sys::ptrace;
use nix::sys::signal::Signal;
#[cfg(target_arch = "x86_64")]
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};

/// The word of what outlives process 1 that names its control socket.
#[cfg(target_arch = "x86_64")]
const LISTENER: u64 = 16;
/// The one that names a socket which a child is to bind.
#[cfg(target_arch = "x86_64")]
const SPARE: u64 = 15;

impl Silence {
    /// Mounts one in a machine, where `path` says; `None`, said loudly, where there is no FUSE.
    pub fn at(path: &str, machine: &Machine) -> Option<Self> {
        Self::mounted(path, machine.pid())
    }
}

#[test]
fn programs_on_a_file_system_that_never_answers_delay_nobody() {
    let record = Record::of("sysmaster-stalled");
    let traced = record.words("trace=futex,clone,clone3");
    let words: Vec<&str> = traced.iter().map(String::as_str).collect();
    let first = if has_strace() { words.as_slice() } else { &[] };
    let Some(mut machine) = Machine::boot_by(first, "idle") else {
        return;
    };
    machine.wait_for("boot: idle reached");
    let Some(silence) = Silence::at("/mnt", &machine) else {
        return;
    };
    // Asked for without waiting: 27 services begin, none gets as far as its program.
    machine.inside("/proc/1/exe --no-wait start silence");
    // Nothing waits for them: neither another service nor a client.
    assert!(machine.sctl(&["restart", "sleeper"]).status.success());
    machine.wait_for("after all: runs");
    let list = machine.sctl(&["list"]);
    assert!(
        list.status.success(),
        "{}",
        String::from_utf8_lossy(&list.stderr)
    );
    // What process 1 has said is written by then: a program writes beside it.
    machine.inside("kill -11 1");
    machine.wait_for("ignored SIGSEGV");
    for number in 1..=24 {
        let given_up = format!("stalled@{number}: does not die of SIGKILL, given up");
        assert!(
            machine.console().contains(&given_up),
            "{}",
            machine.console()
        );
    }
    assert!(machine.sctl(&["restart", "sleeper"]).status.success());
    // No second instance beside one that is stuck.
    assert!(!machine.sctl(&["start", "stalled@3"]).status.success());
    machine.signal(15);
    machine.wait_for("power-off: all stopped");
    assert!(!machine.console().contains("shutdown took too long"));
    // The kernel ends a namespace when all its processes are gone. (A machine just goes off.)
    drop(silence);
    assert_eq!(machine.end(), End::Off, "{}", machine.console());
    // One start has waited for a place, in vain, and no other; and after a turn that starts
    // something, once for the last: a millisecond each.
    if let Ok(calls) = std::fs::read_to_string(&record.0) {
        let starts = calls.lines().filter(|call| call.starts_with("clone"));
        let waits: Vec<&str> = calls
            .lines()
            .filter(|it| it.starts_with("futex("))
            .collect();
        assert!(waits.len() <= starts.count(), "{calls}");
        let limit = "{tv_sec=0, tv_nsec=1000000}";
        assert!(waits.iter().all(|wait| wait.contains(limit)), "{calls}");
    }
}

/// As soon as they have begun: none has failed yet, and all are in the kernel's hands.
#[test]
fn starts_that_hang_are_stopped_and_the_machine_goes_down() {
    let Some(mut machine) = Machine::boot("idle") else {
        return;
    };
    machine.wait_for("boot: idle reached");
    let Some(silence) = Silence::at("/mnt", &machine) else {
        return;
    };
    machine.inside("/proc/1/exe --no-wait start silence && /proc/1/exe --no-wait stop stalled@1");
    assert!(machine.sctl(&["restart", "sleeper"]).status.success());
    machine.signal(15);
    machine.wait_for("power-off: begins");
    machine.wait_for("power-off: all stopped");
    let console = machine.console();
    assert!(!console.contains("shutdown took too long"), "{console}");
    drop(silence);
    assert_eq!(machine.end(), End::Off, "{}", machine.console());
}

/// Set-up is done again, mounts and all else; process 1 dies, finds no word of its socket, and
/// lives again. Who is connected is served, and so are services.
#[test]
fn set_up_that_is_done_again_while_run_never_answers_delays_nobody() {
    let Some(mut machine) = Machine::boot("holding") else {
        return;
    };
    machine.wait_for("boot: holding reached");
    let client = connection(&machine);
    let Some(silence) = Silence::at("/run", &machine) else {
        return;
    };
    let goes_on = || {
        asks_after(&client, "held@1");
        let before = services(&machine);
        send(before[0], Signal::SIGKILL);
        until("it is started again", || {
            let now = named(&machine, "sleep");
            now.len() == before.len() && !now.contains(&before[0])
        });
    };
    asks(&client, Change::Restart, "process-table", true);
    hears(&client);
    goes_on();
    #[cfg(target_arch = "x86_64")]
    {
        let region = region(&machine);
        set_word(&region, LISTENER, 0);
        injure(machine.pid(), Injury::Counter(0));
        goes_on();
        // A child of nobody's has a socket, and cannot bind it.
        assert_ne!(word(&region, SPARE), 0, "{}", machine.console());
        assert_eq!(word(&region, LISTENER), 0, "{}", machine.console());
    }
    asks(&client, Change::Restart, "setup", false);
    hears(&client);
    goes_on();
    until("no signal ends who sets up", || {
        let children = named(&machine, "init");
        let sleeps = |pid: &u32| status(*pid, "State").starts_with(['D', 'S']);
        !children.is_empty() && children.iter().all(sleeps) && silence.held() > 0
    });
    ends_while_set_up_hangs(machine, silence);
}

/// Takes a machine down whose set-up hangs: that is given up, and goes with everybody else once
/// the kernel lets it.
pub fn ends_while_set_up_hangs(mut machine: Machine, silence: Silence) {
    machine.signal(15);
    machine.wait_for("power-off: begins");
    machine.wait_for("setup: does not die of SIGKILL, given up");
    machine.wait_for("power-off: all stopped");
    drop(silence);
    assert_eq!(machine.end(), End::Off, "{}", machine.console());
}

/// Process 1 finds no word of its socket, and set-up is done again at the same time: whoever binds
/// it first, it has its place.
#[cfg(target_arch = "x86_64")]
#[test]
fn a_control_socket_that_two_children_bind_at_a_time_is_there() {
    let Some(mut machine) = Machine::boot("idle") else {
        return;
    };
    machine.wait_for("boot: idle reached");
    let stat = format!("/proc/{}/stat", machine.pid());
    for round in 0..20 {
        let client = connection(&machine);
        asks(&client, Change::Restart, "sleeper", true);
        hears(&client);
        // An heir hangs up on whom the life before may have been answering.
        until("process 1 sleeps", || {
            std::fs::read_to_string(&stat).is_ok_and(|stat| stat.contains(") S "))
        });
        set_word(&region(&machine), LISTENER, 0);
        injure(machine.pid(), Injury::Counter(0));
        asks(&client, Change::Restart, "setup", true);
        hears(&client);
        until("the socket is heard", || {
            word(&region(&machine), SPARE) == 0 && word(&region(&machine), LISTENER) != 0
        });
        let list = machine.sctl(&["list"]);
        assert!(
            list.status.success(),
            "round {round}: {}",
            machine.console()
        );
    }
    assert!(
        !machine.console().contains("no control socket"),
        "{}",
        machine.console()
    );
    machine.signal(15);
    assert_eq!(machine.end(), End::Off, "{}", machine.console());
}

/// A caller comes to the old socket, or to the new one, which nobody may have heard of yet.
#[cfg(target_arch = "x86_64")]
#[test]
fn who_calls_while_the_control_socket_is_bound_anew_is_answered() {
    let Some(mut machine) = Machine::boot("idle") else {
        return;
    };
    machine.wait_for("boot: idle reached");
    let client = connection(&machine);
    let mut callers = Vec::new();
    let is_rename = |call, _: [u64; 2]| {
        matches!(
            call,
            libc::SYS_rename | libc::SYS_renameat | libc::SYS_renameat2
        )
    };
    let pid = stop(machine.pid(), ptrace::Options::PTRACE_O_TRACEFORK);
    ptrace::cont(pid, None).expect("it is stopped");
    asks(&client, Change::Restart, "setup", true);
    let child = bears(pid);
    // None is accepted: process 1 stands at its fork.
    callers.extend([connection(&machine), connection(&machine)]);
    show_calls(child, is_rename);
    ptrace::syscall(child, None).expect("it is stopped");
    waitpid(child, Some(WaitPidFlag::__WALL)).expect("it stops");
    callers.push(connection(&machine));
    ptrace::cont(child, None).expect("it is stopped");
    let ended = waitpid(child, Some(WaitPidFlag::__WALL)).expect("it ends");
    assert_eq!(ended, WaitStatus::Exited(child, 0));
    ptrace::detach(pid, None).expect("it is stopped");
    hears(&client);
    for caller in &callers {
        asks_after(caller, "setup");
    }
    machine.signal(15);
    assert_eq!(machine.end(), End::Off, "{}", machine.console());
}

/// Covered by another mount, or taken away, the socket is there again when set-up is done again.
#[test]
fn a_control_socket_that_is_lost_is_there_again_when_set_up_is_done_again() {
    let Some(mut machine) = Machine::boot("idle") else {
        return;
    };
    machine.wait_for("boot: idle reached");
    for loss in ["mount -t tmpfs x /run", "rm -r /run/sysmaster"] {
        let client = connection(&machine);
        machine.inside(loss);
        assert!(!machine.sctl(&["list"]).status.success(), "{loss}");
        asks(&client, Change::Restart, "setup", true);
        hears(&client);
        assert!(machine.sctl(&["list"]).status.success(), "{loss}");
        asks(&client, Change::Restart, "sleeper", true);
        hears(&client);
    }
    machine.signal(15);
    assert_eq!(machine.end(), End::Off, "{}", machine.console());
}
