//! This file lets the simulated kernel refuse calls for want of memory: each one once, and many by
//! chance. The machine must go on, tell every end, hold nothing in the end, and switch itself off.

mod sim;
mod world;

use hal_harmony::abi::Line;
use hal_harmony::abi::number::Number;
use init_core::protocol::letter::Letter;
use init_core::status::UnitState;
use init_core::time::Duration;
use init_core::unit::Readiness;
use world::graph::{Graph, RESTART, rule, rules};
use world::program::Program;
use world::{World, runs, runs_native};

/// Calls that a kernel without memory may refuse.
const REFUSABLE: [Number; 9] = [
    Number::TRANSFER_CAPS,
    Number::NOTIFY_CHANNEL,
    Number::CREATE_PMO,
    Number::WRITE_PMO,
    Number::MAP_PMO,
    Number::TRANSFER_PMO_OWNER,
    Number::CACHE_FLUSH,
    Number::CREATE_CAP_GROUP,
    Number::CREATE_THREAD,
];

fn machine(has_clock: bool) -> World {
    let text = "target main wants a b c d\n service a\n service b requires c\n task c\n service d";
    let graph = Graph::new(text).with("a", |a| rules(a).restart = rule(RESTART));
    let graph = graph.with("d", |d| {
        rules(d).ready = Readiness::Letter;
        rules(d).watchdog = Duration::from_ms(200);
        rules(d).restart = rule(RESTART);
    });
    let a = runs("a", Program::default().busy(30).exit(1));
    let b = runs("b", Program::default().sleep());
    let c = runs("c", Program::default().busy(2).exit(0));
    // Lives, speaks and is told to stop.
    let d = runs_native("d", |sim, channel| {
        let line = Line::new(sim.clone(), channel);
        let ask = |letter: Letter<'_>| line.ask(&letter.sheet()).expect("an answer");
        let _ = ask(Letter::Ready);
        while Letter::read(&ask(Letter::Heartbeat)) == Ok(Letter::GoOn) {
            sim.state().now_ns += 20_000_000;
            line.give_way();
        }
    });
    World::new(graph, &[a, b, c, d], |sim| {
        sim.state().has_clock = has_clock;
    })
}

/// How many calls were refused.
fn goes_through(world: World, what: &str) -> usize {
    let mut world = world.boot();
    world.until(what, |world| {
        let b_is_settled = matches!(world.state("b"), UnitState::Active | UnitState::Failed);
        let b_is_not_tried = world.is("c", UnitState::Failed);
        let d_is_up = world.is("d", UnitState::Active);
        world.status("a").restarts >= 3 && (b_is_settled || b_is_not_tried) && d_is_up
    });
    world.power_off();
    assert_eq!(world.sim.undisposed(), 0, "{what}");
    world.sim.state().refused
}

#[test]
fn any_one_call_may_be_refused() {
    for has_clock in [true, false] {
        let first = machine(has_clock);
        let trace = first.sim.clone();
        let begun = trace.state().trace.len();
        goes_through(first, "without a fault");
        let calls = trace.state().trace.clone();
        let ours = calls.iter().enumerate().skip(begun);
        let refusable =
            |call: &(usize, &(usize, Number, i64))| call.1.0 == 0 && REFUSABLE.contains(&call.1.1);
        let mut refused = 0;
        for (at, _) in ours.filter(refusable) {
            let world = machine(has_clock);
            let at = u64::try_from(at).expect("few");
            let is_it = move |count, number| count == at && REFUSABLE.contains(&number);
            world.sim.state().refuse = Some(Box::new(is_it));
            refused += goes_through(world, &format!("call {at} refused, clock {has_clock}"));
        }
        assert!(refused > 80, "only {refused} calls");
    }
}

/// A number between 0 and 99 that follows from seed and place alone.
fn chance(seed: u64, at: u64) -> u64 {
    let mut mixed =
        seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ at.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^= mixed >> 29;
    mixed = mixed.wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed >> 33) % 100
}

#[test]
fn many_calls_may_be_refused() {
    let mut refused = 0;
    for seed in 0..100 {
        for has_clock in [true, false] {
            let world = machine(has_clock);
            world.sim.state().refuse = Some(Box::new(move |count, number| {
                REFUSABLE.contains(&number) && chance(seed, count) < 5
            }));
            refused += goes_through(world, &format!("seed {seed}, clock {has_clock}"));
        }
    }
    assert!(refused > 500, "only {refused} calls");
}
