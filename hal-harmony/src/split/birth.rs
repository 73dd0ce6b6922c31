//! This file makes a core: a process with what it shares with the keeper, and nothing else of ours.

use super::{CORE_STACK_BYTES, Keeper, head, parts};
use crate::abi::{Calls, Error, Group, Kernel};
use crate::children::CORE;
use crate::harmony::Config;
use crate::start;
use init_core::hal::Clock;
use init_core::renewal::Handover;

impl<K: Kernel + 'static> Keeper<K> {
    /// Makes a core.
    pub(super) fn begin(&mut self) -> Result<(), Error> {
        self.is_new = true;
        self.desk.open();
        self.tell_head();
        let badge = self.harmony.children.next_badge().ok_or(Error::Range)?;
        let calls = &self.harmony.calls;
        let group = calls.group(badge, b"init-core", u64::MAX)?;
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
