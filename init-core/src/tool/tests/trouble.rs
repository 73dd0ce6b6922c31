//! This file tests the control tool when process 1 is absent, silent, foreign or lying.

use super::*;
use crate::fixture::Random;
use crate::protocol::{Malformed, Problem, Response, UnitRecord, Writer};
use crate::unit::UnitKind;

/// Exit code and the one line of complaint.
fn complaint(desk: &mut Desk) -> (u8, String) {
    let code = desk.run("sctl list");
    assert_eq!(desk.output, "");
    (code, String::from(desk.errors.trim_end()))
}

#[test]
fn text_is_written_whole_however_long_its_rows_are_and_without_a_last_end() {
    let mut desk = Desk::new();
    let mut room = [0; 8];
    const TEXT: &str = concat!(
        "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        "0123456789abcdef0123456789abcdef\nshort\nno end",
    );
    Tool::new(&mut desk, b"sctl", &mut room).say_all(packed!(TEXT));
    assert_eq!(desk.output, TEXT);
}

#[test]
fn a_process_1_that_cannot_be_reached_is_named_with_its_address() {
    let table = [
        (
            2,
            "sctl: /run/control: No such file or directory; is process 1 sysMaster?",
        ),
        (
            111,
            "sctl: /run/control: Connection refused; is process 1 sysMaster?",
        ),
        (
            13,
            "sctl: /run/control: Permission denied; only root may talk to process 1",
        ),
        (
            1,
            "sctl: /run/control: Operation not permitted; only root may talk to process 1",
        ),
    ];
    for (errno, text) in table {
        let mut desk = Desk::new();
        desk.connection = Err(Errno(errno));
        let (code, errors) = complaint(&mut desk);
        assert_eq!(code, NOT_REACHED);
        assert!(errors.starts_with(text), "{errors}");
    }
}

#[test]
fn a_busy_process_1_is_waited_for_aloud_and_not_for_ever() {
    let mut desk = Desk::new();
    desk.silent = 1;
    assert_eq!(desk.run("sctl start broker"), DONE);
    assert_eq!(
        desk.errors,
        "sctl: process 1 is busy with other clients; waiting\n"
    );
    // Greeting with two bounds; the change itself for as long as it takes.
    assert!(
        matches!(desk.waits[..], [Some(_), Some(_), None]),
        "{:?}",
        desk.waits
    );

    let mut desk = Desk::new();
    desk.silent = usize::MAX;
    assert_eq!(desk.run("sctl start broker"), NOT_REACHED);
    assert!(
        desk.errors.contains("process 1 does not answer"),
        "{}",
        desk.errors
    );
    assert!(
        matches!(desk.waits[..], [Some(_), Some(_)]),
        "{:?}",
        desk.waits
    );
}

#[test]
fn a_full_queue_is_waited_for_aloud_and_not_for_ever() {
    let mut desk = Desk::new();
    desk.full = 20;
    assert_eq!(desk.run("sctl start broker"), DONE);
    assert_eq!(
        desk.errors,
        "sctl: process 1 is busy with other clients; waiting\n"
    );
    assert_eq!(desk.pauses, 20);

    let mut desk = Desk::new();
    desk.full = 100_000;
    assert_eq!(desk.run("sctl start broker"), NOT_REACHED);
    assert_eq!(desk.pauses, 300);
}

#[test]
fn hanging_up_on_the_greeting_means_that_there_is_no_place_yet() {
    let mut desk = Desk::new();
    desk.hang_ups = 3;
    assert_eq!(desk.run("sctl start broker"), DONE);
    assert_eq!(
        desk.errors,
        "sctl: process 1 is busy with other clients; waiting\n"
    );
    assert_eq!((desk.connects, desk.asked.len()), (4, 1));

    let mut desk = Desk::new();
    desk.hang_ups = usize::MAX;
    assert_eq!(desk.run("sctl start broker"), NOT_REACHED);
    assert_eq!((desk.pauses, desk.asked.len()), (300, 0));
    let last = desk.errors.lines().last().unwrap();
    assert!(
        last.starts_with("sctl: process 1 hung up without an answer"),
        "{last}"
    );
}

#[test]
fn a_question_that_is_hung_up_on_is_asked_once_more_behind_a_greeting() {
    for (line, question) in [("sctl status broker", "Unit"), ("sctl list", "Units")] {
        let mut desk = Desk::new();
        desk.hang_ups = 3;
        assert_eq!(desk.run(line), DONE);
        let wanted = [question, "Machine", "Machine", "Machine", question];
        assert_eq!(desk.requests[..5], wanted, "{line}");
        assert_eq!(desk.connects, 4);

        let mut desk = Desk::new();
        desk.hang_ups = usize::MAX;
        assert_eq!(desk.run(line), NOT_REACHED);
        let asked = desk.requests.iter().filter(|it| *it == question);
        assert_eq!((asked.count(), desk.pauses), (1, 300));
    }
}

#[test]
fn hanging_up_on_a_request_is_an_error_and_is_not_asked_again() {
    let mut desk = Desk::new();
    desk.hangs_up_on_changes = true;
    assert_eq!(desk.run("sctl start broker data"), NOT_REACHED);
    assert_eq!((desk.connects, desk.asked.len()), (1, 1));
    assert!(
        desk.errors.starts_with("sctl: process 1 hung up"),
        "{}",
        desk.errors
    );
}

fn with(message: &Response<'_>) -> Vec<u8> {
    let mut buffer = [0; FRAME_BYTES_MAX];
    let mut writer = Writer::new(&mut buffer);
    writer.add(message).unwrap();
    let length = writer.length();
    buffer[..length].to_vec()
}

#[test]
fn another_version_is_told_apart_from_nonsense() {
    let mut other = with(&Response::Done);
    other[2..8].copy_from_slice(&[2, 0, 0xef, 0xbe, 0xad, 0xde]);
    let unreadable = Malformed {
        problem: Problem::BadValue,
        offset: 9,
    };
    let table = [
        (
            other,
            "sctl: process 1 speaks protocol 2/3735928559, this program 1/",
        ),
        (
            b"HTTP/1.1 400".to_vec(),
            "sctl: /run/control: whoever answers there is not sysMaster",
        ),
        (
            with(&Response::Error(unreadable)),
            "sctl: process 1 cannot read our request: byte 9: an ",
        ),
        (
            with(&Response::Done),
            "sctl: cannot read the answer of process 1: byte 8: an unknown",
        ),
        (
            with(&Response::Done)[..8].to_vec(),
            "sctl: cannot read the answer of process 1: byte 8: it",
        ),
        (
            [0; 2_000].to_vec(),
            "sctl: cannot read the answer of process 1: byte 65535: something",
        ),
    ];
    for (frame, text) in table {
        let mut desk = Desk::new();
        desk.instead = Some(frame);
        let (code, errors) = complaint(&mut desk);
        assert_eq!(code, OTHER_VERSION);
        assert!(errors.starts_with(text), "{errors}");
    }
}

#[test]
fn output_that_cannot_be_written_is_a_failure() {
    let mut desk = Desk::new();
    desk.output_is_broken = true;
    assert_eq!(desk.run("sctl list"), FAILED);
    desk.states[0] = UnitState::Failed;
    assert_eq!(desk.run("sctl status broker"), NOT_ACTIVE);
}

/// A page of units that always claims that more follow, from the same index on.
fn endless_page() -> Vec<u8> {
    let mut buffer = [0; FRAME_BYTES_MAX];
    let mut writer = Writer::new(&mut buffer);
    writer.add(&Response::Units { total: u16::MAX }).unwrap();
    let unit = UnitRecord {
        index: 0,
        name: Text::of("x"),
        kind: UnitKind::Task,
        state: UnitState::Active,
        pid: None,
        age_ms: u64::MAX,
        ready_ms: None,
        restarts: u16::MAX,
        last_exit: None,
        stale: false,
    };
    writer.add(&unit).unwrap();
    let length = writer.length();
    buffer[..length].to_vec()
}

#[test]
fn pages_that_do_not_advance_end_the_list() {
    let (mut desk, mut room, mut buffer) = (Desk::new(), [0; 64], [0; FRAME_BYTES_MAX]);
    desk.instead = Some(endless_page());
    let mut tool = Tool::new(&mut desk, b"sctl", &mut room);
    let mut seen = 0;
    assert_eq!(tool.each_unit(&mut buffer, &mut |_, _| seen += 1), Ok(()));
    assert_eq!(seen, 2);
}

#[test]
fn a_lying_process_1_never_makes_the_tool_panic() {
    let good = [with(&Response::Done), endless_page()];
    for seed in 0..20_000 {
        let mut random = Random::new(seed);
        let mut frame = good[random.below(2)].clone();
        for _ in 0..random.below(6) {
            let at = 8 + random.below(frame.len() - 7);
            let byte = u8::try_from(random.below(256)).unwrap();
            match frame.get_mut(at) {
                Some(place) => *place = byte,
                None => frame.push(byte),
            }
        }
        let (mut desk, mut room, mut buffer) = (Desk::new(), [0; 64], [0; FRAME_BYTES_MAX]);
        desk.instead = Some(frame);
        let mut tool = Tool::new(&mut desk, b"sctl", &mut room);
        let _ = tool.each_unit(&mut buffer, &mut |tool, unit| {
            tool.show_row(unit, unit.name.0.len());
        });
        let _ = tool.one(
            b"x",
            &Request::Unit {
                name: Text::of("x"),
            },
            &mut buffer,
        );
    }
}
