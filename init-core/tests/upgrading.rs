//! This file exchanges the program under a running machine: units are found again by their names,
//! wherever they are, and what an image does not know is stopped by the one that does.
#![allow(missing_docs)]

mod common;

use common::graph::rules;
use common::{Graph, secs};
use init_core::Storage;
use init_core::checkpoint::words::Words;
use init_core::checkpoint::{Legacy, Past, words_for};
use init_core::effect::{Effect, Refusal, Reply};
use init_core::event::{BootOptions, ControlRequest, Errno, Event, ExitStatus, MachineRequest};
use init_core::ident::{Child, ClientId, Generation, Role, UnitId};
use init_core::renewal::{Handover, Image, Obstacle};
use init_core::status::UnitState;
use init_core::supervisor::Core;
use init_core::time::Instant;
use init_core::unit::{Manifest, OnUpgrade};
use std::sync::atomic::AtomicU32;

const CLIENT: ClientId = ClientId {
    slot: 1,
    generation: 7,
};

/// A core, its region, and what it asked for.
struct Life {
    core: Core<'static>,
    manifest: &'static Manifest,
    words: Words<'static>,
    now: Instant,
    effects: Vec<Effect>,
}

fn region(manifest: &Manifest) -> Words<'static> {
    let count = words_for(manifest.units.len());
    let memory: &[AtomicU32] = Vec::leak((0..count).map(|_| AtomicU32::new(0)).collect());
    Words::new(memory)
}

impl Life {
    fn in_words(graph: Graph, words: Option<Words<'static>>) -> (Self, Past) {
        let manifest = graph.manifest();
        let storage: &'static mut Storage<64> = Box::leak(Box::new(Storage::new()));
        let words = words.unwrap_or_else(|| region(manifest));
        let mut life = Self {
            core: storage.core(manifest),
            manifest,
            words,
            now: Instant::from_us(1_000_000),
            effects: Vec::new(),
        };
        let past = life.core.keep_in(life.words);
        (life, past)
    }

    fn boot(graph: Graph) -> Self {
        let (mut life, past) = Self::in_words(graph, None);
        assert_eq!(past, Past::None);
        life.step(Event::Boot(BootOptions::default()));
        life
    }

    /// The life of another program, with what this one left.
    fn upgrade(&self, graph: Graph) -> Self {
        let manifest = graph.clone().manifest();
        let to = region(manifest);
        let legacy = Legacy::of(self.words).expect("it is a region");
        assert!(legacy.hand_on(to, manifest), "it can be read");
        let (life, past) = Self::in_words(graph, Some(to));
        assert!(matches!(past, Past::Restored(_)));
        life
    }

    fn id(&self, name: &str) -> UnitId {
        self.manifest.find(name.as_bytes()).expect(name)
    }

    fn state(&self, name: &str) -> UnitState {
        self.core.status(self.id(name)).unwrap().state
    }

    fn pid(&self, name: &str) -> Option<u32> {
        self.core.status(self.id(name)).unwrap().pid
    }

    /// Steps, and does what is asked for: processes run at once and end when they are told to.
    fn step(&mut self, event: Event) {
        self.core.step(event, self.now);
        while let Some(effect) = self.core.next_effect(self.now) {
            self.effects.push(effect);
            match effect {
                Effect::Spawn(child) => {
                    let pid = 100 + u32::from(child.unit.0);
                    self.core.step(Event::Spawned { child, pid }, self.now);
                    self.core.step(Event::Ready(child), self.now);
                }
                Effect::Signal { child, .. } => {
                    let status = ExitStatus::Code(0);
                    self.core.step(Event::Exited { child, status }, self.now);
                }
                _ => {}
            }
        }
    }

    fn ask(&mut self) {
        let request = ControlRequest::Renew(Image::New);
        self.step(Event::Control {
            client: CLIENT,
            request,
        });
        assert!(self.effects.contains(&Effect::Try(CLIENT)));
    }

    /// The trial is over: the image knows these units.
    fn pass(&mut self, known: &[&str]) {
        let known: Vec<UnitId> = known.iter().map(|name| self.id(name)).collect();
        self.core.note_known(&|unit| known.contains(&unit));
        self.step(Event::TrialEnded(None));
    }

    fn replied(&self) -> Option<Reply> {
        self.effects.iter().find_map(|effect| match effect {
            Effect::Reply { client, reply } if *client == CLIENT => Some(*reply),
            _ => None,
        })
    }

    fn is_upgrading(&self) -> bool {
        self.effects.contains(&Effect::Renew(Image::New))
    }
}

const BEFORE: &str =
    "target main wants a b c\n service a\n service b\n service c requires b\n service d";

#[test]
fn units_are_found_by_their_names_wherever_they_are() {
    let mut old = Life::boot(Graph::new(BEFORE));
    let (a, c) = (old.pid("a"), old.pid("c"));
    old.ask();
    old.pass(&["main", "a", "b", "c", "d"]);
    assert!(old.is_upgrading());
    let after = "target main wants a b c\n service x\n service d\n service c requires b\n \
                 service b\n service y\n service a";
    let mut new = old.upgrade(Graph::new(after));
    assert_eq!((new.pid("a"), new.pid("c")), (a, c));
    new.step(Event::Resumed(Handover::Upgraded));
    assert_eq!(new.replied(), Some(Reply::Done));
    assert_eq!((new.pid("a"), new.pid("c")), (a, c));
    for (name, state) in [
        ("b", UnitState::Active),
        ("d", UnitState::Inactive),
        ("x", UnitState::Inactive),
        ("y", UnitState::Inactive),
    ] {
        assert_eq!(new.state(name), state, "{name}");
    }
    let is_spawn = |effect: &Effect| matches!(effect, Effect::Spawn(_));
    assert!(!new.effects.iter().any(is_spawn), "{:?}", new.effects);
    // A late report is of the unit that it was of.
    let child = Child {
        unit: new.id("a"),
        generation: Generation(1),
        role: Role::Main,
    };
    new.step(Event::Exited {
        child,
        status: ExitStatus::Code(3),
    });
    assert_eq!(new.state("a"), UnitState::Failed);
    assert_eq!(new.state("b"), UnitState::Active);
}

#[test]
fn what_an_image_does_not_know_is_stopped_first_and_what_needed_it_comes_back() {
    let mut old = Life::boot(Graph::new(BEFORE));
    old.ask();
    old.pass(&["main", "a", "c", "d"]);
    assert_eq!(old.state("b"), UnitState::Inactive);
    assert_eq!(old.state("c"), UnitState::Inactive, "it required b");
    assert!(old.is_upgrading());
    let after =
        "target main wants a c e\n service a\n service c requires e\n service d\n service e";
    let mut new = old.upgrade(Graph::new(after));
    new.step(Event::Resumed(Handover::Upgraded));
    for name in ["a", "c", "e"] {
        assert_eq!(new.state(name), UnitState::Active, "{name}");
    }
    assert_eq!(new.state("d"), UnitState::Inactive);
}

#[test]
fn an_image_that_ends_too_early_leaves_all_as_it_was() {
    for why in [Handover::RolledBack(11), Handover::Fault] {
        let mut old = Life::boot(Graph::new(BEFORE));
        old.ask();
        old.pass(&["main", "a", "c", "d"]);
        assert!(old.is_upgrading());
        let (mut again, past) = Life::in_words(Graph::new(BEFORE), Some(old.words));
        assert_eq!(past, Past::Restored(2));
        again.step(Event::Resumed(why));
        let obstacle = match why {
            Handover::RolledBack(signal) => Obstacle::RolledBack(signal),
            _ => Obstacle::Died,
        };
        assert_eq!(again.replied(), Some(Reply::NotUpgraded(obstacle)));
        for name in ["a", "b", "c"] {
            assert_eq!(again.state(name), UnitState::Active, "{name}");
        }
    }
}

#[test]
fn a_refused_image_changes_nothing() {
    let obstacles = [
        Obstacle::NotRead(Errno(2)),
        Obstacle::NotOurs,
        Obstacle::Ended(ExitStatus::Code(1)),
    ];
    for obstacle in obstacles {
        let mut life = Life::boot(Graph::new(BEFORE));
        life.ask();
        life.effects.clear();
        life.step(Event::TrialEnded(Some(obstacle)));
        assert_eq!(life.replied(), Some(Reply::NotUpgraded(obstacle)));
        assert!(!life.is_upgrading());
        let acts = |effect: &&Effect| matches!(effect, Effect::Spawn(_) | Effect::Signal { .. });
        assert_eq!(life.effects.iter().find(acts), None);
    }
}

#[test]
fn a_trial_that_takes_too_long_is_ended_and_its_answer_counts_no_longer() {
    let mut life = Life::boot(Graph::new(BEFORE));
    life.ask();
    let due = life.core.next_deadline().expect("it is bounded");
    assert_eq!(due, life.now.after(secs(30)));
    life.now = due;
    life.step(Event::Tick);
    assert!(life.effects.contains(&Effect::EndTrial));
    assert_eq!(life.replied(), None);
    life.pass(&["main", "a", "b", "c", "d"]);
    assert_eq!(life.replied(), Some(Reply::NotUpgraded(Obstacle::Late)));
    assert!(!life.is_upgrading());
    assert_eq!(life.core.next_deadline(), None);
}

#[test]
fn a_trial_whose_end_is_never_told_keeps_nobody_waiting_for_ever() {
    let mut life = Life::boot(Graph::new(BEFORE));
    life.ask();
    for _ in 0..2 {
        assert_eq!(life.replied(), None);
        life.now = life.core.next_deadline().expect("it waits no longer");
        life.step(Event::Tick);
    }
    assert_eq!(life.replied(), Some(Reply::NotUpgraded(Obstacle::Late)));
    assert!(!life.is_upgrading());
    assert_eq!(life.core.next_deadline(), None);
}

#[test]
fn a_second_request_and_one_for_a_machine_that_goes_down_are_refused() {
    let mut life = Life::boot(Graph::new(BEFORE));
    life.ask();
    let request = ControlRequest::Renew(Image::Same);
    let client = ClientId {
        slot: 2,
        generation: 1,
    };
    life.step(Event::Control { client, request });
    let refused = |client, refusal| Effect::Reply {
        client,
        reply: Reply::Refused(refusal),
    };
    assert!(life.effects.contains(&refused(client, Refusal::Renewing)));
    life.step(Event::Machine(MachineRequest::PowerOff));
    assert_eq!(
        life.replied(),
        Some(Reply::Refused(Refusal::ShuttingDown)),
        "who waits is told"
    );
    life.effects.clear();
    life.step(Event::TrialEnded(None));
    assert!(!life.is_upgrading());
    life.step(Event::Control { client, request });
    let refused = refused(client, Refusal::ShuttingDown);
    assert!(life.effects.contains(&refused), "{:?}", life.effects);
}

#[test]
fn a_unit_that_runs_by_an_old_definition_is_stale_or_restarted_as_the_manifest_says() {
    let graph = |definition, on_upgrade| {
        let mut graph = Graph::new("target main wants a b\n service a\n service b");
        graph.definitions = vec![0; graph.units.len()];
        let a = graph.index("a");
        graph.definitions[a] = definition;
        rules(&mut graph.units[a]).on_upgrade = on_upgrade;
        graph
    };
    let stale = |life: &Life, name| life.core.status(life.id(name)).unwrap().stale;
    for on_upgrade in [OnUpgrade::Keep, OnUpgrade::Restart] {
        let mut old = Life::boot(graph(1, OnUpgrade::Keep));
        old.ask();
        old.pass(&["main", "a", "b"]);
        let mut new = old.upgrade(graph(2, on_upgrade));
        assert!(stale(&new, "a") && !stale(&new, "b"));
        new.step(Event::Resumed(Handover::Upgraded));
        let keeps = on_upgrade == OnUpgrade::Keep;
        assert_eq!(stale(&new, "a"), keeps);
        assert_eq!(new.state("a"), UnitState::Active);
        let spawns = new
            .effects
            .iter()
            .filter(|it| matches!(it, Effect::Spawn(_)));
        assert_eq!(spawns.count(), usize::from(!keeps));
        // Back to what it runs by, it is not stale any longer.
        let back = new.upgrade(graph(if keeps { 1 } else { 2 }, OnUpgrade::Keep));
        assert!(!stale(&back, "a"));
    }
}

#[test]
fn a_region_that_is_damaged_or_of_another_version_is_refused() {
    let old = Life::boot(Graph::new(BEFORE));
    let manifest = old.manifest;
    let words = old.words;
    for at in 0..words.len() {
        let value = words.get(at);
        for wrong in [value ^ 1, u32::MAX, 0] {
            words.set(at, wrong);
            // Whatever is there: an answer, and no end without one.
            if let Some(legacy) = Legacy::of(words) {
                let _ = legacy.hand_on(region(manifest), manifest);
            }
            words.set(at, value);
        }
    }
    for at in [0, 5, 6, 7] {
        let value = words.get(at);
        words.set(at, value ^ 1);
        let is_read = Legacy::of(words).is_some_and(|it| it.hand_on(region(manifest), manifest));
        assert!(!is_read, "word {at}");
        words.set(at, value);
    }
    assert!(Legacy::of(Words::new(&[])).is_none());
}

#[test]
fn a_unit_that_cannot_be_stopped_keeps_the_program() {
    let graph = Graph::new("target main wants a b\n service a\n service b");
    let mut life = Life::boot(graph);
    life.ask();
    let a = life.id("a");
    life.core.note_known(&|unit| unit != a);
    // Its process takes no notice of any signal.
    life.core.step(Event::TrialEnded(None), life.now);
    for _ in 0..4 {
        while let Some(effect) = life.core.next_effect(life.now) {
            life.effects.push(effect);
        }
        if let Some(due) = life.core.next_deadline() {
            life.now = due;
            life.core.step(Event::Tick, life.now);
        }
    }
    assert_eq!(life.replied(), Some(Reply::NotUpgraded(Obstacle::Stuck(a))));
    assert!(!life.is_upgrading());
    assert_eq!(life.state("b"), UnitState::Active);
}

/// The words of a name in a region.
fn damage_name(words: Words<'_>, name: &str) {
    let number = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let low = u32::try_from(number & u64::from(u32::MAX)).expect("half of it");
    let place = (0..words.len()).find(|at| words.get(*at) == low);
    let place = place.expect("the name is there");
    words.set(place, low ^ 1);
}

/// An image would start it beside itself.
#[test]
fn a_unit_whose_name_was_damaged_is_found_all_the_same() {
    let graph = || Graph::new("target main wants a b\n service a\n service b");
    let mut life = Life::boot(graph());
    let before = life.pid("b");
    damage_name(life.words, "b");
    life.ask();
    life.pass(&["main", "a", "b"]);
    assert!(life.is_upgrading());
    let mut next = life.upgrade(graph());
    next.step(Event::Resumed(Handover::Upgraded));
    assert_eq!(next.pid("b"), before);
    let spawned = |effect: &Effect| matches!(effect, Effect::Spawn(_));
    assert!(!next.effects.iter().any(spawned), "{:?}", next.effects);
}
