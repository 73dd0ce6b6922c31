//! This file lets services speak: they say that they are ready and get on, are told to stop, fall
//! silent, lie about who they are, say too much at once and die while they are answered; over the
//! simulated kernel, with a clock and without.

mod sim;
mod world;

use hal_harmony::abi::Line;
use hal_harmony::abi::number::Number;
use init_core::effect::Failure;
use init_core::event::{ExitStatus, MachineRequest};
use init_core::limits::FRAME_BYTES_MAX;
use init_core::protocol::letter::{Letter, Piece};
use init_core::protocol::{Change, Reader, Request, Response, UnitRecord, Writer};
use init_core::status::UnitState;
use init_core::time::Duration;
use init_core::unit::Readiness;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use world::graph::{Graph, RESTART, rule, rules};
use world::program::Program;
use world::speech::{ask, beat, change, control, tell, work};
use world::{Runs, World, runs, runs_native};

fn on_both(test: impl Fn(bool)) {
    for has_clock in [true, false] {
        test(has_clock);
    }
}

fn world(graph: Graph, programs: &[Runs], has_clock: bool) -> World {
    let world = World::new(graph, programs, |sim| {
        sim.state().has_clock = has_clock;
    });
    world.boot()
}

/// A service that waits to be told that it is ready, and is watched.
fn watched(text: &'static str, name: &'static str) -> Graph {
    Graph::new(text).with(name, |unit| {
        rules(unit).ready = Readiness::Letter;
        rules(unit).watchdog = Duration::from_ms(500);
    })
}

/// A service as it should be: ready, alive, and gone when it is told.
fn good(sim: sim::Sim, channel: i32) {
    let line = Line::new(sim.clone(), channel);
    work(&sim, &line, 20);
    tell(&line, Letter::Ready);
    beat(&sim, &line);
    tell(&line, Letter::Log(b"the last words"));
    tell(&line, Letter::Stopping);
}

const ONE: &str = "target main requires a\n service a";

#[test]
fn a_service_is_ready_when_it_says_so_lives_and_stops_when_it_is_told() {
    on_both(|has_clock| {
        let graph = watched(ONE, "a");
        let mut world = world(graph, &[runs_native("a", good)], has_clock);
        assert!(world.is("a", UnitState::Starting));
        world.until("a is ready", |world| world.is("a", UnitState::Active));
        world.pass(3_000);
        assert!(world.is("a", UnitState::Active));
        assert_eq!(world.status("a").restarts, 0);
        world.power_off();
        assert_eq!(world.status("a").last_exit, Some(ExitStatus::Code(0)));
        assert_eq!(world.sim.count(Number::KILL_GROUP), 0);
        assert_eq!(world.lines("a: the last words"), 1);
        assert_eq!(world.lines("a: says that it stops"), 1);
        assert_eq!(world.sim.undisposed(), 0);
    });
}

#[test]
fn one_that_falls_silent_is_killed_and_started_again() {
    on_both(|has_clock| {
        let graph = watched(ONE, "a").with("a", |a| {
            let mut rules = rules(a);
            rules.restart = rule(RESTART);
            rules.stopping = rule(init_core::unit::StopPolicy {
                timeout: Duration::from_ms(300),
                ..init_core::unit::StopPolicy::USUAL
            });
        });
        let a = runs_native("a", |sim, channel| {
            let line = Line::new(sim.clone(), channel);
            tell(&line, Letter::Ready);
            // It is known to listen; then it does not any more.
            let _ = ask(&line, Letter::Heartbeat);
            work(&sim, &line, 1_000_000);
        });
        let mut world = world(graph, &[a], has_clock);
        world.until("two restarts", |world| world.status("a").restarts >= 2);
        assert_eq!(world.status("a").failure, Some(Failure::Watchdog));
        assert!(world.lines("a: failed: no heartbeat in time") >= 1);
        // It was told first, and had its time.
        assert!(world.lines("a: did not stop in time") >= 1);
        world.power_off();
        assert_eq!(world.sim.undisposed(), 0);
    });
}

#[test]
fn one_that_never_speaks_is_not_waited_for_when_it_is_to_stop() {
    on_both(|has_clock| {
        let a = runs("a", Program::default().sleep());
        let mut world = world(Graph::new(ONE), &[a], has_clock);
        world.until("a is up", |world| world.is("a", UnitState::Active));
        let begun = world.ms();
        world.power_off();
        assert!(world.ms() - begun < 1_000, "{}", world.sim.console());
    });
}

#[test]
fn who_lies_about_itself_speaks_for_itself_only() {
    on_both(|has_clock| {
        let graph = watched("target main wants a b\n service a\n service b", "a");
        // What b says of a is nothing that a letter could hold: it is b that is heard.
        let b = runs_native("b", |sim, channel| {
            let line = Line::new(sim.clone(), channel);
            let mut sheet = Letter::Ready.sheet();
            for pid in 1..=255 {
                sheet[8] = pid;
                assert!(line.tell(&sheet));
                assert!(line.tell(&Letter::Ready.sheet()));
                work(&sim, &line, 1);
            }
            beat(&sim, &line);
        });
        let a = runs("a", Program::default().sleep());
        let mut world = world(graph, &[a, b], has_clock);
        world.pass(2_000);
        assert!(world.is("a", UnitState::Starting));
        assert!(world.is("b", UnitState::Active), "{}", world.sim.console());
        assert_eq!(world.lines("b: sent what is no letter"), 255);
    });
}

#[test]
fn who_is_not_asked_whether_it_is_ready_says_nothing_by_it() {
    on_both(|has_clock| {
        let graph = Graph::new("target main wants t\n task t");
        let t = runs_native("t", |sim, channel| {
            let line = Line::new(sim.clone(), channel);
            tell(&line, Letter::Ready);
            work(&sim, &line, 300);
            tell(&line, Letter::Heartbeat);
        });
        let mut world = world(graph, &[t], has_clock);
        world.pass(100);
        assert!(world.is("t", UnitState::Starting));
        world.until("its end", |world| world.is("t", UnitState::Active));
        assert_eq!(world.lines("unexpected"), 0, "{}", world.sim.console());
    });
}

#[test]
fn what_is_no_letter_is_told_and_refused() {
    on_both(|has_clock| {
        let refused = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&refused);
        let a = runs_native("a", move |sim, channel| {
            let line = Line::new(sim.clone(), channel);
            let bad = [[0; 64], [0xff; 64], {
                let mut sheet = Letter::Log(b"x").sheet();
                sheet[2] = 200;
                sheet
            }];
            let letters = [Letter::GoOn, Letter::Fetch(0)].map(|letter| letter.sheet());
            for sheet in bad.into_iter().chain(letters) {
                let answer = line.ask(&sheet).expect("an answer");
                assert_eq!(Letter::read(&answer), Ok(Letter::Refused));
                count.fetch_add(1, Ordering::Relaxed);
            }
            beat(&sim, &line);
        });
        let mut world = world(Graph::new(ONE), &[a], has_clock);
        world.pass(500);
        assert_eq!(refused.load(Ordering::Relaxed), 5);
        assert_eq!(world.lines("a: sent what is no letter"), 3);
    });
}

#[test]
fn what_is_too_much_at_once_is_dropped_and_counted_and_calls_are_not() {
    // Without a clock all have one priority: the flood is not stopped by its own importance.
    on_both(|has_clock| {
        let graph = watched("target main wants a b\n service a\n service b", "a");
        let b = runs_native("b", |sim, channel| {
            let line = Line::new(sim.clone(), channel);
            for _ in 0..200 {
                tell(&line, Letter::Log(b"noise"));
            }
            let answer = ask(&line, Letter::Heartbeat);
            assert_eq!(Letter::read(&answer), Ok(Letter::GoOn));
            tell(&line, Letter::Log(b"still here"));
            beat(&sim, &line);
        });
        let mut world = world(graph, &[runs_native("a", good), b], has_clock);
        world.pass(2_000);
        assert_eq!(world.lines("b: still here"), 1);
        let noise = world.lines("b: noise");
        let lost: usize = world
            .sim
            .console()
            .lines()
            .filter_map(|line| line.rsplit_once("too many: "))
            .map(|(_, count)| count.parse::<usize>().expect("a count"))
            .sum();
        assert_eq!(noise + lost, 200, "{}", world.sim.console());
        assert!(world.is("a", UnitState::Active));
        world.power_off();
        assert_eq!(world.sim.undisposed(), 0);
    });
}

#[test]
fn what_a_service_says_before_it_ends_is_heard_before_its_end() {
    on_both(|has_clock| {
        let a = runs_native("a", |sim, channel| {
            let line = Line::new(sim, channel);
            for _ in 0..5 {
                tell(&line, Letter::Log(b"words"));
            }
            line.exit(7);
        });
        let mut world = world(
            Graph::new("target main wants a\n service a"),
            &[a],
            has_clock,
        );
        world.until("its end", |world| world.status("a").last_exit.is_some());
        assert_eq!(world.status("a").last_exit, Some(ExitStatus::Code(7)));
        let console = world.sim.console();
        let (before, _) = console.split_once("a: ended").expect("its end");
        assert_eq!(before.matches("a: words").count(), 5, "{console}");
    });
}

#[test]
fn one_that_dies_while_it_waits_for_its_answer_is_not_answered() {
    on_both(|has_clock| {
        let graph = Graph::new("target main wants a\n service a").with("a", |a| {
            rules(a).restart = rule(RESTART);
        });
        let a = runs_native("a", |sim, channel| {
            let line = Line::new(sim, channel);
            tell(&line, Letter::Ready);
            // The kernel kills it meanwhile, in the turn that takes its call out.
            let _ = line.ask(&Letter::Heartbeat.sheet());
            line.exit(1);
        });
        let mut world = world(graph, &[a], has_clock);
        for round in 1..6 {
            world.until("it runs", |world| world.sim.state().starts.len() >= round);
            // Killed behind the core's back, as a fault in another of its threads would.
            let group = world.sim.state().groups.len() - 1;
            world.sim.state().fault(group);
            world.until("its restart", |world| {
                usize::from(world.status("a").restarts) >= round
            });
        }
        world.power_off();
        assert_eq!(world.sim.undisposed(), 0);
    });
}

/// What the answers of a session were.
type Told = Arc<Mutex<Vec<String>>>;

fn note(told: &Told, frame: &[u8]) {
    let mut reader = Reader::new(frame).expect("a frame of ours");
    let response: Response<'_> = reader.take().expect("a response");
    let mut words = format!("{response:?}");
    while !reader.is_at_end() {
        let unit: UnitRecord<'_> = reader.take().expect("a unit");
        words += &format!(" {:?} {:?}", unit.name, unit.state);
    }
    told.lock().expect("whole").push(words);
}

fn controller(told: &Told) -> Runs {
    let told = Arc::clone(told);
    runs_native("ctl", move |sim, channel| {
        let line = Line::new(sim.clone(), channel);
        // Who does not listen is not told of the end, and would not live to fetch its answer.
        let _ = ask(&line, Letter::Heartbeat);
        work(&sim, &line, 100);
        for request in [
            change(Change::Stop, "a"),
            Request::Units { from: 0 },
            change(Change::Start, "a"),
            change(Change::Start, "nobody"),
            Request::Act(MachineRequest::PowerOff),
        ] {
            let frame = control(&sim, &line, &request).expect("an answer");
            note(&told, &frame);
        }
        beat(&sim, &line);
    })
}

const CONTROLLED: &str = "target main wants a ctl\n service a\n service ctl";

#[test]
fn a_service_that_may_controls_units_and_machine_by_the_protocol_of_the_tool() {
    on_both(|has_clock| {
        let told = Told::default();
        let graph = watched(CONTROLLED, "a").with("ctl", |ctl| rules(ctl).controls = true);
        let programs = [runs_native("a", good), controller(&told)];
        let mut world = world(graph, &programs, has_clock);
        world.driver.run();
        assert!(world.sim.state().powered_off, "{}", world.sim.console());
        let told = told.lock().expect("whole");
        assert_eq!(told.len(), 5, "{told:?}");
        assert_eq!(told[0], "Done");
        assert!(
            told[1].contains("\"a\" Inactive \"ctl\" Active"),
            "{}",
            told[1]
        );
        assert_eq!(told[2], "Done");
        assert!(told[3].contains("NoSuchUnit"), "{}", told[3]);
        assert_eq!(told[4], "Done");
        assert_eq!(world.status("a").last_exit, Some(ExitStatus::Code(0)));
        assert_eq!(world.sim.count(Number::KILL_GROUP), 0);
        assert_eq!(world.sim.undisposed(), 0);
    });
}

#[test]
fn a_service_that_may_not_control_is_refused() {
    on_both(|has_clock| {
        let refused = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&refused);
        let ctl = runs_native("ctl", move |sim, channel| {
            let line = Line::new(sim.clone(), channel);
            let request = Request::Act(MachineRequest::PowerOff);
            if control(&sim, &line, &request).is_none() {
                count.fetch_add(1, Ordering::Relaxed);
            }
            beat(&sim, &line);
        });
        let programs = [runs_native("a", good), ctl];
        let mut world = world(watched(CONTROLLED, "a"), &programs, has_clock);
        world.pass(1_000);
        assert_eq!(refused.load(Ordering::Relaxed), 1);
        assert!(world.is("a", UnitState::Active));
        world.power_off();
    });
}

#[test]
fn a_client_that_ends_while_it_waits_is_forgotten() {
    on_both(|has_clock| {
        let graph = watched(CONTROLLED, "a").with("ctl", |ctl| {
            rules(ctl).controls = true;
            rules(ctl).restart = rule(RESTART);
        });
        // Its restart of a takes as long as a's next heartbeat; it does not wait for that.
        let taken = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&taken);
        let ctl = runs_native("ctl", move |sim, channel| {
            let line = Line::new(sim.clone(), channel);
            let mut buffer = [0; FRAME_BYTES_MAX];
            let mut writer = Writer::new(&mut buffer);
            writer.add(&change(Change::Restart, "a")).expect("room");
            let length = writer.length();
            let piece = Piece::of(&buffer[..length], 0).expect("a piece");
            let answer = ask(&line, Letter::Request(piece));
            if Letter::read(&answer) == Ok(Letter::NotYet) {
                count.fetch_add(1, Ordering::Relaxed);
            }
            line.exit(1);
        });
        let mut world = world(graph, &[runs_native("a", good), ctl], has_clock);
        world.until("more sessions than there is room for", |world| {
            world.status("ctl").restarts >= 6
        });
        assert!(
            taken.load(Ordering::Relaxed) >= 6,
            "its places are not free again"
        );
        world.until("a is up again", |world| world.is("a", UnitState::Active));
        world.power_off();
        assert_eq!(world.sim.undisposed(), 0);
    });
}
