//! This file tests the keeper as a black box, as process 1 of a namespace and as a subreaper: what
//! it passes on, what it reaps, and how it ends. Real kernel, real processes.

#[path = "../namespace/filter.rs"]
mod filter;
mod kept;
mod patience;
mod restart;
mod scarce;
#[path = "../namespace/silence.rs"]
mod silence;
#[path = "../namespace/skip.rs"]
mod skip;
mod stalled;
mod terminal;
#[path = "../namespace/terminals.rs"]
mod terminals;

use kept::{BOTH, Kept, Place};
use std::io::Write;
use std::time::{Duration, Instant};

/// Runs it, or leaves the test: there is no program to test.
macro_rules! shell {
    ($place:expr, $words:expr, $script:expr) => {
        match kept::Kept::shell($place, &$words, $script) {
            Some(kept) => kept,
            None => return,
        }
    };
}
pub(crate) use shell;

const TERM: u8 = 15;
const USR1: u8 = 10;

#[test]
fn the_exit_code_is_the_commands() {
    for place in BOTH {
        for (script, code) in [
            ("exit 0", 0),
            ("exit 3", 3),
            ("exit 255", 255),
            ("kill -KILL $$", 137),
            ("kill -SEGV $$", 139),
            ("kill -TERM $$", 143),
        ] {
            let mut kept = shell!(place, [], script);
            assert_eq!(kept.end(), code, "{place:?} {script}: {}", kept.output());
        }
        let mut kept = shell!(place, ["-e", "143"], "kill -TERM $$");
        assert_eq!(kept.end(), 0, "{place:?}");
    }
}

#[test]
fn a_command_that_cannot_run_is_told_with_its_cause() {
    for place in BOTH {
        for (words, code, cause) in [
            (
                &["no-such-command"][..],
                127,
                "no-such-command: No such file",
            ),
            (&["/no/such/command"], 127, "interpreter or loader"),
            (&["/etc/passwd"], 126, "/etc/passwd: Permission denied"),
            (&["/etc"], 126, "/etc: Permission denied"),
            (&["--nonsense"], 125, "unknown option --nonsense"),
            (&[], 125, "no command is given"),
        ] {
            let Some(mut kept) = Kept::run(place, words) else {
                return;
            };
            assert_eq!(kept.end(), code, "{place:?} {words:?}");
            assert!(kept.output().contains(cause), "{}", kept.output());
        }
    }
}

#[test]
fn the_command_is_looked_for_in_path_and_gets_the_environment() {
    let Some(mut command) = kept::command(Place::Subreaper, &["--", "env"]) else {
        return;
    };
    let output = command
        .env_clear()
        .env("PATH", "/no/such/folder::/etc/passwd:/usr/bin")
        .env("GREETING", "hello there")
        .output()
        .expect("the keeper starts");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("GREETING=hello there\n"), "{output:?}");
    assert_eq!(text.lines().count(), 2, "{output:?}");
}

/// Signals that the command gets as they were sent: all that can be caught but SIGCHLD, SIGTTIN and
/// SIGTTOU, which the keeper keeps.
fn passed() -> impl Iterator<Item = u8> {
    (1..=64).filter(|number| ![9, 17, 19, 21, 22, 32, 33].contains(number))
}

/// Tells every signal that it gets, until SIGUSR1. Perl and bash are not everywhere; python knows
/// all numbers.
const TELLS: &str = "exec python3 -c '
import signal
numbers = [n for n in range(1, 65) if n not in (9, 19, 32, 33)]
signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
print(\"ready\", flush=True)
while True:
    info = signal.sigwaitinfo(numbers)
    print(\"got\", info.si_signo, \"end\", flush=True)
    if info.si_signo == 10: break
'";

#[test]
fn every_signal_that_can_be_caught_is_passed_on() {
    for place in BOTH {
        let mut kept = shell!(place, [], TELLS);
        kept.wait_for("ready");
        for number in passed().filter(|number| *number != 10) {
            kept.signal(number);
            kept.wait_for(&format!("got {number} end"));
        }
        for number in [17, 21, 22, 10] {
            kept.signal(number);
        }
        assert_eq!(kept.end(), 0, "{}", kept.output());
        let told = kept.output().matches("got").count();
        assert_eq!(told, passed().count(), "{}", kept.output());
    }
}

#[test]
fn sigterm_is_passed_on_as_the_stop_signal() {
    let mut kept = shell!(Place::One, ["-S", "QUIT"], TELLS);
    kept.wait_for("ready");
    kept.signal(TERM);
    kept.wait_for("got 3 end");
    kept.signal(10);
    assert_eq!(kept.end(), 0);
}

#[test]
fn signals_reach_the_whole_group_if_so_asked() {
    let script = "(trap 'echo child; exit' USR1; echo in; while :; do sleep 0.05; done) & \
                  trap 'wait; echo parent; exit 4' USR1; echo out; while :; do sleep 0.05; done";
    for place in BOTH {
        let mut kept = shell!(place, ["--group"], script);
        kept.wait_for("");
        kept.wait_for("");
        kept.signal(10);
        assert_eq!(kept.end(), 4, "{}", kept.output());
        assert!(kept.output().contains("child"), "{}", kept.output());
    }
}

#[test]
fn thousands_of_orphans_are_reaped() {
    let script = "i=0; while [ $i -lt 2000 ]; do (true &) ; i=$((i+1)); done; \
                  until ! grep -q '^State:.Z' /proc/[0-9]*/status 2>/dev/null; do :; done; \
                  echo no zombies";
    let mut kept = shell!(Place::One, [], script);
    kept.wait_for("no zombies");
    assert_eq!(kept.end(), 0);
}

#[test]
fn a_subreaper_gets_the_orphans_and_lets_them_go() {
    let script = "keeper=$PPID; mkfifo gate; \
                  sh -c 'sh -c \"read x < gate; exit\" & echo $!' > pid; orphan=$(cat pid); \
                  grep -q \"^PPid:.$keeper\" /proc/$orphan/status && \
                  echo adopted; echo > gate; while [ -d /proc/$orphan ]; do :; done; echo reaped";
    let folder = tempfile::tempdir().expect("a folder can be made");
    let script = format!("cd {} && {script}", folder.path().display());
    let mut kept = shell!(Place::Subreaper, [], &script);
    assert_eq!(kept.end(), 0);
    let output = kept.output();
    assert!(
        output.contains("adopted") && output.contains("reaped"),
        "{output}"
    );
}

#[test]
fn who_is_left_is_asked_to_end() {
    let left = "(trap 'echo asked; exit' TERM; echo up; while :; do sleep 0.05; done) &";
    for place in BOTH {
        for script in [
            format!("{left} sleep 0.3; exit 9"),
            format!("setsid sh -c \"{left} wait\" & sleep 0.3; exit 9"),
        ] {
            let mut kept = shell!(place, [], &script);
            assert_eq!(kept.end(), 9, "{}", kept.output());
            assert!(kept.output().contains("asked"), "{place:?} {script}");
        }
    }
}

#[test]
fn who_is_left_and_does_not_listen_is_killed_after_the_grace() {
    let script = "(trap '' TERM; echo up; while :; do sleep 0.05; done) & read x < fifo; exit 9";
    let folder = tempfile::tempdir().expect("a folder can be made");
    for place in BOTH {
        let script = format!(
            "cd {}; rm -f fifo; mkfifo fifo; (sleep 0.3; echo > fifo) & {script}",
            folder.path().display()
        );
        let begin = Instant::now();
        let mut kept = shell!(place, ["--grace", "400ms"], &script);
        assert_eq!(kept.end(), 9, "{}", kept.output());
        let took = begin.elapsed();
        assert!(took >= Duration::from_millis(400), "{took:?}");
        assert!(took < Duration::from_secs(20), "{took:?}");
    }
}

#[test]
fn a_command_that_ignores_sigterm_is_killed_if_so_asked() {
    for place in BOTH {
        let script = "trap '' TERM; echo up; while :; do sleep 0.05; done";
        let mut kept = shell!(place, ["-k", "300ms"], script);
        kept.wait_for("up");
        kept.signal(TERM);
        assert_eq!(kept.end(), 137, "{}", kept.output());
    }
}

#[test]
fn a_command_that_ignores_sigterm_lives_on_if_nobody_said_how_long() {
    let script = "trap 'echo heard' TERM; echo up; while :; do sleep 0.05; done";
    let mut kept = shell!(Place::One, [], script);
    kept.wait_for("up");
    for _ in 0..3 {
        kept.signal(TERM);
        kept.wait_for("heard");
    }
    // (Not SIGHUP, which nohup lets everybody ignore.)
    kept.signal(USR1);
    assert_eq!(kept.end(), 128 + i32::from(USR1));
}

#[test]
fn an_exit_is_seen_even_where_the_parent_ignored_sigchld() {
    let Some(program) = kept::program() else {
        return;
    };
    let script = "trap '' CHLD; exec \"$0\" sh -c 'exit 5'";
    let status = std::process::Command::new("sh")
        .args(["-c", script])
        .arg(program)
        .status();
    assert_eq!(status.expect("sh starts").code(), Some(5));
}

#[test]
fn the_end_of_the_parent_is_passed_on_if_so_asked() {
    let Some(program) = kept::program() else {
        return;
    };
    // The command's own words come through a pipe that ends only when it does.
    let script = "\"$0\" -p TERM sh -c 'trap \"echo told; exit\" TERM; echo up >&2; \
                  while :; do sleep 0.05; done' 2>&1 & sleep 0.5; kill -KILL $$";
    let output = std::process::Command::new("sh")
        .args(["-c", script])
        .arg(program)
        .output()
        .expect("sh starts");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "up\ntold\n");
}

#[test]
fn nobody_has_to_read_what_verbose_says() {
    for is_full in [false, true] {
        let words = [
            "--verbose",
            "--restart=always:3",
            "--",
            "sh",
            "-c",
            "exit 4",
        ];
        let Some(mut command) = kept::command(Place::Subreaper, &words) else {
            return;
        };
        let (reader, mut writer) = std::io::pipe().expect("a pipe can be made");
        if is_full {
            // As much as a pipe holds.
            writer.write_all(&[b'x'; 65_536]).expect("there is room");
        }
        // Without a reader, writing would raise SIGPIPE, which must not be passed on.
        let reader = is_full.then_some(reader);
        let status = command.stderr(writer).status().expect("the keeper starts");
        assert_eq!(status.code(), Some(4), "full: {is_full}");
        drop(reader);
    }
}

#[test]
fn a_flood_of_signals_does_not_keep_it_from_stopping() {
    let script = "trap : USR1; trap 'exit 4' TERM; echo up; while :; do sleep 0.05; done";
    let mut kept = shell!(Place::One, [], script);
    kept.wait_for("up");
    let flood = format!("while kill -USR1 {}; do :; done 2>/dev/null", kept.pid());
    let mut flood = std::process::Command::new("sh")
        .args(["-c", &flood])
        .spawn()
        .expect("sh starts");
    kept.signal(TERM);
    assert_eq!(kept.end(), 4, "{}", kept.output());
    flood.wait().expect("it ends with the keeper");
}
