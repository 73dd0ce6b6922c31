//! This file is `strace` in a test's hands: what records process 1's system calls, and what refuses
//! some of them.

use crate::machine::Machine;
use crate::split::{send, status, until};
use nix::sys::signal::Signal;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

pub fn has_strace() -> bool {
    let output = Command::new("strace").arg("-V").output();
    output.is_ok_and(|output| output.status.success())
}

/// Where the calls are written.
pub struct Record(pub PathBuf);

impl Record {
    /// In a file of this name and this process.
    pub fn of(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("{name}-{}", std::process::id())))
    }

    /// What a program is started by, so that its own calls are written here: not its children's,
    /// and without a parent between it and its own.
    pub fn words(&self, traced: &str) -> [String; 6] {
        let file = self.0.to_string_lossy();
        ["strace", "-D", "-o", &file, "-e", traced].map(String::from)
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// All calls of process 1 that make a file, each of which the kernel refuses while this lives: it
/// has no file left. That is asked of no process with rights over the machine, so it is tried on
/// this one alone.
pub struct NoFile {
    strace: Child,
    calls: Record,
    /// When that began.
    pub since: Instant,
}

impl NoFile {
    /// Begins.
    pub fn left_for(machine: &Machine) -> Self {
        const MAKE: &str = "openat,socket,accept4,pipe2,epoll_create1,timerfd_create,signalfd4,\
                            memfd_create";
        let pid = machine.pid();
        let calls = Record::of(&format!("sysmaster-no-file-{pid}"));
        let strace = Command::new("strace")
            .args([
                "-qq",
                "-p",
                &pid.to_string(),
                "-e",
                &format!("trace={MAKE}"),
            ])
            .args(["-e", &format!("inject={MAKE}:error=ENFILE"), "-o"])
            .arg(&calls.0)
            .stdin(Stdio::null())
            .spawn()
            .expect("strace starts");
        until("each call is looked at", || status(pid, "TracerPid") != "0");
        Self {
            strace,
            calls,
            since: Instant::now(),
        }
    }

    /// How many calls of this name were refused so far.
    pub fn refused(&self, call: &str) -> usize {
        let calls = std::fs::read_to_string(&self.calls.0).unwrap_or_default();
        let begin = format!("{call}(");
        let refused = |line: &&str| line.starts_with(&begin) && line.contains("ENFILE");
        calls.lines().filter(refused).count()
    }

    /// There are files again.
    pub fn ends(mut self) {
        send(self.strace.id(), Signal::SIGTERM);
        self.strace.wait().expect("it is our child");
    }
}

impl Drop for NoFile {
    fn drop(&mut self) {
        let _ = self.strace.kill();
        let _ = self.strace.wait();
    }
}
