//! This file answers the rows about processes: quotas, exits, what a process may not do, priority,
//! memory that outlives them, and the exit ring.

use super::child::{STEP_BYTES, STEPS_AT, Step};
use super::got::Got;
use super::plain::is_cap;
use super::walk::{A_WHILE, Child, Hands, NO_CAP, page, word};
use crate::abi::Kernel;
use crate::abi::number::Number;

/// What the process of the quota rows may use.
const QUOTA_BYTES: u64 = 64 * 1_024;

/// Two processes without threads that have one badge; the first has a quota.
#[derive(Debug, Default)]
pub struct Quota {
    first: i64,
    badge: i32,
}

impl Quota {
    pub fn group<K: Kernel>(&mut self, hands: &mut Hands<'_, K>) -> i64 {
        self.badge = hands.badge();
        self.first = hands.raw.group(self.badge, QUOTA_BYTES);
        is_cap(self.first)
    }

    pub fn group_again<K: Kernel>(&self, hands: &mut Hands<'_, K>) -> i64 {
        let group = hands.raw.group(self.badge, QUOTA_BYTES);
        if group > 0 {
            end_unstarted(hands, group, self.badge);
        }
        is_cap(group)
    }

    pub fn map_other<K: Kernel>(&self, hands: &Hands<'_, K>) -> i64 {
        let memory = page(hands.raw);
        let words = [self.first, memory, word(STEPS_AT), 3, -1];
        is_cap(hands.raw.plain(Number::MAP_PMO, &words))
    }

    pub fn charge<K: Kernel>(&self, hands: &Hands<'_, K>, bytes: i64) -> i64 {
        hands.charge(self.first, bytes)
    }

    /// A thread that must be refused.
    pub fn thread<K: Kernel>(&self, hands: &Hands<'_, K>, priority: i64, kind: u32) -> i64 {
        let mut args = hands.thread(self.first, 0, priority);
        args.kind = kind;
        hands.raw.thread(&args)
    }

    /// The last row with this process: it is ended and freed.
    pub fn thread_nowhere<K: Kernel>(&self, hands: &mut Hands<'_, K>) -> i64 {
        let result = hands.raw.thread(&hands.thread(NO_CAP, 0, 1));
        end_unstarted(hands, self.first, self.badge);
        result
    }
}

fn end_unstarted<K: Kernel>(hands: &mut Hands<'_, K>, group: i64, badge: i32) {
    hands.end(Child {
        group,
        badge,
        steps: 0,
    });
}

impl<K: Kernel> Hands<'_, K> {
    pub fn exit_killed(&mut self) -> Got {
        let child = self.child(&[Step::SPIN], self.priority);
        self.give_way(A_WHILE);
        let killed = self.raw.plain(Number::KILL_GROUP, &[child.group]);
        let code = self.code_of(child);
        let _ = self.recycle(child);
        Got::from([killed, code])
    }

    pub fn kill_oneself(&mut self) -> Got {
        let steps = [
            Step::call(Number::KILL_GROUP, &[0]),
            Step::call(Number::YIELD, &[]),
            Step::exit(1),
        ];
        let child = self.child(&steps, self.priority);
        let code = self.code_of(child);
        let result = self.result(child.steps, 0);
        let _ = self.recycle(child);
        Got::from([result, code])
    }

    pub fn recycle_ended(&mut self) -> i64 {
        let child = self.child(&[Step::exit(0)], self.priority);
        let _ = self.code_of(child);
        self.recycle(child)
    }

    pub fn child_group_create(&mut self) -> i64 {
        self.child_result(Step::call(Number::CREATE_CAP_GROUP, &[word(STEPS_AT)]))
    }

    pub fn child_recycle(&mut self) -> i64 {
        let result = self.child_result(Step::call(Number::CAP_GROUP_RECYCLE, &[0]));
        i64::from(result < 0)
    }

    pub fn child_device_memory(&mut self) -> i64 {
        let words = [0x0900_0000, super::walk::PAGE];
        is_cap(self.child_result(Step::call(Number::CREATE_DEVICE_PMO, &words)))
    }

    pub fn child_memory_quota(&mut self) -> i64 {
        let steps = page(self.raw);
        let child = self.child_within(steps, 64 * 1_024);
        let data = word(crate::abi::layout::PMO_DATA);
        self.result_of(child, Step::call(Number::CREATE_PMO, &[128 * 1_024, data]))
    }

    /// Nobody touches the page afterwards: it is not mapped here, and the process, which has it
    /// mapped, leaves it alone.
    pub fn child_revokes_copies(&mut self) -> Got {
        let (steps, shared) = (page(self.raw), page(self.raw));
        let child = self.child_on(steps);
        let at = word(STEPS_AT).saturating_add(0x10_0000);
        let map = [child.group, shared, at, 3, -1];
        let there = self.raw.plain(Number::MAP_PMO, &map);
        let mut got = Got::default();
        got.push(self.result_of(child, Step::call(Number::REVOKE_CAP, &[there, 1])));
        got.push(self.raw.write(shared, 0, b"gone"));
        got
    }

    fn calls_done_at(&mut self, priority: i64) -> i64 {
        let steps = [Step::call(Number::GET_PRIO, &[0]), Step::SPIN];
        let child = self.child(&steps, priority);
        self.give_way(A_WHILE);
        let done = self.done(child.steps, &[0]);
        self.end(child);
        done
    }

    pub fn priority_below(&mut self) -> i64 {
        self.calls_done_at(self.priority.saturating_sub(1))
    }

    pub fn priority_equal(&mut self) -> i64 {
        self.calls_done_at(self.priority)
    }

    pub fn memory_outlives(&mut self) -> i64 {
        let step_bytes = i64::try_from(STEP_BYTES).unwrap_or(0);
        let memory = page(self.raw);
        let offsets = [0, 1, 2].map(|index: i64| {
            let offset = index.saturating_mul(step_bytes).saturating_mul(2);
            let steps = [Step::call(Number::GET_PRIO, &[0]), Step::exit(0)];
            self.write_steps(memory, offset, &steps);
            offset
        });
        for offset in offsets {
            let child = self.child_on(memory);
            let offset = u64::try_from(offset).unwrap_or(0);
            let _ = self
                .raw
                .thread(&self.thread(child.group, offset, self.priority));
            let _ = self.code_of(child);
            let _ = self.recycle(child);
        }
        self.done(memory, &offsets)
    }

    /// How often we were notified, of what the ring told meanwhile.
    fn notified(&self) -> i64 {
        let mut count = 0_i64;
        while count < 100 && self.raw.wait(self.bell, 0, None) == 0 {
            count = count.saturating_add(1);
        }
        count
    }

    fn take_codes(&mut self, got: &mut Got) {
        while let Some(exit) = self.exits.take() {
            got.push(exit.code.into());
        }
        got.push(self.notified());
    }

    pub fn ring_overflow(&mut self) -> Got {
        let mut got = Got::default();
        let dead = |hands: &mut Self, code| {
            let child = hands.child(&[Step::exit(code)], hands.priority);
            hands.give_way(A_WHILE);
            child
        };
        let five = [1, 2, 3, 4, 5].map(|code| dead(self, code));
        self.take_codes(&mut got);
        let sixth = dead(self, 6);
        self.take_codes(&mut got);
        for child in five.into_iter().chain([sixth]) {
            let _ = self.recycle(child);
        }
        got
    }
}
