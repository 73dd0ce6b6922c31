//! This file makes a core: a process with what it shares with the keeper, and nothing else of ours.

use super::{CORE_STACK_BYTES, Keeper, head, parts};
use crate::abi::{Calls, Error, Group, Kernel};
use crate::children::CORE;
use crate::harmony::Config;
use crate::start;
use init_core::hal::Clock;
use init_core::renewal::Handover;

/// Bytes of a core's quota beyond twice what it begins with.
const SPARE_BYTES: u64 = 64 * 1_024;

impl<K: Kernel + 'static> Keeper<K> {
    /// Makes a core.
    pub(super) fn begin(&mut self) -> Result<(), Error> {
        self.is_new = true;
        self.noise = 0;
        self.vain.begin();
        self.desk.open();
        self.tell_head();
        let badge = self.harmony.children.next_badge().ok_or(Error::Range)?;
        let calls = &self.harmony.calls;
        let group = calls.group(badge, b"init-core", self.quota())?;
        self.harmony.courier.post.expect_core(badge);
        match self.fill(&group) {
            Ok(()) => {
                self.harmony.children.insert(CORE, group, false);
                Ok(())
            }
            Err(error) => {
                self.harmony.calls.kill(&group);
                self.harmony.children.insert_stillborn(group);
                Err(error)
            }
        }
    }

    /// What a core may use: what it begins with, as much again, and some. It asks for nothing more;
    /// what else the kernel charges is its own affair.
    fn quota(&self) -> u64 {
        let lengths = self.program.segments().map(|segment| segment.length);
        let program = lengths.fold(CORE_STACK_BYTES, u64::saturating_add);
        program.saturating_mul(2).saturating_add(SPARE_BYTES)
    }

    fn tell_head(&self) {
        let [head, ..] = parts(self.shared.words());
        let why = match self.why {
            None => 0,
            Some(Handover::Again) => 2,
            Some(_) => 1,
        };
        let [a, b, c, d, e, f, g, h] = self.harmony.now().as_us().to_le_bytes();
        head.set(head::WHY, why);
        head.set(head::NOW_LOW, u32::from_le_bytes([a, b, c, d]));
        head.set(head::NOW_HIGH, u32::from_le_bytes([e, f, g, h]));
    }

    fn fill(&self, group: &Group) -> Result<(), Error> {
        let calls: &Calls<K> = &self.harmony.calls;
        calls.show(&self.shared, group)?;
        let given = start::Given {
            program: &self.program,
            arguments: &[None],
            channel: calls.lend(&self.harmony.courier.channel, group)?,
            priority: self.harmony.core_priority(),
        };
        let config = Config {
            stack_bytes: CORE_STACK_BYTES,
            ..self.harmony.config
        };
        start::start(calls, &config, group, &given)
    }
}
