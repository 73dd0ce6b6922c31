//! This file replaces a core that is gone or does what no core does: it ends the process, performs
//! what that had asked for, and says why.

use super::{Keeper, RETRY, line, strays};
use crate::carried::upgrades;
use crate::epitaph;
use crate::escalation::VAIN_MAX;
use crate::handed::{self, Handed, KILLED_MAX};
use crate::heal;
use crate::linux::Linux;
use crate::region::{RECORDS, Region, at};
use crate::sys::process;
use crate::sys::signals;
use crate::sys::wait::{self, Apart};
use core::sync::atomic::AtomicU32;
use init_core::checkpoint::words::{load, store};
use init_core::event::ExitStatus;
use init_core::hal::Clock;
use init_core::packed::packed;
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

/// What the alarm of an image that does not take over says, and a program that cannot go on.
const SIGALRM: u8 = 14;
const SIGABRT: u8 = 6;

/// From one look at a process that is ending to the next: first, and at most.
pub(super) const LOOK: Duration = Duration::from_us(50);
pub(super) const LOOK_MAX: Duration = Duration::from_ms(20);

/// Looks at one that was killed, until it is not waited for any longer: two seconds.
const LOOK_COUNT_MAX: u32 = 108;

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
        let _how = self.end();
        self.settle();
    }

    /// For a core: it has the words that both see, and nobody but the keeper what else that mapped.
    pub(super) fn give_up_memory(&self) {
        #[cfg(feature = "freestanding")]
        crate::sys::cage::keep_memory(&[self.linux.region.shared_words().0]);
    }

    /// Whether this program has not taken over yet from the one before.
    pub(super) fn is_on_probation(&self) -> bool {
        self.before().is_some()
    }

    /// What the program before this one left, until this one has taken over.
    fn before(&self) -> Option<&'static Region> {
        let code = upgrades().filter(|_| self.linux.heritage.is_some())?;
        (code.left)()
    }

    /// The number of the core's process, where whoever heals finds it.
    pub(super) fn core_process(&self) -> &'static AtomicU32 {
        self.before().unwrap_or(&self.linux.region).core_process()
    }

    /// The first core did not even find what there is: the program before goes on.
    #[inline(never)]
    pub(super) fn go_back(&mut self, trouble: Trouble) -> ! {
        let end = self.end();
        self.linux.console.drain();
        heal::go_back_after(signal_of(trouble, end.how))
    }

    /// The first core of an image that was to be exchanged alone did not get so far: the one before
    /// has its place again.
    #[cfg(feature = "exchange")]
    #[inline(never)]
    pub(super) fn go_without(&mut self, trouble: Trouble) {
        let end = self.end();
        self.settle();
        self.tell(trouble, end, Duration::ZERO);
        self.give_image_up(trouble, end.how);
        self.linux.expect_new_core();
    }

    /// Another core takes the place of one that asked for it.
    pub(super) fn renew(&mut self) {
        self.end_former();
        self.why = Some(Handover::Again);
        #[cfg(feature = "exchange")]
        self.why_exchanged();
        self.linux.expect_new_core();
    }

    /// Makes room for the next; how long it is to be waited with.
    pub(super) fn replace(&mut self, trouble: Trouble) -> Duration {
        let end = self.end();
        self.why = Some(self.why_of_next());
        self.settle();
        // One that somebody keeps has told nobody how it ended.
        let was_killed = matches!(trouble, Trouble::Gone)
            && match end.how {
                Some(ExitStatus::Signal { number, .. }) => number == Signal::KILL.0,
                Some(_) => false,
                None => end.stays,
            };
        let killed = match (was_killed, self.linux.intake.killed.get()) {
            (true, count) if self.is_idle => count,
            (true, count) => count.saturating_add(1),
            (false, _) => 0,
        };
        self.linux.intake.killed.set(killed);
        let pace = pace(killed);
        self.tell(trouble, end, pace);
        if !was_killed {
            let vain = self.linux.region.get(at::VAIN).saturating_add(1);
            self.linux.region.set(at::VAIN, vain);
            handed::blame(&self.linux.region);
            let signal = match (trouble, end.how) {
                (Trouble::Gone, Some(ExitStatus::Signal { number, .. })) => number,
                _ => 0,
            };
            epitaph::leave_of_core(&self.linux.region, signal);
        }
        self.linux.escalate(was_killed);
        self.linux.expect_new_core();
        pace
    }

    /// Why the next core takes this one's place. What became of an image, this one may not have
    /// heard; and what ended the image, nobody else knows once a core died of something else.
    fn why_of_next(&self) -> Handover {
        match (self.linux.region.get(at::OUTCOME), self.why) {
            (0, _) => Handover::Fault,
            (_, Some(why @ Handover::RolledBack(_))) => why,
            _ => self.linux.why(),
        }
    }

    /// Ends the core.
    fn end(&mut self) -> Ended {
        let end = end(self.core_process());
        self.linux.now.set(None);
        end
    }

    /// Performs what the core had asked for. Where that cannot be read, whoever waits for an answer
    /// is hung up on: it may have been among it.
    fn settle(&mut self) {
        if self.desk.settle(&mut self.linux).is_ok() {
            return;
        }
        #[cfg(feature = "exchange")]
        if self.desk.is_on_probation() {
            // It had no answer to give, and the one before it still has to.
            return;
        }
        self.linux.hang_up_on_waiting();
    }

    fn tell(&mut self, trouble: Trouble, end: Ended, pace: Duration) {
        let (now, region, manifest) = (self.linux.now(), self.linux.region, self.linux.manifest);
        let [ms, pace_ms] =
            [self.patience, pace].map(|span| u32::try_from(span.as_ms()).unwrap_or(u32::MAX));
        report::write_line(&mut self.linux.console, now, &|line| {
            line.say(packed!("the core "));
            match trouble {
                Trouble::Gone => match end.how {
                    Some(how) => line.say(packed!("ended: ")).exit(how),
                    None => line.say(packed!("is gone")),
                },
                Trouble::Silent if end.is_stopped => line.say(packed!("was stopped by somebody")),
                Trouble::Silent => line
                    .say(packed!("did not answer for "))
                    .number(ms)
                    .say(packed!(" ms")),
                Trouble::Breach(Breach::Damaged) => line.say(packed!("damaged its ring")),
                Trouble::Breach(Breach::Forbidden) => {
                    line.say(packed!("asked for what the manifest does not allow"))
                }
                Trouble::Breach(Breach::TooOften) => line.say(packed!("asked too often")),
            };
            if RECORDS {
                epitaph::about(&region, manifest, line);
            }
            if end.stays {
                line.say(packed!("; it was killed, and its process stays"));
            }
            line.say(packed!("; another takes its place"));
            if pace_ms > 0 {
                line.say(packed!(" in "))
                    .number(pace_ms)
                    .say(packed!(" ms"));
            }
        });
    }
}

/// The signal that an image's end is told as.
pub(super) fn signal_of(trouble: Trouble, how: Option<ExitStatus>) -> u8 {
    match (trouble, how) {
        (Trouble::Silent, _) => SIGALRM,
        (Trouble::Gone, Some(ExitStatus::Signal { number, .. })) => number,
        // It ended by itself, or would have been ended.
        (Trouble::Gone | Trouble::Breach(_), _) => SIGABRT,
    }
}

/// A core's end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended {
    /// How it ended; `None`: nobody knows.
    how: Option<ExitStatus>,
    /// Somebody had stopped it.
    is_stopped: bool,
    /// Its process is still there.
    stays: bool,
}

/// Kills a core's process and waits until it is gone: nobody else writes to the words any more. It
/// has nothing that could keep it.
///
/// Others have: a tracer that does not wait for it, who alone sees that it ended, or a control
/// group that is frozen, where it ends as soon as it may go on. In neither it executes another
/// instruction, so it is left where it is.
pub(crate) fn end(process: &AtomicU32) -> Ended {
    let pid = load(process);
    let mut look = LOOK;
    let mut end = Ended {
        how: None,
        is_stopped: false,
        stays: true,
    };
    for _ in 0..LOOK_COUNT_MAX {
        let state = wait::apart(pid);
        end.is_stopped |= state == Apart::Stopped;
        end.how = match state {
            Apart::Ended(how) => Some(how),
            Apart::Unknown => None,
            Apart::Runs | Apart::Stopped => {
                let _ = process::signal(pid, Signal::KILL.0);
                line::pause(look);
                look = look.doubled().min(LOOK_MAX);
                continue;
            }
        };
        end.stays = false;
        break;
    }
    store(process, 0);
    strays::see_off();
    end
}

impl Linux {
    /// Why the first core of this life begins where another was.
    pub(super) fn why_for_core(&self) -> Handover {
        match self.heritage {
            Some(_) => Handover::Upgraded,
            None => self.why(),
        }
    }

    /// The next core may not have heard of what the last was told.
    fn expect_new_core(&mut self) {
        self.intake.begin_again();
        self.tell_who_is_gone();
    }

    /// There is no core that could be told of it: a signal for the way down, be it one that the
    /// last was told and did not take in, leads there without one. It stays where it is, so a next
    /// life finds it as well.
    #[inline(never)]
    pub(super) fn go_down_if_asked(&mut self) {
        let mut set = signals::pending();
        if matches!(self.intake.handed(), Some(Handed::Signal)) {
            set |= signals::bit(handed::signal_taken(&self.region));
        }
        for number in 1..=signals::LAST {
            if set & signals::bit(number) != 0 {
                self.go_down_alone(number);
            }
        }
    }
}
