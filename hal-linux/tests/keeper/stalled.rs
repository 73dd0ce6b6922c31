//! This file gives the keeper a `/proc` that never answers and terminals that nobody reads: it must
//! wait for neither.

use super::kept::{self, BOTH, Kept, Place};
use super::silence::Silence;
use super::terminals::{fill, make_wait, terminal};
use super::{TERM, USR1, shell};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

/// Far above what anything takes here, back-offs and all.
const LIMIT: Duration = Duration::from_secs(60);

/// Who is left by each run gets the signal all the same: the next one begins only when it is gone.
#[test]
fn a_proc_that_never_answers_holds_no_keeper() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let gate = folder.path().join("gate");
    let made = std::process::Command::new("mkfifo").arg(&gate).status();
    assert!(made.is_ok_and(|made| made.success()));
    let script = format!(
        "setsid sh -c 'trap \"echo asked; exit\" TERM; echo up; while :; do sleep 0.05; done' & \
         read word < {}; exit 4",
        gate.display()
    );
    let mut kept = shell!(Place::One, ["--restart=always:2"], &script);
    kept.wait_for("up");
    let Some(silence) = Silence::mounted("/proc", kept.pid()) else {
        return;
    };
    let held = silence.held();
    let open = || std::fs::write(&gate, "go\n").expect("somebody reads");
    open();
    kept.wait_for("asked");
    kept.wait_for("up");
    open();
    kept.wait_for("asked");
    kept.wait_for("up");
    open();
    kept.wait_for("asked");
    assert_eq!(kept.end(), 4, "{}", kept.output());
    assert_eq!(silence.held(), held, "nobody asks there");
}

/// Whether the terminal has room, or has some after a while.
fn has_room(terminal: &OwnedFd, while_ms: i64) -> bool {
    let limit = Timespec {
        tv_sec: 0,
        tv_nsec: while_ms * 1_000_000,
    };
    let mut places = [PollFd::new(terminal, PollFlags::OUT)];
    poll(&mut places, Some(&limit)).expect("it is open") > 0
}

/// A terminal whose room is less than is to be said, and who would read it.
fn full_terminal() -> (File, OwnedFd) {
    let (mut reader, writer) = terminal();
    fill(&writer);
    // The kernel makes room by handing on to whoever may read.
    while has_room(&writer, 100) {
        fill(&writer);
    }
    reader.read_exact(&mut [0; 600]).expect("it is full");
    (reader, writer)
}

/// How a keeper ends to whose standard error a terminal is given that nobody reads.
fn end_at_full_terminal(place: Place, prepares: &str, words: &[&str]) -> Option<i32> {
    let (reader, writer) = full_terminal();
    let mut outside = kept::command_by(place, prepares, words)?
        .stdout(Stdio::null())
        .stderr(writer)
        .spawn()
        .expect("it starts: unshare is part of util-linux, and needs root");
    let end = Instant::now() + LIMIT;
    let status = loop {
        if let Some(status) = outside.try_wait().expect("it is our child") {
            break status;
        }
        if Instant::now() > end {
            let _ = outside.kill();
            panic!("{place:?} {prepares}: no end");
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    drop(reader);
    Some(status.code().expect("no signal ended it"))
}

const OFTEN: [&str; 2] = ["--restart=always:9", "--backoff-max=100ms"];

/// With a `/proc`, and where there is none.
#[test]
fn a_terminal_that_nobody_reads_delays_no_keeper() {
    let words = ["--verbose", OFTEN[0], OFTEN[1], "--", "sh", "-c", "exit 4"];
    for place in BOTH {
        for prepares in ["true", "mount -t tmpfs none /proc"] {
            let Some(code) = end_at_full_terminal(place, prepares, &words) else {
                return;
            };
            assert_eq!(code, 4, "{place:?} {prepares}");
        }
    }
}

/// Its child says why.
#[test]
fn a_command_that_cannot_run_is_tried_again_although_nobody_reads_why() {
    let words = [OFTEN[0], OFTEN[1], "--", "/no/such/command"];
    if let Some(code) = end_at_full_terminal(Place::One, "true", &words) {
        assert_eq!(code, 127);
    }
}

/// As where root has led the console's words to a terminal that was opened to wait (`TIOCCONS`).
#[test]
fn a_terminal_that_makes_a_keeper_wait_does_so_for_a_moment_now_and_then() {
    let (reader, writer) = full_terminal();
    let script = "trap 'echo heard' USR1; echo up; while :; do sleep 0.05; done";
    let Some(mut kept) = Kept::shell_unread(Place::One, &["--verbose"], script, &writer) else {
        return;
    };
    kept.wait_for("up");
    let count = make_wait(kept.pid(), &writer);
    assert!(count > 0, "its standard error at least");
    let mut sent = 0;
    let mut hears = |kept: &mut Kept| {
        kept.signal(USR1);
        kept.wait_for("heard");
        sent += 1;
    };
    let end = Instant::now() + LIMIT;
    let mut full = 0;
    while full < 3 {
        assert!(Instant::now() < end, "it does not get full");
        hears(&mut kept);
        full = if has_room(&writer, 0) { 0 } else { full + 1 };
    }
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(reader).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    let mut said = 0;
    let dropped = loop {
        assert!(Instant::now() < end, "nothing is said of {said}");
        hears(&mut kept);
        let new: Vec<_> = lines.try_iter().collect();
        said += new
            .iter()
            .filter(|line| line.contains("passes on signal 10"))
            .count();
        let words = new
            .iter()
            .find_map(|line| line.split_once(" lines dropped"));
        if let Some((before, _)) = words {
            let number = before.rsplit(' ').next();
            break number.and_then(|number| number.parse().ok());
        }
    };
    let dropped: usize = dropped.expect("a number");
    // What nobody took in time may be there but for its end.
    let all = said + dropped;
    assert!(
        (sent..=sent + 1).contains(&all),
        "{said} and {dropped} of {sent}"
    );
    kept.signal(TERM);
    assert_eq!(kept.end(), 143, "{}", kept.output());
}
