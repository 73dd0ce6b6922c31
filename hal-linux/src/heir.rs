//! This file takes over what the program's life before this one left: children, descriptors and
//! clients stay as they are, and nothing of the file system is needed.

use crate::children;
use crate::intake::{DEATHS_MAX, Handed};
use crate::linux::Linux;
use crate::region::{self, at};
use init_core::checkpoint::words::load;
use init_core::effect::FinalAction;
use init_core::event::Errno;
use init_core::hal::{Clock, Power};
use init_core::ident::{Child, Generation, Role, UnitId};
use init_core::report;
use init_core::time::Duration;
use init_core::unit::Readiness;

/// EFAULT.
const BAD_ADDRESS: Errno = Errno(14);

/// Lives in a row, none of which deals with anything that it takes in: more are in vain.
const VAIN_MAX: u32 = 8;

/// A life that began so long after the one before is not in a row with it.
const VAIN_SECONDS_MAX: u32 = 10;

/// Until the machine starts anew although its file systems are not detached.
const FINISH_TIME: Duration = Duration::from_secs(5);

impl Linux {
    /// Takes over what the life before left; says what it died of, if it did.
    #[inline(never)]
    pub(crate) fn inherit(&mut self, died: bool) {
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
                let generation = u16::try_from(load(generation));
                child.generation = Generation(generation.unwrap_or(0));
                let pid = load(pid);
                if pid != 0 {
                    self.children.insert(child, pid);
                }
                if role == Role::Main {
                    self.inherit_readiness(child);
                }
            }
        }
        self.inherit_clients();
        if died {
            self.tell_death();
        }
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

    /// A process is being started. What two lives have ended of is not tried a third time.
    pub(crate) fn begin_start(&self, child: Child) -> Result<(), Errno> {
        let code = children::code(child.unit, child.role).unwrap_or(0);
        let key = u32::from(code) << 16 | u32::from(child.generation.0);
        let region = self.region;
        let deaths = match region.get(at::STARTING) == key {
            true => region.get(at::STARTING_DEATHS).saturating_add(1),
            false => 0,
        };
        region.set(at::STARTING_DEATHS, deaths);
        if deaths >= DEATHS_MAX {
            region.set(at::STARTING, 0);
            return Err(BAD_ADDRESS);
        }
        region.set(at::STARTING, key);
        Ok(())
    }

    /// What the core's taking in ended two lives is not given to it again.
    pub(crate) fn put_aside(&mut self, handed: Handed) {
        let now = self.now();
        let what = match handed {
            Handed::Exit => "an exit",
            Handed::Signal => "a signal",
            Handed::Ready(_) => "a unit's readiness",
            Handed::Frame(slot) => {
                // Nobody will answer.
                self.make_room(slot.into(), slot);
                "a request"
            }
        };
        report::write_line(&mut self.console, now, &|line| {
            line.text(what)
                .text(" is put aside: process 1 died of it twice");
        });
    }

    /// Where no life gets anything done, nothing but a new start of the machine is left.
    pub(crate) fn escalate(&mut self) {
        let (now, region) = (self.now(), self.region);
        let second = u32::try_from(now.as_us() / 1_000_000).unwrap_or(u32::MAX);
        if second.saturating_sub(region.get(at::BEGAN)) > VAIN_SECONDS_MAX {
            region.set(at::VAIN, 1);
        }
        region.set(at::BEGAN, second);
        if region.get(at::VAIN) > VAIN_MAX {
            report::write_line(&mut self.console, now, &|line| {
                line.text("process 1 dies again and again: the machine starts anew");
            });
            self.finish(FinalAction::Reboot, now.after(FINISH_TIME));
        }
    }
}
