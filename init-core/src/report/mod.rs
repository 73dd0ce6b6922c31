//! This room writes process 1's log: one line a notice, and the summary of the boot.
//!
//! Every line is `init: [seconds.milliseconds] text` on the clock that the kernel's log uses, and
//! is written whole, in one call. A line is made for a serial console: short, no colours, no
//! redrawing. While the machine boots, the lines of units that become ready or fail are the report
//! itself; the summary repeats only what failed. (A table of all units at the end would say
//! everything twice: 300 units are a second of a 115 200 baud line.)

mod line;
mod words;

#[cfg(test)]
mod tests;

pub use line::{LINE_BYTES_MAX, Line};
pub(crate) use words::text;
pub use words::{Exit, Operands, SignalName, Span, Why};

use crate::cmdline::Warning;
use crate::effect::{Failure, Fault, FinalAction, Next, Notice, Refusal};
use crate::ident::UnitId;
use crate::status::{UnitState, UnitStatus};
use crate::time::{Duration, Instant};
use crate::unit::{LogLevel, Manifest};
use core::fmt;
use embedded_io::Write;

/// Failed units that the summary of the boot repeats; more are counted.
const SUMMARY_FAILED_MAX: u16 = 8;

/// Where the summary looks units up: `Core::status`.
pub type Lookup<'a> = &'a dyn Fn(UnitId) -> Option<UnitStatus>;

/// Where finished lines go.
type Emit<'a> = &'a mut dyn FnMut(fmt::Arguments<'_>);

/// The log of process 1: which notices it says, and how.
#[derive(Clone, Copy, Debug)]
pub struct Report {
    manifest: &'static Manifest,
    level: LogLevel,
}

impl Report {
    /// A log that says what the manifest wants.
    pub const fn new(manifest: &'static Manifest) -> Self {
        Self {
            manifest,
            level: manifest.log_level,
        }
    }

    /// Says this much from now on.
    pub fn set_level(&mut self, level: LogLevel) {
        self.level = level;
    }

    /// The first line: what boots here.
    pub fn banner(&self, out: &mut impl Write, now: Instant) {
        let Manifest {
            product,
            board,
            units,
            ..
        } = *self.manifest;
        let target = self.name(self.manifest.default_target);
        if self.level >= LogLevel::Normal {
            let version = env!("CARGO_PKG_VERSION");
            let count = units.len();
            write_line(
                out,
                now,
                format_args!(
                    "sysMaster {version}: {product} on {board}, {count} units, target {target}"
                ),
            );
        }
    }

    /// A word of the kernel command line or of process 1's arguments that cannot be used.
    pub fn warning(&self, out: &mut impl Write, now: Instant, warning: &Warning<'_>) {
        let Warning {
            word,
            column,
            text,
            problem,
        } = *warning;
        // A line shows control characters as `?`.
        let text = core::str::from_utf8(text).unwrap_or("(no text)");
        let problem = problem.text();
        if column == 0 {
            write_line(out, now, format_args!("argument {word}: {text}: {problem}"));
        } else {
            let place = format_args!("kernel command line, word {word}, column {column}");
            write_line(out, now, format_args!("{place}: {text}: {problem}"));
        }
    }

    /// What process 1 costs, said after the boot: anonymous and shared resident memory.
    pub fn memory(&self, out: &mut impl Write, now: Instant, resident_kib: u32) {
        if self.level >= LogLevel::Normal {
            write_line(
                out,
                now,
                format_args!("boot: process 1 uses {resident_kib} KiB of memory"),
            );
        }
    }

    /// A notice of the core, if the log level wants it. `status` is used for the boot's summary.
    pub fn notice(&self, out: &mut impl Write, now: Instant, notice: Notice, status: Lookup<'_>) {
        if self.level >= level(&notice) {
            self.lines(notice, status, &mut |text| write_line(out, now, text));
        }
    }

    fn lines(&self, notice: Notice, status: Lookup<'_>, emit: Emit<'_>) {
        let name = |unit| self.name(unit);
        match notice {
            Notice::Starting(unit) => emit(format_args!("{}: starting", name(unit))),
            Notice::Ready(unit, took) => {
                emit(format_args!("{}: ready after {}", name(unit), Span(took)));
            }
            Notice::Failed(unit, failure) => self.failed(unit, "failed: ", failure, emit),
            Notice::Ended(unit, status, next) => self.ended(unit, Exit(status), next, emit),
            Notice::Stopping(unit) => emit(format_args!("{}: stopping", name(unit))),
            Notice::Stopped(unit) => emit(format_args!("{}: stopped", name(unit))),
            Notice::Killing(unit) => {
                let unit = name(unit);
                emit(format_args!("{unit}: did not stop in time, sent SIGKILL"));
            }
            Notice::GivenUp(unit) => {
                let unit = name(unit);
                emit(format_args!("{unit}: does not die of SIGKILL, given up"));
            }
            Notice::BootDone {
                target,
                ready,
                failed,
                retrying,
                took,
            } => {
                let counts = (ready, failed, retrying);
                self.boot_done(target, counts, took, status, emit);
            }
            Notice::ShutdownBegun(action) => emit(format_args!("{}: begins", action_word(action))),
            Notice::LeftoversAsked => emit(format_args!("asked leftover processes to end")),
            Notice::LeftoversKilled => emit(format_args!("killed leftover processes")),
            Notice::ShutdownFinal(action, took) => {
                let action = action_word(action);
                emit(format_args!("{action}: all stopped after {}", Span(took)));
            }
            Notice::ShutdownOverdue => {
                emit(format_args!(
                    "shutdown took too long; going down regardless"
                ));
            }
            Notice::Retry(unit, wait, count) => {
                let (unit, wait) = (name(unit), Span(wait));
                emit(format_args!("{unit}: restart {count} in {wait}"));
            }
            Notice::TargetRefused(target, refusal) => self.refused(target, refusal, emit),
            Notice::Rescue => emit(format_args!("going to the rescue target")),
            Notice::Fault(fault) => self.fault(fault, emit),
        }
    }

    fn failed(&self, unit: UnitId, word: &str, failure: Failure, emit: Emit<'_>) {
        let operands = match self.manifest.unit(unit) {
            Some(desc) => Operands::of(desc, failure, |other| self.name(other)),
            None => Operands::default(),
        };
        let (name, why) = (self.name(unit), Why(failure, operands));
        emit(format_args!("{name}: {word}{why}"));
    }

    fn refused(&self, target: UnitId, refusal: Refusal, emit: Emit<'_>) {
        let target = self.name(target);
        match refusal {
            Refusal::Conflict(first, second) => {
                let (first, second) = (self.name(first), self.name(second));
                emit(format_args!(
                    "{target}: cannot be started: {first} needs {second} and conflicts with it"
                ));
            }
            Refusal::ShuttingDown => emit(format_args!("{target}: the machine is going down")),
            Refusal::NoSuchUnit => emit(format_args!("{target}: there is no such unit")),
            Refusal::NoRescueTarget => {
                emit(format_args!(
                    "the manifest names no rescue-target; staying as it is"
                ));
            }
        }
    }

    fn ended(&self, unit: UnitId, exit: Exit, next: Next, emit: Emit<'_>) {
        let unit = self.name(unit);
        match next {
            Next::Nothing => emit(format_args!("{unit}: ended: {exit}")),
            Next::Restart(wait, count) => {
                let wait = Span(wait);
                emit(format_args!(
                    "{unit}: ended: {exit}; restart {count} in {wait}"
                ));
            }
        }
    }

    fn fault(&self, fault: Fault, emit: Emit<'_>) {
        let (unit, what) = match fault {
            Fault::UnexpectedEvent(unit) => (self.name(unit), "unexpected event"),
            Fault::BadIndex => ("core", "bad index"),
            Fault::QueueFull => ("core", "queue full"),
        };
        emit(format_args!(
            "{unit}: internal fault, please report: {what}"
        ));
    }

    fn boot_done(
        &self,
        target: UnitId,
        (ready, failed, retrying): (u16, u16, u16),
        took: Duration,
        status: Lookup<'_>,
        emit: Emit<'_>,
    ) {
        let (name, took) = (self.name(target), Span(took));
        let reached = match status(target).map(|status| status.state) {
            Some(UnitState::Active) => "reached",
            _ => "NOT reached",
        };
        let counts = format_args!("{ready} units ready, {failed} failed");
        if retrying == 0 {
            emit(format_args!(
                "boot: {name} {reached} after {took}: {counts}"
            ));
        } else {
            emit(format_args!(
                "boot: {name} {reached} after {took}: {counts}, {retrying} to be started again"
            ));
        }
        let mut listed: u16 = 0;
        for (unit, failure) in self.failures(status) {
            if listed == SUMMARY_FAILED_MAX {
                let more = failed.saturating_sub(listed);
                emit(format_args!("boot: and {more} more; see sctl list"));
                return;
            }
            listed = listed.saturating_add(1);
            self.failed(unit, "", failure, &mut |text| {
                emit(format_args!("boot: failed: {text}"))
            });
        }
    }

    fn failures<'a>(
        &self,
        status: Lookup<'a>,
    ) -> impl Iterator<Item = (UnitId, Failure)> + use<'a> {
        let count = u16::try_from(self.manifest.units.len()).unwrap_or(u16::MAX);
        let failed = move |unit| status(unit).filter(|it| it.state == UnitState::Failed);
        (0..count)
            .map(UnitId)
            .filter_map(move |unit| Some((unit, failed(unit)?.failure?)))
    }

    fn name(&self, unit: UnitId) -> &'static str {
        match self.manifest.unit(unit) {
            Some(desc) => desc.name,
            None => "system",
        }
    }
}

/// The level from which on a notice is said.
fn level(notice: &Notice) -> LogLevel {
    match notice {
        Notice::Failed(..)
        | Notice::GivenUp(_)
        | Notice::ShutdownOverdue
        | Notice::Rescue
        | Notice::TargetRefused(..)
        | Notice::Fault(_) => LogLevel::Quiet,
        Notice::BootDone { failed, .. } if *failed > 0 => LogLevel::Quiet,
        Notice::Ready(..)
        | Notice::Ended(..)
        | Notice::Retry(..)
        | Notice::Stopped(_)
        | Notice::Killing(_)
        | Notice::BootDone { .. }
        | Notice::ShutdownBegun(_)
        | Notice::LeftoversAsked
        | Notice::LeftoversKilled
        | Notice::ShutdownFinal(..) => LogLevel::Normal,
        Notice::Starting(_) | Notice::Stopping(_) => LogLevel::Debug,
    }
}

fn action_word(action: FinalAction) -> &'static str {
    match action {
        FinalAction::PowerOff => "power-off",
        FinalAction::Reboot => "reboot",
        FinalAction::Halt => "halt",
        FinalAction::Kexec => "kexec",
    }
}

/// Writes one whole line. A console that cannot take it drops and counts it; nobody waits.
fn write_line(out: &mut impl Write, now: Instant, text: fmt::Arguments<'_>) {
    let seconds = u32::try_from(now.as_us() / 1_000_000).unwrap_or(u32::MAX);
    let ms = u32::try_from(now.as_us() / 1_000 % 1_000).unwrap_or(0);
    let line = Line::new(format_args!("init: [{seconds:>5}.{ms:03}] {text}"));
    let _ = out.write_all(line.as_bytes());
}
