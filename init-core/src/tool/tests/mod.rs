//! This room tests the control tool against process 1's own session code, without a socket.

mod commands;
mod recording;
mod trouble;

use super::*;
use crate::checkpoint::Recorder;
use crate::checkpoint::words::Words;
use crate::effect::Reply;
use crate::event::{ControlRequest, Errno, ExitStatus};
use crate::fixture::MANIFEST;
use crate::ident::UnitId;
use crate::protocol::{Intake, View, answer, decode, receive};
use crate::renewal::{HOT_UPGRADE, HotUpgrade};
use crate::status::{MachineStatus, UnitStatus};
use crate::time::{Duration, Instant};
use crate::unit::Manifest;
use core::sync::atomic::AtomicU32;
use std::format;
use std::string::String;
use std::vec::Vec;

static GATEWAY: Manifest = MANIFEST;

/// A process 1 on a desk: units as listed, replies as told, every request remembered.
struct Desk {
    states: [UnitState; 6],
    phase: MachinePhase,
    reply: Reply,
    asked: Vec<(ControlRequest, bool)>,
    /// The names of all requests.
    requests: Vec<String>,
    /// What `connect` gives.
    connection: Result<(), Errno>,
    /// So many pauses until the queue has room.
    full: usize,
    pauses: usize,
    connects: usize,
    /// Hangs up instead of answering, this often.
    hang_ups: usize,
    /// Instead of an answer, this often.
    silent: usize,
    /// Sent instead of every answer.
    instead: Option<Vec<u8>>,
    /// What is to be received next; `None`: hung up.
    pending: Option<Vec<u8>>,
    waits: Vec<Option<Duration>>,
    /// What was written to standard output.
    bytes: Vec<u8>,
    /// The flight recorder's words.
    recorder: Vec<AtomicU32>,
    output: String,
    errors: String,
    output_is_broken: bool,
    hangs_up_on_changes: bool,
}

impl Desk {
    fn new() -> Self {
        Self {
            states: [UnitState::Active; 6],
            phase: MachinePhase::Up,
            reply: Reply::Done,
            asked: Vec::new(),
            requests: Vec::new(),
            connection: Ok(()),
            full: 0,
            pauses: 0,
            connects: 0,
            hang_ups: 0,
            silent: 0,
            instead: None,
            pending: None,
            waits: Vec::new(),
            bytes: Vec::new(),
            recorder: Vec::new(),
            output: String::new(),
            errors: String::new(),
            output_is_broken: false,
            hangs_up_on_changes: false,
        }
    }

    /// Runs a command line; returns its exit code.
    fn run(&mut self, line: &str) -> u8 {
        run(self, &|index| line.split(' ').nth(index).map(str::as_bytes))
    }

    fn status(&self, unit: UnitId) -> Option<UnitStatus> {
        let state = *self.states.get(unit.index())?;
        let has_failed = state == UnitState::Failed;
        Some(UnitStatus {
            state,
            since: Instant::from_us(1_000_000),
            pid: (state == UnitState::Active).then_some(100 + u32::from(unit.0)),
            ready_after: Some(Duration::from_ms(45)),
            restarts: u16::from(has_failed),
            last_exit: has_failed.then_some(ExitStatus::Code(3)),
            failure: has_failed.then_some(crate::effect::Failure::StartLimit),
            stale: false,
        })
    }

    fn answer(&mut self, frame: &[u8]) -> Vec<u8> {
        let mut buffer = [0; FRAME_BYTES_MAX];
        let failed = self
            .states
            .iter()
            .filter(|state| **state == UnitState::Failed)
            .count();
        let failed = u16::try_from(failed).unwrap();
        let boot_took = Some(Duration::from_ms(912));
        let machine = MachineStatus {
            phase: self.phase,
            ready: 6 - failed,
            failed,
            boot_took,
        };
        let now = Instant::from_us(3_000_000);
        let status = &|unit| self.status(unit);
        let intake = receive(
            frame,
            &View {
                manifest: &GATEWAY,
                status,
                machine,
                now,
                recorder: &Recorder::new(Words::new(&self.recorder), 6),
            },
            &mut buffer,
        );
        let length = match intake {
            Intake::Answer(length) | Intake::Reject(length) => length,
            Intake::Control { request, wait } => {
                self.asked.push((request, wait));
                let reply = if wait { self.reply } else { Reply::Begun };
                answer(reply, &GATEWAY, &mut buffer)
            }
        };
        buffer[..length].to_vec()
    }
}

impl Client for Desk {
    fn address(&self) -> &'static [u8] {
        b"/run/control"
    }

    fn upgrade(&self) -> Option<&'static HotUpgrade> {
        HOT_UPGRADE
    }

    fn connect(&mut self) -> Result<(), Errno> {
        self.connects += 1;
        match self.full {
            0 => self.connection,
            _ => Err(Errno(11)),
        }
    }

    fn pause(&mut self) {
        self.full = self.full.saturating_sub(1);
        self.pauses += 1;
    }

    fn send(&mut self, frame: &[u8]) -> Result<(), Errno> {
        let request = format!("{:?}", decode::<Request<'_>>(frame).unwrap());
        let name = request.split([' ', '(']).next().unwrap();
        self.requests.push(String::from(name));
        let answer = self.answer(frame);
        self.pending = Some(self.instead.clone().unwrap_or(answer));
        if self.hangs_up_on_changes && !self.asked.is_empty() {
            self.pending = None;
        }
        Ok(())
    }

    fn receive(
        &mut self,
        buffer: &mut Buffer,
        patience: Option<Duration>,
    ) -> Result<Received, Errno> {
        self.waits.push(patience);
        if self.silent > 0 {
            self.silent -= 1;
            return Ok(Received::Nothing);
        }
        if self.hang_ups > 0 {
            self.hang_ups -= 1;
            return Ok(Received::HungUp);
        }
        let Some(frame) = self.pending.take().filter(|frame| !frame.is_empty()) else {
            return Ok(Received::HungUp);
        };
        let length = frame.len().min(FRAME_BYTES_MAX);
        buffer[..length].copy_from_slice(&frame[..length]);
        Ok(Received::Frame(frame.len()))
    }

    fn write(&mut self, stream: Stream, bytes: &[u8]) -> bool {
        let text = String::from_utf8_lossy(bytes);
        match stream {
            Stream::Output => {
                self.bytes.extend_from_slice(bytes);
                self.output.push_str(&text);
            }
            Stream::Errors => self.errors.push_str(&text),
        }
        !(self.output_is_broken && stream == Stream::Output)
    }
}
