//! This file puts spans of time, exits and failures into words, the same in process 1's log and in
//! the control tool.
//!
//! Everything is added to a [`Line`] from plain values: nothing is stored, nothing can fail.

use super::line::Line;
use crate::effect::Failure;
use crate::event::{Errno, ExitStatus, SpawnStep};
use crate::ident::UnitId;
use crate::packed::{Packed, packed};
use crate::renewal::Obstacle;
use crate::text::texts;
use crate::time::Duration;
use crate::unit::{Exec, Manifest, Stream};
use crate::wire::Text;
use core::ffi::CStr;
use serde::{Deserialize, Serialize};

/// What comes when a program has not taken over in time.
const SIGALRM: u8 = 14;

/// One a line, from number 0 on, which is none.
const SIGNALS: Packed = packed!(
    "\nHUP\nINT\nQUIT\nILL\nTRAP\nABRT\nBUS\nFPE\nKILL\nUSR1\nSEGV\nUSR2\nPIPE\nALRM\nTERM\n\
     STKFLT\nCHLD\nCONT\nSTOP\nTSTP\nTTIN\nTTOU\nURG\nXCPU\nXFSZ\n\
     VTALRM\nPROF\nWINCH\nIO\nPWR\nSYS\n"
);

impl Line<'_> {
    /// Adds a span as people read it: `45 ms`, `12.3 s`, `5min 2s`, `3h 12min`, `2d 3h`.
    #[inline(never)]
    pub fn span(&mut self, span: Duration) -> &mut Self {
        // Numbers are shown as 32 bits: 136 years of seconds.
        let (seconds, us) = span.parts();
        let ms = seconds.wrapping_mul(1_000).wrapping_add(us / 1_000);
        if seconds < 10 {
            return self.number(ms).say(packed!(" ms"));
        }
        if seconds < 60 {
            let tenths = us / 100_000;
            return self.number(seconds).text(".").number(tenths).text(" s");
        }
        let (mut large, mut small, mut units) = (seconds / 60, seconds % 60, ["min ", "s"]);
        if large >= 60 {
            (large, small, units) = (large / 60, large % 60, ["h ", "min"]);
            if large >= 48 {
                (large, small, units) = (large / 24, large % 24, ["d ", "h"]);
            }
        }
        let [unit, smaller_unit] = units;
        self.number(large)
            .text(unit)
            .number(small)
            .text(smaller_unit)
    }

    /// Adds a signal's name, or `signal 40`.
    pub fn signal(&mut self, number: u8) -> &mut Self {
        let name = SIGNALS.line(number.into());
        match name.is_empty() {
            true => self.say(packed!("signal ")).number(number),
            false => self.say(packed!("SIG")).say(name),
        }
    }

    /// Adds the text of a kernel's error number, or `error 133`.
    #[inline(never)]
    pub fn errno(&mut self, error: Errno) -> &mut Self {
        let text = error.text();
        match text.is_empty() {
            true => self.say(packed!("error ")).number(error.0),
            false => self.say(text),
        }
    }

    /// Adds how a process ended: `exit code 3`, `SIGSEGV, core dumped`,
    /// `exec: No such file or directory`.
    pub fn exit(&mut self, status: ExitStatus) -> &mut Self {
        self.exit_at(status, Text::default())
    }

    #[inline(never)]
    fn exit_at(&mut self, status: ExitStatus, Text(path): Text<'_>) -> &mut Self {
        match status {
            ExitStatus::Code(code) => self.say(packed!("exit code ")).number(code),
            ExitStatus::Signal {
                number,
                core_dumped,
            } => {
                let core = match core_dumped {
                    true => packed!(", core dumped"),
                    false => Packed::EMPTY,
                };
                self.signal(number).say(core)
            }
            ExitStatus::NotExecuted { step, error } => {
                let blank = if path.is_empty() { "" } else { " " };
                self.say(step_word(step)).text(blank).text(path);
                self.text(": ").errno(error)
            }
        }
    }

    /// Adds why process 1 keeps its program; `unit` is the one in it.
    #[inline(never)]
    pub(crate) fn obstacle(&mut self, obstacle: Obstacle, unit: &[u8]) -> &mut Self {
        match obstacle {
            Obstacle::NotRead(error) => {
                self.say(packed!("the image cannot be read: ")).errno(error)
            }
            Obstacle::NotOurs => self.say(packed!(
                "the image is no process 1 of sysMaster with hot-upgrade = true"
            )),
            Obstacle::OtherMachine => self.say(packed!("the image is for another processor")),
            Obstacle::NotExecuted(error) => self
                .say(packed!("the image cannot be executed: "))
                .errno(error),
            Obstacle::OtherLayout | Obstacle::RolledBack(0) => self.say(packed!(
                "the image cannot read what this process 1 knows: another version"
            )),
            Obstacle::Ended(status) => self.say(packed!("the image's trial ended: ")).exit(status),
            Obstacle::Late => self.say(packed!("the image's trial gave no answer in time")),
            Obstacle::Stuck(_) => self
                .bytes(unit)
                .say(packed!(" does not stop, and the image does not know it")),
            Obstacle::RolledBack(SIGALRM) => {
                self.say(packed!("the image did not take over in time"))
            }
            Obstacle::RolledBack(signal) => self
                .say(packed!("the image died of "))
                .signal(signal)
                .say(packed!(" before it had taken over")),
            Obstacle::Died => self.say(packed!("process 1 died meanwhile; try again")),
            Obstacle::Unfed => self.say(packed!(
                "the image has no [watchdog] to feed the open one: give it one, or reboot into it",
            )),
            #[cfg(feature = "exchange")]
            Obstacle::NoCore => self.say(packed!(
                "the image has no core to be exchanged alone: no composition = \"split\" with \
                 hot-upgrade = true",
            )),
            #[cfg(feature = "exchange")]
            Obstacle::OtherTables => self.say(packed!(
                "the image was made from another manifest: upgrade the whole, without --core"
            )),
            #[cfg(feature = "exchange")]
            Obstacle::OtherKeeper => self.say(packed!(
                "the image's core needs another keeper: upgrade the whole, without --core"
            )),
        }
    }

    /// Adds why a unit failed, in a clause: `exec /usr/sbin/mosquitto: No such file or directory`.
    #[inline(never)]
    pub fn why(&mut self, failure: Failure, Operands { path, unit }: Operands<'_>) -> &mut Self {
        match failure {
            Failure::Spawn(error) => self
                .say(packed!("no process could be created: "))
                .errno(error),
            Failure::Exited(status) => self.exit_at(status, path).say(hint(status)),
            Failure::StartTimeout => self.say(packed!("not ready in time")),
            Failure::Dependency(_) => self
                .say(packed!("needs "))
                .text(unit)
                .say(packed!(", which is not active")),
            Failure::StartLimit => self.say(packed!("ended too often, start limit reached")),
            Failure::Unkillable => {
                self.say(packed!("does not die of SIGKILL (stuck in the kernel)"))
            }
            Failure::Watchdog => self.say(packed!("no heartbeat in time")),
        }
    }
}

/// The kernel says ENOENT for both, and the second is the one that takes an afternoon to find.
fn hint(status: ExitStatus) -> Packed {
    if let ExitStatus::NotExecuted { step, error } = status
        && step == SpawnStep::Exec
        && error == Errno(2)
    {
        return packed!(" (it, or its interpreter or loader)");
    }
    Packed::EMPTY
}

/// The operands of a failure that are known only where the manifest is. Empty: not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
pub struct Operands<'a> {
    /// The path that the failing step was about.
    pub path: Text<'a>,
    /// The unit that the failing one depends on.
    pub unit: Text<'a>,
}

impl Operands<'static> {
    /// From the manifest: `unit` is the one that failed.
    pub fn of(manifest: &'static Manifest, unit: UnitId, failure: Failure) -> Self {
        let mut operands = Self::default();
        match failure {
            Failure::Exited(ExitStatus::NotExecuted { step, .. }) => {
                let desc = manifest.unit(unit);
                if let Some(exec) = desc.and_then(|desc| manifest.exec(desc.start)) {
                    operands.path = Text(step_operand(exec, step).to_bytes());
                }
            }
            Failure::Dependency(other) => operands.unit = Text::of(manifest.name(other)),
            Failure::Spawn(_)
            | Failure::Exited(_)
            | Failure::StartTimeout
            | Failure::StartLimit
            | Failure::Unkillable
            | Failure::Watchdog => {}
        }
        operands
    }
}

/// What a step does, so that "WORD: cause" and "WORD PATH: cause" read well.
fn step_word(step: SpawnStep) -> Packed {
    texts!(step, SpawnStep {
        Session => "new session",
        Signals => "signal mask",
        Limits => "resource limits",
        Nice => "niceness",
        OomScore => "out-of-memory score",
        Stdin => "stdin",
        Stdout => "stdout",
        Stderr => "stderr",
        ReadyDescriptor => "readiness descriptor",
        Groups => "supplementary groups",
        Group => "group",
        User => "user",
        Directory => "chdir",
        Exec => "exec",
    })
}

/// The path that a step is about; empty when it is about none.
fn step_operand(exec: &'static Exec, step: SpawnStep) -> &'static CStr {
    let stream = match step {
        SpawnStep::Exec => return exec.program,
        SpawnStep::Directory => return exec.context.directory,
        SpawnStep::Stdin => exec.context.stdin,
        SpawnStep::Stdout => exec.context.stdout,
        SpawnStep::Stderr => exec.context.stderr,
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
