//! This file is `strace` in a test's hands: what records process 1's system calls, and what refuses
//! some of them.

use crate::machine::Machine;
use crate::split::{send, status, until};
use nix::sys::signal::Signal;
use rustix::fs::Mode;
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

/// Calls of process 1 by certain names, which are written down, or refused, while this lives.
pub struct Calls {
    strace: Child,
    record: Record,
    /// When that began.
    pub since: Instant,
}

impl Calls {
    /// Those that make a file are refused: the kernel has none left. That is asked of no process
    /// with rights over the machine, so it is tried on this one alone.
    pub fn without_a_file(machine: &Machine) -> Self {
        const MAKE: &str = "openat,socket,accept4,pipe2,epoll_create1,timerfd_create,signalfd4,\
                            memfd_create";
        Self::begin(machine, MAKE, Some("ENFILE"))
    }

    /// Those that make a process are refused: there is no process number for it.
    pub fn without_a_number(machine: &Machine) -> Self {
        Self::begin(machine, "clone,clone3", Some("EAGAIN"))
    }

    /// Those by these names are written down.
    pub fn of(machine: &Machine, names: &str) -> Self {
        Self::begin(machine, names, None)
    }

    /// Those by these names of a machine's whole life are written down. Who looks at them is
    /// outside of the machine, where process 1 does not kill it with everybody else: to be there
    /// before the first, it has the machine begun by a command that waits for it.
    pub fn of_life(
        names: &str,
        begin: impl FnOnce(&[&str]) -> Option<Machine>,
    ) -> Option<(Machine, Self)> {
        let folder = tempfile::tempdir().expect("there is room");
        let gate = folder.path().join("gate");
        rustix::fs::mkfifoat(rustix::fs::CWD, &gate, Mode::RUSR | Mode::WUSR)
            .expect("there is room");
        let script = format!("read -r _ < {}; exec \"$@\"", gate.display());
        let machine = begin(&["sh", "-c", &script, "sh"])?;
        let calls = Self::of(&machine, names);
        std::fs::write(&gate, "\n").expect("somebody reads it");
        Some((machine, calls))
    }

    fn begin(machine: &Machine, names: &str, error: Option<&str>) -> Self {
        let pid = machine.pid();
        let record = Record::of(&format!("sysmaster-calls-{pid}"));
        let mut strace = Command::new("strace");
        strace.args(["-qq", "-p", &pid.to_string()]);
        strace.args(["-e", &format!("trace={names}")]);
        if let Some(error) = error {
            strace.args(["-e", &format!("inject={names}:error={error}")]);
        }
        strace.arg("-o").arg(&record.0).stdin(Stdio::null());
        let strace = strace.spawn().expect("strace starts");
        until("each call is looked at", || status(pid, "TracerPid") != "0");
        Self {
            strace,
            record,
            since: Instant::now(),
        }
    }

    /// How many calls of this name were refused so far.
    pub fn refused(&self, call: &str) -> usize {
        self.count(call, |line| line.contains("(INJECTED)"))
    }

    /// How many calls of this name there were, if process 1 has ended, of which that holds.
    pub fn count(&self, call: &str, holds: impl Fn(&str) -> bool) -> usize {
        let calls = std::fs::read_to_string(&self.record.0).unwrap_or_default();
        let begin = format!("{call}(");
        let counts = |line: &&str| line.starts_with(&begin) && holds(line);
        calls.lines().filter(counts).count()
    }

    /// None is refused any more.
    pub fn ends(mut self) {
        send(self.strace.id(), Signal::SIGTERM);
        self.strace.wait().expect("it is our child");
    }

    /// All that were written down.
    pub fn text(&self) -> String {
        std::fs::read_to_string(&self.record.0).expect("strace writes its record")
    }

    /// Process 1 has ended: so does what looks at it.
    pub fn wait(&mut self) {
        self.strace.wait().expect("it is our child");
    }
}

impl Drop for Calls {
    fn drop(&mut self) {
        let _ = self.strace.kill();
        let _ = self.strace.wait();
    }
}
