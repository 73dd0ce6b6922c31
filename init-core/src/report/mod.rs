//! This room writes process 1's log: one line a notice, and the summary of the boot.
//!
//! Every line is `init: [seconds.milliseconds] text` on the clock that the kernel's log uses, and
//! is handed to the console whole. A line is made for a serial console: short, no colours, no
//! redrawing. While the machine boots, the lines of units that become ready or fail are the report
//! itself; the summary repeats only what failed. (A table of all units at the end would say
//! everything twice: 300 units are a second of a 115 200 baud line.)
#![cfg_attr(
    feature = "defmt",
    allow(
        dead_code,
        unused_imports,
        unused_variables,
        reason = "frames have words of their own"
    )
)]

#[cfg(feature = "defmt")]
mod frames;
mod line;
mod words;

#[cfg(test)]
mod tests;

pub(crate) use line::is_inner;
pub use line::{LINE_BYTES_MAX, Line};
pub use words::Operands;

use crate::cmdline::Warning;
use crate::effect::{Failure, Fault, FinalAction, Next, Notice, Refusal};
use crate::ident::UnitId;
use crate::packed::{Packed, packed};
use crate::renewal::Handover;
use crate::status::{UnitState, UnitStatus};
use crate::text::texts;
use crate::time::{Duration, Instant};
use crate::unit::{LogLevel, Manifest};
use embedded_io::Write;

/// Failed units that the summary of the boot repeats; more are counted.
const SUMMARY_FAILED_MAX: u16 = 8;

/// Where the summary looks units up: `Core::status`.
pub type Lookup<'a> = &'a dyn Fn(UnitId) -> Option<UnitStatus>;

/// What puts words on a line.
pub type Words<'a> = &'a dyn Fn(&mut Line<'_>);

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
        let manifest = self.manifest;
        let count = u16::try_from(manifest.units.len()).unwrap_or(u16::MAX);
        if self.level >= LogLevel::Normal {
            #[cfg(feature = "defmt")]
            return self.banner_frame();
            #[cfg(not(feature = "defmt"))]
            write_line(out, now, &|line| {
                line.say(packed!("sysMaster "))
                    .text(env!("CARGO_PKG_VERSION"));
                line.text(": ").text(manifest.product);
                line.say(packed!(" on ")).text(manifest.board);
                line.text(", ")
                    .number(count)
                    .say(packed!(" units, target "));
                line.text(self.name(manifest.default_target));
            });
        }
    }

    /// A word of the kernel command line or of process 1's arguments that cannot be used.
    pub fn warning(&self, out: &mut impl Write, now: Instant, warning: &Warning<'_>) {
        write_line(out, now, &|line| {
            if warning.column == 0 {
                line.say(packed!("argument ")).number(warning.word);
            } else {
                line.say(packed!("kernel command line, word "))
                    .number(warning.word);
                line.say(packed!(", column ")).number(warning.column);
            }
            line.text(": ").bytes(warning.text);
            line.text(": ").say(warning.problem.text());
        });
    }

    /// A notice of the core, if the log level wants it. `status` is used for the boot's summary.
    pub fn notice(&self, out: &mut impl Write, now: Instant, notice: &Notice, status: Lookup<'_>) {
        if self.level < level(notice) {
            return;
        }
        #[cfg(feature = "defmt")]
        return self.frame(notice, status);
        #[cfg(not(feature = "defmt"))]
        self.lines(out, now, notice, status);
    }

    #[cfg(not(feature = "defmt"))]
    fn lines(&self, out: &mut impl Write, now: Instant, notice: &Notice, status: Lookup<'_>) {
        write_line(out, now, &|line| self.words(line, notice, status));
        if let Notice::BootDone { failed, .. } = *notice {
            self.summary(out, now, failed, status);
        }
    }

    /// The units that failed during the boot.
    fn summary(&self, out: &mut impl Write, now: Instant, failed: u16, status: Lookup<'_>) {
        let mut listed: u16 = 0;
        let count = u16::try_from(self.manifest.units.len()).unwrap_or(u16::MAX);
        for unit in (0..count).map(UnitId) {
            let Some(UnitStatus {
                state: UnitState::Failed,
                failure: Some(failure),
                ..
            }) = status(unit)
            else {
                continue;
            };
            if listed == SUMMARY_FAILED_MAX {
                write_line(out, now, &|line| {
                    let more = failed.saturating_sub(listed);
                    line.say(packed!("boot: and ")).number(more);
                    line.say(packed!(" more; see sctl list"));
                });
                return;
            }
            listed = listed.wrapping_add(1);
            write_line(out, now, &|line| {
                let line = line.say(packed!("boot: failed: "));
                self.why(line, unit, Packed::EMPTY, failure);
            });
        }
    }

    /// What a notice says.
    fn words(&self, line: &mut Line<'_>, notice: &Notice, status: Lookup<'_>) {
        match *notice {
            Notice::Starting(unit) => self.unit(line, unit, packed!("starting")),
            Notice::Ready(unit, took) => self.unit(line, unit, packed!("ready after ")).span(took),
            Notice::Failed(unit, failure) => self.why(line, unit, packed!("failed: "), failure),
            Notice::Ended(unit, status, Next::Nothing) => {
                self.unit(line, unit, packed!("ended: ")).exit(status)
            }
            Notice::Ended(unit, status, Next::Restart(wait, count)) => {
                self.unit(line, unit, packed!("ended: "))
                    .exit(status)
                    .text("; ");
                restart(line, wait, count)
            }
            Notice::Retry(unit, wait, count) => {
                restart(self.unit(line, unit, Packed::EMPTY), wait, count)
            }
            Notice::Stopping(unit) => self.unit(line, unit, packed!("stopping")),
            Notice::Stopped(unit) => self.unit(line, unit, packed!("stopped")),
            Notice::Killing(unit) => {
                self.unit(line, unit, packed!("did not stop in time, sent SIGKILL"))
            }
            Notice::GivenUp(unit) => {
                self.unit(line, unit, packed!("does not die of SIGKILL, given up"))
            }
            Notice::BootDone { .. } => self.boot_done(line, notice, status),
            Notice::ShutdownBegun(action) => line.say(action_word(action)).say(packed!(": begins")),
            Notice::LeftoversAsked => line.say(packed!("asked leftover processes to end")),
            Notice::LeftoversKilled => line.say(packed!("killed leftover processes")),
            Notice::ShutdownFinal(action, took) => line
                .say(action_word(action))
                .say(packed!(": all stopped after "))
                .span(took),
            Notice::ShutdownOverdue => {
                line.say(packed!("shutdown took too long; going down regardless"))
            }
            Notice::TargetRefused(target, refusal) => self.refused(line, target, refusal),
            Notice::Rescue => line.say(packed!("going to the rescue target")),
            Notice::Resumed(life, why) => line
                .say(self.handover_word(why))
                .say(packed!(" and goes on where it was: incarnation "))
                .number(life),
            Notice::NotUpgraded(obstacle) => {
                let unit = obstacle.unit().map_or("", |unit| self.name(unit));
                line.say(packed!("not upgraded: "));
                match self.manifest.hot_upgrade {
                    Some(code) => code.say(line, obstacle, unit.as_bytes()),
                    None => line,
                }
            }
            Notice::Lost => line.say(packed!(
                "a line may be missing: process 1 died while it wrote"
            )),
            Notice::Fault(fault) => self.fault(line, fault),
        };
    }

    /// The summary of the boot; nothing for another notice.
    fn boot_done<'l, 'b>(
        &self,
        line: &'l mut Line<'b>,
        notice: &Notice,
        status: Lookup<'_>,
    ) -> &'l mut Line<'b> {
        let Notice::BootDone {
            target,
            ready,
            failed,
            retrying,
            took,
        } = *notice
        else {
            return line;
        };
        let reached = match status(target).is_some_and(|it| it.state == UnitState::Active) {
            true => packed!(" reached after "),
            false => packed!(" NOT reached after "),
        };
        line.say(packed!("boot: ")).text(self.name(target));
        line.say(reached).span(took).text(": ").number(ready);
        line.say(packed!(" units ready, ")).number(failed);
        line.say(packed!(" failed"));
        match retrying {
            0 => line,
            _ => {
                line.text(", ").number(retrying);
                line.say(packed!(" to be started again"))
            }
        }
    }

    fn handover_word(&self, why: Handover) -> Packed {
        match why {
            Handover::Fault if self.manifest.split.is_some() => packed!("the core is a new one"),
            Handover::Fault => packed!("process 1 died"),
            Handover::Again => packed!("process 1 was executed again"),
            Handover::Upgraded => packed!("process 1 was upgraded"),
            Handover::RolledBack(_) => packed!("process 1 was rolled back"),
            #[cfg(feature = "exchange")]
            Handover::Exchanged => packed!("the core was exchanged"),
        }
    }

    #[cfg(feature = "defmt")]
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

    fn why<'l, 'b>(
        &self,
        line: &'l mut Line<'b>,
        unit: UnitId,
        word: Packed,
        failure: Failure,
    ) -> &'l mut Line<'b> {
        let operands = Operands::of(self.manifest, unit, failure);
        self.unit(line, unit, word).why(failure, operands)
    }

    fn refused<'l, 'b>(
        &self,
        line: &'l mut Line<'b>,
        target: UnitId,
        refusal: Refusal,
    ) -> &'l mut Line<'b> {
        match refusal {
            Refusal::Conflict(first, second) => self
                .unit(line, target, packed!("cannot be started: "))
                .text(self.name(first))
                .say(packed!(" needs "))
                .text(self.name(second))
                .say(packed!(" and conflicts with it")),
            Refusal::ShuttingDown => self.unit(line, target, packed!("the machine is going down")),
            Refusal::NoSuchUnit => self.unit(line, target, packed!("there is no such unit")),
            // Nobody refuses a target so.
            Refusal::Renewing | Refusal::NoHeirs | Refusal::NoUpgrade => {
                self.unit(line, target, packed!("refused"))
            }
            Refusal::NoRescueTarget => line.say(packed!(
                "the manifest names no rescue-target; staying as it is"
            )),
        }
    }

    fn fault<'l, 'b>(&self, line: &'l mut Line<'b>, fault: Fault) -> &'l mut Line<'b> {
        let (unit, what) = match fault {
            Fault::UnexpectedEvent(unit) => (self.name(unit), packed!("unexpected event")),
            Fault::BadIndex => ("core", packed!("bad index")),
            Fault::QueueFull => ("core", packed!("queue full")),
            Fault::DamagedEffect => ("core", packed!("a pending effect was damaged")),
            Fault::DamagedUnit(unit) => (self.name(unit), packed!("its record was damaged")),
        };
        line.text(unit)
            .say(packed!(": internal fault, please report: "))
            .say(what)
    }

    /// A unit's name and what follows it.
    fn unit<'l, 'b>(&self, line: &'l mut Line<'b>, unit: UnitId, text: Packed) -> &'l mut Line<'b> {
        line.text(self.name(unit)).text(": ").say(text)
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
        | Notice::Resumed(_, Handover::Fault | Handover::RolledBack(_))
        | Notice::NotUpgraded(_)
        | Notice::Lost
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
        | Notice::Resumed(_, Handover::Again | Handover::Upgraded)
        | Notice::ShutdownFinal(..) => LogLevel::Normal,
        #[cfg(feature = "exchange")]
        Notice::Resumed(_, Handover::Exchanged) => LogLevel::Normal,
        Notice::Starting(_) | Notice::Stopping(_) => LogLevel::Debug,
    }
}

fn action_word(action: FinalAction) -> Packed {
    texts!(action, FinalAction {
        PowerOff => "power-off",
        Reboot => "reboot",
        Halt => "halt",
        Kexec => "kexec",
    })
}

/// The n-th restart in a row, to come after a wait.
fn restart<'l, 'b>(line: &'l mut Line<'b>, wait: Duration, count: u16) -> &'l mut Line<'b> {
    line.say(packed!("restart "))
        .number(count)
        .say(packed!(" in "))
        .span(wait)
}

/// Writes one whole line. A console that cannot take it drops and counts it; nobody waits.
pub fn write_line(out: &mut impl Write, now: Instant, words: Words<'_>) {
    let (seconds, us) = now.parts();
    let mut room = [0; LINE_BYTES_MAX];
    let mut line = Line::new(&mut room);
    line.say(packed!("init: [")).digits(seconds, 5, b' ');
    line.text(".").digits(us / 1_000, 3, b'0').text("] ");
    words(&mut line);
    let _ = out.write_all(line.end());
}
