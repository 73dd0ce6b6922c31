//! This file puts a core behind the relay: it decides as it does beside its platform, and it may
//! die at any write.
#![allow(missing_docs)]

mod common;

use common::distance::Keeper;
use common::graph::rules;
use common::random::Random;
use common::{Graph, RESTART, ms, secs};
use init_core::effect::FinalAction;
use init_core::event::{BootOptions, Event, ExitStatus, MachineRequest};
use init_core::hal::Wake;
use init_core::hal::fake::{Act, Fake, Script};
use init_core::ident::{Child, ClientId, Role, UnitId};
use init_core::protocol::{Change, Request, Text};
use init_core::time::{Duration, Instant};
use init_core::unit::Manifest;
use init_core::{Driver, Storage};

const MANY: u32 = u32::MAX - 1;

/// Four services, of which two end again and again, a client that asks, and a power-off.
fn world(until: Duration) -> (&'static Manifest, Fake) {
    let graph = Graph::new(
        "target main wants a b c d\n service a\n service b requires a\n service c\n service d",
    );
    let graph = ["b", "c"].iter().fold(graph, |graph, name| {
        graph.with(name, |unit| rules(unit).restart = &RESTART)
    });
    let mut fake = Fake::default();
    for (unit, life) in [(2, 170), (3, 230)] {
        let script = Script::exits(ms(life), 3);
        fake.script(UnitId(unit), Role::Main, &[script]);
    }
    let client = ClientId {
        slot: 1,
        generation: 7,
    };
    let mut buffer = [0; init_core::limits::FRAME_BYTES_MAX];
    let mut writer = init_core::protocol::Writer::new(&mut buffer);
    let request = Request::Change {
        change: Change::Restart,
        name: Text::of("a"),
        wait: true,
    };
    assert!(writer.add(&request).is_ok());
    let length = writer.length();
    fake.frames.insert(1, buffer[..length].to_vec());
    fake.arrange(secs(4), Wake::Frame(client));
    let off = Wake::Event(Event::Machine(MachineRequest::PowerOff));
    fake.arrange(until, off);
    (graph.manifest(), fake)
}

fn beside() -> Fake {
    let (manifest, fake) = world(secs(6));
    let mut storage = Storage::<32>::new();
    let mut driver = Driver::new(storage.core(manifest), fake);
    driver.boot(BootOptions::default());
    driver.run();
    driver.platform().clone()
}

#[test]
fn a_core_behind_the_relay_does_what_one_beside_its_platform_does() {
    let (manifest, fake) = world(secs(6));
    let mut keeper = Keeper::new(manifest, fake);
    keeper.keep(|| MANY);
    let theirs = beside();
    assert_eq!(keeper.lives, 1);
    assert_eq!(keeper.fake.acts, theirs.acts);
    assert_eq!(keeper.fake.replies, theirs.replies);
    let text = |fake: &Fake| String::from_utf8(fake.console.0.clone()).unwrap();
    assert_eq!(text(&keeper.fake), text(&theirs));
    assert!(theirs.acts.len() > 20, "the scenario does something");
}

/// When which process was asked for, up to the power-off.
fn spawns(fake: &Fake) -> Vec<(Instant, Child)> {
    let spawn = |(at, act): &(Instant, Act)| match act {
        // Signals that a core dies of are sent once at most, so times differ where they matter.
        Act::Spawn(child) if *at < Instant::ZERO.after(secs(4)) => Some((*at, *child)),
        _ => None,
    };
    let mut spawns: Vec<_> = fake.acts.iter().filter_map(spawn).collect();
    // Which of those that may start at once is the first, no life tells the next.
    spawns.sort_by_key(|(at, child)| (*at, child.unit));
    spawns
}

#[test]
fn a_core_that_dies_at_any_write_loses_no_event_and_starts_nothing_twice() {
    let theirs = spawns(&beside());
    let mut deaths = 0;
    for seed in 0..60 {
        let mut random = Random::new(seed);
        let most = [400, 2_000, 10_000][random.below(3)];
        let (manifest, fake) = world(secs(6));
        let mut keeper = Keeper::new(manifest, fake);
        keeper.keep(|| u32::try_from(300 + random.below(most)).unwrap());
        assert_eq!(spawns(&keeper.fake), theirs, "seed {seed}");
        let last = keeper.fake.acts.last().map(|(_, act)| *act);
        assert_eq!(
            last,
            Some(Act::Finish(FinalAction::PowerOff)),
            "seed {seed}"
        );
        let told = keeper
            .fake
            .acts
            .iter()
            .any(|(_, act)| matches!(act, Act::Frame(_) | Act::Close(_)));
        assert!(told, "seed {seed}: the client knows nothing");
        deaths += keeper.lives - 1;
    }
    assert!(deaths > 60, "{deaths} deaths");
}

/// Nothing that it writes is believed; who runs is taken up again.
#[test]
fn a_core_that_writes_over_all_its_memory_changes_no_running_service() {
    let mut deaths = 0;
    for seed in 0..60 {
        let mut random = Random::new(seed);
        let (manifest, fake) = world(secs(300));
        let mut keeper = Keeper::new(manifest, fake);
        keeper.scribbles = Some(Random::new(!seed));
        let mut lives = 0;
        keeper.keep(|| {
            lives += 1;
            // In the end one lives on, and the machine goes down by it.
            match lives {
                1..8 => u32::try_from(2_000 + random.below(6_000)).unwrap(),
                _ => MANY,
            }
        });
        let steady = |(_, act): &&(Instant, Act)| match act {
            Act::Spawn(child) | Act::Signal(child, _) => child.unit == UnitId(4),
            _ => false,
        };
        let up = keeper
            .fake
            .acts
            .iter()
            .filter(|(at, _)| *at < Instant::ZERO.after(secs(300)));
        let touched: Vec<_> = up.filter(steady).collect();
        assert_eq!(touched.len(), 1, "seed {seed}: {touched:?}");
        let last = keeper.fake.acts.last().map(|(_, act)| *act);
        assert_eq!(
            last,
            Some(Act::Finish(FinalAction::PowerOff)),
            "seed {seed}"
        );
        deaths += keeper.lives - 1;
    }
    assert!(deaths > 60, "{deaths} deaths");
}

#[test]
fn an_exit_says_how_it_came() {
    let (manifest, mut fake) = world(secs(6));
    let status = ExitStatus::Signal {
        number: 11,
        core_dumped: true,
    };
    fake.script(
        UnitId(2),
        Role::Main,
        &[Script {
            exit: Some((ms(50), status)),
            ..Script::RUNS
        }],
    );
    let mut keeper = Keeper::new(manifest, fake);
    keeper.keep(|| MANY);
    let text = String::from_utf8(keeper.fake.console.0.clone()).unwrap();
    assert!(text.contains("SIGSEGV, core dumped"), "{text}");
}
