//! This file puts a core behind the relay: it decides as it does beside its platform, and it may
//! die at any write.
#![allow(missing_docs)]

mod common;

use common::distance::Keeper;
use common::graph::rules;
use common::random::Random;
use common::{Graph, RESTART, ms, secs};
use init_core::checkpoint::words::Words;
use init_core::effect::FinalAction;
use init_core::event::{BootOptions, Event, ExitStatus, MachineRequest};
use init_core::hal::Wake;
use init_core::hal::fake::{Act, Fake, Script};
use init_core::ident::{Child, ClientId, Role, UnitId};
use init_core::protocol::{Change, Request, Text};
use init_core::renewal::Image;
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

/// By then an exchange is over, also where a core died over the third one's SIGTERM, which is sent
/// once at most: after its stop-timeout comes SIGKILL.
const EXCHANGED: Duration = Duration::from_secs(20);

/// Three services, and an image that does not know the third. It stands its trial, and then cannot
/// be executed.
fn exchanged() -> (&'static Manifest, Fake) {
    let graph = Graph::new("target main wants a b c\n service a\n service b\n service c");
    let client = ClientId {
        slot: 1,
        generation: 7,
    };
    let mut fake = Fake::default();
    let mut buffer = [0; init_core::limits::FRAME_BYTES_MAX];
    let mut writer = init_core::protocol::Writer::new(&mut buffer);
    let image = Text::of("/image");
    assert!(writer.add(&Request::Upgrade { image }).is_ok());
    let length = writer.length();
    fake.frames.insert(1, buffer[..length].to_vec());
    fake.arrange(secs(1), Wake::Frame(client));
    fake.known = Some(vec![UnitId(0), UnitId(1), UnitId(2)]);
    fake.arrange(secs(2), Wake::Event(Event::TrialEnded(None)));
    let off = Wake::Event(Event::Machine(MachineRequest::PowerOff));
    fake.arrange(EXCHANGED, off);
    (graph.manifest(), fake)
}

#[test]
fn an_image_is_tried_and_executed_by_the_keeper_as_beside_its_platform() {
    let (manifest, fake) = exchanged();
    let mut keeper = Keeper::new(manifest, fake);
    keeper.keep(|| MANY);
    let (_, fake) = exchanged();
    let mut storage = Storage::<32>::new();
    let mut driver = Driver::new(storage.core(manifest), fake);
    let memory = common::distance::memory(init_core::checkpoint::words_for(4));
    driver.platform().keeps = Some(Words::new(memory));
    assert!(!driver.resume(), "there is nothing to go on with");
    driver.boot(BootOptions::default());
    driver.run();
    let theirs = driver.platform().clone();
    assert_eq!(keeper.fake.acts, theirs.acts);
    assert_eq!(keeper.fake.replies, theirs.replies);
    let third = |act: &Act| matches!(act, Act::Spawn(child) if child.unit == UnitId(3));
    let asked = |act: &Act| *act == Act::Renew(Image::New);
    let place = |is_it: &dyn Fn(&Act) -> bool| {
        let acts = theirs.acts.iter().enumerate();
        acts.filter(|(_, (_, act))| is_it(act))
            .map(|(at, _)| at)
            .collect::<Vec<_>>()
    };
    let (starts, asked) = (place(&third), place(&asked));
    let [executed] = asked[..] else {
        panic!("{asked:?}")
    };
    assert!(
        starts[0] < executed && executed < starts[1],
        "{:?}",
        theirs.acts
    );
    assert_eq!(starts.len(), 2);
}

/// It is asked for at most once, and in the end all run as before.
#[test]
fn a_core_that_dies_over_an_upgrade_at_any_write_leaves_nobody_stopped() {
    let (mut deaths, mut asked) = (0, 0);
    for seed in 0..60 {
        let mut random = Random::new(seed);
        let (manifest, fake) = exchanged();
        let mut keeper = Keeper::new(manifest, fake);
        keeper.keep(|| u32::try_from(300 + random.below(2_000)).unwrap());
        let count = |is_it: &dyn Fn(&Act) -> bool| {
            let early = |at: &Instant| *at < Instant::ZERO.after(EXCHANGED);
            let acts = keeper.fake.acts.iter().filter(|(at, _)| early(at));
            acts.filter(|(_, act)| is_it(act)).count()
        };
        let executions = count(&|act| *act == Act::Renew(Image::New));
        assert!(executions <= 1, "seed {seed}");
        asked += executions;
        let third = |child: &Child| child.unit == UnitId(3);
        let starts = count(&|act| matches!(act, Act::Spawn(child) if third(child)));
        let stops = count(&|act| matches!(act, Act::Signal(child, _) if third(child)));
        assert_eq!(starts, stops + 1, "seed {seed}: {:?}", keeper.fake.acts);
        let told = count(&|act| matches!(act, Act::Frame(_) | Act::Close(_)));
        assert!(told > 0, "seed {seed}: the client knows nothing");
        deaths += keeper.lives - 1;
    }
    assert!(
        deaths > 60 && asked > 10,
        "{deaths} deaths, {asked} executions"
    );
}
