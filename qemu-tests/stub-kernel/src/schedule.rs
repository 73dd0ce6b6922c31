//! This file decides who runs: strict priority, shares among equals, sleep when nobody can.

use crate::kernel::{Kernel, TIMED_OUT};
use crate::object::{Doing, ThreadId};
use crate::sys::boot::Frame;
use crate::sys::cpu;

/// A share is this part of a second.
const SHARES_PER_SECOND: u64 = 500;

impl Kernel {
    /// Who goes on, after whatever happened.
    pub fn leave(&mut self) -> *const Frame {
        self.time_out();
        self.end_core();
        self.reschedule |= cpu::ticks() >= self.share_ends;
        if self.reschedule {
            self.reschedule = false;
            self.bury();
            self.choose();
            self.share_ends = cpu::ticks() + cpu::frequency() / SHARES_PER_SECOND;
            let space = &self.groups[self.threads[self.current].group].space;
            cpu::switch(space.table());
        }
        let deadline = self.deadline().unwrap_or(u64::MAX);
        cpu::interrupt_at(self.share_ends.min(deadline));
        &raw const *self.threads[self.current].frame
    }

    /// The next of the most important; sleeps until there is one.
    fn choose(&mut self) {
        loop {
            let count = self.threads.len();
            let order = (1..=count).map(|step| (self.current + step) % count);
            let able = order.filter(|index| matches!(self.threads[*index].doing, Doing::Runs));
            let next = able.fold(None, |best: Option<usize>, one| match best {
                Some(best) if self.threads[best].priority >= self.threads[one].priority => {
                    Some(best)
                }
                _ => Some(one),
            });
            if let Some(next) = next {
                self.current = next;
                return;
            }
            let Some(until) = self.deadline() else {
                // That kernel would sleep for ever; whoever watches this one knows at once.
                cpu::print(b"stub: idle for ever\n");
                cpu::power_off();
            };
            cpu::interrupt_at(until);
            cpu::sleep();
            self.time_out();
            self.end_core();
        }
    }

    fn deadline(&self) -> Option<u64> {
        let until = self.threads.iter().filter_map(|thread| match thread.doing {
            Doing::Waits(_, until) if self.has_clock => until,
            _ => None,
        });
        until.chain(self.deaths.tick()).min()
    }

    /// Those whose limit has come wake.
    fn time_out(&mut self) {
        let now = cpu::ticks();
        for index in 0..self.threads.len() {
            let thread = &self.threads[index];
            if let Doing::Waits(_, Some(until)) = thread.doing
                && self.has_clock
                && until <= now
            {
                let serial = thread.serial;
                self.wake(ThreadId { index, serial }, TIMED_OUT);
            }
        }
    }

    /// Threads of processes that ended go.
    pub fn bury(&mut self) {
        for thread in self.threads.iter_mut().filter(|thread| thread.dying) {
            thread.doing = Doing::Gone;
            thread.dying = false;
        }
    }
}
