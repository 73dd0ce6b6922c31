//! This file runs a core in a thread of its own behind the relay, as its own process would be, and
//! lets it die at any write.

use super::random::Random;
use init_core::checkpoint::words::{BURNT, Words};
use init_core::checkpoint::words_for;
use init_core::event::{BootOptions, Event};
use init_core::hal::fake::Fake;
use init_core::hal::{EventSource, Wake};
use init_core::relay::{self, Bell, Breach, Desk, Remote, Step};
use init_core::renewal::Handover;
use init_core::time::Instant;
use init_core::unit::Manifest;
use init_core::{Driver, Storage};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

/// Units of a test's manifest, at most.
const UNITS: usize = 32;

pub type Memory = &'static [AtomicU32];

pub fn memory(count: usize) -> Memory {
    (0..count)
        .map(|_| AtomicU32::new(0))
        .collect::<Vec<_>>()
        .leak()
}

/// The core's bell: it is dead once its fuse has burnt.
struct Thread {
    keeper: Sender<()>,
    rung: Receiver<()>,
    fuse: &'static AtomicU32,
}

impl Thread {
    fn die_if_burnt(&self) {
        if self.fuse.load(Ordering::Relaxed) == BURNT {
            // Not a failure, and told to nobody.
            std::panic::resume_unwind(Box::new("dead"));
        }
    }
}

impl Bell for Thread {
    fn ring(&mut self) {
        self.die_if_burnt();
        let _ = self.keeper.send(());
    }

    fn sleep(&mut self) {
        if self.rung.recv().is_err() {
            std::panic::resume_unwind(Box::new("replaced"));
        }
    }
}

/// A core that lives.
struct Life {
    calls: Receiver<()>,
    ring: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Life {
    fn begin(keeper: &Keeper, writes: u32) -> Self {
        let (to_keeper, calls) = channel();
        let (ring, rung) = channel();
        let fuse: &'static AtomicU32 = Box::leak(Box::new(AtomicU32::new(writes)));
        let ring_words = Words::new(keeper.ring).with_fuse(fuse);
        let checkpoint = Words::new(keeper.checkpoint).with_fuse(fuse);
        let (manifest, now) = (keeper.manifest, keeper.now());
        let why = (keeper.lives > 1).then_some(Handover::Fault);
        let thread = std::thread::spawn(move || {
            let bell = Thread {
                keeper: to_keeper,
                rung,
                fuse,
            };
            let remote = Remote::new(ring_words, checkpoint, manifest, bell, (why, now));
            let mut storage = Storage::<UNITS>::new();
            let mut driver = Driver::new(storage.core(manifest), remote);
            if !driver.resume() {
                driver.boot(BootOptions::default());
            }
            driver.run();
        });
        Self {
            calls,
            ring: Some(ring),
            thread: Some(thread),
        }
    }

    fn ring(&self) {
        let _ = self.ring.as_ref().map(|ring| ring.send(()));
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        // It has died, or ends where it would sleep.
        self.ring = None;
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Whether a core without a state has to be told: generations begin anew with it, so what is said
/// of a process that is gone would be taken for the next one's.
fn outlives_state(wake: Wake) -> bool {
    !matches!(wake, Wake::Event(Event::Exited { .. } | Event::Ready(_)))
}

/// The keeper, over the fake.
pub struct Keeper {
    pub fake: Fake,
    manifest: &'static Manifest,
    pub ring: Memory,
    pub checkpoint: Memory,
    pub desk: Desk,
    /// What is with the core, and how many events it had taken in before.
    handed: Option<(Wake, u32)>,
    is_new: bool,
    pub lives: u32,
    /// Each core writes random words over all that it can write before it dies.
    pub scribbles: Option<Random>,
}

impl Keeper {
    pub fn new(manifest: &'static Manifest, fake: Fake) -> Self {
        let ring = memory(relay::WORDS);
        let [read] = memory(1) else { unreachable!() };
        Self {
            fake,
            manifest,
            ring,
            checkpoint: memory(words_for(manifest.units.len())),
            desk: Desk::new(Words::new(ring), manifest, read),
            handed: None,
            is_new: true,
            lives: 0,
            scribbles: None,
        }
    }

    fn now(&self) -> Instant {
        init_core::hal::Clock::now(&self.fake)
    }

    /// Keeps a core until the machine's last act; each life has so many writes.
    pub fn keep(&mut self, mut writes: impl FnMut() -> u32) {
        loop {
            self.lives += 1;
            assert!(self.lives < 100_000, "it never gets on");
            self.is_new = true;
            self.fake.forsaken = false;
            self.desk.open();
            let life = Life::begin(self, writes());
            match self.serve(&life) {
                Ok(true) => return,
                Ok(false) => {
                    drop(life);
                    let scribbled = self.scribble();
                    let settled = self.desk.settle(&mut self.fake);
                    assert!(scribbled || settled.is_ok(), "what is left is whole");
                }
                Err(breach) => panic!("a good core does what none does: {breach:?}"),
            }
        }
    }

    fn scribble(&mut self) -> bool {
        let Some(random) = &mut self.scribbles else {
            return false;
        };
        for word in self.ring.iter().chain(self.checkpoint) {
            let [a, b, c, d, ..] = random.number().to_le_bytes();
            word.store(u32::from_le_bytes([a, b, c, d]), Ordering::Relaxed);
        }
        true
    }

    /// `true` after the last act, `false` when the core has died.
    fn serve(&mut self, life: &Life) -> Result<bool, Breach> {
        while life.calls.recv().is_ok() {
            loop {
                match self.desk.serve(&mut self.fake)? {
                    Step::Nothing => break,
                    Step::Done => {}
                    Step::Answered => life.ring(),
                    Step::Waits {
                        until, taken_in, ..
                    } => {
                        let wake = self.next(until, taken_in);
                        self.desk.deliver(wake, &mut self.fake);
                        life.ring();
                    }
                    Step::Renew => return Ok(false),
                    Step::Over => return Ok(true),
                }
                for unit in 0..self.manifest.units.len() {
                    self.check(unit);
                }
            }
        }
        Ok(false)
    }

    fn check(&self, unit: usize) {
        let unit = init_core::ident::UnitId(u16::try_from(unit).unwrap());
        let count = self.fake.count(unit, init_core::ident::Role::Main);
        assert!(count <= 1, "{unit:?} runs {count} times");
    }

    /// The next event: the one that was lost with a core, if it was.
    fn next(&mut self, until: Option<Instant>, taken_in: u32) -> Wake {
        let is_new = std::mem::replace(&mut self.is_new, false);
        if let Some((wake, stamp)) = self.handed
            && is_new
            && (stamp == taken_in || (self.fake.forsaken && outlives_state(wake)))
            && wake != Wake::Event(Event::Tick)
        {
            return wake;
        }
        let wake = self.fake.wait(until, taken_in);
        self.handed = Some((wake, taken_in));
        wake
    }
}
