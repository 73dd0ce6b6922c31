//! This room lets the histories of init-core's own simulation happen over the HAL: its generator,
//! its rules, its shrinker, and in between keeper, core and services over the simulated kernel.
//!
//! A script's units become services and tasks of that kernel (`product`), each process does what
//! the script says of its life (`cast`), the core is watched where it meets the HAL and ends
//! between any two writes or calls (`spy`), and `stage` makes the steps happen and holds what
//! the kernel did against what the core was told.

mod cast;
mod core_side;
mod death;
mod director;
mod process;
mod product;
mod spy;
mod stage;

use crate::sim::Sim;
use crate::world::split::SplitWorld;
use crate::world::{Ground, OWN, Runs, runs_native};
use init_core_sim::campaign::Perform;
use init_core_sim::run::{Broken, Tally};
use init_core_sim::script::Script;
use product::Product;
use stage::{Place, Stage};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What happens, for all who have a part in it. Nobody calls the kernel while it is locked: the
/// kernel locks it, too.
#[derive(Clone)]
pub struct Shared(Arc<Mutex<Stage>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Stage> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What performs scripts, one after the other.
pub fn performer() -> Perform {
    Box::new(perform)
}

/// Lets a script happen.
///
/// # Errors
/// The first rule that was broken.
pub fn perform(script: &Script) -> Result<Tally, Broken> {
    let product = Product::new(script);
    let stage = Shared(Arc::new(Mutex::new(Stage::new(script, &product))));
    let sim = Sim::new(OWN);
    let run = AssertUnwindSafe(|| world(&sim, &product, &stage).keeper.keep());
    let outcome = catch_unwind(run);
    sim.end();
    let console = sim.console();
    let mut stage = stage.lock();
    stage.hear(&console);
    // Where a rule is broken, the machine is left as it is.
    if stage.broken().is_none() {
        match outcome {
            Ok(()) if stage.finished.is_some() => stage.judge_end(),
            Ok(()) => stage.fail("the keeper came to its end without a last act"),
            Err(_) => {
                let words = init_core_sim::panic_words();
                stage.fail(format!("somebody panics: {words}"));
            }
        }
    }
    match stage.broken().cloned() {
        Some(rule) => Err(Broken {
            rule,
            at: stage.now_us,
            console,
        }),
        None => Ok(stage.tally()),
    }
}

/// A machine that runs the product, and to which the stage lets things happen.
fn world(sim: &Sim, product: &Product, stage: &Shared) -> SplitWorld {
    let programs: Vec<Runs> = product
        .programs()
        .map(|unit| {
            let stage = stage.clone();
            let play = move |sim: Sim, channel| heed(&stage, || cast::play(&stage, &sim, channel));
            runs_native(unit, play)
        })
        .collect();
    let ground = Ground::on(sim.clone(), product.graph.clone(), &programs, |sim| {
        let mut state = sim.state();
        state.has_clock = product.has_clock;
        state.fortune = Some(Box::new(Place(stage.clone())));
    });
    let ground = Ground {
        graph: product::stop_programs(ground.graph),
        ..ground
    };
    let stage = stage.clone();
    SplitWorld::new(ground, move |life| heed(&stage, || spy::live(&stage, life)))
}

/// Lets a process live. What it says when it panics is known to its own thread only.
fn heed(stage: &Shared, live: impl FnOnce()) {
    let Err(why) = catch_unwind(AssertUnwindSafe(live)) else {
        return;
    };
    // Whoever ends as all threads do has said nothing.
    let words = init_core_sim::panic_words();
    if !words.is_empty() {
        stage.lock().fail(format!("a process panics: {words}"));
    }
    resume_unwind(why);
}
