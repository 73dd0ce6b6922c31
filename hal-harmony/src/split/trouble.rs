//! This file replaces a core that is gone or does what no core does: it ends the process, performs
//! what that had asked for, and gives the next what this one was told.

use super::{Handed, Keeper, Settled, Trouble};
use crate::abi::{Asked, Kernel};
use crate::children::CORE;
use crate::lasting::Death;
use init_core::event::{Event, ExitStatus};
use init_core::hal::{Clock, ControlPort, Wake};
use init_core::renewal::Handover;
use init_core::time::Duration;

/// Cores that may end of the same thing by a fault of their own before it is put aside.
const FAULTS_MAX: u32 = 2;

/// Cores that may end while they have the same thing, whatever of.
const ENDS_MAX: u32 = 4;

/// The code of a process that somebody killed, or that ended with it by itself: the kernel shows
/// both alike.
const KILLED: ExitStatus = ExitStatus::Code(0);

/// How long the kernel may take to report the end of a core that it is to end, and to free it: both
/// take it a few turns.
const END_LIMIT: Duration = Duration::from_secs(5);

/// Until it is told again to end it.
const KILL_AGAIN: Duration = Duration::from_ms(20);

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
        let is_in_vain = !self.vain.is_over();
        self.end();
        self.why = Some(Handover::Again);
        self.expect_new();
        if is_in_vain {
            self.live_in_vain();
        }
    }

    /// Makes room for the next.
    pub(super) fn replace(&mut self, trouble: Trouble) {
        if !self.is_new
            && let Some(handed) = &mut self.handed
        {
            handed.ends = handed.ends.saturating_add(1);
            let is_fault = !matches!(trouble, Trouble::Gone(KILLED));
            handed.faults = handed.faults.saturating_add(u32::from(is_fault));
        }
        if !matches!(trouble, Trouble::Gone(_)) {
            self.end();
        }
        self.why = Some(Handover::Fault);
        self.expect_new();
        self.healings = self.healings.saturating_add(1);
        self.tell(trouble);
        self.harmony.lasting.healed(death(trouble));
        if !self.vain.is_over() || self.handed.is_some() {
            self.live_in_vain();
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
        let _of_one_that_is_gone = post.take_noise();
        if self.desk.settle(&mut self.harmony).is_err() {
            self.harmony.sessions.hang_up();
        }
    }

    /// Kills the core's process and waits until it is gone: from then on nobody else writes to the
    /// words. Where the kernel does not report that in time, there can be no other core: that is
    /// told, and the machine starts again. Where the board cannot do that, services are answered
    /// and the core is killed, again and again, and that is told ever less often.
    pub(super) fn end(&mut self) {
        let (mut limit, mut until) = (END_LIMIT, self.harmony.now().after(END_LIMIT));
        while self.harmony.children.pid_of(CORE).is_some() {
            if let Some(group) = self.harmony.children.group_to_kill(CORE) {
                self.harmony.calls.kill(group);
            }
            if self.take_end().is_some() {
                return;
            }
            self.listen();
            let now = self.harmony.now();
            if now >= until {
                self.start_again("the kernel does not end the core");
                limit = limit.doubled();
                until = now.after(limit);
            }
            let again = now.after(KILL_AGAIN);
            let is_ending = self.harmony.children.is_ending(CORE);
            self.harmony.doze(Some(again), now, is_ending);
        }
    }

    /// The core has dealt with what it was told: it need not be kept any longer. If a new core has
    /// not, because that was lost with the one before, it is told again.
    pub(super) fn settle(&mut self, taken_in: u32) -> Settled {
        let is_new = core::mem::take(&mut self.is_new);
        let is_forsaken = core::mem::take(&mut self.harmony.is_forsaken);
        self.taken_in = taken_in;
        // The first has booted; and who comes back for more has dealt with something.
        if !is_new || self.why.is_none() {
            self.vain.end();
        }
        let Some(handed) = self.handed.take() else {
            return Settled::GoesOn;
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
            self.vain.end();
            return Settled::GoesOn;
        }
        if matches!(wake, Wake::Frame(client) if self.harmony.frame(client).is_empty()) {
            // It was answered before the end.
            return Settled::GoesOn;
        }
        if handed.faults >= FAULTS_MAX || handed.ends >= ENDS_MAX {
            return self.put_aside(handed);
        }
        self.again = Some(handed);
        Settled::GoesOn
    }

    fn put_aside(&mut self, handed: Handed) -> Settled {
        self.tell_put_aside(handed.wake);
        match handed.wake {
            // A unit whose end nobody is told seems to run for ever.
            Wake::Event(Event::Exited { child, status }) if status != ExitStatus::PUT_ASIDE => {
                let status = ExitStatus::PUT_ASIDE;
                self.again = Some(Handed {
                    wake: Wake::Event(Event::Exited { child, status }),
                    faults: 0,
                    ends: 0,
                    ..handed
                });
            }
            Wake::Frame(client) => self.harmony.close(client),
            Wake::Event(Event::Machine(request)) => return self.go_down_alone(request),
            Wake::Event(_) => {}
        }
        Settled::GoesOn
    }
}
