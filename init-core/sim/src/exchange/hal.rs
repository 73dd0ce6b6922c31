//! This file is the HAL between a keeper and the simulated kernel: at every call it may die.

use super::kernel::{Happening, Kernel, Running, Trial};
use init_core::checkpoint::words::Words;
use init_core::effect::FinalAction;
use init_core::event::{Errno, ExitStatus};
use init_core::hal::fake::Console;
use init_core::hal::{Clock, ControlPort, EventSource, Platform, Power, Process, Wake};
use init_core::ident::{Child, ClientId, Generation, Role, UnitId};
use init_core::protocol::{Reader, Response};
use init_core::renewal::{Image, Obstacle};
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
        self.serial += 1;
        let serial = self.serial;
        let pid = u32::try_from(serial).unwrap_or(u32::MAX);
        self.processes.push(Running {
            serial,
            name,
            role,
            generation,
            pid,
            speaks: false,
            ended: None,
        });
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
        let is_it = |it: &&Running| {
            (it.name, it.role, it.generation) == (name, child.role, child.generation)
        };
        let Some(it) = self.processes.iter().find(is_it) else {
            return;
        };
        let serial = it.serial;
        if !self.alone && !self.goes_down() && !self.leaving.contains(&name) {
            self.fail(format!("{name} is signalled, and both programs know it"));
        }
        let after = self.random.span(Duration::from_ms(40));
        let status = ExitStatus::Signal {
            number: signal.0,
            core_dumped: false,
        };
        self.arrange(after, Happening::End(serial, status));
        self.cross();
    }

    fn signal_all(&mut self, signal: Signal) {
        self.cross();
        self.alone = true;
        let living: Vec<u64> = self.processes.iter().map(|it| it.serial).collect();
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
        let found = self.client.as_ref().filter(|it| it.id == client);
        found.map_or(&[], |it| it.frame.as_slice())
    }

    fn reply(&mut self, client: ClientId, frame: &[u8]) {
        self.cross();
        let Some(it) = self.client.as_mut().filter(|it| it.id == client) else {
            return;
        };
        it.is_answering = true;
        let was = it.program;
        self.cross();
        let answer = Reader::new(frame).and_then(|mut reader| reader.take());
        let done = matches!(answer, Ok(Response::Done));
        if done != (self.program != was) {
            let what = if done { "done" } else { "not done" };
            self.fail(format!("a client is told {what}, and it is otherwise"));
        }
        self.client = None;
        self.cross();
    }

    fn close(&mut self, client: ClientId) {
        self.cross();
        if self.client.as_ref().is_some_and(|it| it.id == client) {
            self.client = None;
        }
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

    fn take_over(&mut self) {
        self.cross();
        if !std::mem::take(&mut self.is_on_probation) {
            return;
        }
        self.takeovers += 1;
        self.trial = Trial::None;
        self.has_outcome = true;
        self.cross();
    }

    fn try_image(&mut self, _: ClientId) -> Result<(), Errno> {
        self.cross();
        if self.trial != Trial::None {
            return Ok(());
        }
        if self.clumsy && self.random.once_in(6) {
            return Err(TRY_AGAIN);
        }
        self.trial = Trial::Goes;
        let after = self.random.span(Duration::from_ms(200));
        let obstacle = (self.clumsy && self.random.once_in(5)).then_some(Obstacle::OtherLayout);
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
        self.manifests[1 - self.program]
            .find(name.as_bytes())
            .is_some()
    }

    fn has_passed_trial(&self) -> bool {
        matches!(self.trial, Trial::Passed | Trial::Ended(None))
    }

    fn renew(&mut self, image: Image) -> Errno {
        self.cross();
        if image != Image::New {
            self.fail("the same program is to be executed, and nobody asked for that");
            return NO_MEMORY;
        }
        if !self.has_passed_trial() {
            self.fail("an image is executed that stood no trial");
        }
        if self.clumsy && self.random.once_in(5) {
            return NO_MEMORY;
        }
        let known = |it: &Running| {
            let is_told = self.is_told(it);
            let other = self.manifests[1 - self.program];
            is_told || other.find(it.name.as_bytes()).is_some()
        };
        if !self.processes.iter().all(known) {
            self.fail("an image is executed that does not know who runs");
        }
        self.executions += 1;
        self.program = 1 - self.program;
        self.is_on_probation = true;
        std::panic::resume_unwind(Box::new(super::End::Executed))
    }
}
