//! This file shows the production loop at work: from boot to the last act, on the fake platform.
#![allow(missing_docs)]

mod common;

use common::{Graph, ms, secs};
use init_core::checkpoint::words::{BURNT, Words};
use init_core::checkpoint::{self, words_for};
use init_core::effect::FinalAction;
use init_core::event::{BootOptions, Event, MachineRequest};
use init_core::hal::Wake;
use init_core::hal::fake::{Act, Fake};
use init_core::ident::{ClientId, Role, UnitId};
use init_core::protocol::{self, Change, Request, Response, Text};
use init_core::renewal::Obstacle;
use init_core::status::UnitState;
use init_core::unit::UnitKind;
use init_core::{Driver, Storage};
use std::sync::atomic::{AtomicU32, Ordering};

const CLIENT: ClientId = ClientId {
    slot: 0,
    generation: 1,
};

fn driver(graph: Graph, fake: Fake) -> Driver<'static, Fake> {
    let storage: &'static mut Storage<512> = Box::leak(Box::new(Storage::new()));
    Driver::new(storage.core(graph.manifest()), fake)
}

#[test]
fn a_machine_boots_serves_and_is_switched_off() {
    let mut fake = Fake::default();
    let off = Wake::Event(Event::Machine(MachineRequest::PowerOff));
    fake.arrange(secs(10), off);
    let graph = Graph::new("target main wants b\n service a\n service b requires a");
    let mut driver = driver(graph, fake);
    driver.boot(BootOptions::default());
    driver.run();
    let fake = driver.platform();
    let spawned: Vec<u16> = fake
        .acts
        .iter()
        .filter_map(|(_, act)| match act {
            Act::Spawn(child) => Some(child.unit.0),
            _ => None,
        })
        .collect();
    assert_eq!(spawned, [1, 2]);
    assert_eq!(
        fake.acts.last().map(|(_, act)| *act),
        Some(Act::Finish(FinalAction::PowerOff))
    );
    assert_eq!(fake.running_count(), 0);
    let text = String::from_utf8(fake.console.0.clone()).unwrap();
    assert!(text.lines().count() > 4, "{text}");
    assert!(
        text.lines().all(|line| line.starts_with("init: ")),
        "{text}"
    );
}

#[test]
fn a_client_that_waits_has_one_answer_and_it_comes_when_the_unit_is_stopped() {
    let mut fake = Fake::default();
    let request = Request::Change {
        change: Change::Stop,
        name: Text::of("a"),
        wait: true,
    };
    let mut buffer = [0; init_core::limits::FRAME_BYTES_MAX];
    let mut writer = protocol::Writer::new(&mut buffer);
    writer.add(&request).unwrap();
    let length = writer.length();
    fake.frames.insert(CLIENT.slot, buffer[..length].to_vec());
    let slow = init_core::hal::fake::Script {
        on_stop: Some(ms(300)),
        ..init_core::hal::fake::Script::RUNS
    };
    fake.script(UnitId(1), Role::Main, &[slow]);
    fake.arrange(secs(1), Wake::Frame(CLIENT));
    let mut driver = driver(Graph::new("target main wants a\n service a"), fake);
    driver.boot(BootOptions::default());
    while !driver.platform().idle {
        driver.turn();
    }
    let answers: Vec<_> = driver
        .platform()
        .acts
        .iter()
        .filter(|(_, act)| *act == Act::Frame(CLIENT))
        .collect();
    assert_eq!(answers.len(), 1);
    assert_eq!(answers[0].0.as_us(), 1_300_000);
    assert_eq!(
        driver.core().status(UnitId(1)).unwrap().state,
        UnitState::Inactive
    );
}

/// A target that wants so many services, whose execution is awaited or not.
fn crowd(services: usize, is_awaited: bool) -> Graph {
    let mut graph = Graph::empty();
    let main = common::graph::unit("main", UnitKind::Target);
    graph.units.push(main);
    for index in 0..services {
        let name: &'static str = format!("u{index}").leak();
        let mut unit = common::graph::unit(name, UnitKind::Service);
        common::graph::rules(&mut unit).awaited = is_awaited;
        graph.units.push(unit);
        graph.relate(0, init_core::unit::EdgeKind::Wants, index + 1);
    }
    graph
}

#[test]
fn a_turn_is_bounded_however_many_units_there_are() {
    for is_awaited in [false, true] {
        let mut driver = driver(crowd(500, is_awaited), Fake::default());
        driver.boot(BootOptions::default());
        let mut before = driver.platform().acts.len();
        assert!(before < 100, "{before} in the first turn");
        while !driver.platform().idle {
            driver.turn();
            let after = driver.platform().acts.len();
            assert!(after - before < 100, "{} in one turn", after - before);
            before = after;
        }
        assert_eq!(driver.core().machine_status().ready, 501);
    }
}

#[test]
fn while_something_happens_no_more_units_begin_than_end_their_start() {
    let mut driver = driver(crowd(500, true), Fake::default());
    driver.boot(BootOptions::default());
    let starting = |driver: &Driver<'_, Fake>| {
        let statuses = (1..=500).filter_map(|unit| driver.core().status(UnitId(unit)));
        let begun = statuses.filter(|it| it.state == UnitState::Starting && it.pid.is_some());
        begun.count()
    };
    let first = starting(&driver);
    assert!((16..=32).contains(&first), "{first} in the first turn");
    let mut most = 0;
    while !driver.platform().idle {
        driver.turn();
        most = most.max(starting(&driver));
    }
    assert!(most <= first + 2, "{most} on their way at once");
    assert_eq!(driver.core().machine_status().ready, 501);
}

/// A machine that is switched off after ten seconds, with its state in these words.
fn switched_off_in(words: Words<'static>) -> Driver<'static, Fake> {
    let mut fake = Fake::default();
    fake.keeps = Some(words);
    let off = Wake::Event(Event::Machine(MachineRequest::PowerOff));
    fake.arrange(secs(10), off);
    driver(Graph::new("target main wants a\n service a"), fake)
}

/// As in a container, of which the kernel performs no last act: whoever runs the machine ends then,
/// also where the life before had died on the way to it.
#[test]
fn a_life_that_comes_back_from_the_last_act_is_over_wherever_the_one_before_had_died() {
    let mut in_last_act = 0;
    for writes in 1.. {
        let memory = (0..words_for(2)).map(|_| AtomicU32::new(0));
        let words = Words::new(memory.collect::<Vec<_>>().leak());
        let fuse: &'static AtomicU32 = Box::leak(Box::new(AtomicU32::new(writes)));
        let mut first = switched_off_in(words.with_fuse(fuse));
        assert!(!first.resume());
        first.boot(BootOptions::default());
        first.run();
        if fuse.load(Ordering::Relaxed) != BURNT {
            break;
        }
        let mut heir = switched_off_in(words);
        if heir.resume() {
            let acts = &heir.platform().acts;
            in_last_act += u32::from(matches!(acts.last(), Some((_, Act::Finish(_)))));
        } else {
            heir.boot(BootOptions::default());
        }
        let turns = (0..100).find(|_| !heir.turn());
        assert!(turns.is_some(), "{writes} writes: it is never over");
    }
    assert!(in_last_act > 0, "no heir had only that to do");
}

/// That it has to stop for the image is among what is not known any more.
#[test]
fn where_the_record_of_a_unit_that_stops_for_an_image_was_damaged_the_program_stays() {
    let memory = (0..words_for(3)).map(|_| AtomicU32::new(0));
    let words = Words::new(memory.collect::<Vec<_>>().leak());
    let mut fake = Fake::default();
    fake.keeps = Some(words);
    fake.known = Some(vec![UnitId(0), UnitId(1)]);
    let stays = init_core::hal::fake::Script {
        on_stop: None,
        ..init_core::hal::fake::Script::RUNS
    };
    fake.script(UnitId(2), Role::Main, &[stays]);
    let mut buffer = [0; init_core::limits::FRAME_BYTES_MAX];
    let mut writer = protocol::Writer::new(&mut buffer);
    let image = Text::of("/image");
    writer.add(&Request::Upgrade { image }).unwrap();
    let length = writer.length();
    fake.frames.insert(CLIENT.slot, buffer[..length].to_vec());
    fake.arrange(secs(1), Wake::Frame(CLIENT));
    fake.arrange(secs(2), Wake::Event(Event::TrialEnded(None)));
    let graph = || Graph::new("target main wants a b\n service a\n service b");
    let mut first = driver(graph(), fake);
    assert!(!first.resume());
    first.boot(BootOptions::default());
    let stops = |driver: &Driver<'_, Fake>| {
        driver.core().status(UnitId(2)).unwrap().state == UnitState::Stopping
    };
    assert!((0..50).any(|_| first.turn() && stops(&first)));
    assert!(checkpoint::damage(words, 3, UnitId(2), 1, 1));
    let mut fake = first.platform().clone();
    fake.acts.clear();
    let mut heir = driver(graph(), fake);
    assert!(heir.resume());
    while !heir.platform().idle {
        heir.turn();
    }
    let fake = heir.platform();
    let renews = |act: &Act| matches!(act, Act::Renew(_));
    assert!(!fake.acts.iter().any(|(_, act)| renews(act)));
    assert_eq!(fake.count(UnitId(2), Role::Main), 1);
    let mut reader = protocol::Reader::new(&fake.replies.last().expect("an answer").1).unwrap();
    let obstacle = Obstacle::Died;
    let unit = Text::default();
    assert_eq!(reader.take(), Ok(Response::NotUpgraded { obstacle, unit }));
}
