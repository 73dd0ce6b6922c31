//! This file puts spans of time, exits and failures into words, the same in process 1's log and in
//! the control tool.
//!
//! Everything is a `Display` over plain values: nothing is stored, nothing can fail but the writer.

use crate::effect::Failure;
use crate::event::{Errno, ExitStatus, SpawnStep};
use crate::text::word;
use crate::time::Duration;
use crate::unit::{Exec, Program, Stream, UnitDesc};
use core::ffi::CStr;
use core::fmt::{Display, Formatter, Result};
use serde::{Deserialize, Serialize};

/// A span as people read it: `45 ms`, `12.3 s`, `5min 2s`, `3h 12min`, `2d 3h`.
pub struct Span(pub Duration);

impl Display for Span {
    fn fmt(&self, out: &mut Formatter<'_>) -> Result {
        // Numbers are shown as 32 bits: 136 years of seconds.
        let seconds = u32::try_from(self.0.as_us() / 1_000_000).unwrap_or(u32::MAX);
        let ms = u32::try_from(self.0.as_us() / 1_000 % 10_000).unwrap_or(0);
        let (minutes, hours) = (seconds / 60, seconds / 3_600);
        match (seconds, minutes, hours) {
            (0..10, ..) => write!(out, "{ms} ms"),
            (10..60, ..) => write!(out, "{seconds}.{} s", ms / 100 % 10),
            (_, 0..60, _) => write!(out, "{minutes}min {}s", seconds % 60),
            (.., 0..48) => write!(out, "{hours}h {}min", minutes % 60),
            _ => write!(out, "{}d {}h", hours / 24, hours % 24),
        }
    }
}

/// A signal's name, or `signal 40`.
pub struct SignalName(pub u8);

/// From number 1 on.
const SIGNALS: &str = "HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM \
STKFLT CHLD CONT STOP TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS ";

impl Display for SignalName {
    fn fmt(&self, out: &mut Formatter<'_>) -> Result {
        let index = usize::from(self.0).checked_sub(1);
        match index.and_then(|index| word(SIGNALS, b' ', index)) {
            Some(name) => write!(out, "SIG{name}"),
            None => write!(out, "signal {}", u32::from(self.0)),
        }
    }
}

/// How a process ended: `exit code 3`, `SIGSEGV, core dumped`, `exec: No such file or directory`.
pub struct Exit(pub ExitStatus);

impl Display for Exit {
    fn fmt(&self, out: &mut Formatter<'_>) -> Result {
        match self.0 {
            ExitStatus::Code(code) => write!(out, "exit code {}", u32::from(code)),
            ExitStatus::Signal {
                number,
                core_dumped,
            } => {
                let core = if core_dumped { ", core dumped" } else { "" };
                write!(out, "{}{core}", SignalName(number))
            }
            ExitStatus::NotExecuted { step, error } => write!(out, "{}: {error}", step_word(step)),
        }
    }
}

/// The operands of a failure that are known only where the manifest is. Empty: not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operands<'a> {
    /// The path that the failing step was about.
    pub path: &'a str,
    /// The unit that the failing one depends on.
    pub unit: &'a str,
}

impl Operands<'static> {
    /// From the manifest: `unit` is the one that failed, `name` finds the name of another.
    pub fn of(
        unit: &UnitDesc,
        failure: Failure,
        name: impl Fn(crate::ident::UnitId) -> &'static str,
    ) -> Self {
        let mut operands = Self::default();
        match failure {
            Failure::Exited(ExitStatus::NotExecuted { step, .. }) => {
                operands.path = step_path(unit.start, step);
            }
            Failure::Dependency(other) => operands.unit = name(other),
            Failure::Spawn(_)
            | Failure::Exited(_)
            | Failure::StartTimeout
            | Failure::StartLimit
            | Failure::Unkillable => {}
        }
        operands
    }
}

/// Why a unit failed, in a clause: `exec /usr/sbin/mosquitto: No such file or directory`.
pub struct Why<'a>(pub Failure, pub Operands<'a>);

impl Display for Why<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> Result {
        let Operands { path, unit } = self.1;
        match self.0 {
            Failure::Spawn(error) => write!(out, "no process could be created: {error}"),
            Failure::Exited(ExitStatus::NotExecuted { step, error }) => {
                not_executed(out, step, path, error)
            }
            Failure::Exited(status) => write!(out, "{}", Exit(status)),
            Failure::StartTimeout => out.write_str("not ready in time"),
            Failure::Dependency(_) => write!(out, "needs {unit}, which is not active"),
            Failure::StartLimit => out.write_str("ended too often, start limit reached"),
            Failure::Unkillable => out.write_str("does not die of SIGKILL (stuck in the kernel)"),
        }
    }
}

fn not_executed(out: &mut Formatter<'_>, step: SpawnStep, path: &str, error: Errno) -> Result {
    let blank = if path.is_empty() { "" } else { " " };
    write!(out, "{}{blank}{path}: {error}", step_word(step))?;
    // The kernel says ENOENT for both, and the second is the one that takes an afternoon to find.
    match (step, error) {
        (SpawnStep::Exec, Errno(2)) => out.write_str(" (it, or its interpreter or loader)"),
        _ => Ok(()),
    }
}

/// What a step does, so that "WORD: cause" and "WORD PATH: cause" read well.
fn step_word(step: SpawnStep) -> &'static str {
    match step {
        SpawnStep::Session => "new session",
        SpawnStep::Signals => "signal mask",
        SpawnStep::Limits => "resource limits",
        SpawnStep::Nice => "niceness",
        SpawnStep::OomScore => "out-of-memory score",
        SpawnStep::Stdin => "stdin",
        SpawnStep::Stdout => "stdout",
        SpawnStep::Stderr => "stderr",
        SpawnStep::ReadyDescriptor => "readiness descriptor",
        SpawnStep::Groups => "supplementary groups",
        SpawnStep::Group => "group",
        SpawnStep::User => "user",
        SpawnStep::Directory => "chdir",
        SpawnStep::Exec => "exec",
    }
}

/// The path that a step is about; empty when it is about none.
fn step_path(program: Program, step: SpawnStep) -> &'static str {
    let Program::Exec(exec) = program else {
        return "";
    };
    text(step_operand(exec, step))
}

fn step_operand(exec: &'static Exec, step: SpawnStep) -> &'static CStr {
    let stream = match step {
        SpawnStep::Exec => return exec.program,
        SpawnStep::Directory => return exec.directory,
        SpawnStep::Stdin => exec.stdin,
        SpawnStep::Stdout => exec.stdout,
        SpawnStep::Stderr => exec.stderr,
        SpawnStep::Session
        | SpawnStep::Signals
        | SpawnStep::Limits
        | SpawnStep::Nice
        | SpawnStep::OomScore
        | SpawnStep::ReadyDescriptor
        | SpawnStep::Groups
        | SpawnStep::Group
        | SpawnStep::User => return c"",
    };
    match stream {
        Stream::File(path) | Stream::Terminal(path) => path,
        Stream::Null => c"/dev/null",
        Stream::Console => c"(console)",
        Stream::Kmsg => c"/dev/kmsg",
    }
}

/// A path of the manifest as text. The compiler writes UTF-8; anything else is shown as `?`.
pub fn text(path: &'static CStr) -> &'static str {
    path.to_str().unwrap_or("?")
}
