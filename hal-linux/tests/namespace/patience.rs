//! This file watches process 1's own system calls while it boots, works and goes down: it never
//! lets time pass. It waits where every event wakes it, without a limit, or it looks and goes on.
//! The one exception: while a child is on its way to its program, which no descriptor tells, it
//! sleeps until the kernel says so, a millisecond at most, and then looks again from time to time.

use crate::machine::{End, Machine};
use crate::skip::skip;
use crate::strace::{Record, has_strace};

/// Calls that sleep for a span, and calls that wait for descriptors for at most a span.
const SLEEPS: &str = "nanosleep,clock_nanosleep,pause,rt_sigtimedwait";
const WAITS: &str = "epoll_wait,epoll_pwait,epoll_pwait2,poll,ppoll,select,pselect6";

/// Calls that make a child.
const STARTS: &str = "clone,clone3";

#[test]
fn process_1_never_sleeps_for_a_span_of_time() {
    let record = Record::of("sysmaster-calls");
    if !has_strace() {
        skip("there is no strace; `apt-get install strace` as root brings it");
        return;
    }
    let words = record.words(&format!("trace={SLEEPS},{WAITS},{STARTS},futex"));
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let Some(mut machine) = Machine::boot_by(&words, "layers") else {
        return;
    };
    machine.wait_for("boot: layers reached");
    assert!(machine.sctl(&["list"]).status.success());
    machine.signal(15);
    assert_eq!(machine.end(), End::Off, "{}", machine.console());
    let calls = std::fs::read_to_string(&record.0).expect("strace writes its record");
    let bad = without_reason(&calls);
    assert!(bad.is_empty(), "{bad:#?}");
    let waits = calls.lines().filter(|call| call.starts_with("epoll_"));
    assert!(waits.count() > 10, "too few calls to be a record:\n{calls}");
}

/// The calls of a record that let time pass though no child is on its way to its program. Whoever
/// waits without a limit knows of none.
fn without_reason(calls: &str) -> Vec<&str> {
    let mut is_on_its_way = false;
    let mut bad = Vec::new();
    for call in calls.lines() {
        let is_start = STARTS.split(',').any(|start| call.starts_with(start));
        let waits = WAITS.split(',').any(|wait| call.starts_with(wait));
        let is_short = match call.starts_with("futex(") {
            true => call.contains(", {tv_sec=0, tv_nsec=1000000})"),
            false => waits,
        };
        if is_start {
            is_on_its_way = true;
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
