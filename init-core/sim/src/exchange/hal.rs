//! This file is the HAL between a keeper and the simulated kernel: at every call it may die.

use super::kernel::{Happening, Kernel, Running, Trial};
use super::{End, SCRIPT_TIME};
use init_core::checkpoint::words::Words;
use init_core::effect::FinalAction;
use init_core::event::{Errno, ExitStatus};
use init_core::hal::fake::Console;
use init_core::hal::{Clock, ControlPort, EventSource, Platform, Power, Process, Wake};
use init_core::ident::{Child, ClientId, Generation, Role, UnitId};
use init_core::renewal::{Handover, Image, Obstacle};
use init_core::time::{Duration, Instant};
use init_core::unit::{KillScope, Program as Executable, Readiness, Signal};

/// ENOMEM: an image cannot be executed. EAGAIN: none can be tried.
const NO_MEMORY: Errno = Errno(12);
const TRY_AGAIN: Errno = Errno(11);

impl Clock for Kernel {
    fn now(&self) -> Instant {
        self.now
    }
}

impl EventSource for Kernel {
    fn wait(&mut self, until: Option<Instant>, _: u32) -> Wake {
        self.next(until)
    }
}

impl Process for Kernel {
    fn spawn(
        &mut self,
        child: Child,
        _: Executable,
        ready: Readiness,
        confirm: bool,
    ) -> Result<u32, Errno> {
        self.cross();
        let (name, generation, role) = (self.name(child.unit), child.generation, child.role);
        let there = self.processes.iter();
        let mut there = there.filter(|it| it.name == name && it.role == role);
        if let Some(same) = there.clone().find(|it| it.generation == generation) {
            return Ok(same.pid);
        }
        if there.any(|it| it.ended.is_none()) {
            self.fail(format!("{name} is started beside itself"));
        }
        let fails = self.mischief.is_hostile && self.random.once_in(12);
        if fails && self.now < Instant::ZERO.after(SCRIPT_TIME) && self.may_have_mishap(name) {
            return Err(TRY_AGAIN);
        }
        let serial = self.make(name, child);
        let pid = u32::try_from(serial).unwrap_or(u32::MAX);
        if confirm || matches!(ready, Readiness::Newline(_)) {
            let after = self.random.span(Duration::from_ms(40));
            self.arrange(after, Happening::Ready(serial));
        }
        self.cross();
        Ok(pid)
    }

    fn signal(&mut self, child: Child, signal: Signal, _: KillScope) {
        self.cross();
        let name = self.name(child.unit);
        let is_it = |it: &Running| {
            (it.name, it.role, it.generation) == (name, child.role, child.generation)
        };
        let Some(it) = self.processes.iter_mut().find(|it| is_it(it)) else {
            return;
        };
        let serial = it.serial;
        let heeds = it.obeys || signal == Signal::KILL;
        let was_asked = std::mem::replace(&mut it.asked, true);
        if !was_asked && !self.alone && !self.goes_down && !self.leaves(name) {
            self.fail(format!("{name} is signalled, and both programs know it"));
        }
        let after = self.random.span(Duration::from_ms(40));
        let status = ExitStatus::Signal {
            number: signal.0,
            core_dumped: false,
        };
        if heeds {
            self.arrange(after, Happening::End(serial, status));
        }
        self.cross();
    }

    fn signal_all(&mut self, signal: Signal) {
        self.cross();
        self.alone = true;
        let heed = |it: &&Running| it.obeys || signal == Signal::KILL;
        let living = self.processes.iter().filter(heed);
        let living: Vec<u64> = living.map(|it| it.serial).collect();
        let status = ExitStatus::Signal {
            number: signal.0,
            core_dumped: false,
        };
        for serial in living {
            self.arrange(Duration::ZERO, Happening::End(serial, status));
        }
        self.cross();
    }
}

impl ControlPort for Kernel {
    fn frame(&self, client: ClientId) -> &[u8] {
        let found = self.clients.iter().find(|it| it.id == client);
        found.map_or(&[], |it| it.frame.as_slice())
    }

    fn reply(&mut self, client: ClientId, frame: &[u8]) {
        self.answer(client, frame);
    }

    fn close(&mut self, client: ClientId) {
        self.cross();
        self.clients.retain(|it| it.id != client);
    }
}

impl Power for Kernel {
    fn finish(&mut self, action: FinalAction, _: Instant) {
        self.cross();
        if self.processes.iter().any(|it| it.ended.is_none()) {
            self.fail("the machine ends with a process that was not killed");
        }
        self.finished = Some(action);
    }
}

impl Platform for Kernel {
    type Console = Console;

    fn console(&mut self) -> &mut Console {
        &mut self.console
    }

    fn region(&self) -> Words<'static> {
        Words::new(&[])
    }

    fn owner(&mut self, unit: UnitId, role: Role) -> Option<(Generation, u32)> {
        let name = self.name(unit);
        let serves = |it: &&Running| it.name == name && it.role == role && !self.is_told(it);
        let found = self.processes.iter().find(serves)?;
        Some((found.generation, found.pid))
    }

    /// Nobody knows any more what those are owed who were heard.
    fn forsake(&mut self) {
        self.is_forsaken = true;
        self.hang_up_on(|it| it.is_heard);
    }

    fn take_over(&mut self) {
        self.cross();
        if self.exchange.take_over() {
            return;
        }
        if !std::mem::take(&mut self.is_on_probation) {
            return;
        }
        self.takeovers += 1;
        self.trial = Trial::None;
        self.cross();
    }

    fn try_image(&mut self, client: ClientId) -> Result<(), Errno> {
        self.cross();
        if self.trial != Trial::None {
            return Ok(());
        }
        if self.clumsy && self.random.once_in(6) {
            return Err(TRY_AGAIN);
        }
        self.trial = Trial::Goes;
        self.tries_core = self.wants_core(client);
        let after = self.random.span(Duration::from_ms(200));
        let obstacle = (self.clumsy && self.random.once_in(5)).then_some(Obstacle::OtherLayout);
        let has_none = self.mischief.is_solo && self.tries_core;
        let obstacle = obstacle.or(has_none.then_some(Obstacle::NoCore));
        self.arrange(after, Happening::Tried(obstacle));
        self.cross();
        Ok(())
    }

    fn end_trial(&mut self) {
        self.cross();
        self.trial = Trial::None;
    }

    fn is_known(&self, unit: UnitId) -> bool {
        let name = self.name(unit);
        if self.tries_core {
            return true;
        }
        self.manifests[1 - self.program]
            .find(name.as_bytes())
            .is_some()
    }

    fn has_passed_trial(&self) -> bool {
        matches!(self.trial, Trial::Passed | Trial::Ended(None))
    }

    fn exchanges_core(&mut self) -> bool {
        self.cross();
        self.begin_exchange()
    }

    fn renew(&mut self, image: Image) -> Errno {
        self.cross();
        if image == Image::Same {
            if !self.mischief.is_hostile {
                self.fail("the same program is to be executed, and nobody asked for that");
            }
            if !self.mischief.is_solo && self.random.once_in(3) {
                return NO_MEMORY;
            }
            self.outcome = Some(Handover::Again);
            std::panic::resume_unwind(Box::new(End::Again))
        }
        if !self.has_passed_trial() {
            self.fail("an image is executed that stood no trial");
        }
        if self.tries_core {
            self.fail("an image is executed that was asked for its core");
        }
        if self.clumsy && self.random.once_in(5) {
            return NO_MEMORY;
        }
        if self.has_strangers(self.manifests[1 - self.program]) {
            self.fail("an image is executed that does not know who runs");
        }
        self.executions += 1;
        self.program = 1 - self.program;
        self.is_on_probation = true;
        self.outcome = Some(Handover::Upgraded);
        std::panic::resume_unwind(Box::new(End::Executed))
    }
}
