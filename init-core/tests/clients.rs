//! This file shows process 1 among silent, slow, impatient and hostile control clients.
#![allow(missing_docs)]

mod common;

use common::{Graph, ms, secs};
use init_core::event::{BootOptions, Event};
use init_core::hal::Wake;
use init_core::hal::fake::{Act, Fake, Script};
use init_core::ident::{ClientId, Role, UnitId};
use init_core::limits::FRAME_BYTES_MAX;
use init_core::protocol::{Change, Problem, Request, Response, Text, Writer, decode};
use init_core::status::UnitState;
use init_core::time::Duration;
use init_core::{Driver, Storage};

const UNIT: UnitId = UnitId(1);

/// Frames of random bytes that the hostile client sends.
const HOSTILE_FRAME_COUNT: u64 = 5_000;

fn client(slot: u8) -> ClientId {
    ClientId {
        slot,
        generation: 1,
    }
}

fn frame(request: &Request<'_>) -> Vec<u8> {
    let mut buffer = [0; FRAME_BYTES_MAX];
    let mut writer = Writer::new(&mut buffer);
    writer.add(request).unwrap();
    let length = writer.length();
    buffer[..length].to_vec()
}

fn change(change: Change, wait: bool) -> Vec<u8> {
    frame(&Request::Change {
        change,
        name: Text::of("a"),
        wait,
    })
}

/// A machine with one service that takes 300 ms to stop, up and idle.
fn machine() -> Driver<'static, Fake> {
    let mut fake = Fake::default();
    let slow = Script {
        on_stop: Some(ms(300)),
        ..Script::RUNS
    };
    fake.script(UNIT, Role::Main, &[slow]);
    let storage: &'static mut Storage<8> = Box::leak(Box::new(Storage::new()));
    let graph = Graph::new("target main wants a\n service a");
    let mut driver = Driver::new(storage.core(graph.manifest()), fake);
    driver.boot(BootOptions::default());
    settle(&mut driver);
    driver
}

fn settle(driver: &mut Driver<'static, Fake>) {
    driver.platform().idle = false;
    while !driver.platform().idle {
        driver.turn();
    }
}

/// Lets a client send a frame after a while.
fn send(driver: &mut Driver<'static, Fake>, after: Duration, slot: u8, frame: Vec<u8>) {
    driver.platform().frames.insert(slot, frame);
    driver.platform().arrange(after, Wake::Frame(client(slot)));
}

/// What a client was sent.
fn answers(driver: &mut Driver<'static, Fake>, slot: u8) -> Vec<Vec<u8>> {
    let replies = driver.platform().replies.iter();
    let to = replies.filter(|(to, _)| *to == client(slot));
    to.map(|(_, frame)| frame.clone()).collect()
}

fn state(driver: &Driver<'static, Fake>) -> UnitState {
    driver.core().status(UNIT).unwrap().state
}

#[test]
fn who_does_not_wait_is_answered_at_once_and_only_once() {
    let mut driver = machine();
    send(&mut driver, secs(1), 0, change(Change::Stop, false));
    settle(&mut driver);
    let answers = answers(&mut driver, 0);
    assert_eq!(answers.len(), 1);
    assert_eq!(decode(&answers[0]), Ok(Response::Begun));
    assert_eq!(
        state(&driver),
        UnitState::Inactive,
        "the stop was not forgotten"
    );
}

#[test]
fn who_goes_away_is_owed_nothing_and_the_job_goes_on() {
    let mut driver = machine();
    send(&mut driver, secs(1), 0, change(Change::Stop, true));
    let gone = Wake::Event(Event::ClientGone(client(0)));
    driver.platform().arrange(ms(1_100), gone);
    settle(&mut driver);
    assert_eq!(answers(&mut driver, 0).len(), 0);
    assert_eq!(state(&driver), UnitState::Inactive);
}

#[test]
fn garbage_is_answered_with_its_fault_and_disturbs_nobody() {
    let mut driver = machine();
    // The patient client's stop takes from 1 s to 1.3 s; the others write in between.
    send(&mut driver, secs(1), 0, change(Change::Stop, true));
    send(
        &mut driver,
        ms(1_100),
        1,
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
    );
    send(&mut driver, ms(1_200), 2, vec![0xff; FRAME_BYTES_MAX]);
    send(&mut driver, ms(1_200), 3, Vec::new());
    settle(&mut driver);
    let time_of = |acts: &[(init_core::time::Instant, Act)], act| {
        let found: Vec<_> = acts.iter().filter(|(_, one)| *one == act).collect();
        assert_eq!(found.len(), 1, "{act:?}");
        found[0].0.as_us() / 1_000
    };
    let acts = driver.platform().acts.clone();
    assert_eq!(time_of(&acts, Act::Frame(client(0))), 1_300);
    for (slot, at) in [(1, 1_100), (2, 1_200), (3, 1_200)] {
        assert_eq!(time_of(&acts, Act::Frame(client(slot))), at);
        assert_eq!(time_of(&acts, Act::Close(client(slot))), at);
        let answers = answers(&mut driver, slot);
        let Ok(Response::Error(malformed)) = decode(&answers[0]) else {
            panic!("{answers:?}");
        };
        assert_eq!(malformed.problem, Problem::NotOurs);
    }
    assert!(!acts.contains(&(acts[0].0, Act::Close(client(0)))));
}

#[test]
fn random_frames_each_have_one_answer_and_change_no_unit() {
    let mut driver = machine();
    let header = frame(&Request::Machine)[..8].to_vec();
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    for sent in 1..=HOSTILE_FRAME_COUNT {
        let mut bytes = header.clone();
        for _ in 0..sent % 23 {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            // The last word number that is no change: what is valid may only look.
            let byte = random.to_le_bytes()[0] % 3;
            bytes.push(if bytes.len() == 8 {
                byte
            } else {
                random.to_le_bytes()[1]
            });
        }
        send(&mut driver, ms(1), 1, bytes);
        settle(&mut driver);
        assert_eq!(driver.platform().replies.len() as u64, sent);
        assert_eq!(state(&driver), UnitState::Active, "frame {sent}");
    }
    assert_eq!(driver.platform().count(UNIT, Role::Main), 1);
}
