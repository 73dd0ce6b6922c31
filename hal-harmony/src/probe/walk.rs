//! This file makes the processes that the probe needs, and sees how they end.
//!
//! Nothing here sleeps: a process has the root task's own priority, so giving way lets it run, on
//! boards without a clock too. Every loop is bounded.

use super::child::{CODE, CODE_AT, NOT_YET, STEP_BYTES, STEPS_AT, Step};
use crate::abi::Kernel;
use crate::abi::layout::{PMO_DATA, READ, RingPage, SYNC_INSTRUCTIONS, THREAD_USER, ThreadArgs};
use crate::abi::number::Number;
use crate::abi::raw::Raw;
use crate::exits::{Exit, Exits};

/// A page, as the kernel counts it.
pub const PAGE: i64 = 4_096;
/// Turns given away until a process is thought to be stuck.
const PATIENCE: u32 = 10_000;
/// Turns given away so that another may do what it can.
pub const A_WHILE: u32 = 50;
/// What a row shows when the kernel did not answer at all.
pub const NEVER: i64 = -9_999;
/// What a number is that is no capability.
pub const NO_CAP: i64 = 9_999;

/// A process of the probe.
#[derive(Clone, Copy, Debug)]
pub struct Child {
    pub group: i64,
    pub badge: i32,
    /// The page of its steps.
    pub steps: i64,
}

/// What the probe holds.
#[derive(Debug)]
pub struct Hands<'k, K> {
    pub raw: Raw<'k, K>,
    /// What exits are told by, and where.
    pub bell: i64,
    /// What asking for that came to.
    pub registered: i64,
    pub exits: Exits,
    /// An address at which the root task has nothing.
    pub window: i64,
    pub priority: i64,
    code: i64,
    last_badge: i32,
}

impl<'k, K: Kernel> Hands<'k, K> {
    /// Has exits told, and makes the processes' program.
    pub fn new(kernel: &'k K, ring: &'static RingPage, window: i64) -> Self {
        let raw = Raw(kernel);
        let bell = raw.plain(Number::CREATE_NOTIFC, &[]);
        let registered = raw.register(bell, ring);
        let code = page(raw);
        for (index, word) in CODE.iter().enumerate() {
            let offset = i64::try_from(index).unwrap_or(0).saturating_mul(4);
            let _ = raw.write(code, offset, &word.to_le_bytes());
        }
        let _ = raw.plain(Number::MAP_PMO, &[0, code, window, word(READ), -1]);
        let operation = word(SYNC_INSTRUCTIONS);
        let _ = raw.plain(Number::CACHE_FLUSH, &[window, PAGE, operation]);
        let _ = raw.plain(Number::UNMAP_PMO, &[0, code, window]);
        Self {
            raw,
            bell,
            registered,
            exits: Exits::new(ring),
            window,
            priority: raw.plain(Number::GET_PRIO, &[0]),
            code,
            last_badge: 299,
        }
    }

    /// A badge that no process of the probe has had.
    pub fn badge(&mut self) -> i32 {
        self.last_badge = self.last_badge.saturating_add(1);
        self.last_badge
    }

    /// A process that makes these calls.
    pub fn child(&mut self, steps: &[Step], priority: i64) -> Child {
        let memory = page(self.raw);
        self.write_steps(memory, 0, steps);
        let child = self.child_on(memory);
        let _ = self.raw.thread(&self.thread(child.group, 0, priority));
        child
    }

    /// A process without a thread, whose page of steps this is.
    pub fn child_on(&mut self, steps: i64) -> Child {
        self.child_within(steps, u64::MAX)
    }

    /// As [`Self::child_on`], with this quota.
    pub fn child_within(&mut self, steps: i64, quota: u64) -> Child {
        let badge = self.badge();
        let group = self.raw.group(badge, quota);
        let code = [group, self.code, word(CODE_AT), 5, -1];
        let _ = self.raw.plain(Number::MAP_PMO, &code);
        let _ = self
            .raw
            .plain(Number::MAP_PMO, &[group, steps, word(STEPS_AT), 3, -1]);
        Child {
            group,
            badge,
            steps,
        }
    }

    /// The thread that takes the steps from this byte of the page on.
    pub fn thread(&self, group: i64, offset: u64, priority: i64) -> ThreadArgs {
        ThreadArgs {
            cap_group: i32::try_from(group).unwrap_or(-1),
            stack: STEPS_AT.saturating_add(4_096),
            pc: CODE_AT,
            argument: STEPS_AT.saturating_add(offset),
            tls: 0,
            priority: u32::try_from(priority).unwrap_or(0),
            kind: THREAD_USER,
        }
    }

    pub fn write_steps(&self, memory: i64, offset: i64, steps: &[Step]) {
        let mut at = offset;
        for step in steps {
            let _ = self.raw.write(memory, at, &step.bytes());
            at = at.saturating_add(i64::try_from(STEP_BYTES).unwrap_or(0));
        }
    }

    /// What the call of this step came to.
    pub fn result(&self, memory: i64, offset: i64) -> i64 {
        let mut bytes = [0; 8];
        let _ = self.raw.read(memory, offset.saturating_add(56), &mut bytes);
        let [a, b, c, d, ..] = bytes;
        i64::from(i32::from_le_bytes([a, b, c, d]))
    }

    /// How many of the first calls have returned.
    pub fn done(&self, memory: i64, offsets: &[i64]) -> i64 {
        let is_done = |at: &i64| i64::from(self.result(memory, *at) != NOT_YET);
        let done = offsets.iter().map(is_done);
        // `sum` would check for an overflow that cannot be.
        done.fold(0, i64::saturating_add)
    }

    pub fn give_way(&self, turns: u32) {
        for _ in 0..turns {
            let _ = self.raw.plain(Number::YIELD, &[]);
        }
    }

    /// The next exit, if it comes; also without a notification, which then was lost.
    pub fn exit(&mut self) -> Option<Exit> {
        for _ in 0..PATIENCE {
            let told = self.raw.wait(self.bell, 0, None) == 0;
            if let Some(exit) = self.exits.take() {
                // It may have come between the two looks: a tick lets others run at any time.
                let told = told || self.raw.wait(self.bell, 0, None) == 0;
                return told.then_some(exit);
            }
            self.give_way(1);
        }
        None
    }

    /// The code with which this process ends.
    pub fn code_of(&mut self, child: Child) -> i64 {
        match self.exit() {
            Some(exit) if exit.badge == child.badge => i64::from(exit.code),
            Some(_) | None => NEVER,
        }
    }

    /// Frees an ended process; the last answer.
    pub fn recycle(&self, child: Child) -> i64 {
        let mut last = NEVER;
        for _ in 0..PATIENCE {
            last = self.raw.plain(Number::CAP_GROUP_RECYCLE, &[child.group]);
            if last != -11 {
                break;
            }
            self.give_way(1);
        }
        last
    }

    /// Ends and frees a process, whatever it does.
    pub fn end(&mut self, child: Child) {
        let _ = self.raw.plain(Number::KILL_GROUP, &[child.group]);
        let _ = self.exit();
        let _ = self.recycle(child);
    }

    /// A process ends by itself: its code; it is freed.
    pub fn code(&mut self, steps: &[Step]) -> i64 {
        let child = self.child(steps, self.priority);
        let code = self.code_of(child);
        let _ = self.recycle(child);
        code
    }

    /// What a process's only call comes to.
    pub fn child_result(&mut self, step: Step) -> i64 {
        let steps = page(self.raw);
        let child = self.child_on(steps);
        self.result_of(child, step)
    }

    /// What the only call comes to of a process that has no thread yet.
    pub fn result_of(&mut self, child: Child, step: Step) -> i64 {
        self.write_steps(child.steps, 0, &[step, Step::exit(0)]);
        let _ = self.raw.thread(&self.thread(child.group, 0, self.priority));
        let _ = self.code_of(child);
        let _ = self.recycle(child);
        self.result(child.steps, 0)
    }
}

/// A page of memory.
pub fn page<K: Kernel>(raw: Raw<'_, K>) -> i64 {
    raw.plain(Number::CREATE_PMO, &[PAGE, word(PMO_DATA)])
}

/// An address or a small constant, as a call's argument.
pub fn word(word: u64) -> i64 {
    i64::try_from(word).unwrap_or(i64::MAX)
}
