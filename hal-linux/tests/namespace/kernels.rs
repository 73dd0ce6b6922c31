//! This file tests process 1 on kernels that lack what newer ones have: a filter of system calls
//! answers for them. Some kernels answer an unknown call by SIGSYS, which must not end process 1.

use crate::filter::{self, ALL, FILTER, FORBIDDEN, OF_4_14};
use crate::machine::{End, Machine};
use crate::skip::skip;
use crate::split::{self, KILL, core, send, services, status, until};
use crate::strace::{Record, has_strace};
use linux_raw_sys::general as abi;

pub use crate::filter::{NOT_THERE, RAISES_SIGSYS};

/// Boots to `target` under a filter; `None` where there is no program under test.
fn boot(younger: (u32, u32), calls: &[(u32, u32)], target: &str) -> Option<Machine> {
    boot_after(&[], younger, calls, target)
}

/// The same by way of a command that executes what follows it; all younger calls are there.
pub fn boot_by(first: &[&str], calls: &[(u32, u32)], target: &str) -> Option<Machine> {
    boot_after(first, (ALL, NOT_THERE), calls, target)
}

fn boot_after(
    first: &[&str],
    younger: (u32, u32),
    calls: &[(u32, u32)],
    target: &str,
) -> Option<Machine> {
    let mut words: Vec<String> = first.iter().map(ToString::to_string).collect();
    words.extend(filter::words(younger, calls));
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    Machine::boot_by(&words, target)
}

/// The command that executes what follows it under a filter; all younger calls are there.
pub fn filter(calls: &[(u32, u32)]) -> Vec<String> {
    filter::words((ALL, NOT_THERE), calls)
}

/// Starts, waits for readiness, stops in order, kills who does not stop, powers off.
fn lives(younger: (u32, u32), calls: &[(u32, u32)]) {
    let Some(mut machine) = boot(younger, calls, "layers") else {
        return;
    };
    machine.wait_for("boot: layers reached");
    let status = std::fs::read_to_string(format!("/proc/{}/status", machine.pid()));
    let filtered = status.is_ok_and(|status| status.contains("Seccomp:\t2"));
    assert!(filtered, "the filter is not in force");
    machine.signal(15);
    assert_eq!(machine.end(), End::Off, "{calls:?}:\n{}", machine.console());
    let console = machine.console();
    for text in ["top: stops", "bottom: stops", "leftover: stops"] {
        assert!(console.contains(text), "{calls:?}: {text}:\n{console}");
    }
}

#[test]
fn a_kernel_with_the_calls_of_4_14_is_enough() {
    lives((OF_4_14, NOT_THERE), &[]);
}

#[test]
fn younger_calls_that_raise_sigsys_are_found_out_by_a_child() {
    // The C library of the programs registers this one without asking.
    lives((OF_4_14, RAISES_SIGSYS), &[(abi::__NR_rseq, NOT_THERE)]);
}

#[test]
fn each_call_may_be_missing_forbidden_or_raise_sigsys() {
    let calls = [
        abi::__NR_clone3,
        abi::__NR_close_range,
        abi::__NR_pidfd_open,
        abi::__NR_memfd_create,
        abi::__NR_openat2,
        abi::__NR_faccessat2,
        abi::__NR_epoll_pwait2,
    ];
    for call in calls {
        for act in [NOT_THERE, FORBIDDEN, RAISES_SIGSYS] {
            lives((ALL, NOT_THERE), &[(call, act)]);
        }
    }
    for call in [abi::__NR_statx, abi::__NR_rseq] {
        lives((ALL, NOT_THERE), &[(call, NOT_THERE)]);
    }
}

#[test]
fn several_calls_may_be_missing_at_once() {
    let clone3 = (abi::__NR_clone3, NOT_THERE);
    let close_range = (abi::__NR_close_range, NOT_THERE);
    let memfd_create = (abi::__NR_memfd_create, NOT_THERE);
    lives((ALL, NOT_THERE), &[clone3, close_range]);
    lives((ALL, NOT_THERE), &[memfd_create, clone3]);
    lives((OF_4_14, FORBIDDEN), &[]);
    lives((OF_4_14, NOT_THERE), &[memfd_create]);
}

#[test]
fn a_program_is_known_to_be_executed_or_not_on_any_kernel() {
    let no_marks = (abi::__NR_set_robust_list, NOT_THERE);
    let forks = (abi::__NR_clone3, NOT_THERE);
    for calls in [[].as_slice(), &[forks], &[no_marks], &[forks, no_marks]] {
        lives((ALL, NOT_THERE), calls);
        let Some(mut machine) = boot((ALL, NOT_THERE), calls, "spawn-errors") else {
            return;
        };
        machine.wait_for("no-program: failed: exec /no/such/program");
        // Where it is taken for ready first, the boot is over before.
        machine.told("boot: spawn-errors");
        // Where neither a shared memory nor a mark tells, it is taken for ready a little early.
        let is_told = calls.len() < 2;
        let console = machine.console();
        let is_ready = console.contains("no-program: ready");
        assert!(!(is_told && is_ready), "{calls:?}:\n{console}");
    }
}

#[test]
fn a_program_gets_no_descriptor_of_process_1_on_any_kernel() {
    let kernels = [
        ((ALL, NOT_THERE), [].as_slice()),
        ((OF_4_14, NOT_THERE), &[]),
        ((ALL, NOT_THERE), &[(abi::__NR_close_range, NOT_THERE)]),
        ((ALL, NOT_THERE), &[(abi::__NR_clone3, RAISES_SIGSYS)]),
    ];
    for (younger, calls) in kernels {
        let Some(mut machine) = boot(younger, calls, "descriptors") else {
            return;
        };
        machine.wait_for("boot: descriptors reached");
        let console = machine.console();
        for wanted in ["plain: 0 1 2 3", "with pipe: 0 1 2 3 6"] {
            let shown = console.lines().any(|line| line == wanted);
            assert!(shown, "{calls:?}: {wanted}:\n{console}");
        }
    }
}

/// Starts services and one of them again, replaces a core that is killed and one that is asked to
/// give way, and goes down.
fn split_lives(younger: (u32, u32), calls: &[(u32, u32)]) {
    let words = filter::words(younger, calls);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let Some(mut machine) = split::start_by(&words, "holding") else {
        return;
    };
    machine.wait_for("boot: holding reached");
    let filters = |pid| status(pid, "Seccomp_filters").parse().unwrap_or(0_u32);
    assert_eq!(filters(machine.pid()), 1, "the filter is not in force");
    let first = services(&machine)[0];
    send(first, KILL);
    machine.wait_for("held@1: ended: SIGKILL");
    machine.wait_for("held 1: runs");
    let before = services(&machine);
    assert!(!before.contains(&first), "{before:?}");
    let killed = core(&machine);
    send(killed, KILL);
    machine.wait_for("the core ended: SIGKILL; another takes its place");
    machine.wait_for("the core is a new one and goes on where it was");
    let next = core(&machine);
    until("it is locked in", || filters(next) == 2);
    assert!(machine.sctl(&["reexec"]).status.success());
    machine.wait_for(" and goes on where it was");
    assert!(machine.sctl(&["restart", "held@2"]).status.success());
    let after = services(&machine);
    let kept = before.iter().filter(|pid| after.contains(pid)).count();
    assert_eq!(kept, 4, "{before:?}, {after:?}:\n{}", machine.console());
    machine.signal(15);
    assert_eq!(machine.end(), End::Off, "{calls:?}:\n{}", machine.console());
    let console = machine.console();
    let ends = console.matches("the core ended").count();
    assert_eq!(ends, 1, "{calls:?}:\n{console}");
    assert!(!console.contains("less locked in"), "{console}");
}

#[test]
fn a_split_machine_lives_on_a_kernel_with_the_calls_of_4_14() {
    split_lives((OF_4_14, NOT_THERE), &[]);
    split_lives((OF_4_14, FORBIDDEN), &[]);
    split_lives((OF_4_14, RAISES_SIGSYS), &[(abi::__NR_rseq, NOT_THERE)]);
}

#[test]
fn a_split_machine_lives_where_calls_are_missing_forbidden_or_raise_sigsys() {
    let [clone3, close_range, memfd_create] = [
        abi::__NR_clone3,
        abi::__NR_close_range,
        abi::__NR_memfd_create,
    ];
    for act in [NOT_THERE, FORBIDDEN, RAISES_SIGSYS] {
        for call in [clone3, close_range, memfd_create] {
            split_lives((ALL, NOT_THERE), &[(call, act)]);
        }
        let all = [(clone3, act), (close_range, act), (memfd_create, act)];
        split_lives((ALL, NOT_THERE), &all[..2]);
        split_lives((ALL, NOT_THERE), &all);
    }
    split_lives((OF_4_14, NOT_THERE), &[(memfd_create, NOT_THERE)]);
}

/// Calls that the kernel lacks, and how many times each was made by process 1, and by children of
/// it that have not come to their programs.
fn asked(calls: &str, names: &[&str]) -> Vec<usize> {
    let mut counts = vec![0; names.len()];
    let mut programs = std::collections::HashSet::new();
    for line in calls.lines() {
        let (pid, call) = line.split_once(' ').expect("a number and a call");
        let is_program = call.contains("execve") && call.ends_with("= 0");
        if is_program && pid != "1" {
            programs.insert(pid);
        }
        let is_made = |name: &&str| call.trim_start().starts_with(&format!("{name}("));
        let made = names.iter().position(is_made);
        if let Some(count) = made.and_then(|at| counts.get_mut(at))
            && !programs.contains(pid)
        {
            *count += 1;
        }
    }
    counts
}

#[test]
fn what_a_kernel_lacks_is_asked_for_once_in_all_lives() {
    if !has_strace() {
        skip("there is no strace; `apt-get install strace` as root brings it");
        return;
    }
    let clone3 = (abi::__NR_clone3, NOT_THERE);
    let close_range = (abi::__NR_close_range, NOT_THERE);
    let memfd_create = (abi::__NR_memfd_create, NOT_THERE);
    let names = ["clone3", "close_range", "memfd_create"];
    // Nothing is handed on without files in memory: there is no second life.
    let kernels = [
        (&[clone3, close_range][..], &names[..2], true),
        (&[clone3, close_range, memfd_create], &names[..], false),
    ];
    for (calls, names, lives_again) in kernels {
        let record = Record::of("sysmaster-asked");
        let mut words = record
            .words("trace=execve,execveat,clone3,close_range,memfd_create")
            .to_vec();
        words.insert(1, "-f".to_string());
        words.extend(filter(calls));
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let Some(mut machine) = Machine::boot_by(&words, "descriptors") else {
            return;
        };
        machine.wait_for("boot: descriptors reached");
        let again = machine.sctl(&["reexec"]);
        assert_eq!(again.status.success(), lives_again, "{again:?}");
        if lives_again {
            machine.wait_for(" and goes on where it was");
        }
        assert!(
            machine
                .sctl(&["restart", "shows-with-pipe"])
                .status
                .success()
        );
        machine.signal(15);
        assert_eq!(machine.end(), End::Off, "{}", machine.console());
        let calls = std::fs::read_to_string(&record.0).expect("strace writes its record");
        assert_eq!(
            asked(&calls, names),
            vec![1; names.len()],
            "{names:?}:\n{calls}"
        );
    }
}

#[test]
fn without_proc_and_without_mounts_what_can_run_runs() {
    let unmount = [
        "sh",
        "-c",
        "while umount -l /proc 2>&-; do :; done; exec \"$@\"",
        "sh",
    ];
    let filter = [abi::__NR_prctl, NOT_THERE, ALL, abi::__NR_mount, FORBIDDEN];
    let numbers = filter.map(|number| number.to_string());
    let numbers = numbers.iter().map(String::as_str);
    let mut words: Vec<&str> = unmount.into_iter().chain(["perl", "-e", FILTER]).collect();
    words.extend(numbers.chain(["--"]));
    let Some(mut machine) = Machine::boot_by(&words, "layers") else {
        return;
    };
    machine.wait_for("boot: layers reached");
    machine.signal(15);
    assert_eq!(machine.end(), End::Off, "{}", machine.console());
    let console = machine.console();
    assert!(console.contains("top: stops"), "{console}");
    let told = console.matches("mount proc at /proc: ").count();
    assert_eq!(told, 1, "told once what is missing:\n{console}");
}
