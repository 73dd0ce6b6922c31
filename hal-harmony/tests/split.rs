//! This file lets a core be a process of its own, over the simulated kernel, and end wherever it or
//! its keeper is: services live on, no exit is lost or told twice, and every request is answered.

mod sim;
mod world;

use hal_harmony::abi::Line;
use init_core::event::MachineRequest;
use init_core::protocol::letter::Letter;
use init_core::protocol::{Change, Reader, Request, Response, UnitRecord};
use init_core::time::Duration;
use init_core::unit::{Backoff, Readiness, RestartPolicy};
use sim::{Fate, Moment, Sim, Strike};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};
use world::graph::{Graph, RESTART, rule, rules};
use world::speech::{ask, beat, change, control, tell, work};
use world::split::SplitWorld;
use world::{Ground, Runs, runs_native};

/// No history takes so long.
const LIMIT_NS: u64 = 300_000_000_000;

/// What services have seen of themselves.
#[derive(Default)]
struct Seen {
    /// Starts of the one that nobody touches.
    steady: AtomicU32,
    /// Starts of the one that ends and ends, how often it did, and how many of it there are.
    ends: AtomicU32,
    ended: AtomicU32,
    alive: AtomicI32,
    /// Requests that were answered, and refused.
    answered: AtomicU32,
    refused: AtomicU32,
    /// Restarts of the one that ends, as the core counts them in the end.
    restarts: AtomicU32,
}

const UNITS: &str = "target main wants steady ends other ctl\n service steady\n service ends\n \
                     service other\n service ctl";

fn graph() -> Graph {
    let graph = Graph::new(UNITS).with("steady", |unit| {
        rules(unit).ready = Readiness::Letter;
        rules(unit).watchdog = Duration::from_secs(20);
    });
    let again = RestartPolicy {
        backoff: Backoff {
            from: Duration::from_ms(20),
            to: Duration::from_ms(20),
            ..RESTART.backoff
        },
        ..RESTART
    };
    let graph = graph.with("ends", |unit| rules(unit).restart = rule(again));
    graph.with("ctl", |unit| rules(unit).controls = true)
}

/// Asks until it is not refused: who takes over may not know of a request.
fn insist(sim: &Sim, line: &Line<Sim>, seen: &Seen, request: &Request<'_>) -> Vec<u8> {
    loop {
        let answer = control(sim, line, request);
        if let Some(frame) = answer {
            seen.answered.fetch_add(1, Ordering::Relaxed);
            return frame;
        }
        seen.refused.fetch_add(1, Ordering::Relaxed);
        work(sim, line, 5);
    }
}

/// How often the core has started one again.
fn restarts(frame: &[u8], name: &str) -> u32 {
    let mut reader = Reader::new(frame).expect("a frame of ours");
    let _units: Response<'_> = reader.take().expect("a response");
    while !reader.is_at_end() {
        let unit: UnitRecord<'_> = reader.take().expect("a unit");
        if unit.name.0 == name.as_bytes() {
            return unit.restarts.into();
        }
    }
    panic!("there is no {name}");
}

fn services(seen: &Arc<Seen>, rounds: u32) -> [Runs; 4] {
    let steady = Arc::clone(seen);
    let steady = runs_native("steady", move |sim, channel| {
        steady.steady.fetch_add(1, Ordering::Relaxed);
        let line = Line::new(sim.clone(), channel);
        tell(&line, Letter::Ready);
        beat(&sim, &line);
    });
    let ends = Arc::clone(seen);
    let ends = runs_native("ends", move |sim, channel| {
        ends.ends.fetch_add(1, Ordering::Relaxed);
        assert_eq!(ends.alive.fetch_add(1, Ordering::Relaxed), 0, "two of one");
        let line = Line::new(sim.clone(), channel);
        work(&sim, &line, 7);
        ends.alive.fetch_sub(1, Ordering::Relaxed);
        ends.ended.fetch_add(1, Ordering::Relaxed);
        line.exit(3);
    });
    let other = runs_native("other", |sim, channel| {
        let line = Line::new(sim.clone(), channel);
        beat(&sim, &line);
    });
    let ctl = Arc::clone(seen);
    let ctl = runs_native("ctl", move |sim, channel| {
        let line = Line::new(sim.clone(), channel);
        // Who does not listen is not told of the end, and would not live to fetch its answer.
        let _ = ask(&line, Letter::Heartbeat);
        for round in 0..rounds {
            work(&sim, &line, 10);
            let what = [Change::Restart, Change::Stop, Change::Start];
            let what = what[usize::try_from(round % 3).expect("few")];
            insist(&sim, &line, &ctl, &change(what, "other"));
        }
        // All its ends so far are known.
        while ctl.ends.load(Ordering::Relaxed) < rounds {
            work(&sim, &line, 10);
        }
        // And that of its last process, too.
        insist(&sim, &line, &ctl, &change(Change::Stop, "ends"));
        let frame = insist(&sim, &line, &ctl, &Request::Units { from: 0 });
        ctl.restarts
            .store(restarts(&frame, "ends"), Ordering::Relaxed);
        insist(&sim, &line, &ctl, &Request::Act(MachineRequest::PowerOff));
        beat(&sim, &line);
    });
    [steady, ends, other, ctl]
}

/// A history in which cores meet this fate; what services saw, and the machine after it.
fn history(
    has_clock: bool,
    rounds: u32,
    mut fate: impl FnMut(Moment) -> Option<Fate> + Send + 'static,
) -> (Arc<Seen>, SplitWorld) {
    let seen = Arc::new(Seen::default());
    let ground = Ground::new(graph(), &services(&seen, rounds), |sim| {
        let mut state = sim.state();
        state.has_clock = has_clock;
        state.strike = Some(Strike {
            name: b"init-core",
            fate: Box::new(move |moment| {
                assert!(
                    moment.now_ns < LIMIT_NS,
                    "the machine does not come to its end"
                );
                fate(moment)
            }),
        });
    });
    let mut world = SplitWorld::new(ground, |life| life.be_good());
    world.keep();
    (seen, world)
}

/// What holds of every history.
fn judge(seen: &Seen, world: &SplitWorld, rounds: u32, what: &str) {
    let count = |number: &AtomicU32| number.load(Ordering::Relaxed);
    let console = world.sim.console();
    assert_eq!(count(&seen.steady), 1, "{what}: it was touched\n{console}");
    assert_eq!(count(&seen.answered), rounds + 3, "{what}\n{console}");
    // Each end was followed by one start, but for the last, if it was stopped before.
    let (starts, restarts) = (world.sim.starts_of(b"ends"), count(&seen.restarts));
    let ended = count(&seen.ended);
    let is_once = match starts - ended {
        1 => restarts == ended,
        0 => restarts == ended || restarts + 1 == ended,
        _ => false,
    };
    assert!(
        is_once,
        "{what}: {starts} starts, {ended} ends, {restarts} restarts\n{console}"
    );
    // Nobody is left but the core.
    assert_eq!(world.sim.undisposed(), 1, "{what}\n{console}");
}

fn lives(world: &SplitWorld) -> u32 {
    world.lives.load(Ordering::Relaxed)
}

#[test]
fn a_core_that_nobody_touches_lives_once() {
    for has_clock in [true, false] {
        let (seen, world) = history(has_clock, 9, |_| None);
        judge(&seen, &world, 9, "untouched");
        assert_eq!(lives(&world), 1, "{}", world.sim.console());
        assert_eq!(seen.refused.load(Ordering::Relaxed), 0);
    }
}

/// A number that follows from seed and place alone.
fn chance(seed: u64, at: u64) -> u64 {
    let mut mixed =
        seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ at.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^= mixed >> 29;
    mixed = mixed.wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed >> 33
}

/// Ends cores at any call of theirs or of their keeper, by faults, with code 0 and others, and has
/// some hang: about one call of so many.
fn strikes(seed: u64, one_of: u64) -> impl FnMut(Moment) -> Option<Fate> + Send {
    move |moment| {
        if !chance(seed, moment.count).is_multiple_of(one_of) {
            return None;
        }
        let fates = [Fate::Ends(0), Fate::Ends(-1), Fate::Ends(3), Fate::Hangs];
        let which = chance(!seed, moment.count) % 7;
        let fate = usize::try_from(which).ok().and_then(|at| fates.get(at));
        Some(fate.copied().unwrap_or(Fate::Ends(0)))
    }
}

#[test]
fn cores_that_end_anywhere_disturb_nobody_and_lose_nothing() {
    let (mut ended, mut refused) = (0, 0);
    for seed in 0..9 {
        let one_of = [90, 150, 400][usize::try_from(seed % 3).expect("few")];
        let what = format!("seed {seed}, one call of {one_of}");
        let (seen, world) = history(seed % 2 == 0, 4, strikes(seed, one_of));
        judge(&seen, &world, 4, &what);
        ended += lives(&world) - 1;
        refused += seen.refused.load(Ordering::Relaxed);
    }
    assert!(ended > 60, "only {ended} cores ended");
    assert!(refused < ended / 10, "{refused} requests were refused");
}

/// One end in each history, at every so manieth call.
#[test]
fn a_core_may_end_once_at_any_call() {
    let (_, untouched) = history(true, 1, |_| None);
    let calls = u64::try_from(untouched.sim.state().trace.len()).expect("few");
    drop(untouched);
    let (mut ended, stride) = (0, calls / 25);
    for at in (1..25).map(|step| step * stride) {
        let code = [0, -1][usize::try_from(at % 2).expect("few")];
        let fate = move |moment: Moment| (moment.count == at).then_some(Fate::Ends(code));
        let (seen, world) = history(true, 1, fate);
        judge(&seen, &world, 1, &format!("ended at call {at}"));
        ended += lives(&world) - 1;
    }
    assert!(ended > 18, "only {ended} cores ended");
}

/// Says that it gets on without an end: told once for each event of the core's, it would keep the
/// core from all else.
#[test]
fn services_that_beat_without_an_end_keep_no_request_and_no_end_waiting() {
    for has_clock in [true, false] {
        let seen = Arc::new(Seen::default());
        let [steady, ends, _, ctl] = services(&seen, 3);
        let other = runs_native("other", |sim, channel| {
            let line = Line::new(sim.clone(), channel);
            while Letter::read(&ask(&line, Letter::Heartbeat)) == Ok(Letter::GoOn) {
                let _ = ask(&line, Letter::Ready);
            }
        });
        let programs = [steady, ends, other, ctl];
        let ground = Ground::new(graph(), &programs, |sim| {
            let mut state = sim.state();
            state.has_clock = has_clock;
            state.strike = Some(Strike {
                name: b"init-core",
                fate: Box::new(|moment| {
                    assert!(moment.now_ns < LIMIT_NS, "somebody waits for ever");
                    None
                }),
            });
        });
        let mut world = SplitWorld::new(ground, |life| life.be_good());
        world.keep();
        judge(&seen, &world, 3, "beats without an end");
    }
}
