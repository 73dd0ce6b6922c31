//! This file writes to the relay what no core writes, and looks that nothing comes of it.
#![allow(missing_docs)]

mod common;

use common::Graph;
use common::distance::memory;
use common::random::Random;
use init_core::checkpoint::words::Words;
use init_core::event::Event;
use init_core::hal::fake::{Act, Fake};
use init_core::hal::{Clock, EventSource, Platform, Process, Wake};
use init_core::ident::{Child, ClientId, Generation, Role, UnitId};
use init_core::relay::{self, Bell, Breach, Desk, Remote, Step};
use init_core::renewal::{Handover, Image, Obstacle};
use init_core::time::{Duration, Instant};
use init_core::unit::{KillScope, Program, Readiness, Signal};
use std::sync::atomic::Ordering;

/// A bell that nobody hears: what is sent stays in the ring.
struct Silent;

impl Bell for Silent {
    fn ring(&mut self) {}
    fn sleep(&mut self) {
        panic!("nobody answers");
    }
}

/// A keeper that answers once; then somebody changes a word that both see.
struct Tampered {
    desk: Desk,
    fake: Fake,
    ring: common::distance::Memory,
    word: usize,
    is_answered: bool,
}

impl Bell for Tampered {
    fn ring(&mut self) {}
    fn sleep(&mut self) {
        if std::mem::replace(&mut self.is_answered, true) {
            let end = self.desk.serve(&mut self.fake);
            std::panic::resume_unwind(Box::new(end));
        }
        assert_eq!(self.desk.serve(&mut self.fake), Ok(Step::Answered));
        self.ring[self.word].fetch_xor(1 << (self.word % 32), Ordering::Relaxed);
    }
}

/// It ends before it believes that there is no process.
#[test]
fn a_core_acts_on_no_answer_that_the_keeper_did_not_give() {
    let manifest = Graph::new("target main wants a\n service a").manifest();
    // Number and length of the answer, its checksum, and how it begins.
    for word in [2, 3, 4, 6] {
        let ring = memory(relay::WORDS);
        let [read] = memory(1) else { unreachable!() };
        let mut desk = Desk::new(Words::new(ring), manifest, read);
        desk.open();
        let bell = Tampered {
            desk,
            fake: Fake::default(),
            ring,
            word,
            is_answered: false,
        };
        let why = (Some(Handover::Fault), Instant::ZERO);
        let mut remote = Remote::new(Words::new(ring), Words::new(&[]), manifest, bell, why);
        let asked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            remote.spawn(child(1, 1), Program::None, Readiness::Exec, false)
        }));
        let end = asked.expect_err("it has an answer");
        let end = end.downcast_ref::<Result<Step, Breach>>();
        assert_eq!(end, Some(&Err(Breach::Damaged)), "word {word}");
    }
}

struct Asking {
    remote: Remote<Silent>,
    desk: Desk,
    ring: common::distance::Memory,
    fake: Fake,
}

/// A core that asks for one thing or another, and what runs: unit 1, generation 1.
fn asking() -> Asking {
    let manifest = Graph::new("target main wants a b\n service a\n service b").manifest();
    let ring = memory(relay::WORDS);
    let [read] = memory(1) else { unreachable!() };
    let mut desk = Desk::new(Words::new(ring), manifest, read);
    desk.open();
    let mut fake = Fake::default();
    let (program, ready, confirm) = manifest.unit(UnitId(1)).unwrap().errand(Role::Main);
    fake.spawn(child(1, 1), program, ready, confirm).unwrap();
    fake.acts.clear();
    let remote = Remote::new(
        Words::new(ring),
        Words::new(&[]),
        manifest,
        Silent,
        (Some(Handover::Fault), Instant::ZERO),
    );
    Asking {
        remote,
        desk,
        ring,
        fake,
    }
}

fn child(unit: u16, generation: u16) -> Child {
    Child {
        unit: UnitId(unit),
        generation: Generation(generation),
        role: Role::Main,
    }
}

/// Asks for a process without waiting for the answer that nobody gives.
fn ask_to_start(remote: &mut Remote<Silent>, child: Child) {
    let asked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        remote.spawn(child, Program::None, Readiness::Exec, false)
    }));
    assert!(asked.is_err(), "it waits");
}

#[test]
fn what_the_manifest_does_not_allow_is_a_breach_and_changes_nothing() {
    type Ask = fn(&mut Remote<Silent>);
    let table: [(&str, Ask); 9] = [
        ("no such unit", |r| ask_to_start(r, child(9, 1))),
        ("a target has no program", |r| ask_to_start(r, child(0, 1))),
        ("never started", |r| ask_to_start(r, child(1, 0))),
        ("no stop program", |r| {
            let role = Role::Stop;
            ask_to_start(
                r,
                Child {
                    role,
                    ..child(1, 1)
                },
            );
        }),
        ("no probe", |r| {
            let role = Role::Probe;
            ask_to_start(
                r,
                Child {
                    role,
                    ..child(1, 1)
                },
            );
        }),
        ("another signal", |r| {
            r.signal(child(1, 1), Signal(1), KillScope::Process)
        }),
        ("a signal to nobody's unit", |r| {
            r.signal(child(9, 1), Signal::KILL, KillScope::Process)
        }),
        ("another signal to all", |r| r.signal_all(Signal(19))),
        ("what steers a terminal", |r| {
            let _ = embedded_io::Write::write(r.console(), b"\x1b[2J\n");
        }),
    ];
    for (what, ask) in table {
        let mut it = asking();
        ask(&mut it.remote);
        let said = it.desk.serve(&mut it.fake);
        assert_eq!(said, Err(Breach::Forbidden), "{what}");
        assert!(
            it.fake.acts.is_empty() && it.fake.console.0.is_empty(),
            "{what}"
        );
    }
}

#[test]
fn nobody_is_told_what_it_did_not_ask_and_no_other_generation_is_reached() {
    let mut it = asking();
    let client = ClientId {
        slot: 0,
        generation: 1,
    };
    init_core::hal::ControlPort::reply(&mut it.remote, client, b"what");
    it.remote
        .signal(child(1, 2), Signal::KILL, KillScope::Process);
    for _ in 0..2 {
        assert_eq!(it.desk.serve(&mut it.fake), Ok(Step::Done));
    }
    assert!(it.fake.replies.is_empty());
    assert!(it.fake.exists(child(1, 1)));
}

#[test]
fn everybody_is_killed_once() {
    let mut it = asking();
    for _ in 0..3 {
        it.remote.signal_all(Signal::KILL);
        assert_eq!(it.desk.serve(&mut it.fake), Ok(Step::Done));
    }
    let sent: Vec<_> = it.fake.acts.iter().map(|(_, act)| *act).collect();
    let again = Act::SignalAll(Signal::CONT);
    assert_eq!(sent, [Act::SignalAll(Signal::KILL), again, again]);
}

#[test]
fn a_core_that_asks_without_an_event_is_stopped() {
    let mut it = asking();
    let mut count = 0;
    loop {
        it.remote.signal_all(Signal::TERM);
        match it.desk.serve(&mut it.fake) {
            Ok(Step::Done) => count += 1,
            other => {
                assert_eq!(other, Err(Breach::TooOften));
                break;
            }
        }
        assert!(count < 100_000, "it is never stopped");
    }
    let wake = Wake::Event(Event::OrphanExited);
    it.desk.deliver(wake, &mut it.fake);
    assert_eq!(
        it.desk.serve(&mut it.fake),
        Ok(Step::Done),
        "an event is worth some"
    );
}

/// A tick is no event: who wants one after the other is stopped, be the time over or about to be.
#[test]
fn a_core_whose_deadline_is_over_or_near_for_ever_is_stopped() {
    let tick = Wake::Event(Event::Tick);
    for (wait_us, is_stopped) in [(0, true), (1, true), (999, true), (1_000, false)] {
        let mut it = asking();
        let ends = (0..20_000).any(|_| {
            let until = Some(it.fake.now().after(Duration::from_us(wait_us)));
            ask(&mut it, |core| {
                let _ = core.wait(until, 0);
            });
            let said = it.desk.serve(&mut it.fake);
            if said == Err(Breach::TooOften) {
                return true;
            }
            assert!(matches!(said, Ok(Step::Waits { .. })), "{said:?}");
            // What runs may say something first.
            while it.fake.wait(until, 0) != tick {}
            it.desk.deliver(tick, &mut it.fake);
            false
        });
        assert_eq!(ends, is_stopped, "{wait_us} us");
    }
}

/// Everything that the core can write is what it is not: no process is touched by it, started or
/// told of.
#[test]
fn random_words_change_nothing_that_runs() {
    let mut damaged = 0_u32;
    for seed in 0..20_000 {
        let mut random = Random::new(seed);
        let mut it = asking();
        let honest = random.below(4);
        for _ in 0..honest {
            it.remote
                .signal(child(1, 1), Signal::TERM, KillScope::Group);
        }
        // All words, some, or one bit of what is there.
        let spare = [1, 3, 50, 0][random.below(4)];
        for word in it.ring {
            if spare > 0 && random.once_in(spare) {
                let noise = random.number().to_le_bytes();
                let [a, b, c, d, ..] = noise;
                word.store(u32::from_le_bytes([a, b, c, d]), Ordering::Relaxed);
            }
        }
        if spare == 0 {
            let place = &it.ring[random.below(relay::WORDS)];
            place.fetch_xor(1 << random.below(32), Ordering::Relaxed);
        }
        for _ in 0..10 {
            match it.desk.serve(&mut it.fake) {
                Ok(Step::Nothing) => break,
                Ok(_) => {}
                Err(_) => {
                    damaged += 1;
                    break;
                }
            }
        }
        let done = it.fake.acts.len();
        assert!(done <= honest, "seed {seed}: {:?}", it.fake.acts);
        let asked = |act: &Act| *act == Act::Signal(child(1, 1), Signal::TERM);
        assert!(
            it.fake.acts.iter().all(|(_, act)| asked(act)),
            "seed {seed}"
        );
    }
    assert!(damaged > 5_000, "{damaged} rings were damaged");
}

/// Asks for something without waiting for the answer that nobody gives.
fn ask(it: &mut Asking, ask: impl FnOnce(&mut Remote<Silent>)) {
    let remote = std::panic::AssertUnwindSafe(|| ask(&mut it.remote));
    assert!(std::panic::catch_unwind(remote).is_err(), "it waits");
}

#[test]
fn no_image_is_executed_but_one_that_stood_its_trial() {
    let mut it = asking();
    ask(&mut it, |core| {
        let _ = core.renew(Image::New);
    });
    assert_eq!(it.desk.serve(&mut it.fake), Err(Breach::Forbidden));
    assert!(it.fake.acts.is_empty());

    // One that does not know whose process runs would leave that to nobody.
    let mut it = asking();
    assert!(it.fake.exists(child(1, 1)));
    it.fake.known = Some(Vec::new());
    ask(&mut it, |core| {
        let _ = core.renew(Image::New);
    });
    assert_eq!(it.desk.serve(&mut it.fake), Err(Breach::Forbidden));
    assert!(it.fake.acts.is_empty());

    let mut it = asking();
    it.fake.known = Some(vec![UnitId(1)]);
    ask(&mut it, |core| {
        let _ = core.renew(Image::New);
    });
    assert_eq!(it.desk.serve(&mut it.fake), Ok(Step::Answered));
    let acts: Vec<_> = it.fake.acts.iter().map(|(_, act)| *act).collect();
    assert_eq!(acts, [Act::Renew(Image::New)]);
}

#[test]
fn a_core_that_has_one_image_tried_after_the_other_is_stopped() {
    const CLIENT: ClientId = ClientId {
        slot: 0,
        generation: 1,
    };
    let mut it = asking();
    let mut count = 0;
    loop {
        ask(&mut it, |core| {
            let _ = core.try_image(CLIENT);
        });
        match it.desk.serve(&mut it.fake) {
            Ok(Step::Answered) => count += 1,
            other => {
                assert_eq!(other, Err(Breach::TooOften));
                break;
            }
        }
        assert!(count < 100, "it is never stopped");
        let ended = Event::TrialEnded(Some(Obstacle::NotOurs));
        it.desk.deliver(Wake::Event(ended), &mut it.fake);
    }
    assert_eq!(it.fake.acts.len(), count);
    assert!(count > 4, "and somebody who errs is not: {count}");

    // Who asks only when a client does may go on for ever: its purse must not fall.
    let mut it = asking();
    for _ in 0..10_000 {
        it.desk.deliver(Wake::Frame(CLIENT), &mut it.fake);
        ask(&mut it, |core| {
            let _ = core.try_image(CLIENT);
        });
        assert_eq!(it.desk.serve(&mut it.fake), Ok(Step::Answered));
        let ended = Event::TrialEnded(Some(Obstacle::NotOurs));
        it.desk.deliver(Wake::Event(ended), &mut it.fake);
    }
}

/// Until then another program would go on with what there is, and know nothing of what was done.
#[test]
fn nothing_is_done_for_a_core_before_it_takes_over() {
    let mut it = asking();
    it.desk.put_on_probation();
    ask(&mut it, |core| {
        let _ = core.owner(UnitId(1), Role::Main);
    });
    assert_eq!(it.desk.serve(&mut it.fake), Ok(Step::Answered));
    it.remote
        .signal(child(1, 1), Signal::KILL, KillScope::Process);
    assert_eq!(it.desk.serve(&mut it.fake), Err(Breach::Forbidden));
    assert!(it.fake.acts.is_empty());

    let why = (Some(Handover::Upgraded), Instant::ZERO);
    let manifest = Graph::new("target main wants a b\n service a\n service b").manifest();
    let words = (Words::new(it.ring), Words::new(&[]));
    it.desk.open();
    let mut core = Remote::new(words.0, words.1, manifest, Silent, why);
    core.take_over();
    core.signal(child(1, 1), Signal::KILL, KillScope::Process);
    for _ in 0..2 {
        assert_eq!(it.desk.serve(&mut it.fake), Ok(Step::Done));
    }
    let acts: Vec<_> = it.fake.acts.iter().map(|(_, act)| *act).collect();
    assert_eq!(
        acts,
        [Act::TakeOver, Act::Signal(child(1, 1), Signal::KILL)]
    );
}

/// One that is in the place of another, for as long as it does something, would be made again and
/// again, and the other would never have its place again.
#[test]
fn a_core_that_is_being_exchanged_asks_for_no_other_program() {
    const CLIENT: ClientId = ClientId {
        slot: 1,
        generation: 1,
    };
    let requests: [fn(&mut Asking); 3] = [
        |it| ask(it, |core| _ = core.renew(Image::Same)),
        |it| ask(it, |core| _ = core.try_image(CLIENT)),
        |it| it.remote.end_trial(),
    ];
    for request in requests {
        for (may, refused) in [(false, true), (true, false)] {
            let mut it = asking();
            it.desk.let_renew(may);
            request(&mut it);
            let served = it.desk.serve(&mut it.fake);
            assert_eq!(served == Err(Breach::Forbidden), refused, "{served:?}");
        }
    }
}
