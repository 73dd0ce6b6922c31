//! This file holds what is kept fixed, in `schema.txt`, whose sum cores of different programs
//! compare before one takes the other's place. What a failure prints goes into that file.

use super::at;
use super::entry::{ENTRY_WORDS, Entry, Happening};
use super::names::Names;
use super::pack::{self, Rest};
use super::records::{RECORD_BYTES, Records};
use super::words::{Words, load};
use crate::effect::{Effect, Failure, FinalAction, Refusal, Reply};
use crate::event::{ControlRequest, Event, ExitStatus, MachineRequest, SpawnStep};
use crate::ident::{ClientId, Generation, Role, UnitId};
use crate::job::Job;
use crate::renewal::{Handover, Image, Obstacle, Renewal};
use crate::supervisor::unit::{Alive, Rung, State, Then, Unit};
use crate::supervisor::{Goal, Waiter};
use crate::system::{Phase, System};
use crate::time::{Duration, Instant};
use crate::unit::{KillScope, LogLevel};
use crate::wire::{Value, Wire};
use core::fmt::Debug;
use core::sync::atomic::AtomicU32;
use std::fmt::Write as _;
use std::string::String;
use std::vec;
use std::vec::Vec;

/// More bytes than any value has.
const BYTES_MAX: usize = 40;

fn line(text: &mut String, bytes: &[u8], what: &dyn Debug) {
    for byte in bytes {
        write!(text, "{byte:02x}").unwrap();
    }
    writeln!(text, " {what:?}").unwrap();
}

/// What bytes say, if all of them say something.
fn said<T: for<'f> Value<'f>>(bytes: &[u8]) -> Option<T> {
    let (mut value, mut wire) = (T::EMPTY, Wire::reading(bytes));
    value.pass(&mut wire);
    let (rest, _, problem) = wire.end();
    (rest.is_empty() && problem.is_none()).then_some(value)
}

/// Each variant by its number, whatever is added: with ones behind it, as many as it takes.
fn variants<T: for<'f> Value<'f> + Debug>(text: &mut String) {
    writeln!(
        text,
        "{}:",
        core::any::type_name::<T>().rsplit("::").next().unwrap()
    )
    .unwrap();
    for first in 0..0x80 {
        let found = (1..BYTES_MAX).find_map(|count| {
            let mut bytes = vec![1; count];
            bytes[0] = first;
            said::<T>(&bytes).map(|value| (bytes, value))
        });
        if let Some((bytes, value)) = found {
            line(text, &bytes, &value);
        }
    }
}

fn written(mut pass: impl FnMut(&mut Wire<'_, '_>)) -> Vec<u8> {
    let mut room = [0; RECORD_BYTES];
    let mut wire = Wire::writing(&mut room);
    pass(&mut wire);
    let (_, left, problem) = wire.end();
    assert_eq!(problem, None);
    room[..RECORD_BYTES - left].to_vec()
}

const LATER: Instant = Instant::from_us(70_000);
const CLIENT: ClientId = ClientId {
    slot: 3,
    generation: 300,
};

/// Each field has another value than its neighbours.
fn records(text: &mut String) {
    let mut unit = Unit {
        state: State::Stopping {
            rung: Rung::Kill,
            then: Then::Ended(ExitStatus::Code(4)),
        },
        job: Job::Restart,
        attempted: true,
        generation: Generation(5),
        alive: Alive::of_bits(6).unwrap(),
        pid: 7,
        since: Instant::from_us(8),
        due: Instant::from_us(9),
        started: Instant::from_us(10),
        took: Duration::from_us(11),
        failure: Some(Failure::StartTimeout),
        last_exit: Some(ExitStatus::Code(12)),
        restarts: 13,
        streak: 14,
        delay: Duration::from_us(15),
        window_opened: Instant::from_us(16),
        window_count: 17,
        definition: 18,
        leaves: true,
        returns: false,
        ..Unit::NEW
    };
    let bytes = written(|wire| pack::unit(&mut unit, wire));
    line(text, &bytes, &"a unit");
    let mut system = System {
        phase: Phase::Stopping,
        log_level: Some(LogLevel::Debug),
        target: UnitId(300),
        rescued: true,
        booted_at: LATER,
        boot_took: Some(Duration::from_us(1)),
        action: FinalAction::Halt,
        begun: Instant::from_us(2),
        total: Instant::from_us(3),
        patience: Instant::from_us(4),
        killed: true,
        renewal: Renewal::Clearing,
        renewer: Some(CLIENT),
        renewal_due: Instant::from_us(5),
    };
    let bytes = written(|wire| system.pass(wire));
    line(text, &bytes, &"the machine");
    let mut rest = Rest::NEW;
    rest.waiters[0] = Some(Waiter {
        client: CLIENT,
        unit: UnitId(300),
        goal: Goal::Down,
    });
    (
        rest.orphan_count,
        rest.event_count,
        rest.emitted,
        rest.taken,
    ) = (1, 2, 3, 4);
    let bytes = written(|wire| rest.pass(wire));
    line(text, &bytes, &"the rest");
}

/// How a record, and what is recorded, lies in memory.
fn places(text: &mut String) {
    let memory = |count| -> Vec<AtomicU32> { (0..count).map(|_| AtomicU32::new(0)).collect() };
    let mut show = |what: &str, words: &[AtomicU32]| {
        for (place, word) in words.iter().enumerate().filter(|(_, it)| load(it) != 0) {
            writeln!(text, "{what}, {place}: {:08x}", load(word)).unwrap();
        }
    };
    let words = memory(Records::words_for(2));
    let mut kept = Records::new(Words::new(&words), 0, 2);
    let mut bytes = [0; RECORD_BYTES];
    bytes[..4].copy_from_slice(&[1, 2, 3, 4]);
    kept.stage(1, &bytes);
    show("staged", &words);
    kept.commit();
    show("committed", &words);
    let words = memory(ENTRY_WORDS);
    let entry = Entry {
        before: 7,
        at: LATER,
        what: Happening::Event(Event::OrphanExited),
    };
    entry.write(Words::new(&words), 0, 9);
    show("recorded", &words);
    let words = memory(Names::words_for(2));
    let names = Names::new(Words::new(&words), 0, 2);
    names.set(0, "a");
    names.set(1, "b");
    show("named", &words);
    for (what, place) in [
        ("magic", at::MAGIC),
        ("fingerprint", at::FINGERPRINT),
        ("begun", at::BEGUN),
        ("done", at::DONE),
        ("lives", at::LIVES),
        ("units", at::UNITS),
        ("words of a record", at::RECORD_WORDS),
        ("where the names begin", at::NAMES_AT),
        ("effects", at::EFFECTS),
    ] {
        writeln!(text, "{what}: {place}").unwrap();
    }
}

#[test]
#[cfg_attr(feature = "added-field", ignore = "its records are another program's")]
fn what_is_kept_is_what_the_schema_says() {
    let mut text = String::new();
    variants::<State>(&mut text);
    variants::<Then>(&mut text);
    variants::<Rung>(&mut text);
    variants::<Job>(&mut text);
    variants::<Goal>(&mut text);
    variants::<Phase>(&mut text);
    variants::<Renewal>(&mut text);
    variants::<FinalAction>(&mut text);
    variants::<LogLevel>(&mut text);
    variants::<Role>(&mut text);
    variants::<KillScope>(&mut text);
    variants::<Image>(&mut text);
    variants::<Effect>(&mut text);
    variants::<Reply>(&mut text);
    variants::<Refusal>(&mut text);
    variants::<Failure>(&mut text);
    variants::<ExitStatus>(&mut text);
    variants::<SpawnStep>(&mut text);
    variants::<Obstacle>(&mut text);
    variants::<Handover>(&mut text);
    variants::<Event>(&mut text);
    variants::<ControlRequest>(&mut text);
    variants::<MachineRequest>(&mut text);
    variants::<Happening>(&mut text);
    records(&mut text);
    places(&mut text);
    let kept = include_str!("schema.txt");
    assert!(text == kept, "checkpoint/schema.txt is to be:\n{text}");
}
