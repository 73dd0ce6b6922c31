//! This file runs the core over the HAL over the simulated kernel: services come up, end, crash,
//! are restarted, use too much, are stopped; on a kernel with a clock and on one without.

mod sim;
mod world;

use hal_harmony::Mode;
use hal_harmony::abi::number::Number;
use init_core::event::ExitStatus;
use init_core::status::UnitState;
use world::graph::{Graph, RESTART, rule, rules};
use world::program::Program;
use world::{World, runs};

/// Both ways to tell time.
fn on_both(test: impl Fn(bool)) {
    for has_clock in [true, false] {
        test(has_clock);
    }
}

fn world(graph: Graph, programs: &[world::Runs], has_clock: bool) -> World {
    let world = World::new(graph, programs, |sim| {
        sim.state().has_clock = has_clock;
    });
    world.boot()
}

#[test]
fn a_machine_comes_up_and_powers_off() {
    on_both(|has_clock| {
        let graph = Graph::new("target main requires a\n service a requires b\n task b");
        let a = runs("a", Program::default().sleep());
        let b = runs("b", Program::default().busy(3).exit(0));
        let mut world = world(graph, &[a, b], has_clock);
        let mode = world.driver.platform().mode();
        assert_eq!(mode == Mode::KernelTimeout, has_clock);
        world.until("main is up", |world| world.is("main", UnitState::Active));
        assert!(world.is("a", UnitState::Active) && world.is("b", UnitState::Active));
        world.power_off();
        let state = world.sim.state();
        assert!(state.groups[1..].iter().all(|group| group.recycled));
    });
}

fn restarted(graph: Graph, unit: &str) -> Graph {
    graph.with(unit, |unit| rules(unit).restart = rule(RESTART))
}

#[test]
fn a_service_that_ends_is_started_again_after_longer_and_longer_waits() {
    on_both(|has_clock| {
        let graph = restarted(Graph::new("target main wants a\n service a"), "a");
        let a = runs("a", Program::default().busy(5).exit(3));
        let mut world = world(graph, &[a], has_clock);
        world.until("four starts", |world| world.status("a").restarts >= 4);
        assert_eq!(world.status("a").last_exit, Some(ExitStatus::Code(3)));
        let state = world.sim.state();
        let starts: Vec<u64> = state.starts.iter().map(|ns| ns / 1_000_000).collect();
        let waits: Vec<u64> = starts.windows(2).map(|pair| pair[1] - pair[0]).collect();
        for (wait, least) in waits.iter().zip([100, 200, 400, 800]) {
            assert!((least + 5..least + 60).contains(wait), "{waits:?}");
        }
    });
}

#[test]
fn how_each_ends_is_told_as_it_was() {
    let signal = |number| ExitStatus::Signal {
        number,
        core_dumped: false,
    };
    let table = [
        (Program::default().exit(0), ExitStatus::Code(0)),
        (Program::default().exit(42), ExitStatus::Code(42)),
        (
            Program::default().call(Number::THREAD_EXIT, &[]),
            ExitStatus::Code(0),
        ),
        (Program::default().fault(), signal(11)),
        (Program::default().eat().exit(12), ExitStatus::Code(12)),
    ];
    for (program, wanted) in table {
        on_both(|has_clock| {
            let graph = Graph::new("target main wants a\n service a");
            let mut a = runs("a", program.clone());
            a.quota = Some(256 * 1_024);
            let mut world = world(graph, &[a], has_clock);
            world.until("its end", |world| world.status("a").last_exit.is_some());
            assert_eq!(world.status("a").last_exit, Some(wanted));
        });
    }
}

#[test]
fn what_a_program_needs_and_its_quota_does_not_hold_is_not_started() {
    on_both(|has_clock| {
        let graph = Graph::new("target main wants a b\n service a\n service b");
        let mut a = runs("a", Program::default().sleep());
        a.quota = Some(4_096);
        let b = runs("b", Program::default().sleep());
        let mut world = world(graph, &[a, b], has_clock);
        world.until("b runs", |world| world.is("b", UnitState::Active));
        world.until("a failed", |world| world.is("a", UnitState::Failed));
        assert_eq!(world.status("a").last_exit, None);
        world.power_off();
        assert_eq!(world.sim.undisposed(), 0);
    });
}

#[test]
fn a_service_that_the_kernel_says_ended_well_is_known_as_killed() {
    on_both(|has_clock| {
        let graph = Graph::new("target main wants a\n service a");
        let a = runs("a", Program::default().sleep());
        let mut world = world(graph, &[a], has_clock);
        world.until("a runs", |world| world.is("a", UnitState::Active));
        world.power_off();
        let killed = ExitStatus::Signal {
            number: 9,
            core_dumped: false,
        };
        assert_eq!(world.status("a").last_exit, Some(killed));
    });
}

#[test]
fn as_many_ends_at_once_as_there_are_places_are_all_told() {
    on_both(|has_clock| {
        let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
        let lines = "target main wants a b c d e f g h\n service a\n service b\n service c\n \
                     service d\n service e\n service f\n service g\n service h";
        let graph = Graph::new(lines);
        let programs = names.map(|name| runs(name, Program::default().busy(20).exit(1)));
        let mut world = world(graph, &programs, has_clock);
        world.until("all ended", |world| {
            let ended = |name: &&str| world.status(name).last_exit.is_some();
            names.iter().all(ended)
        });
        assert!(world.sim.state().surplus.is_empty(), "the ring was full");
    });
}
