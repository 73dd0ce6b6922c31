//! This file holds the protocol's bytes fixed: every message as it is on the wire, in `schema.txt`.
//!
//! A message that changes its shape fails here. The new text, which the failure prints, goes into
//! `schema.txt`; that changes the hash in every frame, so that old and new programs notice.

use super::*;
use crate::effect::{Failure, Refusal};
use crate::event::{Errno, ExitStatus, MachineRequest, SpawnStep};
use crate::ident::UnitId;
use crate::renewal::Obstacle;
use crate::report::Operands;
use crate::status::{MachinePhase, UnitState};
use crate::unit::UnitKind;
use std::fmt::Write as _;
use std::string::String;

const CHANGES: [Change; 4] = [
    Change::Start,
    Change::Stop,
    Change::Restart,
    Change::ResetFailed,
];

const ACTS: [MachineRequest; 7] = [
    MachineRequest::PowerOff,
    MachineRequest::Reboot,
    MachineRequest::Halt,
    MachineRequest::Kexec,
    MachineRequest::Rescue,
    MachineRequest::CtrlAltDel,
    MachineRequest::Ignore,
];

const STATES: [UnitState; 7] = [
    UnitState::Inactive,
    UnitState::Waiting,
    UnitState::Starting,
    UnitState::Active,
    UnitState::Restarting,
    UnitState::Stopping,
    UnitState::Failed,
];

const KINDS: [UnitKind; 4] = [
    UnitKind::Target,
    UnitKind::Task,
    UnitKind::Service,
    UnitKind::Mount,
];

const PHASES: [MachinePhase; 3] = [
    MachinePhase::Booting,
    MachinePhase::Up,
    MachinePhase::ShuttingDown,
];

const STEPS: [SpawnStep; 14] = [
    SpawnStep::Session,
    SpawnStep::Signals,
    SpawnStep::Limits,
    SpawnStep::Nice,
    SpawnStep::OomScore,
    SpawnStep::Stdin,
    SpawnStep::Stdout,
    SpawnStep::Stderr,
    SpawnStep::ReadyDescriptor,
    SpawnStep::Groups,
    SpawnStep::Group,
    SpawnStep::User,
    SpawnStep::Directory,
    SpawnStep::Exec,
];

const PROBLEMS: [Problem; 5] = [
    Problem::NotOurs,
    Problem::OtherVersion,
    Problem::TooShort,
    Problem::TooLong,
    Problem::BadValue,
];

const REFUSALS: [Refusal; 7] = [
    Refusal::Conflict(UnitId(300), UnitId(4)),
    Refusal::ShuttingDown,
    Refusal::NoSuchUnit,
    Refusal::NoRescueTarget,
    Refusal::Renewing,
    Refusal::NoHeirs,
    Refusal::NoUpgrade,
];

const FAILURES: [Failure; 8] = [
    Failure::Spawn(Errno(12)),
    Failure::Exited(ExitStatus::Code(3)),
    Failure::Exited(ExitStatus::Signal {
        number: 11,
        core_dumped: true,
    }),
    Failure::StartTimeout,
    Failure::Dependency(UnitId(300)),
    Failure::StartLimit,
    Failure::Unkillable,
    Failure::Watchdog,
];

const OBSTACLES: [Obstacle; 14] = [
    Obstacle::NotRead(Errno(2)),
    Obstacle::NotOurs,
    Obstacle::OtherMachine,
    Obstacle::NotExecuted(Errno(13)),
    Obstacle::OtherLayout,
    Obstacle::Ended(ExitStatus::Code(3)),
    Obstacle::Late,
    Obstacle::Stuck(UnitId(300)),
    Obstacle::RolledBack(11),
    Obstacle::Died,
    Obstacle::Unfed,
    Obstacle::NoCore,
    Obstacle::OtherTables,
    Obstacle::OtherKeeper,
];

const ABOUT: Operands<'_> = Operands {
    path: Text::of("/bin/x"),
    unit: Text::of("y"),
};

pub const RECORD: UnitRecord<'_> = UnitRecord {
    index: 300,
    name: Text::of("broker"),
    kind: UnitKind::Service,
    state: UnitState::Active,
    pid: Some(70_000),
    age_ms: 1_000,
    ready_ms: Some(45),
    restarts: 2,
    last_exit: Some(ExitStatus::Code(3)),
    stale: true,
};

const DETAIL: Detail<'_> = Detail {
    program: Text::of("/bin/x"),
    critical: true,
    failure: Some(Failure::StartLimit),
    about: ABOUT,
};

const MACHINE: MachineRecord<'_> = MachineRecord {
    version: Text::of("0.1.0"),
    product: Text::of("gateway"),
    board: Text::of("b"),
    phase: MachinePhase::Up,
    units: 300,
    ready: 299,
    failed: 1,
    boot_ms: Some(912),
    uptime_ms: 70_000,
};

/// Every message of a client at least once.
pub fn requests() -> Vec<Request<'static>> {
    let mut all = Vec::from([
        Request::Machine,
        Request::Units { from: 300 },
        Request::Unit {
            name: Text::of("broker"),
        },
    ]);
    all.extend(CHANGES.map(|change| Request::Change {
        change,
        name: Text::of("a"),
        wait: true,
    }));
    all.extend(ACTS.map(Request::Act));
    all.push(Request::Reexec);
    all.push(Request::Upgrade {
        image: Text::of("/x"),
    });
    all.push(Request::Recording { from: 300 });
    all.push(Request::Exchange {
        image: Text::of("/x"),
    });
    all
}

/// Every message of process 1 at least once, with every word that can be in it.
pub fn responses() -> Vec<Response<'static>> {
    let mut all = Vec::from([
        Response::Units { total: 300 },
        Response::Unit(RECORD, DETAIL),
        Response::Done,
        Response::Begun,
        Response::Superseded,
    ]);
    all.extend(PHASES.map(|phase| Response::Machine(MachineRecord { phase, ..MACHINE })));
    all.extend(STATES.map(|state| Response::Unit(UnitRecord { state, ..RECORD }, DETAIL)));
    all.extend(KINDS.map(|kind| Response::Unit(UnitRecord { kind, ..RECORD }, DETAIL)));
    all.extend(REFUSALS.map(|refusal| Response::Refused {
        refusal,
        first: Text::of("a"),
        second: Text::of("b"),
    }));
    let steps = STEPS.map(|step| {
        Failure::Exited(ExitStatus::NotExecuted {
            step,
            error: Errno(2),
        })
    });
    let failures = FAILURES.into_iter().chain(steps);
    all.extend(failures.map(|failure| Response::Failed {
        unit: Text::of("a"),
        failure,
        about: ABOUT,
    }));
    all.extend(OBSTACLES.map(|obstacle| Response::NotUpgraded {
        obstacle,
        unit: Text::of("a"),
    }));
    all.push(Response::Recording {
        manifest: 300,
        count: 70_000,
        sum: u32::MAX,
        total: 1,
        words: Text(&[1, 2, 3, 255]),
    });
    all.extend(PROBLEMS.map(|problem| {
        Response::Error(Malformed {
            problem,
            offset: 300,
        })
    }));
    all
}

/// A new variant stops this from compiling: add it here and to the lists above.
fn is_listed(request: &Request<'_>, response: &Response<'_>) {
    match request {
        Request::Machine
        | Request::Units { .. }
        | Request::Unit { .. }
        | Request::Change { .. }
        | Request::Act(_)
        | Request::Reexec
        | Request::Upgrade { .. }
        | Request::Recording { .. }
        | Request::Exchange { .. } => {}
    }
    match response {
        Response::Machine(_)
        | Response::Units { .. }
        | Response::Unit(..)
        | Response::Done
        | Response::Begun
        | Response::Refused { .. }
        | Response::Failed { .. }
        | Response::Superseded
        | Response::Error(_)
        | Response::NotUpgraded { .. }
        | Response::Recording { .. } => {}
    }
}

fn line<'m>(text: &mut String, message: &(impl Value<'m> + core::fmt::Debug)) {
    for byte in &frame(message)[HEADER_BYTES..] {
        write!(text, "{byte:02x}").unwrap();
    }
    writeln!(text, " {message:?}").unwrap();
}

#[test]
fn every_message_has_the_bytes_that_the_schema_says() {
    let mut text = String::new();
    requests()
        .iter()
        .for_each(|request| line(&mut text, request));
    responses()
        .iter()
        .for_each(|response| line(&mut text, response));
    is_listed(&requests()[0], &responses()[0]);
    let schema = include_str!("../schema.txt");
    assert_eq!(text, schema, "the new schema.txt is:\n{text}");
}

#[test]
fn every_message_has_the_bytes_of_the_postcard_crate() {
    let mut buffer = [0; FRAME_BYTES_MAX];
    for request in requests() {
        let theirs = postcard::to_slice(&request, &mut buffer).unwrap();
        assert_eq!(frame(&request)[HEADER_BYTES..], *theirs, "{request:?}");
    }
    for response in responses() {
        let theirs = postcard::to_slice(&response, &mut buffer).unwrap();
        assert_eq!(frame(&response)[HEADER_BYTES..], *theirs, "{response:?}");
    }
}

#[test]
fn a_message_that_does_not_fit_is_refused_and_the_frame_stays_as_it_was() {
    for room in 0..frame(&responses()[1]).len() - HEADER_BYTES {
        let mut buffer = [0; FRAME_BYTES_MAX];
        let mut writer = Writer::new(&mut buffer);
        let filler = "x".repeat(FRAME_BYTES_MAX - HEADER_BYTES - 2 - room);
        writer.add(&Text::of(&filler)).unwrap();
        let length = writer.length();
        assert_eq!(length, FRAME_BYTES_MAX - room);
        assert_eq!(writer.add(&responses()[1]), Err(Full), "{room}");
        assert_eq!(writer.length(), length);
    }
}

#[test]
fn every_message_survives_the_way_through_a_frame() {
    for request in requests() {
        assert_eq!(decode::<Request<'_>>(&frame(&request)), Ok(request));
    }
    for response in responses() {
        assert_eq!(decode::<Response<'_>>(&frame(&response)), Ok(response));
    }
}

#[test]
fn the_header_names_magic_version_and_schema() {
    let bytes = frame(&Request::Machine);
    let expected = [&b"sM"[..], &VERSION.to_le_bytes(), &SCHEMA.to_le_bytes()].concat();
    assert_eq!(bytes[..HEADER_BYTES], expected);
    assert_eq!(Sender::of(&bytes), Some(Sender::SELF));
    assert_eq!(Sender::of(&bytes[..7]), None);
}
