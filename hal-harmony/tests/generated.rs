//! This file lets init-core's own generated histories happen over the HAL on the simulated kernel,
//! under the same rules: cores end between any two writes and calls, the kernel refuses calls,
//! services are hostile, and nothing is lost, done twice or said otherwise than it is.
//!
//! `cargo xtask sim --harmony` performs as many as one likes, and shortens what fails.

mod histories;
mod sim;
mod world;

use init_core_sim::campaign;

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
