//! This file is process 1's end of a control connection: a frame becomes an answer or an event.
//!
//! It keeps nothing between two frames, so clients cannot disturb each other and a process 1 that
//! was replaced goes on with the same connections.

use super::frame::{Buffer, Writer, decode, decode_into};
use super::message::{Change, Detail, MachineRecord, Malformed, Request, Response, UnitRecord};
#[cfg(feature = "recorder")]
use crate::checkpoint::OwnRecorder;
use crate::effect::{Failure, Refusal, Reply};
use crate::event::ControlRequest;
use crate::ident::UnitId;
use crate::renewal::Image;
use crate::report::{Lookup, Operands, is_inner};
use crate::status::{MachineStatus, UnitStatus};
use crate::time::{Duration, Instant};
use crate::unit::{Manifest, UnitDesc};
use crate::wire::Text;

/// Bytes of a path in an answer; a longer one is cut. Two paths and a name fit one frame.
const PATH_BYTES_MAX: usize = 256;

/// The version of process 1.
const PROGRAM_VERSION: &str = if cfg!(feature = "corrected") {
    concat!(env!("CARGO_PKG_VERSION"), "+corrected")
} else {
    env!("CARGO_PKG_VERSION")
};

const _: () = assert!(
    PATH_BYTES_MAX * 2 + crate::limits::NAME_BYTES_MAX * 4 < crate::limits::FRAME_BYTES_MAX
);

/// What answers are made from.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// The product.
    pub manifest: &'static Manifest,
    /// `Core::status`.
    pub status: Lookup<'a>,
    /// `Core::machine_status`.
    pub machine: MachineStatus,
    /// The time.
    pub now: Instant,
    /// What is recorded.
    #[cfg(feature = "recorder")]
    pub recorder: &'a OwnRecorder<'a>,
}

/// What becomes of a client's frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intake {
    /// Send this many bytes of the buffer.
    Answer(usize),
    /// Send this many bytes of the buffer, then hang up: the frame was no request of ours.
    Reject(usize),
    /// Step the core with [`crate::event::Event::Control`]; its `Reply` is the answer. With
    /// `wait` false: with [`crate::event::Event::Unawaited`].
    Control {
        /// What is asked.
        request: ControlRequest,
        /// Whether the client waits for the end.
        wait: bool,
    },
}

/// Reads a client's frame; answers that need no decision are left in `buffer`.
pub fn receive(frame: &[u8], view: &View<'_>, buffer: &mut Buffer) -> Intake {
    let mut request = Request::Machine;
    if let Err(malformed) = decode_into(frame, &mut request) {
        return Intake::Reject(reject(malformed, buffer));
    }
    match request {
        Request::Machine => Intake::Answer(machine(view, buffer)),
        Request::Units { from } => Intake::Answer(units(from, view, buffer)),
        Request::Unit { name } => match view.manifest.find(name.0) {
            Some(unit) => Intake::Answer(detail(unit, view, buffer)),
            None => Intake::Answer(no_such_unit(buffer)),
        },
        Request::Change { change, name, wait } => match view.manifest.find(name.0) {
            Some(unit) => Intake::Control {
                request: control(change, unit),
                wait,
            },
            None => Intake::Answer(no_such_unit(buffer)),
        },
        Request::Act(request) => Intake::Control {
            request: ControlRequest::Machine(request),
            wait: true,
        },
        Request::Reexec => Intake::Control {
            request: ControlRequest::Renew(Image::Same),
            wait: true,
        },
        #[cfg(feature = "recorder")]
        Request::Recording { from } => Intake::Answer(recording(from, view, buffer)),
        Request::Upgrade { .. } => Intake::Control {
            request: ControlRequest::Renew(Image::New),
            wait: true,
        },
        // How much of it becomes another is between client and keeper.
        #[cfg(feature = "exchange")]
        Request::Exchange { .. } => Intake::Control {
            request: ControlRequest::Renew(Image::New),
            wait: true,
        },
    }
}

/// Puts the core's reply into `buffer`; returns its length.
pub fn answer(reply: Reply, manifest: &'static Manifest, buffer: &mut Buffer) -> usize {
    let name = |unit| name_of(manifest, unit);
    let response = match reply {
        Reply::Done => Response::Done,
        Reply::Superseded => Response::Superseded,
        Reply::Begun => Response::Begun,
        Reply::Refused(refusal) => {
            let (first, second) = match refusal {
                Refusal::Conflict(first, second) => (name(first), name(second)),
                Refusal::ShuttingDown
                | Refusal::NoSuchUnit
                | Refusal::NoRescueTarget
                | Refusal::Renewing
                | Refusal::NoHeirs
                | Refusal::NoUpgrade => Default::default(),
            };
            Response::Refused {
                refusal,
                first,
                second,
            }
        }
        Reply::Failed { unit, reason } => Response::Failed {
            unit: name(unit),
            failure: reason,
            about: about(manifest, unit, reason),
        },
        Reply::NotUpgraded(obstacle) => Response::NotUpgraded {
            obstacle,
            unit: obstacle.unit().map(name).unwrap_or_default(),
        },
    };
    put(&response, buffer)
}

/// Whether a client asks for an image's core alone.
#[cfg(feature = "exchange")]
pub fn is_core_asked(frame: &[u8]) -> bool {
    matches!(decode::<Request<'_>>(frame), Ok(Request::Exchange { .. }))
}

/// The image that a client asks for; `None`: it asks for none.
pub fn image_asked(frame: &[u8]) -> Option<&[u8]> {
    match decode::<Request<'_>>(frame) {
        Ok(Request::Upgrade { image }) => Some(image.0),
        #[cfg(feature = "exchange")]
        Ok(Request::Exchange { image }) => Some(image.0),
        #[cfg(feature = "recorder")]
        Ok(Request::Recording { .. }) => None,
        Ok(
            Request::Machine
            | Request::Units { .. }
            | Request::Unit { .. }
            | Request::Change { .. }
            | Request::Act(_)
            | Request::Reexec,
        )
        | Err(_) => None,
    }
}

fn reject(malformed: Malformed, buffer: &mut Buffer) -> usize {
    put(&Response::Error(malformed), buffer)
}

fn no_such_unit(buffer: &mut Buffer) -> usize {
    let refusal = Refusal::NoSuchUnit;
    put(
        &Response::Refused {
            refusal,
            first: Text::default(),
            second: Text::default(),
        },
        buffer,
    )
}

fn control(change: Change, unit: UnitId) -> ControlRequest {
    match change {
        Change::Start => ControlRequest::Start(unit),
        Change::Stop => ControlRequest::Stop(unit),
        Change::Restart => ControlRequest::Restart(unit),
        Change::ResetFailed => ControlRequest::ResetFailed(unit),
    }
}

fn machine(view: &View<'_>, buffer: &mut Buffer) -> usize {
    let Manifest {
        product,
        board,
        units,
        ..
    } = *view.manifest;
    let MachineStatus {
        phase,
        ready,
        failed,
        boot_took,
    } = view.machine;
    let record = MachineRecord {
        version: Text::of(PROGRAM_VERSION),
        product: short(product.as_bytes()),
        board: short(board.as_bytes()),
        phase,
        units: u16::try_from(units.len()).unwrap_or(u16::MAX),
        ready,
        failed,
        boot_ms: boot_took.map(Duration::as_ms),
        uptime_ms: view.now.since(Instant::ZERO).as_ms(),
    };
    put(&Response::Machine(record), buffer)
}

fn units(from: u16, view: &View<'_>, buffer: &mut Buffer) -> usize {
    let total = u16::try_from(view.manifest.units.len()).unwrap_or(u16::MAX);
    let mut writer = Writer::new(buffer);
    let mut result = writer.add(&Response::Units { total });
    // Ends at the first unit that does not fit: at most one frame's worth of work.
    for unit in (from..total).map(UnitId) {
        let (Some(desc), Some(status)) = (view.manifest.unit(unit), (view.status)(unit)) else {
            break;
        };
        if result.is_err() {
            break;
        }
        result = writer.add(&record(unit, desc, &status, view.now));
    }
    writer.length()
}

/// Words of the flight recorder in a frame.
#[cfg(feature = "recorder")]
const RECORDING_WORDS_MAX: usize = 224;

#[cfg(feature = "recorder")]
const _: () = assert!(RECORDING_WORDS_MAX * 4 + 64 < crate::limits::FRAME_BYTES_MAX);

#[cfg(feature = "recorder")]
#[inline(never)]
fn recording(from: u32, view: &View<'_>, buffer: &mut Buffer) -> usize {
    let (recorder, mut bytes) = (view.recorder, [0; RECORDING_WORDS_MAX * 4]);
    let healing = view.manifest.healing;
    let desc = healing.and_then(|healing| healing.recorder);
    let (count, sum) = recorder.end();
    let words = recorder.words();
    let begin = usize::try_from(from).unwrap_or(usize::MAX);
    let left = words.len().saturating_sub(begin).min(RECORDING_WORDS_MAX);
    words.read(begin, &mut bytes);
    let response = Response::Recording {
        manifest: desc.map_or(0, |desc| desc.manifest),
        count,
        sum,
        total: u32::try_from(words.len()).unwrap_or(0),
        words: Text(bytes.get(..left.wrapping_mul(4)).unwrap_or_default()),
    };
    put(&response, buffer)
}

fn detail(unit: UnitId, view: &View<'_>, buffer: &mut Buffer) -> usize {
    let (Some(desc), Some(status)) = (view.manifest.unit(unit), (view.status)(unit)) else {
        return no_such_unit(buffer);
    };
    let exec = view.manifest.exec(desc.start);
    let program = exec.map_or(&[][..], |exec| exec.program.to_bytes());
    let detail = Detail {
        program: short(program),
        critical: desc.rules.critical,
        failure: status.failure,
        about: match status.failure {
            Some(failure) => about(view.manifest, unit, failure),
            None => Operands::default(),
        },
    };
    let record = record(unit, desc, &status, view.now);
    put(&Response::Unit(record, detail), buffer)
}

#[inline(never)]
fn record(
    unit: UnitId,
    desc: &'static UnitDesc,
    status: &UnitStatus,
    now: Instant,
) -> UnitRecord<'static> {
    UnitRecord {
        index: unit.0,
        name: Text::of(desc.name),
        kind: desc.rules.kind,
        state: status.state,
        pid: status.pid,
        age_ms: now.since(status.since).as_ms(),
        ready_ms: status.ready_after.map(Duration::as_ms),
        restarts: status.restarts,
        last_exit: status.last_exit,
        stale: status.stale,
    }
}

fn about(manifest: &'static Manifest, unit: UnitId, failure: Failure) -> Operands<'static> {
    let Operands { path, unit } = Operands::of(manifest, unit, failure);
    Operands {
        path: short(path.0),
        unit,
    }
}

fn name_of(manifest: &'static Manifest, unit: UnitId) -> Text<'static> {
    Text::of(manifest.name(unit))
}

/// At most that many bytes, and whole characters.
fn short(path: &'static [u8]) -> Text<'static> {
    let mut length = PATH_BYTES_MAX;
    while path.get(length).copied().is_some_and(is_inner) {
        length = length.saturating_sub(1);
    }
    Text(path.get(..length).unwrap_or(path))
}

/// Puts one response into the buffer. All texts are bounded, so that it always fits.
fn put(response: &Response<'_>, buffer: &mut Buffer) -> usize {
    let mut writer = Writer::new(buffer);
    // A manifest with a name beyond its limit gives an empty frame, which the client cannot read.
    let _ = writer.add(response);
    writer.length()
}
