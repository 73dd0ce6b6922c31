//! This file runs the keeper, as process 1 of a namespace or as an ordinary process, and reads what
//! its command prints. It waits for events, each with a limit.

use crate::skip::skip;
use std::io::{BufRead, BufReader};
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// Far above what anything here takes on a slow, busy machine.
const LIMIT: Duration = Duration::from_secs(60);

/// Names the program under test, built by `cargo xtask test`.
const PROGRAM: &str = "SYSMASTER_KEEPER";

/// Where the keeper runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// As process 1 of a namespace.
    One,
    /// As a process like others.
    Subreaper,
}

pub const BOTH: [Place; 2] = [Place::One, Place::Subreaper];

/// A running keeper.
pub struct Kept {
    place: Place,
    /// The keeper, or `unshare` with the keeper as its only child.
    outside: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
}

/// The program under test, or `None` with a loud word where nobody has built it.
pub fn program() -> Option<PathBuf> {
    let program = std::env::var_os(PROGRAM).map(PathBuf::from);
    if program.is_none() {
        skip(&format!(
            "{PROGRAM} names no keeper; `cargo xtask test` builds and names one"
        ));
    }
    program
}

/// The command that runs the keeper with these words.
pub fn command(place: Place, words: &[&str]) -> Option<Command> {
    command_through(place, &[], words)
}

/// The same by way of a command that executes what follows it.
fn command_through(place: Place, first: &[&str], words: &[&str]) -> Option<Command> {
    let program = program()?;
    let unshare = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"];
    let outside = match place {
        Place::Subreaper => &[][..],
        Place::One => &unshare,
    };
    // `env` executes what follows as well.
    let mut command = Command::new("env");
    command.args(outside).args(first).arg(program).args(words);
    command.stdin(Stdio::null()).process_group(0);
    Some(command)
}

/// The command that runs the keeper with these words in namespaces of its own, after a line of the
/// shell.
pub fn command_by(place: Place, first: &str, words: &[&str]) -> Option<Command> {
    let program = program()?;
    let mut unshare = Command::new("unshare");
    let run = match place {
        Place::One => "exec \"$@\"",
        Place::Subreaper => "\"$@\"",
    };
    unshare
        .args(["--pid", "--fork", "--mount-proc", "--kill-child", "--"])
        .args(["sh", "-c", &format!("{first}; {run}"), "sh"])
        .arg(program)
        .args(words)
        .stdin(Stdio::null());
    Some(unshare)
}

impl Kept {
    /// Runs `keeper WORDS -- sh -c SCRIPT`; `None` where there is no program under test.
    pub fn shell(place: Place, words: &[&str], script: &str) -> Option<Self> {
        Self::run(place, &[words, &["--", "sh", "-c", script]].concat())
    }

    pub fn run(place: Place, words: &[&str]) -> Option<Self> {
        Self::run_through(place, &[], words)
    }

    /// The same by way of a command that executes what follows it.
    pub fn run_through(place: Place, first: &[&str], words: &[&str]) -> Option<Self> {
        Self::spawn(place, command_through(place, first, words)?, None)
    }

    /// As [`Self::shell`], with standard error of its own.
    pub fn shell_unread(
        place: Place,
        words: &[&str],
        script: &str,
        errors: &OwnedFd,
    ) -> Option<Self> {
        let command = command(place, &[words, &["--", "sh", "-c", script]].concat())?;
        Self::spawn(place, command, Some(errors))
    }

    fn spawn(place: Place, mut command: Command, errors: Option<&OwnedFd>) -> Option<Self> {
        let (reader, writer) = std::io::pipe().expect("a pipe can be made");
        let errors =
            errors.map_or_else(|| writer.try_clone().map(OwnedFd::from), OwnedFd::try_clone);
        let outside = command
            .stdout(writer)
            .stderr(errors.expect("there are descriptors"))
            .spawn()
            .expect("it starts: unshare is part of util-linux, and needs root");
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(reader).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let seen = Vec::new();
        Some(Self {
            place,
            outside,
            lines,
            seen,
        })
    }

    /// Waits for a line that contains the text; returns it.
    pub fn wait_for(&mut self, text: &str) -> String {
        let end = Instant::now() + LIMIT;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.recv_timeout(left) else {
                panic!("no line has {text:?}; there are:\n{}", self.output());
            };
            self.seen.push(line.clone());
            if line.contains(text) {
                return line;
            }
        }
    }

    /// All that has been read.
    pub fn output(&self) -> String {
        self.seen.join("\n")
    }

    /// The keeper's number.
    pub fn pid(&self) -> u32 {
        if self.place == Place::Subreaper {
            return self.outside.id();
        }
        let outside = self.outside.id();
        let file = format!("/proc/{outside}/task/{outside}/children");
        let children = std::fs::read_to_string(&file).unwrap_or_default();
        children.trim().parse().expect("unshare has one child")
    }

    /// Sends the keeper a signal, by its number.
    pub fn signal(&self, number: u8) {
        let order = format!("kill -{number} {}", self.pid());
        let status = Command::new("sh").args(["-c", &order]).status();
        assert!(status.expect("sh starts").success(), "{order}");
    }

    /// Waits until the keeper and all who hold its output have ended; the exit code.
    pub fn end(&mut self) -> i32 {
        let end = Instant::now() + LIMIT;
        let left = || end.saturating_duration_since(Instant::now());
        while let Ok(line) = self.lines.recv_timeout(left()) {
            self.seen.push(line);
        }
        assert!(Instant::now() < end, "no end; output:\n{}", self.output());
        let status = self.outside.wait().expect("it is our child");
        status
            .code()
            .unwrap_or_else(|| -status.signal().unwrap_or(0))
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // Gone already is as good. A group of its own holds nobody else's processes.
        let _ = self.outside.kill();
        let _ = self.outside.wait();
    }
}
