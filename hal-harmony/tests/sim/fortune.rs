//! This file is what happens to the simulated machine from outside, and what is seen of its
//! processes as the kernel knows it, whatever anybody says of them.

use super::machine::{Doing, State, TIMED_OUT};
use hal_harmony::abi::number::Number;

/// Something that the kernel knows.
#[derive(Clone, Copy, Debug)]
pub enum Fact<'a> {
    /// A process of this name has its first thread.
    Begun { name: &'a [u8], pid: i32 },
    /// A process has been told to end, which it does if it has not ended.
    Killed { pid: i32 },
    /// A process has ended, with this code.
    Ended { pid: i32, code: i32 },
}

/// Something that is done to the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// A process ends, with this code.
    End(i32, i32),
    /// A process that waits for its own notification wakes.
    Nudge(i32),
    /// Time passes, and nobody runs.
    Hold(u64),
    /// The test is to end: something is wrong.
    GiveUp,
}

/// Who decides what happens, and is shown what did.
pub trait Fortune: Send {
    /// Asked at each call of anybody's, and when everybody sleeps.
    fn deeds(&mut self, now_ns: u64, all_sleep: bool) -> Vec<Deed>;

    /// When it is to be asked again though nobody calls.
    fn alarm_ns(&self) -> Option<u64>;

    /// Whether the root task's call is refused for want of memory.
    fn refuses(&mut self, number: Number) -> bool;

    /// The kernel has done something.
    fn saw(&mut self, fact: Fact<'_>);
}

impl State {
    /// Lets happen what is to happen now.
    pub fn befall(&mut self, all_sleep: bool) {
        let Some(fortune) = &mut self.fortune else {
            return;
        };
        for deed in fortune.deeds(self.now_ns, all_sleep) {
            match deed {
                Deed::End(pid, code) => self.end_pid(pid, code),
                Deed::Nudge(pid) => self.nudge(pid),
                Deed::Hold(ns) => self.now_ns += ns,
                Deed::GiveUp => {
                    // Who began the machine leaves it, and may sleep like everybody.
                    self.is_given_up = true;
                    self.wake(0, TIMED_OUT);
                }
            }
        }
        self.time_out();
    }

    /// The next moment at which something is to happen.
    pub fn alarm_ns(&self) -> Option<u64> {
        self.fortune.as_ref()?.alarm_ns()
    }

    pub fn show(&mut self, fact: Fact<'_>) {
        if let Some(fortune) = &mut self.fortune {
            fortune.saw(fact);
        }
    }

    fn end_pid(&mut self, pid: i32, code: i32) {
        let its = |group: &super::machine::Group| group.pid == pid && !group.told;
        if let Some(group) = self.groups.iter().position(its) {
            self.end(group, code);
            self.bury();
        }
    }

    fn nudge(&mut self, pid: i32) {
        for thread in 0..self.threads.len() {
            let is_its = self.groups[self.threads[thread].group].pid == pid;
            if is_its && matches!(self.threads[thread].doing, Doing::Waits(..)) {
                self.wake(thread, TIMED_OUT);
            }
        }
    }

    /// The process whose thread runs.
    pub fn own_pid(&self) -> i32 {
        self.groups[self.threads[self.baton].group].pid
    }
}
