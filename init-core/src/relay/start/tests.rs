//! This file holds the bytes between keeper and core fixed, in `schema.txt`, whose sum keepers and
//! cores of different programs compare. What a failure prints goes into that file.

use super::super::WORDS;
use super::super::message::{Answer, Request};
use super::super::ring::{Writer, checksum};
use super::*;
use crate::checkpoint::words::{Words, load};
use crate::effect::FinalAction;
use crate::event::{Errno, ExitStatus, MachineRequest};
use crate::ident::{Child, ClientId, Generation, Role, UnitId};
use crate::renewal::{Image, Obstacle};
use crate::unit::{LogLevel, Signal};
use crate::wire::Text;
use core::sync::atomic::AtomicU32;
use std::fmt::Write as _;
use std::string::String;
use std::vec::Vec;

const UNIT: UnitId = UnitId(300);
const CLIENT: ClientId = ClientId {
    slot: 3,
    generation: 300,
};
const CHILD: Child = Child {
    unit: UNIT,
    generation: Generation(301),
    role: Role::Probe,
};
const LATER: Instant = Instant::from_us(70_000);

fn requests() -> Vec<Request<'static>> {
    Vec::from([
        Request::Flush,
        Request::Wait {
            until: LATER,
            taken_in: 7,
            sick: UNIT,
        },
        Request::Spawn(CHILD),
        Request::Signal {
            child: CHILD,
            signal: Signal::TERM,
        },
        Request::KillAll(Signal::KILL),
        Request::Reply {
            client: CLIENT,
            frame: Text(&[1, 2]),
        },
        Request::Close(CLIENT),
        Request::Say(Text(b"a")),
        Request::Settle,
        Request::TakeOver,
        Request::Finish {
            action: FinalAction::Kexec,
            deadline: LATER,
        },
        Request::Renew(Image::Same),
        Request::Renew(Image::New),
        Request::Owner {
            unit: UNIT,
            role: Role::Stop,
        },
        Request::Forsake,
        Request::Try(CLIENT),
        Request::EndTrial,
    ])
}

fn answers() -> Vec<Answer<'static>> {
    let status = ExitStatus::Signal {
        number: 11,
        core_dumped: true,
    };
    Vec::from([
        Answer::Done,
        Answer::Spawned(70_000),
        Answer::Refused(Errno(2)),
        Answer::TrialEnded {
            obstacle: Some(Obstacle::Unfed),
            known: Text(&[255]),
        },
        Answer::Frame {
            client: CLIENT,
            frame: Text(&[1, 2]),
        },
        Answer::Tick,
        Answer::Ready(CHILD),
        Answer::Exited {
            child: CHILD,
            status,
        },
        Answer::OrphanExited,
        Answer::NoChildLeft,
        Answer::Machine(MachineRequest::Rescue),
        Answer::ClientGone(CLIENT),
        Answer::Heartbeat(CHILD),
        Answer::Owner {
            generation: Generation(300),
            pid: 70_000,
        },
    ])
}

fn starts() -> Vec<Start> {
    let options = BootOptions {
        target: Some(UNIT),
        log_level: Some(LogLevel::Debug),
    };
    let whys = [
        None,
        Some(Handover::Fault),
        Some(Handover::Again),
        Some(Handover::Upgraded),
        Some(Handover::RolledBack(11)),
        Some(Handover::Exchanged),
    ];
    let starts = whys.map(|why| Start {
        why,
        now: Instant::MAX,
        options,
    });
    Vec::from(starts)
}

/// A new variant stops this from compiling: add it here and to the lists above.
fn is_listed(request: &Request<'_>, answer: &Answer<'_>) {
    match request {
        Request::Flush
        | Request::Wait { .. }
        | Request::Spawn(_)
        | Request::Signal { .. }
        | Request::KillAll(_)
        | Request::Reply { .. }
        | Request::Close(_)
        | Request::Say(_)
        | Request::Settle
        | Request::Finish { .. }
        | Request::Renew(_)
        | Request::Owner { .. }
        | Request::Forsake
        | Request::Try(_)
        | Request::EndTrial
        | Request::TakeOver => {}
    }
    match answer {
        Answer::Done
        | Answer::Spawned(_)
        | Answer::Refused(_)
        | Answer::Frame { .. }
        | Answer::Tick
        | Answer::Ready(_)
        | Answer::Exited { .. }
        | Answer::OrphanExited
        | Answer::NoChildLeft
        | Answer::Machine(_)
        | Answer::ClientGone(_)
        | Answer::Heartbeat(_)
        | Answer::Owner { .. }
        | Answer::TrialEnded { .. } => {}
    }
}

fn line<'m>(text: &mut String, message: &(impl Value<'m> + core::fmt::Debug)) {
    let mut bytes = [0; 64];
    let (mut copy, mut wire) = (*message, Wire::writing(&mut bytes));
    copy.pass(&mut wire);
    let (_, left, problem) = wire.end();
    assert_eq!(problem, None, "{message:?}");
    for byte in &bytes[..64 - left] {
        write!(text, "{byte:02x}").unwrap();
    }
    writeln!(text, " {message:?}").unwrap();
}

/// How requests lie in the ring.
fn ring(text: &mut String) {
    let words: Vec<AtomicU32> = (0..WORDS).map(|_| AtomicU32::new(0)).collect();
    let mut writer = Writer::new(Words::new(&words));
    assert!(writer.push(&[1, 2, 3, 4, 5], 0) && writer.push(&[6], 0));
    for (place, word) in words.iter().enumerate().filter(|(_, it)| load(it) != 0) {
        writeln!(text, "{place}: {:08x}", load(word)).unwrap();
    }
    writeln!(text, "answer: {:08x}", checksum(7, &[1, 2, 3])).unwrap();
}

#[test]
fn what_keeper_and_core_say_is_what_the_schema_says() {
    let mut text = String::new();
    for (request, answer) in requests().iter().zip(answers().iter().cycle()) {
        is_listed(request, answer);
    }
    requests().iter().for_each(|it| line(&mut text, it));
    answers().iter().for_each(|it| line(&mut text, it));
    starts().iter().for_each(|it| line(&mut text, it));
    ring(&mut text);
    writeln!(text, "a start: {START_BYTES} bytes").unwrap();
    let kept = include_str!("../schema.txt");
    assert!(text == kept, "relay/schema.txt is to be:\n{text}");
}

#[test]
fn a_start_is_read_as_it_was_written_and_noise_is_none() {
    for start in starts() {
        let bytes = start.write();
        assert_eq!(Start::read(&bytes), Some(start));
        let mut more = bytes;
        more[START_BYTES - 1] = 1;
        assert_eq!(Start::read(&more), None);
    }
    assert_eq!(Start::read(&[0xff; START_BYTES]), None);
}
