//! This file lets a core die at any write and looks whether anything is lost, done twice, or done
//! otherwise than by a core that never died.
//!
//! Seeds 0 to HEAL_SEEDS - 1 are run; `HEAL_SEED=n cargo test -p init-core --test healing` runs
//! one.
#![allow(missing_docs)]

mod common;

use common::mortal::Mortal;
use common::random::{Random, disturb, graph, write_scripts};
use common::{Machine, secs};
use init_core::checkpoint::words::Words;
use init_core::checkpoint::{Past, last_act, words_for};
use init_core::effect::{Effect, FinalAction};
use init_core::event::{BootOptions, ControlRequest, Event, MachineRequest};
use init_core::hal::fake::Act;
use init_core::ident::{ClientId, UnitId};
use init_core::time::Instant;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering};

const SEED_COUNT: u64 = 1_000;
const DISTURBANCE_COUNT: usize = 30;

/// Who dies.
#[derive(Clone, Copy, PartialEq)]
enum Deaths {
    Never,
    /// At any write.
    AtWrites,
    /// At any write, and between an effect's mark and the effect.
    AnyTime,
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// How much is done before the next event.
#[derive(Clone, Copy, PartialEq)]
enum Turns {
    /// All.
    Whole,
    /// All, or a few effects only.
    Any,
}

fn run(seed: u64, turns: Turns, deaths: Deaths) -> Machine {
    let mut random = Random::new(seed);
    let most = [3, 6, 20, 100][random.below(4)];
    let units = 3 + random.below(most);
    let mut machine = Machine::new(graph(&mut random, units));
    write_scripts(&mut random, &mut machine);
    let effects = [u32::MAX, 1, 5][random.below(3)];
    if turns == Turns::Any {
        machine.effects_per_turn = effects;
    }
    // Regions' worth of writes from one death to the next, at most.
    let steps = [1, 2, 10][random.below(3)];
    if deaths != Deaths::Never {
        let mut mortal = Mortal::new(seed, steps, &mut machine.core);
        mortal.dies_before_effects = deaths == Deaths::AnyTime;
        machine.mortal = Some(mortal);
    }
    machine.boot();
    for _ in 0..DISTURBANCE_COUNT {
        if !machine.finished {
            disturb(&mut random, &mut machine);
        }
    }
    machine.run_for(secs(60));
    machine
        .witness
        .check_settled(&machine.core, machine.manifest);
    machine.machine(MachineRequest::PowerOff).run_for(secs(60));
    assert!(machine.finished, "the last act does not come");
    machine
}

/// What was done, and when. The order in one instant is nobody's business.
fn acts(machine: &Machine) -> Vec<String> {
    let mut acts: Vec<String> = machine
        .fake
        .acts
        .iter()
        .filter(|(_, act)| !matches!(act, Act::Frame(_) | Act::Close(_)))
        .map(|(at, act)| format!("{:>12} {act:?}", at.as_us()))
        .collect();
    acts.sort();
    // To all, a signal goes again if the core died before it could note that it was sent; so does
    // SIGKILL to one.
    let again = |act: &str| act.contains("SignalAll") || act.ends_with("Signal(9))");
    acts.dedup_by(|a, b| a == b && again(a));
    acts
}

/// Checks every seed; each check says how often its core died.
fn each_seed(mut check: impl FnMut(u64) -> u32) {
    if let Some(seed) = number("HEAL_SEED") {
        println!("{} deaths", check(seed));
        return;
    }
    let mut deaths: u64 = 0;
    for seed in 0..number("HEAL_SEEDS").unwrap_or(SEED_COUNT) {
        match catch_unwind(AssertUnwindSafe(|| check(seed))) {
            Ok(count) => deaths += u64::from(count),
            Err(cause) => {
                println!("seed {seed} fails; replay: HEAL_SEED={seed}");
                std::panic::resume_unwind(cause);
            }
        }
    }
    println!("{deaths} deaths");
    // One seed's core may live on; all of them do not.
    assert!(deaths > 0, "nobody died");
}

fn deaths_of(machine: &Machine) -> u32 {
    machine.mortal.as_ref().map_or(0, |mortal| mortal.deaths)
}

/// In whole turns. When a turn ends early, what is left of it shares its instant with the next
/// event, and which comes first depends on the order of the run queue, which is not kept, and on
/// effects that are performed again: such runs may differ and still keep every rule, below.
#[test]
fn a_core_that_dies_does_what_one_that_lives_does() {
    each_seed(|seed| {
        let mortal = run(seed, Turns::Whole, Deaths::AtWrites);
        let ours = acts(&mortal);
        let theirs = acts(&run(seed, Turns::Whole, Deaths::Never));
        let differs = ours.iter().zip(&theirs).position(|(a, b)| a != b);
        assert_eq!(
            (differs, ours.len()),
            (None, theirs.len()),
            "{:?} and {:?}",
            differs.map(|at| &ours[at]),
            differs.map(|at| &theirs[at])
        );
        deaths_of(&mortal)
    });
}

#[test]
fn a_core_that_dies_at_writes_only_keeps_every_rule() {
    each_seed(|seed| deaths_of(&run(seed, Turns::Any, Deaths::AtWrites)));
}

#[test]
fn a_core_that_dies_at_any_time_keeps_every_rule() {
    each_seed(|seed| deaths_of(&run(seed, Turns::Any, Deaths::AnyTime)));
}

/// An heir hangs up on a client whose answer was begun and may not have been sent. One that was
/// answered before its core paused is left alone, wherever the core dies afterwards.
#[test]
fn a_client_that_was_answered_before_a_pause_is_not_hung_up_on() {
    let mut machine = Machine::new(graph(&mut Random::new(0), 3));
    let memory: &[AtomicU32] = Vec::leak((0..words_for(3)).map(|_| AtomicU32::new(0)).collect());
    let (core, now) = (&mut machine.core, Instant::ZERO);
    assert_eq!(core.keep_in(Words::new(memory)), Past::None);
    core.step(Event::Boot(BootOptions::default()), now);
    while core.next_effect(now).is_some() {}
    let (client, request) = (
        ClientId {
            slot: 0,
            generation: 1,
        },
        ControlRequest::ResetFailed(UnitId(0)),
    );
    for pauses in [true, false] {
        core.step(Event::Control { client, request }, now);
        let reply = core.next_effect(now);
        assert!(matches!(reply, Some(Effect::Reply { .. })), "{reply:?}");
        assert!(!pauses || core.may_pause());
        core.forget_all();
        assert!(matches!(
            core.keep_in(Words::new(memory)),
            Past::Restored(_)
        ));
        let hung_up = (!pauses).then_some(Effect::HangUp(client));
        assert_eq!(core.next_effect(now), hung_up, "pauses: {pauses}");
    }
}

/// No damaged bit makes another act of it, or one of none.
#[test]
fn the_last_act_that_was_asked_for_is_known_to_whoever_sees_each_core_die() {
    /// Where the number of lives is, and the act in its upper bits.
    const LIVES: usize = 4;
    for (request, act) in [
        (None, None),
        (Some(MachineRequest::PowerOff), Some(FinalAction::PowerOff)),
        (Some(MachineRequest::Reboot), Some(FinalAction::Reboot)),
        (Some(MachineRequest::Halt), Some(FinalAction::Halt)),
        (Some(MachineRequest::Kexec), Some(FinalAction::Kexec)),
    ] {
        let mut machine = Machine::new(graph(&mut Random::new(0), 3));
        let memory: &[AtomicU32] =
            Vec::leak((0..words_for(3)).map(|_| AtomicU32::new(0)).collect());
        let (core, now, words) = (&mut machine.core, Instant::ZERO, Words::new(memory));
        assert_eq!(core.keep_in(words), Past::None);
        core.step(Event::Boot(BootOptions::default()), now);
        if let Some(request) = request {
            core.step(Event::Machine(request), now);
        }
        for life in 2..5 {
            core.forget_all();
            assert_eq!(core.keep_in(words), Past::Restored(life));
            assert_eq!(last_act(words), act);
        }
        for bit in 0..u32::BITS {
            memory[LIVES].fetch_xor(1 << bit, Ordering::Relaxed);
            let found = last_act(words);
            assert_eq!(found, act.filter(|_| bit < 28), "bit {bit}");
            memory[LIVES].fetch_xor(1 << bit, Ordering::Relaxed);
        }
    }
}
