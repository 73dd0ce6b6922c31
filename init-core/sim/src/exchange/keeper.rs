//! This file is a keeper and its cores, one life after the other: what a HAL does around the relay.
//!
//! Core and keeper take turns on one thread: where the core sleeps, the keeper serves.

use super::kernel::Kernel;
use super::region::word;
use super::{End, Plan, Region, solo};
use crate::product::PLACES;
use init_core::checkpoint::words::{BURNT, Words};
use init_core::event::BootOptions;
use init_core::relay::{Bell, Desk, Remote, Step};
use init_core::renewal::Handover;
use init_core::unit::Manifest;
use init_core::{Driver, Storage};
use std::any::Any;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU32, Ordering};

/// What a core, or an image, died of.
pub(super) const SIGNAL: u8 = 4;

/// Lives after which a history that should have come to its end has not.
const LIFE_COUNT_MAX: u32 = 200;
const LIVES_OF_CORES_MAX: u64 = 2_000;

/// A core is woken once in so many times though nobody has an answer for it.
const EARLY_ONE_IN: usize = 20;

/// Process 1 without its core.
struct Keeper {
    kernel: Kernel,
    desk: Desk,
}

/// A core's way to its keeper.
struct Line<'k> {
    keeper: &'k RefCell<Keeper>,
    fuse: &'static AtomicU32,
}

impl Line<'_> {
    fn die_if_burnt(&self) {
        if self.fuse.load(Ordering::Relaxed) == BURNT {
            resume_unwind(Box::new(End::CoreDied));
        }
    }
}

impl Bell for Line<'_> {
    fn ring(&mut self) {
        self.die_if_burnt();
    }

    fn sleep(&mut self) {
        self.die_if_burnt();
        let mut keeper = self.keeper.borrow_mut();
        let kernel = &mut keeper.kernel;
        if !kernel.mischief.is_hostile || !kernel.random.once_in(EARLY_ONE_IN) {
            keeper.serve();
        }
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
                    self.kernel.confirm_exchange(until, &mut self.desk);
                    self.kernel.look(until);
                    let wake = self.kernel.next(until);
                    return self.desk.deliver(wake, &mut self.kernel);
                }
                Ok(Step::Renew) => resume_unwind(Box::new(End::CoreRenewed)),
                Ok(Step::Over) => resume_unwind(Box::new(End::Over)),
                // One that believes damage may: then it is replaced.
                Err(_) if self.kernel.is_damaged => resume_unwind(Box::new(End::CoreDied)),
                Err(breach) => {
                    self.kernel
                        .fail(format!("a good core does what none does: {breach:?}"));
                }
            }
        }
    }

    /// What a core has left is done, before another takes its place.
    fn settle(&mut self) {
        self.kernel.is_new = true;
        let is_whole = self.desk.settle(&mut self.kernel).is_ok();
        // Nothing is done for one that has not taken over.
        if !is_whole && !self.kernel.exchange.goes_on() {
            self.kernel.fail("what a core left is not whole");
            self.kernel.hang_up_on(|it| it.is_heard);
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
    let desk = |region: &Region| Desk::new(Words::new(region.ring), region.manifest, region.read);
    let shared = RefCell::new(Keeper {
        desk: desk(&region),
        kernel,
    });
    let mut is_heir = false;
    for life in 0.. {
        let own = image.unwrap_or(region);
        let mut keeper = shared.borrow_mut();
        if life > LIFE_COUNT_MAX {
            keeper.kernel.fail("it never gets on");
        }
        if keeper.kernel.is_over() {
            break;
        }
        keeper.kernel.begin_life();
        keeper.desk = desk(&own);
        if image.is_some() {
            keeper.desk.put_on_probation();
        }
        let takeovers = keeper.kernel.takeovers;
        drop(keeper);
        let end = live(&shared, &own, &mut is_heir);
        let kernel = &mut shared.borrow_mut().kernel;
        if kernel.takeovers > takeovers {
            // It took over, whatever became of it then.
            region = own;
            image = None;
        }
        match end {
            End::Over => break,
            End::Executed => {
                image = region.adopted_by(kernel.manifest(), plan.mischief.is_solo);
                if image.is_none() {
                    kernel.fail("an image cannot read what there is");
                    kernel.roll_back(Handover::RolledBack(SIGNAL));
                }
                continue;
            }
            End::Again => {}
            End::CoreDied | End::CoreRenewed | End::KeeperDied => kernel.deaths += 1,
        }
        kernel.damage_what_outlives(&region);
        if image.take().is_some() {
            kernel.roll_back(Handover::RolledBack(SIGNAL));
        }
    }
    let mut kernel = shared.into_inner().kernel;
    if kernel.finished.is_none() {
        kernel.fail("the machine's last act does not come");
    }
    kernel
}

/// One life of process 1; how it ended.
fn live(shared: &RefCell<Keeper>, own: &Region, is_heir: &mut bool) -> End {
    let is_solo = shared.borrow().kernel.mischief.is_solo;
    let end = catch_unwind(AssertUnwindSafe(|| match is_solo {
        true => solo::live(&mut shared.borrow_mut().kernel, own),
        false => keep_cores(shared, own, is_heir),
    }));
    let kernel = &mut shared.borrow_mut().kernel;
    end.map_or_else(|cause| kernel.ended_by(&*cause), |()| End::Over)
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
fn keep_cores(shared: &RefCell<Keeper>, own: &Region, is_heir: &mut bool) {
    {
        let keeper = &mut *shared.borrow_mut();
        if keeper.kernel.exchange.has_only_begun() {
            keeper.desk.put_on_probation();
        }
        keeper.settle();
        let Keeper { desk, kernel } = keeper;
        kernel.go_on_exchanging(own, desk);
    }
    loop {
        let Err(cause) = decide(shared, own, is_heir) else {
            return;
        };
        let keeper = &mut *shared.borrow_mut();
        let end = cause.downcast_ref::<End>().copied();
        let is_core = matches!(end, Some(End::CoreDied | End::CoreRenewed));
        if !is_core || keeper.kernel.is_on_probation {
            resume_unwind(cause);
        }
        // Another core takes its place.
        keeper.settle();
        let Keeper { desk, kernel } = keeper;
        if end == Some(End::CoreDied) {
            kernel.deaths += 1;
            kernel.give_exchange_up(own, desk);
        } else if !kernel.exchange.goes_on() {
            kernel.outcome = Some(Handover::Again);
        }
        kernel.damage_what_outlives(own);
    }
}

/// One life of a core; `Err`: what ended it.
fn decide(
    shared: &RefCell<Keeper>,
    own: &Region,
    is_heir: &mut bool,
) -> Result<(), Box<dyn Any + Send>> {
    let (fuse, why, now) = {
        let Keeper { desk, kernel } = &mut *shared.borrow_mut();
        desk.open();
        let exchanged = kernel.prepare_exchange(own, desk);
        let why = exchanged.or(kernel.outcome).unwrap_or(Handover::Fault);
        kernel.lives += 1;
        if kernel.lives > LIVES_OF_CORES_MAX {
            kernel.fail("it never gets on");
        }
        let writes = kernel.ends.core().unwrap_or(u32::MAX - 1);
        (word(writes), why, kernel.now)
    };
    let line = Line {
        keeper: shared,
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
    catch_unwind(AssertUnwindSafe(|| {
        let mut storage = Box::new(Storage::<PLACES>::new());
        let mut driver = Driver::new(storage.core(own.manifest), remote);
        if !driver.resume() {
            driver.boot(BootOptions::default());
        }
        driver.run();
    }))
}
