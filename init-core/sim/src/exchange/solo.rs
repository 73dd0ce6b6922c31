//! This file is process 1 as one program: core and HAL without a relay in between.

use super::kernel::Kernel;
use super::region::word;
use super::{End, Region};
use crate::product::PLACES;
use init_core::checkpoint::words::{BURNT, Words};
use init_core::effect::FinalAction;
use init_core::event::{BootOptions, Errno};
use init_core::hal::fake::Console;
use init_core::hal::{Clock, ControlPort, EventSource, Platform, Power, Process, Wake};
use init_core::ident::{Child, ClientId, Generation, Role, UnitId};
use init_core::renewal::{Handover, Image};
use init_core::time::Instant;
use init_core::unit::{KillScope, Program, Readiness, Signal};
use init_core::{Driver, Storage};
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicU32, Ordering};

/// The kernel as a life of process 1 has it.
struct Solo<'k> {
    kernel: &'k mut Kernel,
    words: Words<'static>,
    fuse: &'static AtomicU32,
    is_early: bool,
    why: Handover,
}

/// One life, from its first instruction on. Only unwinding ends it, or the machine's last act.
pub(super) fn live(kernel: &mut Kernel, own: &Region) {
    let writes = kernel.ends.core().unwrap_or(u32::MAX - 1);
    let fuse = word(writes);
    kernel.lives += 1;
    let port = Solo {
        why: kernel.outcome.unwrap_or(Handover::Fault),
        words: Words::new(own.checkpoint).with_fuse(fuse),
        kernel,
        fuse,
        is_early: !writes.is_multiple_of(2),
    };
    let mut storage = Box::new(Storage::<PLACES>::new());
    let mut driver = Driver::new(storage.core(own.manifest), port);
    if !driver.resume() {
        driver.boot(BootOptions::default());
    }
    driver.run();
}

impl Solo<'_> {
    /// Nothing that process 1 does after its end has any effect. It may come right after a write,
    /// between an effect's mark and the effect.
    fn kernel(&mut self) -> &mut Kernel {
        let left = self.fuse.load(Ordering::Relaxed);
        if left == BURNT || left == 0 && self.is_early {
            resume_unwind(Box::new(End::KeeperDied));
        }
        self.kernel
    }
}

impl Clock for Solo<'_> {
    fn now(&self) -> Instant {
        self.kernel.now
    }
}

impl EventSource for Solo<'_> {
    fn wait(&mut self, until: Option<Instant>, taken_in: u32) -> Wake {
        let kernel = self.kernel();
        kernel.settle_events(taken_in);
        kernel.look(until);
        if kernel.broken.is_some() {
            resume_unwind(Box::new(End::Over));
        }
        kernel.next(until)
    }
}

impl Process for Solo<'_> {
    fn spawn(
        &mut self,
        child: Child,
        program: Program,
        ready: Readiness,
        confirm: bool,
    ) -> Result<u32, Errno> {
        self.kernel().spawn(child, program, ready, confirm)
    }

    fn signal(&mut self, child: Child, signal: Signal, scope: KillScope) {
        self.kernel().signal(child, signal, scope);
    }

    fn signal_all(&mut self, signal: Signal) {
        self.kernel().signal_all(signal);
    }
}

impl ControlPort for Solo<'_> {
    fn frame(&self, client: ClientId) -> &[u8] {
        self.kernel.frame(client)
    }

    fn reply(&mut self, client: ClientId, frame: &[u8]) {
        self.kernel().reply(client, frame);
    }

    fn close(&mut self, client: ClientId) {
        self.kernel().close(client);
    }
}

impl Power for Solo<'_> {
    fn finish(&mut self, action: FinalAction, deadline: Instant) {
        self.kernel().finish(action, deadline);
    }
}

impl Platform for Solo<'_> {
    type Console = Console;

    fn console(&mut self) -> &mut Console {
        self.kernel().console()
    }

    fn region(&self) -> Words<'static> {
        self.words
    }

    fn handover(&self) -> Handover {
        self.why
    }

    fn owner(&mut self, unit: UnitId, role: Role) -> Option<(Generation, u32)> {
        self.kernel().owner(unit, role)
    }

    fn forsake(&mut self) {
        self.kernel().forsake();
    }

    fn take_over(&mut self) {
        self.kernel().take_over();
    }

    fn try_image(&mut self, client: ClientId) -> Result<(), Errno> {
        self.kernel().try_image(client)
    }

    fn end_trial(&mut self) {
        self.kernel().end_trial();
    }

    fn is_known(&self, unit: UnitId) -> bool {
        self.kernel.is_known(unit)
    }

    fn renew(&mut self, image: Image) -> Errno {
        self.kernel().renew(image)
    }
}
