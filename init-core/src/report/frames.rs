//! This file says on machines without an operating system what the lines of the log say elsewhere:
//! as defmt frames, whose words stay on the host, in the program's ELF file.
//!
//! A frame is a number and its operands; the words are those of [`super::Report`], so that who
//! reads the decoded log reads the same report. What is said, and from which level on, the manifest
//! decides; defmt's own levels would be another choice, made when the program is compiled.

use super::{Lookup, Report, SUMMARY_FAILED_MAX};
use crate::effect::{Failure, Fault, FinalAction, Next, Notice, Refusal};
use crate::event::{Errno, ExitStatus};
use crate::ident::UnitId;
use crate::renewal::Handover;
use crate::status::UnitState;
use crate::time::Duration;
use defmt::{Formatter, println, write};

/// A span in milliseconds.
struct Ms(Duration);

impl defmt::Format for Ms {
    fn format(&self, f: Formatter<'_>) {
        write!(f, "{=u64} ms", self.0.as_us() / 1_000);
    }
}

impl defmt::Format for Errno {
    fn format(&self, f: Formatter<'_>) {
        write!(f, "error {=u16}", self.0);
    }
}

impl defmt::Format for ExitStatus {
    fn format(&self, f: Formatter<'_>) {
        match *self {
            Self::Code(code) => write!(f, "exit code {=u8}", code),
            Self::Signal { number: 9, .. } => write!(f, "SIGKILL"),
            Self::Signal { number: 11, .. } => write!(f, "SIGSEGV"),
            Self::Signal { number, .. } => write!(f, "signal {=u8}", number),
            Self::NotExecuted { error, .. } => write!(f, "not executed: {}", error),
        }
    }
}

/// Why a unit failed; the name is of the unit that it needs.
struct Why(Failure, &'static str);

impl defmt::Format for Why {
    fn format(&self, f: Formatter<'_>) {
        match self.0 {
            Failure::Spawn(error) => write!(f, "no process could be created: {}", error),
            Failure::Exited(status) => write!(f, "{}", status),
            Failure::StartTimeout => write!(f, "not ready in time"),
            Failure::Dependency(_) => write!(f, "needs {=str}, which is not active", self.1),
            Failure::StartLimit => write!(f, "ended too often, start limit reached"),
            Failure::Unkillable => write!(f, "does not die of SIGKILL (stuck in the kernel)"),
            Failure::Watchdog => write!(f, "no heartbeat in time"),
        }
    }
}

/// What the machine does last.
struct Action(FinalAction);

impl defmt::Format for Action {
    fn format(&self, f: Formatter<'_>) {
        match self.0 {
            FinalAction::PowerOff => write!(f, "power-off"),
            FinalAction::Reboot => write!(f, "reboot"),
            FinalAction::Halt => write!(f, "halt"),
            FinalAction::Kexec => write!(f, "kexec"),
        }
    }
}

impl Report {
    /// See [`Report::banner`].
    pub(super) fn banner_frame(&self) {
        let manifest = self.manifest;
        let count = u16::try_from(manifest.units.len()).unwrap_or(u16::MAX);
        println!(
            "sysMaster {=str}: {=str} on {=str}, {=u16} units, target {=str}",
            env!("CARGO_PKG_VERSION"),
            manifest.product,
            manifest.board,
            count,
            self.name(manifest.default_target)
        );
    }

    /// See [`Report::notice`].
    pub(super) fn frame(&self, notice: &Notice, status: Lookup<'_>) {
        match *notice {
            Notice::Starting(unit) => println!("{=str}: starting", self.name(unit)),
            Notice::Ready(unit, took) => {
                println!("{=str}: ready after {}", self.name(unit), Ms(took));
            }
            Notice::Failed(unit, failure) => {
                println!("{=str}: failed: {}", self.name(unit), self.cause(failure));
            }
            Notice::Ended(unit, status, Next::Nothing) => {
                println!("{=str}: ended: {}", self.name(unit), status);
            }
            Notice::Ended(unit, status, Next::Restart(wait, count)) => println!(
                "{=str}: ended: {}; restart {=u16} in {}",
                self.name(unit),
                status,
                count,
                Ms(wait)
            ),
            Notice::Retry(unit, wait, count) => {
                println!(
                    "{=str}: restart {=u16} in {}",
                    self.name(unit),
                    count,
                    Ms(wait)
                );
            }
            Notice::Stopping(unit) => println!("{=str}: stopping", self.name(unit)),
            Notice::Stopped(unit) => println!("{=str}: stopped", self.name(unit)),
            Notice::Killing(unit) => {
                println!(
                    "{=str}: did not stop in time, sent SIGKILL",
                    self.name(unit)
                );
            }
            Notice::GivenUp(unit) => {
                println!("{=str}: does not die of SIGKILL, given up", self.name(unit));
            }
            Notice::BootDone { .. } => self.boot_frame(notice, status),
            Notice::TargetRefused(target, refusal) => self.refused_frame(target, refusal),
            Notice::ShutdownBegun(_)
            | Notice::LeftoversAsked
            | Notice::LeftoversKilled
            | Notice::ShutdownFinal(..)
            | Notice::ShutdownOverdue
            | Notice::Rescue
            | Notice::Resumed(..)
            | Notice::NotUpgraded(_)
            | Notice::Lost
            | Notice::Fault(_) => self.machine_frame(notice),
        }
    }

    /// What concerns the machine as a whole.
    fn machine_frame(&self, notice: &Notice) {
        match *notice {
            Notice::ShutdownBegun(action) => println!("{}: begins", Action(action)),
            Notice::LeftoversAsked => println!("asked leftover processes to end"),
            Notice::LeftoversKilled => println!("killed leftover processes"),
            Notice::ShutdownFinal(action, took) => {
                println!("{}: all stopped after {}", Action(action), Ms(took));
            }
            Notice::ShutdownOverdue => println!("shutdown took too long; going down regardless"),
            Notice::Rescue => println!("going to the rescue target"),
            Notice::Resumed(life, Handover::Fault) => {
                println!(
                    "process 1 died and goes on where it was: incarnation {=u32}",
                    life
                );
            }
            Notice::Resumed(life, Handover::Again) => println!(
                "process 1 was executed again and goes on where it was: incarnation {=u32}",
                life
            ),
            Notice::Resumed(life, Handover::Upgraded | Handover::RolledBack(_)) => println!(
                "process 1 is another and goes on where it was: incarnation {=u32}",
                life
            ),
            #[cfg(feature = "exchange")]
            Notice::Resumed(life, Handover::Exchanged) => println!(
                "the core is another and goes on where it was: incarnation {=u32}",
                life
            ),
            Notice::NotUpgraded(_) => println!("not upgraded"),
            Notice::Lost => println!("a line may be missing: process 1 died while it wrote"),
            Notice::Fault(fault) => self.fault_frame(fault),
            Notice::Starting(_)
            | Notice::Ready(..)
            | Notice::Failed(..)
            | Notice::Ended(..)
            | Notice::Retry(..)
            | Notice::Stopping(_)
            | Notice::Stopped(_)
            | Notice::Killing(_)
            | Notice::GivenUp(_)
            | Notice::BootDone { .. }
            | Notice::TargetRefused(..) => {}
        }
    }

    #[expect(
        clippy::if_same_then_else,
        reason = "the words differ; what is left of them does not"
    )]
    fn boot_frame(&self, notice: &Notice, status: Lookup<'_>) {
        let Notice::BootDone {
            target,
            ready,
            failed,
            retrying,
            took,
        } = *notice
        else {
            return;
        };
        let is_reached = status(target).is_some_and(|it| it.state == UnitState::Active);
        let (name, took) = (self.name(target), Ms(took));
        let reached = if is_reached {
            defmt::intern!("reached")
        } else {
            defmt::intern!("NOT reached")
        };
        if retrying == 0 {
            println!(
                "boot: {=str} {=istr} after {}: {=u16} units ready, {=u16} failed",
                name, reached, took, ready, failed
            );
        } else {
            println!(
                "boot: {=str} {=istr} after {}: {=u16} units ready, {=u16} failed, {=u16} to be \
                 started again",
                name, reached, took, ready, failed, retrying
            );
        }
        let mut listed: u16 = 0;
        for (unit, failure) in self.failures(status) {
            if listed == SUMMARY_FAILED_MAX {
                println!("boot: and {=u16} more", failed.saturating_sub(listed));
                return;
            }
            listed = listed.saturating_add(1);
            println!(
                "boot: failed: {=str}: {}",
                self.name(unit),
                self.cause(failure)
            );
        }
    }

    fn refused_frame(&self, target: UnitId, refusal: Refusal) {
        let name = self.name(target);
        match refusal {
            Refusal::Conflict(first, second) => println!(
                "{=str}: cannot be started: {=str} needs {=str} and conflicts with it",
                name,
                self.name(first),
                self.name(second)
            ),
            Refusal::ShuttingDown => println!("{=str}: the machine is going down", name),
            Refusal::NoSuchUnit => println!("{=str}: there is no such unit", name),
            Refusal::Renewing | Refusal::NoHeirs | Refusal::NoUpgrade => {
                println!("{=str}: refused", name)
            }
            Refusal::NoRescueTarget => {
                println!("the manifest names no rescue-target; staying as it is");
            }
        }
    }

    fn fault_frame(&self, fault: Fault) {
        let (unit, what) = match fault {
            Fault::UnexpectedEvent(unit) => (self.name(unit), defmt::intern!("unexpected event")),
            Fault::BadIndex => ("core", defmt::intern!("bad index")),
            Fault::QueueFull => ("core", defmt::intern!("queue full")),
            Fault::DamagedEffect => ("core", defmt::intern!("a pending effect was damaged")),
            Fault::DamagedUnit(unit) => (self.name(unit), defmt::intern!("its record was damaged")),
        };
        println!("{=str}: internal fault, please report: {=istr}", unit, what);
    }

    fn cause(&self, failure: Failure) -> Why {
        let needed = match failure {
            Failure::Dependency(other) => self.name(other),
            Failure::Spawn(_)
            | Failure::Exited(_)
            | Failure::StartTimeout
            | Failure::StartLimit
            | Failure::Unkillable
            | Failure::Watchdog => "",
        };
        Why(failure, needed)
    }
}
