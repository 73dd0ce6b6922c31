//! This file watches process 1's own system calls while it boots, works and goes down: it never
//! lets time pass. It waits where every event wakes it, without a limit, or it looks and goes on.
//! The one exception: while a child is on its way to its program, which no descriptor tells, it
//! sleeps until the kernel says so, a millisecond at most, and then looks again from time to time.

use crate::machine::{End, Machine};
use crate::skip::skip;
use crate::split;
use crate::strace::{Calls, has_strace};

/// Calls that sleep for a span, and calls that wait for descriptors for at most a span.
const SLEEPS: &str = "nanosleep,clock_nanosleep,pause,rt_sigtimedwait";
const WAITS: &str = "epoll_wait,epoll_pwait,epoll_pwait2,poll,ppoll,select,pselect6";

/// Calls that make a child.
const STARTS: &str = "clone,clone3";

/// What is known of children without waiting for them, and what is asked of the kernel at last.
const REST: &str = "futex,wait4,kill,reboot";

/// What everybody is told who is left when all units have stopped.
const TO_ALL: &str = "kill(-1, SIGTERM)";

/// Boots, works and goes down to the very last call.
fn never_sleeps(begin: impl FnOnce(&[&str]) -> Option<Machine>) {
    if !has_strace() {
        skip("there is no strace; `apt-get install strace` as root brings it");
        return;
    }
    let names = format!("{SLEEPS},{WAITS},{STARTS},{REST}");
    let Some((mut machine, mut strace)) = Calls::of_life(&names, begin) else {
        return;
    };
    machine.wait_for("boot: layers reached");
    assert!(machine.sctl(&["list"]).status.success());
    machine.signal(15);
    assert_eq!(machine.end(), End::Off, "{}", machine.console());
    strace.wait();
    let calls = strace.text();
    let bad = without_reason(&calls);
    assert!(bad.is_empty(), "{bad:#?} of:\n{calls}");
    let waits = calls.lines().filter(|call| call.starts_with("epoll_"));
    assert!(waits.count() > 10, "too few calls to be a record:\n{calls}");
    for last in [TO_ALL, "LINUX_REBOOT_CMD_POWER_OFF"] {
        assert!(calls.contains(last), "{last} is missing:\n{calls}");
    }
}

#[test]
fn process_1_never_sleeps_for_a_span_of_time() {
    never_sleeps(|first| Machine::boot_by(first, "layers"));
}

#[test]
fn a_keeper_never_sleeps_for_a_span_of_time() {
    never_sleeps(|first| split::start_by(first, "layers"));
}

/// The calls of a record that let time pass though no child is on its way to its program. Whoever
/// waits without a limit knows of none. At last, a child of which it was just told that it runs is
/// waited for, until it ends or a console is looked at again.
fn without_reason(calls: &str) -> Vec<&str> {
    let mut is_on_its_way = false;
    let (mut is_over, mut runs) = (false, false);
    let mut bad = Vec::new();
    for call in calls.lines() {
        let is_start = STARTS.split(',').any(|start| call.starts_with(start));
        let is_short = match call.starts_with("futex(") {
            true => call.contains(", {tv_sec=0, tv_nsec=1000000})"),
            // Others see no event.
            false => call.starts_with("epoll_"),
        };
        if is_start {
            is_on_its_way = !is_over;
        } else if call.starts_with(TO_ALL) {
            is_over = true;
        } else if call.starts_with("wait4(") {
            runs |= call.contains(", WNOHANG, ") && call.ends_with(" = 0");
        } else if call.starts_with("rt_sigtimedwait") {
            let its_end = call.contains("([CHLD], ");
            let is_look = call.contains(", {tv_sec=0, tv_nsec=20000000}, 8)");
            if !(is_over && its_end && is_look && std::mem::take(&mut runs)) {
                bad.push(call);
            }
        } else if call.starts_with("futex(") || lets_time_pass(call) {
            if !(is_on_its_way && is_short) {
                bad.push(call);
            }
        } else if call.contains(", -1, NULL") {
            is_on_its_way = false;
        }
    }
    bad
}

#[test]
fn a_wait_with_a_limit_has_a_child_as_its_reason() {
    let (start, forever) = (
        "clone3({flags=0}, 64) = 9",
        "epoll_pwait(5, [], 8, -1, NULL, 8) = 1",
    );
    let look = "epoll_pwait(5, [], 8, 3, NULL, 8) = 0";
    let short = "futex(0x10, FUTEX_WAIT, 9, {tv_sec=0, tv_nsec=1000000}) = 0";
    let long = "futex(0x10, FUTEX_WAIT, 9, {tv_sec=1, tv_nsec=0}) = 0";
    let nap = "clock_nanosleep(CLOCK_MONOTONIC, 0, {tv_sec=1, tv_nsec=0}, NULL) = 0";
    let told = |calls: &[&str]| without_reason(&calls.join("\n")).len();
    assert_eq!(told(&[start, short, look, look, forever]), 0);
    assert_eq!(told(&[look, short, forever]), 2);
    assert_eq!(told(&[start, forever, short, look]), 2);
    assert_eq!(told(&[start, long, nap]), 2);
    let blind = "ppoll(NULL, 0, {tv_sec=0, tv_nsec=20000000}, NULL, 8) = 0";
    assert_eq!(told(&[start, blind]), 1);
    let over = "kill(-1, SIGTERM)                       = 0";
    let (runs, ended) = (
        "wait4(9, NULL, WNOHANG, NULL)          = 0",
        "wait4(9, NULL, WNOHANG, NULL)          = 9",
    );
    let its_end = "rt_sigtimedwait([CHLD], {si_signo=SIGCHLD, si_pid=9}, \
                   {tv_sec=0, tv_nsec=20000000}, 8) = 17 (SIGCHLD)";
    let other = "rt_sigtimedwait([USR1], NULL, {tv_sec=0, tv_nsec=20000000}, 8) = -1 EAGAIN";
    assert_eq!(told(&[over, runs, its_end, runs, its_end, ended]), 0);
    assert_eq!(told(&[runs, its_end]), 1);
    assert_eq!(told(&[over, its_end]), 1);
    assert_eq!(told(&[over, runs, its_end, ended, its_end]), 1);
    assert_eq!(told(&[over, runs, other]), 1);
    assert_eq!(told(&[over, start, runs, blind, look]), 2);
}

/// Whether a line of the record is a call that waits for time: any sleep, and any wait with a limit
/// other than none at all or at once.
fn lets_time_pass(call: &str) -> bool {
    let Some((name, rest)) = call.split_once('(') else {
        // How the program ended, and the signals that it got.
        return false;
    };
    if SLEEPS.split(',').any(|sleep| sleep == name) {
        return true;
    }
    if !WAITS.split(',').any(|wait| wait == name) {
        return false;
    }
    let at_once = ["tv_sec=0, tv_nsec=0}", "{tv_sec=0, tv_usec=0}"];
    let (arguments, _) = rest.rsplit_once(')').unwrap_or((rest, ""));
    // The span is the last argument, but for a mask of signals and its size behind it.
    let span = match arguments.rsplit_once(", NULL, ") {
        Some((span, size)) if size.bytes().all(|it| it.is_ascii_digit()) => span,
        _ => arguments,
    };
    let forever_or_at_once = [", -1", ", 0", ", NULL"];
    !forever_or_at_once.iter().any(|end| span.ends_with(end))
        && !at_once.iter().any(|end| span.ends_with(end))
}

#[test]
fn a_call_with_a_span_is_told_from_one_without() {
    let without = [
        "epoll_pwait(5, [{events=EPOLLIN, data={u32=1, u64=1}}], 8, -1, NULL, 8) = 1",
        "epoll_pwait(5, [], 8, 0, NULL, 8)       = 0",
        "epoll_pwait2(5, [], 8, {tv_sec=0, tv_nsec=0}, NULL, 8) = 0",
        "epoll_pwait2(5, [], 8, NULL, NULL, 8) = 1",
        "ppoll([{fd=1, events=POLLOUT}], 1, {tv_sec=0, tv_nsec=0}, NULL, 8) = 1",
        "--- SIGCHLD {si_signo=SIGCHLD} ---",
    ];
    let with = [
        "epoll_pwait(5, [], 8, 50, NULL, 8)      = 0",
        "epoll_pwait2(5, [], 8, {tv_sec=1, tv_nsec=0}, NULL, 8) = 0",
        "poll([{fd=1, events=POLLOUT}], 1, 1000) = 1",
        "clock_nanosleep(CLOCK_MONOTONIC, 0, {tv_sec=1, tv_nsec=0}, NULL) = 0",
    ];
    assert_eq!(without.map(lets_time_pass), [false; 6]);
    assert_eq!(with.map(lets_time_pass), [true; 4]);
}
