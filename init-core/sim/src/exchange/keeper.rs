//! This file is a keeper and its cores, one life after the other: what a HAL does around the relay.
//!
//! Core and keeper take turns on one thread: where the core sleeps, the keeper serves.

use super::Plan;
use super::kernel::Kernel;
use crate::product::PLACES;
use init_core::checkpoint::words::{BURNT, Words};
use init_core::checkpoint::{Legacy, name_units, name_words_for, words_for};
use init_core::event::BootOptions;
use init_core::relay::{self, Bell, Desk, Remote, Step};
use init_core::renewal::Handover;
use init_core::time::{Duration, Instant};
use init_core::unit::Manifest;
use init_core::{Driver, Storage};
use std::any::Any;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};

/// What a core, or an image, died of.
const SIGNAL: u8 = 4;

/// A core that wants to be woken later than this waits for nobody: back-offs, time-outs and trials
/// are shorter, but for a trial that never ends.
const QUIET: Duration = Duration::from_secs(10);

/// Lives after which a history that should have come to its end has not.
const LIFE_COUNT_MAX: u32 = 200;

/// How a life ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    CoreDied,
    KeeperDied,
    /// Another program was executed in the keeper's place.
    Executed,
    /// The machine's last act, or a rule was broken.
    Over,
}

/// Words that outlive a program, of one that runs or that may yet be gone back to.
#[derive(Clone, Copy, Debug)]
struct Region {
    manifest: &'static Manifest,
    ring: &'static [AtomicU32],
    checkpoint: &'static [AtomicU32],
    read: &'static AtomicU32,
    names: &'static [AtomicU32],
}

fn memory(count: usize) -> &'static [AtomicU32] {
    let words = (0..count).map(|_| AtomicU32::new(0));
    words.collect::<Vec<_>>().leak()
}

impl Region {
    fn new(manifest: &'static Manifest) -> Self {
        let units = manifest.units.len();
        let region = Self {
            manifest,
            ring: memory(relay::WORDS),
            checkpoint: memory(words_for(units)),
            read: Box::leak(Box::new(AtomicU32::new(0))),
            names: memory(name_words_for(units)),
        };
        name_units(Words::new(region.names), manifest);
        region
    }

    /// What this left, as another program writes it down for itself.
    fn adopted_by(&self, manifest: &'static Manifest) -> Option<Self> {
        let names = Words::new(self.names);
        let count = self.manifest.units.len();
        let legacy = Legacy::named(Words::new(self.checkpoint), names, count)?;
        let region = Self::new(manifest);
        let to = Words::new(region.checkpoint);
        legacy.hand_on(to, manifest).then_some(region)
    }
}

/// Process 1 without its core.
struct Keeper {
    kernel: Kernel,
    desk: Desk,
}

/// A core's way to its keeper.
struct Line {
    keeper: Rc<RefCell<Keeper>>,
    fuse: &'static AtomicU32,
}

impl Line {
    fn die_if_burnt(&self) {
        if self.fuse.load(Ordering::Relaxed) == BURNT {
            resume_unwind(Box::new(End::CoreDied));
        }
    }
}

impl Bell for Line {
    fn ring(&mut self) {
        self.die_if_burnt();
    }

    fn sleep(&mut self) {
        self.die_if_burnt();
        self.keeper.borrow_mut().serve();
    }
}

impl Keeper {
    /// Serves until the core has its answer.
    fn serve(&mut self) {
        loop {
            if self.kernel.broken.is_some() {
                resume_unwind(Box::new(End::Over));
            }
            match self.desk.serve(&mut self.kernel) {
                Ok(Step::Done) => {}
                Ok(Step::Answered | Step::Nothing) => return,
                Ok(Step::Waits {
                    until, taken_in, ..
                }) => {
                    self.kernel.settle_events(taken_in);
                    self.look(until);
                    let wake = self.kernel.next(until);
                    return self.desk.deliver(wake, &mut self.kernel);
                }
                Ok(Step::Renew) => self.kernel.fail("nobody asked for another core"),
                Ok(Step::Over) => resume_unwind(Box::new(End::Over)),
                Err(breach) => {
                    self.kernel
                        .fail(format!("a good core does what none does: {breach:?}"));
                }
            }
        }
    }

    /// Where nothing happens any more before the machine goes down, and the core waits for nothing.
    fn look(&mut self, until: Option<Instant>) {
        let later = self.kernel.now.after(QUIET);
        if self.kernel.ends_soon() && until.is_none_or(|until| until > later) {
            self.kernel.check_settled();
        }
    }
}

/// Keeps cores until the machine's last act, or until a rule is broken.
pub(super) fn keep(manifests: [&'static Manifest; 2], plan: &Plan) -> Kernel {
    let mut kernel = Kernel::new(manifests, plan);
    kernel.ends = plan.ends.clone();
    let mut region = Region::new(manifests[0]);
    // What the image wrote down anew, until it has taken over.
    let mut image: Option<Region> = None;
    let mut outcome: Option<Handover> = None;
    let mut lives = 0;
    let desk = |region: &Region| Desk::new(Words::new(region.ring), region.manifest, region.read);
    let mut keeper = Keeper {
        desk: desk(&region),
        kernel,
    };
    let mut is_heir = false;
    while keeper.kernel.finished.is_none() && keeper.kernel.broken.is_none() {
        lives += 1;
        if lives > LIFE_COUNT_MAX {
            keeper.kernel.fail("it never gets on");
            break;
        }
        // A life of the keeper.
        keeper.kernel.begin_life();
        let own = image.unwrap_or(region);
        let takeovers = keeper.kernel.takeovers;
        keeper.desk = desk(&own);
        if image.is_some() {
            keeper.desk.put_on_probation();
        }
        let shared = Rc::new(RefCell::new(keeper));
        let end = catch_unwind(AssertUnwindSafe(|| {
            live(&shared, &own, image.is_some(), &mut is_heir, &mut outcome);
        }));
        keeper = match Rc::try_unwrap(shared) {
            Ok(inner) => inner.into_inner(),
            Err(_) => unreachable!("all that shared it is gone"),
        };
        if keeper.kernel.takeovers > takeovers {
            // It took over, whatever became of it then.
            region = own;
            image = None;
        }
        let end = end.map_or_else(|cause| keeper.kernel.ended_by(&*cause), |()| End::Over);
        match end {
            End::Over => break,
            End::Executed => {
                let manifest = keeper.kernel.manifests[keeper.kernel.program];
                image = region.adopted_by(manifest);
                if image.is_none() {
                    keeper.kernel.fail("an image cannot read what there is");
                }
                continue;
            }
            End::CoreDied | End::KeeperDied => keeper.kernel.deaths += 1,
        }
        if image.take().is_some() {
            keeper.kernel.roll_back();
            outcome = Some(Handover::RolledBack(SIGNAL));
        }
    }
    keeper.kernel
}

impl Kernel {
    /// What ended a life; anything but an end is a failure.
    fn ended_by(&mut self, cause: &(dyn Any + Send)) -> End {
        if let Some(end) = cause.downcast_ref::<End>() {
            return *end;
        }
        self.fail(format!("process 1 panics: {}", crate::panic_words()));
        End::Over
    }
}

/// One life of a keeper: core after core. Only unwinding ends it.
fn live(
    shared: &Rc<RefCell<Keeper>>,
    own: &Region,
    is_image: bool,
    is_heir: &mut bool,
    outcome: &mut Option<Handover>,
) {
    {
        let mut keeper = shared.borrow_mut();
        let Keeper { desk, kernel } = &mut *keeper;
        if desk.settle(kernel).is_err() {
            kernel.fail("what a core left is not whole");
        }
    }
    loop {
        let mut why = Handover::Fault;
        let (fuse, now) = {
            let mut keeper = shared.borrow_mut();
            let kernel = &mut keeper.kernel;
            if is_image && (kernel.is_on_probation || kernel.has_outcome) {
                why = Handover::Upgraded;
            } else if let (true, Some(it)) = (kernel.has_outcome, *outcome) {
                why = it;
            }
            let writes = kernel.ends.core().unwrap_or(u32::MAX - 1);
            let now = kernel.now;
            keeper.desk.open();
            (Box::leak(Box::new(AtomicU32::new(writes))), now)
        };
        let fuse: &'static AtomicU32 = fuse;
        let line = Line {
            keeper: Rc::clone(shared),
            fuse,
        };
        let words = |words| Words::new(words).with_fuse(fuse);
        let why = std::mem::replace(is_heir, true).then_some(why);
        let remote = Remote::new(
            words(own.ring),
            words(own.checkpoint),
            own.manifest,
            line,
            (why, now),
        );
        let end = catch_unwind(AssertUnwindSafe(|| {
            let mut storage = Box::new(Storage::<PLACES>::new());
            let mut driver = Driver::new(storage.core(own.manifest), remote);
            if !driver.resume() {
                driver.boot(BootOptions::default());
            }
            driver.run();
        }));
        let cause = match end {
            Ok(()) => return,
            Err(cause) => cause,
        };
        let is_core = cause.downcast_ref::<End>() == Some(&End::CoreDied);
        if !is_core || shared.borrow().kernel.is_on_probation {
            resume_unwind(cause);
        }
        // Another core takes its place.
        let mut keeper = shared.borrow_mut();
        let Keeper { desk, kernel } = &mut *keeper;
        kernel.deaths += 1;
        kernel.is_new = true;
        if desk.settle(kernel).is_err() {
            kernel.fail("what a core left is not whole");
        }
    }
}
