//! This file tests process 1's end of a connection: every request has its one answer.

use super::answer as answer_of;
use super::*;
use crate::effect::{Failure, Refusal, Reply};
use crate::event::{ControlRequest, Errno, ExitStatus, MachineRequest, SpawnStep};
use crate::fixture::{BROKER, DATA, KEYS, MANIFEST};
use crate::ident::UnitId;
use crate::renewal::Obstacle;
use crate::report::Operands;
use crate::status::{MachinePhase, MachineStatus, UnitState, UnitStatus};
use crate::time::{Duration, Instant};
use crate::unit::{Exec, Manifest, Program, UnitDesc, UnitKind};
use std::boxed::Box;
use std::string::String;

static GATEWAY: Manifest = MANIFEST;

const NO_PROGRAM: Failure = Failure::Exited(ExitStatus::NotExecuted {
    step: SpawnStep::Exec,
    error: Errno(2),
});

fn status(unit: UnitId) -> Option<UnitStatus> {
    Some(UnitStatus {
        state: UnitState::Failed,
        since: Instant::from_us(1_000_000),
        pid: Some(u32::from(unit.0) + 100),
        ready_after: Some(Duration::from_ms(45)),
        restarts: 2,
        last_exit: Some(ExitStatus::Code(3)),
        failure: Some(NO_PROGRAM),
        stale: false,
    })
}

/// What process 1 does with a frame, and the frame that it answers.
fn serve(manifest: &'static Manifest, frame: &[u8]) -> (Intake, Vec<u8>) {
    let machine = MachineStatus {
        phase: MachinePhase::Booting,
        ready: 3,
        failed: 1,
        boot_took: None,
    };
    let now = Instant::from_us(3_500_000);
    let view = View {
        manifest,
        status: &status,
        machine,
        now,
        recorder: &crate::checkpoint::Recorder::new(crate::checkpoint::words::Words::new(&[]), 0),
    };
    let mut buffer = [0; FRAME_BYTES_MAX];
    let intake = receive(frame, &view, &mut buffer);
    let length = match intake {
        Intake::Answer(length) | Intake::Reject(length) => length,
        Intake::Control { .. } => 0,
    };
    (intake, buffer[..length].to_vec())
}

fn ask(request: Request<'_>) -> (Intake, Vec<u8>) {
    serve(&GATEWAY, &frame(&request))
}

#[test]
fn machine_and_unit_are_answered_at_once() {
    let (_, answer) = ask(Request::Machine);
    let Ok(Response::Machine(machine)) = decode(&answer) else {
        panic!("{answer:?}");
    };
    assert_eq!(
        (machine.product, machine.board),
        (Text::of("gateway"), Text::of("virt-aarch64"))
    );
    assert_eq!((machine.units, machine.ready, machine.failed), (6, 3, 1));
    assert_eq!((machine.uptime_ms, machine.boot_ms), (3_500, None));

    let (_, answer) = ask(Request::Unit {
        name: Text::of("broker"),
    });
    let Ok(Response::Unit(record, detail)) = decode(&answer) else {
        panic!("{answer:?}");
    };
    assert_eq!(
        (record.index, record.name, record.kind),
        (0, Text::of("broker"), UnitKind::Service)
    );
    assert_eq!(
        (record.age_ms, record.ready_ms, record.pid),
        (2_500, Some(45), Some(100))
    );
    let about = Operands {
        path: Text::of("/usr/sbin/mosquitto"),
        unit: Text::of(""),
    };
    assert_eq!(
        (detail.program, detail.about),
        (Text::of("/usr/sbin/mosquitto"), about)
    );
    assert_eq!(detail.failure, Some(NO_PROGRAM));
}

#[test]
fn changes_become_events_and_keep_whether_the_client_waits() {
    let table = [
        (Change::Start, ControlRequest::Start(KEYS)),
        (Change::Stop, ControlRequest::Stop(KEYS)),
        (Change::Restart, ControlRequest::Restart(KEYS)),
        (Change::ResetFailed, ControlRequest::ResetFailed(KEYS)),
    ];
    for (change, request) in table {
        for wait in [true, false] {
            let (intake, _) = ask(Request::Change {
                change,
                name: Text::of("keys"),
                wait,
            });
            assert_eq!(intake, Intake::Control { request, wait });
        }
    }
    let act = ControlRequest::Machine(MachineRequest::Reboot);
    let (intake, _) = ask(Request::Act(MachineRequest::Reboot));
    assert_eq!(
        intake,
        Intake::Control {
            request: act,
            wait: true
        }
    );
}

#[test]
fn an_unknown_unit_is_refused_without_asking_the_core() {
    let long = "x".repeat(900);
    for name in ["", "Broker", "broker ", "\0", &long]
        .map(str::as_bytes)
        .into_iter()
        .chain([&b"\xff"[..]])
    {
        let name = Text(name);
        for request in [
            Request::Unit { name },
            Request::Change {
                change: Change::Start,
                name,
                wait: true,
            },
        ] {
            let (intake, answer) = ask(request);
            assert_eq!(intake, Intake::Answer(answer.len()), "{name:?}");
            let refusal = Refusal::NoSuchUnit;
            let expected = Response::Refused {
                refusal,
                first: Text::of(""),
                second: Text::of(""),
            };
            assert_eq!(decode(&answer), Ok(expected), "{name:?}");
        }
    }
}

#[test]
fn a_frame_that_is_no_request_is_answered_with_its_fault_and_rejected() {
    let mut other = frame(&Request::Machine);
    other[4] ^= 1;
    let table = [
        (b"GET / HTTP/1.1\r\n".to_vec(), Problem::NotOurs, 0),
        (Vec::new(), Problem::NotOurs, 0),
        (other, Problem::OtherVersion, 0),
        (frame(&Request::Machine)[..8].to_vec(), Problem::TooShort, 8),
        (
            frame(&Response::NotUpgraded {
                obstacle: Obstacle::NotOurs,
                unit: Text(&[]),
            }),
            Problem::BadValue,
            9,
        ),
    ];
    for (bytes, problem, offset) in table {
        let (intake, answer) = serve(&GATEWAY, &bytes);
        assert_eq!(intake, Intake::Reject(answer.len()));
        let expected = Response::Error(Malformed { problem, offset });
        assert_eq!(decode(&answer), Ok(expected), "{}", bytes.escape_ascii());
    }
}

/// Units with the longest names that a manifest may have.
fn large_manifest(count: usize) -> &'static Manifest {
    let path = std::ffi::CString::new("/p".repeat(2_000)).unwrap();
    let exec = Exec {
        program: Box::leak(path.into_boxed_c_str()),
        ..MANIFEST.programs[0]
    };
    let mut units = Vec::new();
    for index in 0..count {
        let name: &'static str = String::leak(std::format!("{index:0>48}"));
        units.push(UnitDesc {
            name,
            start: Program::Exec(0),
            ..MANIFEST.units[0]
        });
    }
    Box::leak(Box::new(Manifest {
        units: units.leak(),
        programs: Box::leak(Box::new([exec])),
        ..MANIFEST
    }))
}

fn page(manifest: &'static Manifest, from: u16) -> (u16, Vec<u16>) {
    let (intake, answer) = serve(manifest, &frame(&Request::Units { from }));
    assert_eq!(intake, Intake::Answer(answer.len()));
    let mut reader = Reader::new(&answer).unwrap();
    let Ok(Response::Units { total }) = reader.take() else {
        panic!("{answer:?}");
    };
    let mut indices = Vec::new();
    while !reader.is_at_end() {
        indices.push(reader.take::<UnitRecord<'_>>().unwrap().index);
    }
    (total, indices)
}

#[test]
fn pages_of_units_cover_all_of_them_once_and_end() {
    let manifest = large_manifest(1_000);
    let (mut seen, mut pages) = (Vec::new(), 0);
    loop {
        let (total, indices) = page(manifest, u16::try_from(seen.len()).unwrap());
        assert_eq!(total, 1_000);
        if indices.is_empty() {
            break;
        }
        seen.extend(indices);
        pages += 1;
    }
    assert_eq!(seen, (0..1_000).collect::<Vec<u16>>());
    assert!(pages <= 125, "at least eight units a frame: {pages} pages");
    assert_eq!(page(manifest, u16::MAX), (1_000, Vec::new()));
    assert_eq!(page(&GATEWAY, 0), (6, (0..6).collect()));
}

#[test]
fn the_longest_texts_fit_one_frame() {
    let manifest = large_manifest(2);
    let name = Text::of(manifest.units[1].name);
    let (_, answer) = serve(manifest, &frame(&Request::Unit { name }));
    let Ok(Response::Unit(_, detail)) = decode(&answer) else {
        panic!("{answer:?}");
    };
    assert_eq!(
        (detail.program.0.len(), detail.about.path.0.len()),
        (256, 256)
    );
    let mut buffer = [0; FRAME_BYTES_MAX];
    let reply = Reply::Failed {
        unit: UnitId(1),
        reason: NO_PROGRAM,
    };
    let length = answer_of(reply, manifest, &mut buffer);
    assert!(decode::<Response<'_>>(&buffer[..length]).is_ok());
}

#[test]
fn replies_of_the_core_carry_names_instead_of_numbers() {
    let about = Operands {
        path: Text::of(""),
        unit: Text::of("data"),
    };
    let failure = Failure::Dependency(DATA);
    let table = [
        (Reply::Done, Response::Done),
        (Reply::Superseded, Response::Superseded),
        (Reply::Begun, Response::Begun),
        (
            Reply::Refused(Refusal::Conflict(BROKER, DATA)),
            Response::Refused {
                refusal: Refusal::Conflict(BROKER, DATA),
                first: Text::of("broker"),
                second: Text::of("data"),
            },
        ),
        (
            Reply::Refused(Refusal::ShuttingDown),
            Response::Refused {
                refusal: Refusal::ShuttingDown,
                first: Text::of(""),
                second: Text::of(""),
            },
        ),
        (
            Reply::Failed {
                unit: BROKER,
                reason: failure,
            },
            Response::Failed {
                unit: Text::of("broker"),
                failure,
                about,
            },
        ),
    ];
    for (reply, response) in table {
        let mut buffer = [0; FRAME_BYTES_MAX];
        let length = answer_of(reply, &GATEWAY, &mut buffer);
        assert_eq!(decode(&buffer[..length]), Ok(response));
    }
}
