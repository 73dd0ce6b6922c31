//! This file gives the keeper a `/proc` that never answers and terminals that nobody reads: it must
//! wait for neither.

use super::kept::{self, BOTH, Place};
use super::shell;
use super::silence::Silence;
use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::time::{Duration, Instant};

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

/// A terminal whose room is less than is to be said, and who would read it.
fn full_terminal() -> (File, OwnedFd) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("there are terminals");
    grantpt(&master).expect("it is ours");
    unlockpt(&master).expect("it is ours");
    let path = ptsname(&master, Vec::new()).expect("it has a name");
    let flags = OFlags::RDWR | OFlags::NOCTTY;
    let slave = rustix::fs::open(path.as_c_str(), flags, Mode::empty()).expect("it is there");
    let flags = flags | OFlags::NONBLOCK;
    let own = rustix::fs::open(path, flags, Mode::empty()).expect("it is there");
    while rustix::io::write(&own, &[b'x'; 100]).is_ok() {}
    let mut master = File::from(master);
    master.read_exact(&mut [0; 600]).expect("it is full");
    (master, slave)
}

/// With a `/proc`, and where there is none: what it says is left out then.
#[test]
fn a_terminal_that_nobody_reads_delays_no_keeper() {
    /// Far above what it takes, back-offs and all.
    const LIMIT: Duration = Duration::from_secs(60);
    for place in BOTH {
        for prepares in ["true", "mount -t tmpfs none /proc"] {
            let (reader, writer) = full_terminal();
            let words = [
                "--verbose",
                "--restart=always:9",
                "--backoff-max=100ms",
                "--",
                "sh",
                "-c",
                "exit 4",
            ];
            let Some(mut command) = kept::command_by(place, prepares, &words) else {
                return;
            };
            let mut outside = command
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
            assert_eq!(status.code(), Some(4), "{place:?} {prepares}");
            drop(reader);
        }
    }
}
