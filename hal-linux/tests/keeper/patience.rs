//! This file looks at the keeper's own calls: it sleeps as long as somebody is left who may end,
//! and for its back-off, and for nothing else.

use super::filter::{self, ALL, NOT_THERE};
use super::kept::{Kept, Place};
use super::skip::skip;
use linux_raw_sys::general as abi;
use std::process::Command;

/// The calls that make a process and tell who has ended, and those that let time pass.
const LOOKED_AT: &str = "trace=clone,waitid,rt_sigtimedwait,nanosleep,clock_nanosleep,pause,poll,\
                         ppoll,select,pselect6,epoll_wait,epoll_pwait,epoll_pwait2";

/// EAGAIN, as a filter of system calls answers.
const NONE_LEFT: u32 = 0x0005_0000 | 11;

/// The calls that sleep elsewhere than in the one place; or there for a second or longer, or
/// without end, though nobody is left.
fn without_reason(calls: &str) -> Vec<&str> {
    let mut is_alone = false;
    let mut bad = Vec::new();
    for call in calls.lines() {
        let (name, rest) = call.split_once('(').unwrap_or_default();
        let is_bad = match name {
            "clone" => {
                is_alone &= rest.contains(" = -1 ");
                false
            }
            "waitid" => {
                is_alone = rest.contains("ECHILD");
                false
            }
            "rt_sigtimedwait" => is_alone && !rest.contains(", {tv_sec=0, tv_nsec="),
            // It looks whether there is room for its words.
            "ppoll" => !rest.contains(", {tv_sec=0, tv_nsec=0}, NULL"),
            // Signals, and the end.
            _ => call.starts_with(char::is_alphabetic),
        };
        if is_bad {
            bad.push(call);
        }
    }
    bad
}

#[test]
fn a_keeper_sleeps_for_who_is_left_and_for_its_back_off_alone() {
    let strace = Command::new("strace").arg("-V").output();
    if !strace.is_ok_and(|output| output.status.success()) {
        skip("there is no strace; `apt-get install strace` as root brings it");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder can be made");
    let record = folder.path().join("calls");
    let file = record.to_string_lossy();
    let strace = ["strace", "-o", &file, "-e", LOOKED_AT];
    let none_left = filter::words((ALL, NOT_THERE), &[(abi::__NR_clone, NONE_LEFT)]);
    let none_left: Vec<&str> = none_left.iter().map(String::as_str).collect();
    // Two back-offs, of 100 and 200 ms.
    let words = ["--restart=on-failure:2", "--", "false"];
    for (filter, code) in [(&[][..], 1), (&none_left, 125)] {
        let first = [&strace[..], filter].concat();
        let Some(mut kept) = Kept::run_through(Place::Subreaper, &first, &words) else {
            return;
        };
        assert_eq!(kept.end(), code, "{}", kept.output());
        let calls = std::fs::read_to_string(&record).expect("strace writes its record");
        let bad = without_reason(&calls);
        assert!(bad.is_empty(), "{bad:#?} of:\n{calls}");
        let sleeps = calls.matches("rt_sigtimedwait(").count();
        assert!(sleeps >= 2, "too few calls to be a record:\n{calls}");
    }
}
