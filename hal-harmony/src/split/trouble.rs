//! This file replaces a core that is gone or does what no core does: it ends the process, performs
//! what that had asked for, and says why.

use super::{Keeper, RETRY, Trouble};
use crate::abi::{Asked, Kernel};
use crate::children::CORE;
use crate::lasting::Death;
use init_core::effect::FinalAction;
use init_core::event::{Event, ExitStatus};
use init_core::hal::{Clock, ControlPort, Power, Wake};
use init_core::relay::Breach;
use init_core::renewal::Handover;
use init_core::report::Line;

/// Cores that may end of the same thing before it is put aside.
const DEATHS_MAX: u32 = 2;

/// Cores in a row, none of which deals with anything: more are in vain, and the machine starts
/// again.
const VAIN_MAX: u32 = 8;

/// The code of a process that somebody killed. No core ends with it by itself.
const KILLED: ExitStatus = ExitStatus::Code(0);

/// What is left of it for the next boot.
fn death(trouble: Trouble) -> Death {
    match trouble {
        Trouble::Gone(KILLED) => Death::Killed,
        Trouble::Gone(ExitStatus::Code(code)) => Death::Code(code),
        Trouble::Gone(ExitStatus::Signal { .. } | ExitStatus::NotExecuted { .. }) => Death::Fault,
        Trouble::Silent => Death::Silent,
        Trouble::Breach(_) => Death::Breach,
    }
}

impl<K: Kernel + 'static> Keeper<K> {
    /// Another core takes the place of one that asked for it.
    pub(super) fn renew(&mut self) {
        let _how = self.end();
        self.why = Some(Handover::Again);
        self.expect_new();
    }

    /// Makes room for the next.
    pub(super) fn replace(&mut self, trouble: Trouble) {
        let is_own_fault = !matches!(trouble, Trouble::Gone(KILLED));
        if is_own_fault
            && !self.is_new
            && let Some(handed) = &mut self.handed
        {
            handed.deaths = handed.deaths.saturating_add(1);
        }
        if !matches!(trouble, Trouble::Gone(_)) {
            let _how = self.end();
        }
        self.why = Some(Handover::Fault);
        self.expect_new();
        self.healings = self.healings.saturating_add(1);
        self.tell(trouble);
        self.harmony.lasting.healed(death(trouble));
        if is_own_fault && (self.is_new || self.handed.is_some()) {
            self.vain = self.vain.saturating_add(1);
        }
        if self.vain > VAIN_MAX {
            self.vain = 0;
            self.start_again();
        }
    }

    /// Cores get nothing done any more. Where the board cannot begin anew, there is nothing to do
    /// but to go on.
    fn start_again(&mut self) {
        let can = self.harmony.config.reset.is_some();
        self.write(&|line| {
            line.text("the core ends again and again");
            line.text(if can {
                ": the machine starts again"
            } else {
                ", and this board cannot start the machine again"
            });
        });
        if can {
            let now = self.harmony.now();
            self.harmony.finish(FinalAction::Reboot, now);
        }
    }

    /// What the last core asked for is performed. Where that cannot be read, whoever waits for an
    /// answer is refused: it may have been among it. The next may not have heard of what the last
    /// was told.
    fn expect_new(&mut self) {
        let post = &self.harmony.courier.post;
        for asked in [self.asked.take(), post.take_core()].into_iter().flatten() {
            post.give_core(Asked::forget(asked));
        }
        if self.desk.settle(&mut self.harmony).is_err() {
            self.harmony.sessions.hang_up();
        }
    }

    /// Kills the core's process and waits until it is gone: from then on nobody else writes to the
    /// words. How it ended, if there was one.
    fn end(&mut self) -> Option<ExitStatus> {
        while self.harmony.children.pid_of(CORE).is_some() {
            if let Some(group) = self.harmony.children.group_to_kill(CORE) {
                self.harmony.calls.kill(group);
            }
            if let Some(how) = self.take_end() {
                return Some(how);
            }
            self.listen();
            let now = self.harmony.now();
            let again = now.after(RETRY);
            let is_ending = self.harmony.children.is_ending(CORE);
            self.harmony.doze(Some(again), now, is_ending);
        }
        None
    }

    /// There was no memory or no process for a core: somebody may give some back.
    pub(super) fn pause(&mut self) {
        let until = self.harmony.now().after(RETRY);
        loop {
            let _none = self.take_end();
            self.listen();
            let now = self.harmony.now();
            if now >= until {
                return;
            }
            self.harmony.doze(Some(until), now, false);
        }
    }

    /// The core has dealt with what it was told: it need not be kept any longer. If a new core has
    /// not, because that was lost with the one before, it is told again.
    pub(super) fn settle(&mut self, taken_in: u32) {
        let is_new = core::mem::take(&mut self.is_new);
        let is_forsaken = core::mem::take(&mut self.harmony.is_forsaken);
        self.taken_in = taken_in;
        let Some(handed) = self.handed.take() else {
            return;
        };
        let wake = handed.wake;
        // Generations begin anew with a core without a state: what is said of a process that is
        // gone would be taken for the next one's.
        let is_of_a_process = matches!(
            wake,
            Wake::Event(Event::Exited { .. } | Event::Ready(_) | Event::Heartbeat(_))
        );
        let is_lost = handed.stamp == taken_in || is_forsaken && !is_of_a_process;
        if !is_new || !is_lost {
            self.vain = 0;
            return;
        }
        if handed.deaths >= DEATHS_MAX {
            return self.put_aside(wake);
        }
        self.again = match wake {
            // It may have been answered before the end.
            Wake::Frame(client) if self.harmony.frame(client).is_empty() => None,
            _ => Some(handed),
        };
    }

    /// Two cores ended of it.
    fn put_aside(&mut self, wake: Wake) {
        if let Wake::Frame(client) = wake {
            self.harmony.close(client);
        }
        self.write(&|line| {
            line.text("cores end of it, so it is put aside: ");
            line.text(match wake {
                Wake::Event(Event::Exited { .. }) => "the end of a process",
                Wake::Event(Event::Ready(_)) => "a service's readiness",
                Wake::Event(Event::Heartbeat(_)) => "a heartbeat",
                Wake::Event(Event::ClientGone(_)) => "the end of a client",
                Wake::Event(_) => "an event of the machine",
                Wake::Frame(_) => "a client's request",
            });
        });
    }

    fn tell(&mut self, trouble: Trouble) {
        let ms = u32::try_from(self.patience.as_us() / 1_000).unwrap_or(u32::MAX);
        let count = self.healings;
        self.write(&|line| {
            line.text("the core ");
            match trouble {
                Trouble::Gone(KILLED) => line.text("was ended by somebody"),
                Trouble::Gone(how) => line.text("ended: ").exit(how),
                Trouble::Silent => line.text("did not answer for ").number(ms).text(" ms"),
                Trouble::Breach(Breach::Damaged) => line.text("damaged its ring"),
                Trouble::Breach(Breach::Forbidden) => {
                    line.text("asked for what the manifest does not allow")
                }
                Trouble::Breach(Breach::TooOften) => line.text("asked too often"),
            };
            line.text("; another takes its place: ").number(count);
        });
    }

    fn write(&mut self, words: &dyn Fn(&mut Line<'_>)) {
        self.harmony.console.say("keeper", words);
    }
}
