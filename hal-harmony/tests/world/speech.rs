//! This file is how services of tests speak: letters, and requests in pieces.

use crate::sim::Sim;
use hal_harmony::abi::Line;
use init_core::limits::FRAME_BYTES_MAX;
use init_core::protocol::letter::{Letter, Piece, Sheet};
use init_core::protocol::{Change, Request, Text, Writer};

/// Passes this much of the machine's time, a millisecond at a time: others run in between.
pub fn work(sim: &Sim, line: &Line<Sim>, milliseconds: u64) {
    for _ in 0..milliseconds {
        sim.state().now_ns += 1_000_000;
        line.give_way();
    }
}

pub fn ask(line: &Line<Sim>, letter: Letter<'_>) -> Sheet {
    line.ask(&letter.sheet()).expect("an answer")
}

pub fn tell(line: &Line<Sim>, letter: Letter<'_>) {
    assert!(line.tell(&letter.sheet()));
}

/// Beats until it is told to stop.
pub fn beat(sim: &Sim, line: &Line<Sim>) {
    while Letter::read(&ask(line, Letter::Heartbeat)) == Ok(Letter::GoOn) {
        work(sim, line, 100);
    }
}

/// Sends a frame in pieces and fetches its answer; `None`: it was refused.
pub fn control(sim: &Sim, line: &Line<Sim>, request: &Request<'_>) -> Option<Vec<u8>> {
    let mut buffer = [0; FRAME_BYTES_MAX];
    let mut writer = Writer::new(&mut buffer);
    writer.add(request).expect("room");
    let length = writer.length();
    let mut begin = 0;
    while let Some(piece) = Piece::of(&buffer[..length], begin) {
        begin = piece.end();
        if Letter::read(&ask(line, Letter::Request(piece))) == Ok(Letter::Refused) {
            return None;
        }
    }
    let mut answer = Vec::new();
    loop {
        let begin = u16::try_from(answer.len()).expect("a frame");
        let sheet = ask(line, Letter::Fetch(begin));
        match Letter::read(&sheet) {
            Ok(Letter::NotYet) => work(sim, line, 5),
            Ok(Letter::Response(piece)) => {
                answer.extend(piece.content);
                if piece.is_last() {
                    return Some(answer);
                }
            }
            // Who decides is another one now, and does not know of it.
            Ok(Letter::Refused) => return None,
            other => panic!("{other:?}"),
        }
    }
}

pub fn change(change: Change, name: &str) -> Request<'_> {
    Request::Change {
        change,
        name: Text::of(name),
        wait: true,
    }
}
