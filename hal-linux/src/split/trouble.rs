//! This file replaces a core that is gone or does what no core does: it ends the process, performs
//! what that had asked for, and says why.

use super::{Keeper, RETRY, line};
use crate::epitaph;
use crate::escalation::VAIN_MAX;
use crate::events::Source;
use crate::intake::{self, KILLED_MAX};
use crate::linux::Linux;
use crate::region::{RECORDS, at};
use crate::sys::process;
use crate::sys::wait::{self, Apart};
use core::sync::atomic::Ordering;
use init_core::event::ExitStatus;
use init_core::hal::Clock;
use init_core::ident::UnitId;
use init_core::relay::Breach;
use init_core::renewal::Handover;
use init_core::report;
use init_core::time::Duration;
use init_core::unit::Signal;

/// Why a core is replaced.
#[derive(Clone, Copy, Debug)]
pub(super) enum Trouble {
    /// It ended.
    Gone,
    /// It had an event and was not heard of for too long.
    Silent,
    /// It did what no core does.
    Breach(Breach),
}

/// From one look at a process that is ending to the next: first, and at most.
const LOOK: Duration = Duration::from_us(50);
const LOOK_MAX: Duration = Duration::from_ms(20);

/// Between two cores, where one after the other is killed: at most.
const PACE_MAX: Duration = Duration::from_ms(2_000);

/// How long the next core is waited with after so many that somebody killed before they had done
/// anything. Whoever kills them, be it the kernel for want of memory, a death that was sent never
/// leads to a new start of the machine by itself; meanwhile no hardware watchdog is fed. What was
/// handed out is put aside once the pace is at its slowest, after [`KILLED_MAX`].
fn pace(killed: u32) -> Duration {
    let mut pace = Duration::ZERO;
    for _ in VAIN_MAX..killed.min(KILLED_MAX) {
        pace = pace.doubled().max(RETRY).min(PACE_MAX);
    }
    pace
}

impl Keeper {
    /// Ends the core of a keeper before this one, which this one cannot hear, and performs what it
    /// had asked for.
    pub(super) fn end_former(&mut self) {
        if self.linux.region.core_process().load(Ordering::Acquire) == 0 {
            return;
        }
        let _how = self.end();
        self.settle();
    }

    /// Another core takes the place of one that asked for it.
    pub(super) fn renew(&mut self) {
        self.end_former();
        self.why = Some(Handover::Again);
        self.linux.expect_new_core();
    }

    /// Makes room for the next; how long it is to be waited with.
    pub(super) fn replace(&mut self, trouble: Trouble) -> Duration {
        // Also one that comes to life, or that is told the time.
        let had_work = !self.is_idle || self.linux.intake.handed().is_some();
        let (how, is_stopped) = self.end();
        self.why = Some(Handover::Fault);
        self.settle();
        let was_killed = matches!(trouble, Trouble::Gone)
            && matches!(how, Some(ExitStatus::Signal { number, .. }) if number == Signal::KILL.0);
        let killed = match (was_killed, self.linux.intake.killed.get()) {
            (true, count) if self.is_idle => count,
            (true, count) => count.saturating_add(1),
            (false, _) => 0,
        };
        self.linux.intake.killed.set(killed);
        let pace = pace(killed);
        self.tell(trouble, (how, is_stopped), pace);
        if had_work && !was_killed {
            let vain = self.linux.region.get(at::VAIN).saturating_add(1);
            self.linux.region.set(at::VAIN, vain);
            intake::blame(&self.linux.region);
            let signal = match (trouble, how) {
                (Trouble::Gone, Some(ExitStatus::Signal { number, .. })) => number,
                _ => 0,
            };
            epitaph::leave_of_core(self.linux.region, signal);
            self.linux.escalate();
        }
        self.linux.expect_new_core();
        pace
    }

    /// Kills the core's process and waits until it is gone: from then on nobody else writes to the
    /// words. It has nothing that could keep it.
    /// How it ended, and whether somebody had stopped it.
    fn end(&mut self) -> (Option<ExitStatus>, bool) {
        let pid = self.linux.region.core_process().load(Ordering::Acquire);
        let (mut look, mut is_stopped) = (LOOK, false);
        let how = loop {
            let state = wait::apart(pid);
            is_stopped |= state == Apart::Stopped;
            match state {
                Apart::Ended(how) => break Some(how),
                Apart::Unknown => break None,
                Apart::Runs | Apart::Stopped => {
                    let _ = process::signal(pid, Signal::KILL.0);
                    line::pause(look);
                    look = look.doubled().min(LOOK_MAX);
                }
            }
        };
        self.linux.now.set(None);
        self.linux.region.core_process().store(0, Ordering::Release);
        (how, is_stopped)
    }

    /// Performs what the core had asked for. Where that cannot be read, whoever waits for an answer
    /// is hung up on: it may have been among it.
    fn settle(&mut self) {
        if self.desk.settle(&mut self.linux).is_err() {
            self.linux.hang_up_on_waiting();
        }
    }

    fn tell(
        &mut self,
        trouble: Trouble,
        (how, is_stopped): (Option<ExitStatus>, bool),
        pace: Duration,
    ) {
        let (now, region, manifest) = (self.linux.now(), self.linux.region, self.linux.manifest);
        let [ms, pace_ms] = [self.patience, pace]
            .map(|span| u32::try_from(span.as_us() / 1_000).unwrap_or(u32::MAX));
        report::write_line(&mut self.linux.console, now, &|line| {
            line.text("the core ");
            match trouble {
                Trouble::Gone => match how {
                    Some(how) => line.text("ended: ").exit(how),
                    None => line.text("is gone"),
                },
                Trouble::Silent if is_stopped => line.text("was stopped by somebody"),
                Trouble::Silent => line.text("did not answer for ").number(ms).text(" ms"),
                Trouble::Breach(Breach::Damaged) => line.text("damaged its ring"),
                Trouble::Breach(Breach::Forbidden) => {
                    line.text("asked for what the manifest does not allow")
                }
                Trouble::Breach(Breach::TooOften) => line.text("asked too often"),
            };
            if RECORDS {
                epitaph::about(region, manifest, line);
            }
            line.text("; another takes its place");
            if pace_ms > 0 {
                line.text(" in ").number(pace_ms).text(" ms");
            }
        });
    }
}

impl Linux {
    /// The next core may not have heard of what the last was told.
    fn expect_new_core(&mut self) {
        self.intake.begin_again();
        self.tell_who_is_gone();
    }

    /// A unit's execution is told again: that it happened was lost with the core.
    pub(crate) fn watch_readiness_again(&self, unit: UnitId) {
        if let Some((end, child, None)) = self.ready.get(unit) {
            let source = Source::Ready(unit, child.generation);
            self.waiting.watch_end_again(end, source);
        }
    }
}
