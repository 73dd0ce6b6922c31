//! This file runs process 1 in namespaces of its own, reads its console and asks things of it.
//!
//! It waits for events, each with a limit; a machine that is dropped is killed with all it runs.

use crate::skip::skip;
use std::collections::HashSet;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// Far above what any scenario takes on a slow, busy machine.
const LIMIT: Duration = Duration::from_secs(60);

/// Names the program under test: process 1 of `product.toml`, built by `cargo xtask test`.
const PROGRAM: &str = "SYSMASTER_NAMESPACE_INIT";

/// A running process 1.
pub struct Machine {
    /// `unshare`, whose only child is process 1.
    outside: Child,
    /// The console, if anybody reads it.
    lines: Option<Receiver<String>>,
    seen: Vec<String>,
    /// Lines with the number of a life that were waited for.
    found: HashSet<String>,
}

/// How a machine ended, as its host sees it.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    /// Power-off or halt.
    Off,
    /// Reboot.
    Reboot,
    /// Anything else.
    Other(String),
}

/// Copies a program by a process of its own. Were it written by this one, a process that another
/// test makes meanwhile would have it open for writing too, for a moment in which nobody may
/// execute it.
pub fn copy_program(from: &Path, to: &Path) {
    let done = Command::new("cp").arg(from).arg(to).status();
    assert!(done.is_ok_and(|status| status.success()), "there is room");
}

/// The program under test, or `None` with a loud word where nobody has built it.
pub fn program() -> Option<PathBuf> {
    let program = std::env::var_os(PROGRAM).map(PathBuf::from);
    if program.is_none() {
        skip(&format!(
            "{PROGRAM} names no process 1; `cargo xtask test` builds and names one"
        ));
    }
    program
}

impl Machine {
    /// Boots to a target; `None` where there is no program under test.
    pub fn boot(target: &str) -> Option<Self> {
        Self::boot_by(&[], target)
    }

    /// Boots to a target by way of a command that prepares the namespaces and then executes what
    /// follows it.
    pub fn boot_by(first: &[&str], target: &str) -> Option<Self> {
        Self::boot_with(first, &[&format!("sysmaster.target={target}")])
    }

    /// Boots by way of `first` with these arguments of process 1.
    pub fn boot_with(first: &[&str], arguments: &[&str]) -> Option<Self> {
        let (reader, writer) = std::io::pipe().expect("a pipe can be made");
        let mut machine = Self::start(&writer.into(), first, arguments)?;
        machine.read_from(File::from(OwnedFd::from(reader)));
        Some(machine)
    }

    /// Boots a copy of the program, by way of `first`.
    pub fn boot_copy(first: &[&str], copy: Option<&Path>, target: &str) -> Option<Self> {
        let program = program()?;
        let program = copy.unwrap_or(&program);
        let target = format!("sysmaster.target={target}");
        let (reader, writer) = std::io::pipe().expect("a pipe can be made");
        let mut machine = Self::start_program(program, &writer.into(), first, &[&target]);
        machine.read_from(File::from(OwnedFd::from(reader)));
        Some(machine)
    }

    /// Boots to a target with this console; nobody reads it before [`Self::read_from`].
    pub fn boot_unread(console: &OwnedFd, target: &str) -> Option<Self> {
        Self::boot_unread_by(&[], console, target)
    }

    /// The same by way of `first`.
    pub fn boot_unread_by(first: &[&str], console: &OwnedFd, target: &str) -> Option<Self> {
        Self::start(console, first, &[&format!("sysmaster.target={target}")])
    }

    fn start(console: &OwnedFd, first: &[&str], arguments: &[&str]) -> Option<Self> {
        Some(Self::start_program(&program()?, console, first, arguments))
    }

    fn start_program(
        program: &Path,
        console: &OwnedFd,
        first: &[&str],
        arguments: &[&str],
    ) -> Self {
        let another = || console.try_clone().expect("descriptors are left");
        let outside = Command::new("unshare")
            .args(["--pid", "--fork", "--mount", "--uts", "--net", "--ipc"])
            .args(["--mount-proc", "--kill-child", "--"])
            .args(first)
            .arg(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(another())
            .stderr(another())
            .spawn()
            .expect("unshare starts: it is part of util-linux, and needs root");
        Self {
            outside,
            lines: None,
            seen: Vec::new(),
            found: HashSet::new(),
        }
    }

    /// Reads the console from now on.
    pub fn read_from(&mut self, reader: File) {
        let (sender, lines) = channel();
        self.lines = Some(lines);
        std::thread::spawn(move || {
            for line in BufReader::new(reader).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
    }

    /// A line that contains the text, be it that it came before others that were waited for: what
    /// children say has no place among what process 1 says.
    pub fn told(&mut self, text: &str) -> String {
        let seen = self.seen.iter().find(|line| line.contains(text)).cloned();
        seen.unwrap_or_else(|| self.wait_for(text))
    }

    /// Waits for a line that contains the text; returns it. A line with the number of
    /// a life that was waited for is not taken for another one when it comes once more: a death may
    /// write one twice.
    pub fn wait_for(&mut self, text: &str) -> String {
        let end = Instant::now() + LIMIT;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let lines = self.lines.as_ref().expect("somebody reads the console");
            match lines.recv_timeout(left) {
                Ok(line) => {
                    self.seen.push(line.clone());
                    let is_numbered = line.contains("incarnation ");
                    if line.contains(text) && (!is_numbered || self.found.insert(line.clone())) {
                        return line;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    panic!("no line has {text:?}; the console:\n{}", self.console())
                }
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("ended without {text:?}; the console:\n{}", self.console())
                }
            }
        }
    }

    /// All that has been read from the console.
    pub fn console(&self) -> String {
        self.seen.join("\n")
    }

    /// Process 1's number outside.
    pub fn pid(&self) -> u32 {
        let outside = self.outside.id();
        let file = format!("/proc/{outside}/task/{outside}/children");
        let end = Instant::now() + LIMIT;
        while Instant::now() < end {
            let children = std::fs::read_to_string(&file).unwrap_or_default();
            if let Ok(pid) = children.trim().parse() {
                return pid;
            }
            std::thread::yield_now();
        }
        panic!("unshare has no child; the console:\n{}", self.console())
    }

    /// Sends process 1 a signal, by its number.
    pub fn signal(&self, number: u8) {
        let order = format!("kill -{number} {}", self.pid());
        let status = Command::new("sh").args(["-c", &order]).status();
        assert!(status.expect("sh starts").success(), "{order}");
    }

    /// Runs a shell script inside, among the processes of this machine; what it printed.
    pub fn inside(&self, script: &str) -> String {
        let pid = self.pid().to_string();
        let output = Command::new("nsenter")
            .args(["--target", &pid, "--mount", "--pid", "--net"])
            .args(["--", "sh", "-c", script])
            .output()
            .expect("nsenter starts: it is part of util-linux");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{script}: {errors}");
        String::from_utf8_lossy(&output.stdout).trim().to_string()
    }

    /// The control tool inside: process 1's own file, under another name than its own.
    pub fn tool(&self, words: &[&str]) -> Command {
        let pid = self.pid().to_string();
        let mut command = Command::new("nsenter");
        command
            .args(["--target", &pid, "--mount", "--pid", "--", "/proc/1/exe"])
            .args(words);
        command
    }

    /// Runs the control tool inside.
    pub fn sctl(&self, words: &[&str]) -> Output {
        let output = self.tool(words).output();
        output.expect("nsenter starts: it is part of util-linux")
    }

    /// What process 1 has used of the processors.
    pub fn cpu_time(&self) -> Duration {
        let file = format!("/proc/{}/schedstat", self.pid());
        let text = std::fs::read_to_string(&file).expect("process 1 is there");
        let nanos = text
            .split_whitespace()
            .next()
            .and_then(|it| it.parse().ok());
        Duration::from_nanos(nanos.expect("the first number is the time on a processor"))
    }

    /// Waits until process 1 sleeps; how often it has gone to sleep.
    pub fn wake_ups_when_asleep(&self) -> u64 {
        let file = format!("/proc/{}/status", self.pid());
        let end = Instant::now() + LIMIT;
        while Instant::now() < end {
            let text = std::fs::read_to_string(&file).expect("process 1 is there");
            let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key));
            if value("State:").is_some_and(|state| state.trim().starts_with('S')) {
                let count = value("voluntary_ctxt_switches:");
                let count = count.and_then(|count| count.trim().parse().ok());
                return count.expect("the kernel counts switches");
            }
            std::thread::yield_now();
        }
        panic!("process 1 does not sleep; the console:\n{}", self.console())
    }

    /// Gives process 1 another soft and hard limit of open descriptors.
    pub fn limit_descriptors(&self, limits: &str) {
        self.limit(&format!("--nofile={limits}"));
    }

    /// Gives process 1 another limit, as an option of prlimit.
    pub fn limit(&self, limit: &str) {
        let pid = self.pid().to_string();
        let status = Command::new("prlimit")
            .args(["--pid", &pid, limit])
            .status();
        assert!(
            status
                .expect("prlimit starts: it is part of util-linux")
                .success()
        );
    }

    /// The root directory inside, as seen from outside.
    pub fn root(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root", self.pid()))
    }

    /// The control socket, as seen from outside.
    pub fn socket(&self) -> PathBuf {
        self.root().join("run/sysmaster/control")
    }

    /// Waits for the end. The rest of the console is read.
    pub fn end(&mut self) -> End {
        let end = Instant::now() + LIMIT;
        if let Some(lines) = &self.lines {
            let left = || end.saturating_duration_since(Instant::now());
            while let Ok(line) = lines.recv_timeout(left()) {
                self.seen.push(line);
            }
        }
        while matches!(self.outside.try_wait(), Ok(None)) {
            assert!(
                Instant::now() < end,
                "no end; the console:\n{}",
                self.console()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
        let status = self.outside.wait().expect("it is our child");
        // unshare ends as its child did: by the signal, or with the shell's number for it.
        match (status.signal(), status.code()) {
            (Some(2), _) | (_, Some(130)) => End::Off,
            (Some(1), _) | (_, Some(129)) => End::Reboot,
            _ => End::Other(status.to_string()),
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // `--kill-child`: all inside go with it. Gone already is as good.
        let _ = self.outside.kill();
        let _ = self.outside.wait();
    }
}
