//! This file watches the core where it meets the HAL: every call is a crossing at which the core
//! may end, on the way in or out, and so is every write to the words that it shares.

use super::Shared;
use crate::sim::Sim;
use crate::world::split::Life;
use hal_harmony::abi::Line;
use init_core::checkpoint::words::{BURNT, Words};
use init_core::effect::FinalAction;
use init_core::event::{BootOptions, Errno};
use init_core::hal::{Clock, ControlPort, EventSource, Platform, Power, Process, Wake};
use init_core::ident::{Child, ClientId, Generation, Role, UnitId};
use init_core::relay::{self, Bell, Remote};
use init_core::renewal::{Handover, Image};
use init_core::time::Instant;
use init_core::unit::{KillScope, Program, Readiness, Signal};
use init_core::{Driver, Storage};
use std::sync::atomic::{AtomicU32, Ordering};

/// Words before the ring: why there is another core, and the time.
const HEAD_WORDS: usize = 4;

/// Whether a core goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leap {
    GoesOn,
    Ends,
}

/// How the core calls, and how it ends.
#[derive(Clone)]
struct Rope {
    stage: Shared,
    line: Line<Sim>,
    fuse: &'static AtomicU32,
}

impl Rope {
    /// Nothing that a core does after its end has any effect.
    fn end_if_burnt(&self) {
        if self.fuse.load(Ordering::Relaxed) == BURNT {
            let code = self.stage.lock().deaths.code();
            loop {
                self.line.exit(code);
            }
        }
    }
}

impl Bell for Rope {
    fn ring(&mut self) {}

    fn sleep(&mut self) {
        self.end_if_burnt();
        if self.line.ask(&[0; 64]).is_none() {
            self.line.give_way();
        }
    }
}

/// The keeper, as a core has it.
struct Spy {
    inner: Remote<Rope>,
    rope: Rope,
    /// It has not waited yet.
    is_new: bool,
}

/// Is a core.
pub fn live(stage: &Shared, life: &Life) {
    let fuse = stage.lock().deaths.fuse;
    let words = |words| Words::new(words).with_fuse(fuse);
    let rope = Rope {
        stage: stage.clone(),
        line: Line::new(life.sim.clone(), life.channel),
        fuse,
    };
    let [why, low, high, ..] = life.words else {
        return;
    };
    let [why, low, high] = [why, low, high].map(|word| word.load(Ordering::Relaxed));
    let why = [None, Some(Handover::Fault), Some(Handover::Again)]
        .get(usize::try_from(why).unwrap_or(1))
        .copied()
        .flatten();
    let now = Instant::from_us(u64::from(high) << 32 | u64::from(low));
    let (ring, state) = life.words[HEAD_WORDS..].split_at(relay::WORDS);
    stage.lock().begin_life(state, now);
    let inner = Remote::new(
        words(ring),
        words(state),
        life.manifest,
        rope.clone(),
        (why, now),
    );
    let spy = Spy {
        inner,
        rope,
        is_new: true,
    };
    let mut storage = Storage::<16>::new();
    let mut driver = Driver::new(storage.core(life.manifest), spy);
    if !driver.resume() {
        stage.lock().booted();
        driver.boot(BootOptions::default());
    }
    loop {
        let heard = stage.lock().heard;
        let new = life.sim.state().console[heard..].to_vec();
        let new = String::from_utf8_lossy(&new);
        stage.lock().check(driver.core(), &new);
        if !driver.turn() {
            return;
        }
    }
}

impl Spy {
    fn cross(&self) {
        if self.rope.stage.lock().cross() == Leap::Ends {
            self.rope.fuse.store(BURNT, Ordering::Relaxed);
        }
        self.rope.end_if_burnt();
    }

    /// What was called last is written down, and performed whatever becomes of the core.
    fn has_written(&self) -> bool {
        self.rope.fuse.load(Ordering::Relaxed) != BURNT
    }

    fn has_said_end(&self, child: Option<Child>) {
        if self.has_written() {
            self.rope.stage.lock().said_end(child);
        }
    }
}

impl Clock for Spy {
    fn now(&self) -> Instant {
        self.inner.now()
    }
}

impl EventSource for Spy {
    fn wait(&mut self, until: Option<Instant>, taken_in: u32) -> Wake {
        self.cross();
        let is_new = std::mem::take(&mut self.is_new);
        self.rope.stage.lock().settle(taken_in, is_new);
        self.cross();
        let wake = self.inner.wait(until, taken_in);
        let frame = match wake {
            Wake::Frame(client) => self.inner.frame(client).to_vec(),
            Wake::Event(_) => Vec::new(),
        };
        let now = self.inner.now();
        self.rope.stage.lock().told(wake, &frame, now);
        self.cross();
        wake
    }
}

impl Process for Spy {
    fn spawn(
        &mut self,
        child: Child,
        program: Program,
        ready: Readiness,
        confirm: bool,
    ) -> Result<u32, Errno> {
        self.cross();
        self.rope.stage.lock().asks_for(child);
        let outcome = self.inner.spawn(child, program, ready, confirm);
        self.rope.stage.lock().got(child, outcome);
        self.cross();
        outcome
    }

    fn signal(&mut self, child: Child, signal: Signal, scope: KillScope) {
        self.cross();
        self.rope.stage.lock().signals(child, signal);
        self.inner.signal(child, signal, scope);
        self.has_said_end(Some(child));
        self.cross();
    }

    fn signal_all(&mut self, signal: Signal) {
        self.cross();
        self.rope.stage.lock().wants_end(None, signal);
        self.inner.signal_all(signal);
        self.has_said_end(None);
        self.cross();
    }
}

impl ControlPort for Spy {
    fn frame(&self, client: ClientId) -> &[u8] {
        self.inner.frame(client)
    }

    fn reply(&mut self, client: ClientId, frame: &[u8]) {
        self.cross();
        self.rope.stage.lock().answers(client, frame);
        self.inner.reply(client, frame);
        if self.has_written() {
            self.rope.stage.lock().answered(client);
        }
        self.cross();
    }

    fn close(&mut self, client: ClientId) {
        self.cross();
        self.inner.close(client);
        self.cross();
    }
}

impl Power for Spy {
    fn finish(&mut self, action: FinalAction, deadline: Instant) {
        self.cross();
        self.rope.stage.lock().finishes(action);
        self.inner.finish(action, deadline);
    }
}

impl Platform for Spy {
    type Console = <Remote<Rope> as Platform>::Console;

    fn console(&mut self) -> &mut Self::Console {
        self.cross();
        self.inner.console()
    }

    fn region(&self) -> Words<'static> {
        self.inner.region()
    }

    fn handover(&self) -> Handover {
        self.inner.handover()
    }

    fn owner(&mut self, unit: UnitId, role: Role) -> Option<(Generation, u32)> {
        self.cross();
        self.inner.owner(unit, role)
    }

    fn forsake(&mut self) {
        self.inner.forsake();
    }

    fn renew(&mut self, image: Image) -> Errno {
        self.cross();
        self.inner.renew(image)
    }

    fn settle(&mut self) {
        self.inner.settle();
    }
}
