//! This file tests how the keeper keeps its command alive.

use super::kept::{self, BOTH, Place};
use super::{TERM, shell};
use std::time::{Duration, Instant};

#[test]
fn a_command_that_fails_is_started_again_with_longer_and_longer_waits() {
    for place in BOTH {
        let begin = Instant::now();
        let mut kept = shell!(place, ["--restart=on-failure:3"], "echo run; exit 6");
        assert_eq!(kept.end(), 6);
        let took = begin.elapsed();
        assert_eq!(kept.output().matches("run").count(), 4);
        assert!(took >= Duration::from_millis(100 + 200 + 400), "{took:?}");
    }
}

#[test]
fn a_command_that_succeeds_is_started_again_only_if_always() {
    let mut kept = shell!(Place::One, ["--restart=on-failure"], "echo run");
    assert_eq!(kept.end(), 0);
    assert_eq!(kept.output(), "run");
    let mut kept = shell!(Place::One, ["--restart=always:2"], "echo run");
    assert_eq!(kept.end(), 0);
    assert_eq!(kept.output(), "run\nrun\nrun");
}

#[test]
fn a_stop_during_back_off_ends_it_with_the_last_exit_code() {
    for place in BOTH {
        let words = ["--verbose", "--restart=always", "--backoff-max=1min"];
        let mut kept = shell!(place, words, "exit 6");
        // The fifth wait is of 1.6 s.
        for _ in 0..5 {
            kept.wait_for("ended with exit code 6");
        }
        kept.wait_for("asks who is left");
        kept.signal(TERM);
        assert_eq!(kept.end(), 6, "{}", kept.output());
    }
}

#[test]
fn a_command_that_was_asked_to_stop_stays_ended() {
    for place in BOTH {
        let script = "trap 'exit 4' TERM; echo up; while :; do sleep 0.05; done";
        let mut kept = shell!(place, ["--restart=always"], script);
        kept.wait_for("up");
        kept.signal(TERM);
        assert_eq!(kept.end(), 4, "{}", kept.output());
        assert_eq!(kept.output(), "up");
    }
}

#[test]
fn what_one_run_left_is_gone_before_the_next_begins() {
    let script = "echo run; pgrep -x sleep && echo two; setsid sleep 98765 & sleep 0.1; exit 1";
    let mut kept = shell!(Place::One, ["--restart=always:2"], script);
    assert_eq!(kept.end(), 1);
    assert_eq!(kept.output(), "run\nrun\nrun");
}

#[test]
fn a_command_that_comes_later_is_found_then() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let late = folder.path().join("late");
    let path = late.to_str().expect("it is text");
    let Some(mut kept) = kept::Kept::run(Place::One, &["-v", "-r", "on-failure", path]) else {
        return;
    };
    kept.wait_for("No such file");
    let beside = folder.path().join("beside");
    std::os::unix::fs::symlink("/bin/true", &beside).expect("a link can be made");
    std::fs::rename(&beside, &late).expect("it can be renamed");
    assert_eq!(kept.end(), 0, "{}", kept.output());
}
