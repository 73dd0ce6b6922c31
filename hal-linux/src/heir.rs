//! This file takes over what the program's life before this one left: children, descriptors and
//! clients stay as they are, and nothing of the file system is needed.

use crate::linux::Linux;
use crate::region::{self, at};
use core::sync::atomic::Ordering;
use init_core::hal::Clock;
use init_core::ident::{Child, Generation, Role, UnitId};
use init_core::report;
use init_core::unit::Readiness;

impl Linux {
    /// Takes over what the life before left.
    #[inline(never)]
    pub(crate) fn inherit(&mut self) {
        let region = self.region;
        let roles = [Role::Main, Role::Stop, Role::Probe];
        for (unit, _) in (0..=u16::MAX).zip(self.manifest.units) {
            for role in roles {
                let mut child = Child {
                    unit: UnitId(unit),
                    generation: Generation(0),
                    role,
                };
                let [pid, generation, _] = region.entry(child);
                let generation = u16::try_from(generation.load(Ordering::Acquire));
                child.generation = Generation(generation.unwrap_or(0));
                let pid = pid.load(Ordering::Acquire);
                if pid != 0 {
                    self.children.insert(child, pid);
                }
                if role == Role::Main {
                    self.inherit_readiness(child);
                }
            }
        }
        self.inherit_clients();
        self.tell_death();
    }

    /// A unit that is starting says ready where it was told to.
    fn inherit_readiness(&mut self, child: Child) {
        let Some(end) = region::adopt(self.region.ready(child.unit)) else {
            return;
        };
        let desc = self.manifest.unit(child.unit);
        let newline = desc.is_some_and(|desc| matches!(desc.ready, Readiness::Newline(_)));
        // Out of memory: its start takes as long as it may.
        let _ = self.watch_readiness(child, &end, newline);
        self.ready.put(child, end, newline);
    }

    /// Says what the life before died of.
    fn tell_death(&mut self) {
        let (now, region) = (self.now(), self.region);
        let signal = u8::try_from(region.get(at::SIGNAL)).unwrap_or(0);
        report::write_line(&mut self.console, now, &|line| {
            line.text("process 1 died of ").signal(signal);
            line.text(" at ").address(region.long(at::COUNTER));
            line.text(", address ").address(region.long(at::ADDRESS));
        });
    }
}
