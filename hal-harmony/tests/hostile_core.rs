//! This file lets cores be what no core is, over the simulated kernel: such that end at once, that
//! call and ring without an end, that damage what they share, that cannot be made and that cannot
//! be ended. Services are answered all the while, each core is replaced, and what does not get
//! better is told and has the machine start again.

mod asked;
mod sim;
mod world;

use hal_harmony::abi::layout::PMO_DATA;
use hal_harmony::abi::number::Number;
use hal_harmony::abi::{Calls, Line, Stack};
use init_core::checkpoint::words::Words;
use init_core::event::MachineRequest;
use init_core::hal::{EventSource, Platform};
use init_core::ident::{Role, UnitId};
use init_core::protocol::Request;
use init_core::protocol::letter::Letter;
use init_core::relay::{self, Bell, Remote};
use init_core::renewal::{Handover, Image};
use init_core::time::Instant;
use init_core::unit::Readiness;
use sim::{Fate, Sim, Strike, Twist};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use world::graph::{Graph, rules};
use world::speech::{ask, control, tell, work};
use world::split::{Life, PATIENCE, SplitWorld};
use world::{Ground, runs_native};

const BOTH: [bool; 2] = [true, false];

/// What the service has seen that nobody touches.
#[derive(Default)]
struct Seen {
    starts: AtomicU32,
    beats: AtomicU32,
    /// The longest that an answer took.
    longest_ns: AtomicU64,
    /// Resets of the machine that the keeper has asked for.
    resets: AtomicU32,
}

fn get(number: &AtomicU32) -> u32 {
    number.load(Ordering::Relaxed)
}

/// How long a service goes on that has had the machine switched off.
const LINGERS_MS: u64 = 50;

/// A machine of one service that beats for so long, then switches off; its cores are this.
fn machine(
    has_clock: bool,
    milliseconds: u64,
    core: impl Fn(&Life) + Send + Sync + 'static,
) -> (Arc<Seen>, SplitWorld) {
    machine_that_shares(None, has_clock, milliseconds, core)
}

/// The same, whose keeper and cores share these pages of the machine's own.
fn machine_that_shares(
    shared: Option<u64>,
    has_clock: bool,
    milliseconds: u64,
    core: impl Fn(&Life) + Send + Sync + 'static,
) -> (Arc<Seen>, SplitWorld) {
    let seen = Arc::new(Seen::default());
    let graph = Graph::new("target main wants a\n service a").with("a", |unit| {
        rules(unit).ready = Readiness::Letter;
        rules(unit).controls = true;
    });
    let its = Arc::clone(&seen);
    let a = runs_native("a", move |sim, channel| {
        its.starts.fetch_add(1, Ordering::Relaxed);
        let line = Line::new(sim.clone(), channel);
        tell(&line, Letter::Ready);
        let end = sim.state().now_ns + milliseconds * 1_000_000;
        while sim.state().now_ns < end {
            let asked = sim.state().now_ns;
            let answer = ask(&line, Letter::Heartbeat);
            assert_eq!(Letter::read(&answer), Ok(Letter::GoOn));
            let took = sim.state().now_ns - asked;
            its.longest_ns.fetch_max(took, Ordering::Relaxed);
            its.beats.fetch_add(1, Ordering::Relaxed);
            work(&sim, &line, 10);
        }
        let off = Request::Act(MachineRequest::PowerOff);
        while control(&sim, &line, &off).is_none() {
            work(&sim, &line, 10);
        }
        work(&sim, &line, LINGERS_MS);
        while Letter::read(&ask(&line, Letter::Heartbeat)) == Ok(Letter::GoOn) {
            work(&sim, &line, 10);
        }
    });
    let mut ground = Ground::new(graph, &[a], |sim| sim.state().has_clock = has_clock);
    ground.config.reset = Some(reset);
    ground.config.shared = shared;
    (seen, SplitWorld::new(ground, core))
}

std::thread_local! {
    /// Of the thread that is the keeper.
    static RESETS: AtomicU32 = const { AtomicU32::new(0) };
}

/// A board's registers, which do not do what they are to.
fn reset() {
    RESETS.with(|resets| resets.fetch_add(1, Ordering::Relaxed));
}

/// Goes on until the machine is switched off; what holds of every such machine.
fn keep(seen: &Seen, world: &mut SplitWorld) {
    RESETS.with(|resets| resets.store(0, Ordering::Relaxed));
    world.keep();
    let resets = RESETS.with(|resets| resets.load(Ordering::Relaxed));
    seen.resets.store(resets, Ordering::Relaxed);
    assert_eq!(get(&seen.starts), 1, "{}", world.sim.console());
    assert_eq!(world.sim.undisposed(), 1, "{}", world.sim.console());
}

/// A core's way to its keeper that asks for what the test wants.
struct Rope(Line<Sim>);

impl Bell for Rope {
    fn ring(&mut self) {}

    fn sleep(&mut self) {
        let _ = self.0.ask(&[0; 64]);
    }
}

/// Words before the ring.
const HEAD_WORDS: usize = 4;

fn remote(life: &Life) -> Remote<Rope> {
    let (ring, state) = life.words[HEAD_WORDS..].split_at(relay::WORDS);
    let bell = Rope(Line::new(life.sim.clone(), life.channel));
    let why = (Some(Handover::Fault), Instant::ZERO);
    Remote::new(
        Words::new(ring),
        Words::new(state),
        life.manifest,
        bell,
        why,
    )
}

/// The first is as it should be until this is over, and then so is each from this number on.
fn is_good(life: &Life, from: u32) -> bool {
    life.number == 1 || life.number >= from
}

/// Ends the first core that is good, once, after so long.
fn end_first(world: &SplitWorld, after_ms: u64) {
    let mut is_done = false;
    world.sim.state().strike = Some(Strike {
        name: b"init-core",
        fate: Box::new(move |moment| {
            assert!(moment.now_ns < 100_000_000_000, "never over: {moment:?}");
            let is_time = !is_done && moment.now_ns > after_ms * 1_000_000;
            is_done |= is_time;
            is_time.then_some(Fate::Ends(0))
        }),
    });
}

/// How many cores in a row may get nothing done.
const VAIN: u32 = 8;

const TOO_MANY: &str = "keeper: the core ends again and again: the machine starts again";

/// So many lives ended, of which the first had something to do when it did, or not: each of too
/// many is told, and has the machine start again.
fn are_too_many(seen: &Seen, world: &SplitWorld, lives: u32) {
    let console = world.sim.console();
    let too_many = u32::try_from(world.lines(TOO_MANY)).expect("few");
    let wanted = lives - VAIN;
    assert!(
        too_many == wanted || too_many + 1 == wanted,
        "{too_many}: {console}"
    );
    assert_eq!(get(&seen.resets), too_many, "{console}");
}

#[test]
fn cores_that_end_at_once_are_too_many_whatever_they_end_with() {
    for (has_clock, code) in [(true, 0), (true, 5), (false, 0)] {
        let (seen, mut world) = machine(has_clock, 3_000, move |life| {
            if is_good(life, 14) {
                return life.be_good();
            }
            Line::new(life.sim.clone(), life.channel).exit(code);
        });
        end_first(&world, 100);
        keep(&seen, &mut world);
        let console = world.sim.console();
        // The first had something done; after that, more than so many are too many.
        assert_eq!(world.lines("another takes its place"), 13, "{console}");
        are_too_many(&seen, &world, 13);
    }
}

#[test]
fn cores_that_end_when_there_is_nothing_to_do_are_too_many_too() {
    for has_clock in BOTH {
        // The service asks for the end when these cores have long been too many: with a request, a
        // core would have something that it could say it has dealt with.
        let (seen, mut world) = machine(has_clock, 4_000, |life| {
            if is_good(life, 12) {
                return life.be_good();
            }
            // It waits, is told something, and has never taken it in.
            let mut remote = remote(life);
            let _ = remote.wait(None, 0);
            Line::new(life.sim.clone(), life.channel).exit(0);
        });
        end_first(&world, 100);
        keep(&seen, &mut world);
        assert!(world.lines(TOO_MANY) > 0, "{}", world.sim.console());
        assert!(get(&seen.resets) > 0);
    }
}

#[test]
fn cores_that_want_another_in_their_place_again_and_again_are_too_many() {
    let (seen, mut world) = machine(true, 3_000, |life| {
        if is_good(life, 14) {
            return life.be_good();
        }
        let _ = remote(life).renew(Image::Same);
    });
    end_first(&world, 100);
    keep(&seen, &mut world);
    are_too_many(&seen, &world, 13);
}

#[test]
fn a_core_that_cannot_be_made_is_told_and_too_often_is_too_much() {
    for has_clock in BOTH {
        let (seen, mut world) = machine(has_clock, 5_000, |life| life.be_good());
        end_first(&world, 100);
        // The first core and the service are made, and then nobody for a while.
        let asked = AtomicU32::new(0);
        world.sim.state().refuse = Some(Box::new(move |_, number| {
            let is_it = number == Number::CREATE_CAP_GROUP;
            is_it && (2..14).contains(&asked.fetch_add(1, Ordering::Relaxed))
        }));
        keep(&seen, &mut world);
        let console = world.sim.console();
        let told = world.lines("keeper: no core could be made: error 12");
        assert_eq!(told, 12, "{console}");
        are_too_many(&seen, &world, 13);
        assert_eq!(get(&world.lives), 2, "{console}");
    }
}

#[test]
fn a_core_that_the_kernel_does_not_end_is_told_and_nobody_takes_its_place() {
    for has_clock in BOTH {
        let (seen, mut world) = machine(has_clock, 9_000, |life| life.be_good());
        // It hangs, and while that is so, nobody can be killed.
        let sim = world.sim.clone();
        sim.state().twist = Some(Twist::KillLost);
        let mut hangs = false;
        sim.state().strike = Some(Strike {
            name: b"init-core",
            fate: Box::new(move |moment| {
                let is_it = !hangs && moment.is_its && moment.now_ns > 100_000_000;
                hangs |= is_it;
                is_it.then_some(Fate::Hangs)
            }),
        });
        sim.state().untwists_at_ns = Some(7_000_000_000);
        keep(&seen, &mut world);
        let console = world.sim.console();
        let told = "keeper: the kernel does not end the core: the machine starts again";
        assert_eq!(world.lines(told), 1, "{console}");
        assert_eq!(get(&seen.resets), 1, "{console}");
        assert_eq!(get(&world.lives), 2, "{console}");
        // Meanwhile the service was answered, and at once.
        assert!(get(&seen.beats) > 400, "{}", get(&seen.beats));
        assert!(longest_ms(&seen) < 100, "{} ms", longest_ms(&seen));
    }
}

fn longest_ms(seen: &Seen) -> u64 {
    seen.longest_ns.load(Ordering::Relaxed) / 1_000_000
}

/// A second thread of a core.
struct Second {
    sim: Sim,
    channel: i32,
    begun_ns: u64,
    /// How long it waits before it calls.
    calls_after_ms: Option<u64>,
}

/// Starts one. The stack is nobody's: the host has its own.
fn second(life: &Life, calls_after_ms: Option<u64>) {
    static STACK: Stack = Stack::new();
    let with: &'static Second = Box::leak(Box::new(Second {
        sim: life.sim.clone(),
        channel: life.channel,
        begun_ns: life.sim.state().now_ns,
        calls_after_ms,
    }));
    let calls = Calls::new(life.sim.clone());
    // As its first thread: without a clock all have one priority.
    let priority = if life.sim.state().has_clock { 9 } else { 10 };
    let thread = calls.own_thread(run_second, with, &STACK, priority);
    thread.expect("a thread");
}

extern "C-unwind" fn run_second(with: &'static Second) -> ! {
    let line = Line::new(with.sim.clone(), with.channel);
    loop {
        match with.calls_after_ms {
            // Rings without an end.
            None => {
                let _ = line.tell(&[0; 64]);
            }
            Some(milliseconds) => {
                // Several pass the same time.
                while with.sim.state().now_ns < with.begun_ns + milliseconds * 1_000_000 {
                    work(&with.sim, &line, 1);
                }
                let _ = line.ask(&[0; 64]);
            }
        }
    }
}

#[test]
fn a_core_that_rings_without_an_end_is_replaced() {
    for has_clock in BOTH {
        let (seen, mut world) = machine(has_clock, 1_000, |life| {
            if life.number == 2 {
                second(life, None);
            }
            life.be_good();
        });
        end_first(&world, 100);
        keep(&seen, &mut world);
        let console = world.sim.console();
        assert_eq!(
            world.lines("keeper: the core asked too often"),
            1,
            "{console}"
        );
        assert_eq!(get(&world.lives), 3, "{console}");
    }
}

/// Calls do not renew the core's time: one that never gets on is silent, whoever calls meanwhile.
#[test]
fn calls_for_nothing_give_a_core_no_more_time() {
    let begins = Arc::new([const { AtomicU64::new(0) }; 8]);
    let noted = Arc::clone(&begins);
    let (seen, mut world) = machine(true, 3_000, move |life| {
        let number = usize::try_from(life.number).expect("few");
        noted[number].store(life.sim.state().now_ns, Ordering::Relaxed);
        if life.number != 2 {
            return life.be_good();
        }
        let patience = PATIENCE.as_us() / 1_000;
        for step in 1..8 {
            second(life, Some(step * patience / 2));
        }
        // It asks for nothing and is not answered.
        Line::new(life.sim.clone(), life.channel).ask(&[0; 64]);
    });
    end_first(&world, 100);
    keep(&seen, &mut world);
    let console = world.sim.console();
    assert_eq!(
        world.lines("keeper: the core did not answer for 300 ms"),
        1,
        "{console}"
    );
    let begin = |number: usize| begins[number].load(Ordering::Relaxed) / 1_000_000;
    let lived = begin(3) - begin(2);
    assert!(
        (300..400).contains(&lived),
        "it lived {lived} ms\n{console}"
    );
}

#[test]
fn a_core_that_asks_without_an_end_keeps_nobody_waiting_for_long() {
    for has_clock in BOTH {
        let (seen, mut world) = machine(has_clock, 2_000, |life| {
            if life.number != 2 {
                return life.be_good();
            }
            let mut remote = remote(life);
            loop {
                let _ = remote.owner(UnitId(0), Role::Main);
            }
        });
        end_first(&world, 100);
        keep(&seen, &mut world);
        // It has asked too often, or its time is over before that.
        assert_eq!(get(&world.lives), 3, "{}", world.sim.console());
        assert!(longest_ms(&seen) < 1_000, "{} ms", longest_ms(&seen));
    }
}

#[test]
fn a_core_that_damages_what_it_shares_is_replaced_and_nothing_comes_of_it() {
    let mut damaged = 0;
    for seed in 0..12_u32 {
        let (seen, mut world) = machine(seed % 2 == 0, 300, move |life| {
            if life.number != 2 {
                return life.be_good();
            }
            let mut random = seed.wrapping_mul(0x9e37_79b9) ^ 0x6b65_6570;
            for (at, word) in life.words.iter().enumerate() {
                random ^= random << 13;
                random ^= random >> 17;
                random ^= random << 5;
                // All of them, some, or those before the requests.
                let is_it =
                    [true, random % 7 == 0, at < 12][usize::try_from(seed % 3).expect("few")];
                if is_it {
                    word.store(random, Ordering::Relaxed);
                }
            }
            Line::new(life.sim.clone(), life.channel).ask(&[0; 64]);
            life.be_good();
        });
        end_first(&world, 100);
        keep(&seen, &mut world);
        damaged += world.lines("keeper: the core damaged its ring");
        assert!(
            get(&world.lives) >= 3,
            "seed {seed}\n{}",
            world.sim.console()
        );
    }
    assert!(damaged > 6, "only {damaged} rings were found damaged");
}

#[test]
fn a_core_that_wants_memory_gets_no_more_than_its_quota() {
    let got = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&got);
    let (seen, mut world) = machine(true, 300, move |life| {
        if life.number == 2 {
            let calls = Calls::new(life.sim.clone());
            for _ in 0..1_000 {
                let page = calls.memory(4_096, PMO_DATA);
                count.fetch_add(u32::from(page.is_ok()), Ordering::Relaxed);
            }
        }
        life.be_good();
    });
    end_first(&world, 100);
    keep(&seen, &mut world);
    assert_eq!(get(&world.lives), 2, "{}", world.sim.console());
    // The stack and the program's page again, less the guard, and 64 KiB.
    assert_eq!(get(&got), 8 + 1 - 1 + 16);
}

/// Whoever has a capability may revoke it with all its copies. Where keeper and core have one
/// object, there is no other core then; where each has its own for the machine's pages, there is.
#[test]
fn a_core_that_revokes_what_it_shares_takes_it_from_nobody_else() {
    for has_clock in BOTH {
        let shared = Some(0x4700_2000);
        let (seen, mut world) = machine_that_shares(shared, has_clock, 1_000, |life| {
            if life.number == 2 {
                // Not itself, and not the channel, which is everybody's.
                life.sim.revoke_all_but(2, life.channel);
                Line::new(life.sim.clone(), life.channel).exit(0);
            }
            life.be_good();
        });
        end_first(&world, 100);
        keep(&seen, &mut world);
        let console = world.sim.console();
        assert_eq!(get(&world.lives), 3, "{console}");
        assert_eq!(world.lines("keeper: no core could be made"), 0, "{console}");
        assert_eq!(get(&seen.resets), 0, "{console}");
    }
}
