//! This file lets init-core's own generated histories happen over the HAL on the simulated kernel,
//! under the same rules: cores end between any two writes and calls, the kernel refuses calls,
//! services are hostile, and nothing is lost, done twice or said otherwise than it is.
//!
//! `cargo xtask sim --harmony` performs as many as one likes, and shortens what fails.

mod histories;
mod sim;
mod world;

use hal_harmony::abi::number::Number;
use init_core_sim::campaign;
use sim::{Deed, Fact, Fortune};
use std::panic::{AssertUnwindSafe, catch_unwind};
use world::graph::Graph;
use world::split::{Life, SplitWorld};
use world::{Ground, Runs};

/// Seconds, not minutes.
const SEEDS: u64 = 40;

#[test]
fn generated_histories_keep_every_rule() {
    let outcome = campaign::run(1, SEEDS, &histories::performer);
    if let Some(failure) = outcome.failure {
        let campaign::Failure { seed, broken } = failure;
        panic!(
            "seed {seed} breaks a rule: {}\n{}\nreplay: cargo xtask sim --harmony --seed {seed}",
            broken.rule, broken.console
        );
    }
    let tally = outcome.tally;
    assert_eq!(tally.histories, SEEDS);
    assert!(tally.deaths > SEEDS && tally.requests > SEEDS, "{tally:?}");
}

/// Each of these broke a rule before something was mended: a request that was answered was put
/// aside with the cores that had answered it; and, in the simulation itself, cores that could not
/// be made were no lives that came to nothing.
const FOUND: [u64; 3] = [71_304, 70_226, 70_396];

#[test]
fn what_histories_found_is_mended() {
    for seed in FOUND {
        let done = histories::perform(&init_core_sim::generate::script(seed));
        assert!(done.is_ok(), "seed {seed}: {done:?}");
    }
}

/// Gives up when everybody sleeps, and cannot say when it would be asked again.
struct Impatience;

impl Fortune for Impatience {
    fn deeds(&mut self, now_ns: u64, all_sleep: bool) -> Vec<Deed> {
        let gives_up = all_sleep && now_ns >= AT_NS;
        Vec::from_iter(gives_up.then_some(Deed::GiveUp))
    }

    fn alarm_ns(&self) -> Option<u64> {
        Some(AT_NS)
    }

    fn refuses(&mut self, _number: Number) -> bool {
        false
    }

    fn saw(&mut self, _fact: Fact<'_>) {}
}

const AT_NS: u64 = 2_000_000_000;

/// A few calls take less.
const CALLS_NS: u64 = 1_000_000;

#[test]
fn a_history_that_is_given_up_while_all_sleep_ends_at_once() {
    let nobody: [Runs; 0] = [];
    let ground = Ground::new(Graph::new("target main"), &nobody, |sim| {
        sim.state().fortune = Some(Box::new(Impatience));
    });
    let mut world = SplitWorld::new(ground, Life::be_good);
    let outcome = catch_unwind(AssertUnwindSafe(|| world.keep()));
    let why = outcome.expect_err("it goes on");
    assert_eq!(why.downcast_ref(), Some(&"the test is over"));
    let ended_ns = world.sim.state().now_ns;
    assert!((AT_NS..AT_NS + CALLS_NS).contains(&ended_ns), "{ended_ns}");
}
