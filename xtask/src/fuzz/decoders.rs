//! This file names everything that reads what others wrote, and what each promises.

use super::{recordings, regions};
use anyhow::{Context, Result};
use init_core::cmdline;
use init_core::event::{BootOptions, MachineRequest};
use init_core::ident::UnitId;
use init_core::limits::FRAME_BYTES_MAX;
use init_core::protocol::letter::{LETTER_BYTES, Letter, Piece, Sheet};
use init_core::protocol::{
    Assembler, Change, Reader, Request, Response, Text, UnitRecord, Value, Writer, decode, prefix,
};
use init_core::time::Duration;
use init_core::unit::{LogLevel, Manifest, ShutdownDesc};
use manifests::compile::{self, compile_text};
use manifests::{choose_board, house};

/// One reader of foreign bytes.
#[derive(Debug)]
pub struct Decoder {
    /// The word on the command line.
    pub name: &'static str,
    /// A noun for messages.
    pub what: &'static str,
    /// How many cases of the fastest decoder take as long as one of this.
    pub cost: u64,
    /// Inputs to begin with; most are good.
    pub corpus: fn() -> Result<Vec<Vec<u8>>>,
    /// Whether the input was taken; the error is a broken promise.
    pub read: fn(&[u8]) -> Result<bool, String>,
}

/// All of them.
pub const DECODERS: &[Decoder] = &[
    Decoder {
        name: "request",
        what: "the reader of a client's frame",
        cost: 1,
        corpus: requests,
        read: request,
    },
    Decoder {
        name: "response",
        what: "the reader of process 1's answer",
        cost: 1,
        corpus: responses,
        read: response,
    },
    Decoder {
        name: "stream",
        what: "the reader of frames in a stream of bytes",
        cost: 1,
        corpus: streams,
        read: stream,
    },
    Decoder {
        name: "letter",
        what: "the reader of letters between services and init",
        cost: 1,
        corpus: letters,
        read: letter,
    },
    Decoder {
        name: "cmdline",
        what: "the reader of the kernel command line",
        cost: 1,
        corpus: lines,
        read: command_line,
    },
    Decoder {
        name: "manifest",
        what: "the compiler of manifests",
        cost: 200,
        corpus: products,
        read: manifest,
    },
    Decoder {
        name: "recording",
        what: "the reader of recordings, and their replay",
        cost: 100,
        corpus: recordings::corpus,
        read: recordings::perform,
    },
    Decoder {
        name: "region",
        what: "the heir of a damaged region",
        cost: 100,
        corpus: regions::corpus,
        read: regions::inherit,
    },
];

static EMPTY: Manifest = Manifest {
    product: "fuzz",
    board: "desk",
    units: &[],
    edges: &[],
    programs: &[],
    setups: &[],
    probes: &[],
    definitions: &[],
    default_target: UnitId(0),
    rescue_target: Some(UnitId(0)),
    shutdown: ShutdownDesc {
        timeout: Duration::from_secs(30),
        leftover_grace: Duration::from_secs(2),
    },
    watchdog: None,
    healing: None,
    ctrl_alt_del: MachineRequest::Reboot,
    console: c"/dev/console",
    log_level: LogLevel::Normal,
    hot_upgrade: None,
    split: None,
};

/// A complaint must point into what it complains of.
fn inside(offset: u16, bytes: &[u8]) -> Result<(), String> {
    match usize::from(offset) <= bytes.len() {
        true => Ok(()),
        false => Err(format!("it complains of byte {offset} of {}", bytes.len())),
    }
}

fn frame(messages: &[&dyn Fn(&mut Writer<'_>)]) -> Vec<u8> {
    let mut buffer = [0; FRAME_BYTES_MAX];
    let mut writer = Writer::new(&mut buffer);
    for add in messages {
        add(&mut writer);
    }
    let length = writer.length();
    buffer[..length].to_vec()
}

fn framed<'m>(message: &impl Value<'m>) -> Vec<u8> {
    frame(&[&|writer: &mut Writer<'_>| {
        // All that are made here fit.
        let _ = writer.add(message);
    }])
}

fn requests() -> Result<Vec<Vec<u8>>> {
    let mut all = vec![
        framed(&Request::Machine),
        framed(&Request::Units { from: 300 }),
        framed(&Request::Unit {
            name: Text::of("broker"),
        }),
        framed(&Request::Act(MachineRequest::PowerOff)),
    ];
    for change in [
        Change::Start,
        Change::Stop,
        Change::Restart,
        Change::ResetFailed,
    ] {
        for wait in [false, true] {
            let name = Text::of("getty@ttyAMA0");
            all.push(framed(&Request::Change { change, name, wait }));
        }
    }
    Ok(all)
}

fn request(bytes: &[u8]) -> Result<bool, String> {
    match decode::<Request<'_>>(bytes) {
        Ok(_) => Ok(true),
        Err(malformed) => inside(malformed.offset, bytes).map(|()| false),
    }
}

fn responses() -> Result<Vec<Vec<u8>>> {
    let mut all = vec![
        framed(&Response::Done),
        framed(&Response::Begun),
        framed(&Response::Superseded),
        framed(&Response::EMPTY),
    ];
    all.push(frame(&[&|writer: &mut Writer<'_>| {
        let _ = writer.add(&Response::EMPTY);
        for _ in 0..3 {
            let _ = writer.add(&UnitRecord::EMPTY);
        }
    }]));
    Ok(all)
}

fn response(bytes: &[u8]) -> Result<bool, String> {
    let Ok(mut reader) = Reader::new(bytes) else {
        return Ok(false);
    };
    if let Err(malformed) = reader.take::<Response<'_>>() {
        return inside(malformed.offset, bytes).map(|()| false);
    }
    // Every record takes at least a byte, so there are no more than bytes.
    for _ in 0..=bytes.len() {
        if reader.is_at_end() {
            return Ok(true);
        }
        if let Err(malformed) = reader.take::<UnitRecord<'_>>() {
            return inside(malformed.offset, bytes).map(|()| false);
        }
    }
    Err("records without an end".to_string())
}

fn streams() -> Result<Vec<Vec<u8>>> {
    let mut all = Vec::new();
    for frame in requests()? {
        let mut bytes = prefix(&frame).context("a frame has a length")?.to_vec();
        bytes.extend(&frame);
        all.push(bytes.repeat(3));
    }
    Ok(all)
}

fn stream(bytes: &[u8]) -> Result<bool, String> {
    let mut assembler = Assembler::new();
    let mut rest = bytes;
    let mut frames = 0;
    while !rest.is_empty() {
        let room = assembler.room();
        let count = room.len().min(rest.len());
        if count == 0 {
            return Err("no room for the rest, and no complaint".to_string());
        }
        room[..count].copy_from_slice(&rest[..count]);
        rest = &rest[count..];
        match assembler.add(count) {
            Ok(Some(frame)) if frame.len() > FRAME_BYTES_MAX => {
                return Err(format!("a frame of {} bytes", frame.len()));
            }
            Ok(Some(_)) => frames += 1,
            Ok(None) => {}
            Err(_) => return Ok(false),
        }
    }
    Ok(frames > 0)
}

fn letters() -> Result<Vec<Vec<u8>>> {
    let piece = Piece {
        whole: 300,
        begin: 56,
        content: b"a frame's middle",
    };
    let all = [
        Letter::Ready,
        Letter::Heartbeat,
        Letter::Log(b"listening"),
        Letter::Request(piece),
        Letter::Response(piece),
        Letter::Fetch(112),
    ];
    Ok(all.iter().map(|each| each.sheet().to_vec()).collect())
}

/// What was received may be shorter than a letter: the rest is zeros then.
fn letter(bytes: &[u8]) -> Result<bool, String> {
    let mut sheet: Sheet = [0; LETTER_BYTES];
    for (to, from) in sheet.iter_mut().zip(bytes) {
        *to = *from;
    }
    match Letter::read(&sheet) {
        Ok(letter) if letter.sheet() != sheet => Err(format!("not as it was written: {letter:?}")),
        read => Ok(read.is_ok()),
    }
}

fn lines() -> Result<Vec<Vec<u8>>> {
    let lines = [
        "console=ttyAMA0 panic=-1 single",
        "quiet debug sysmaster.log=quiet sysmaster.log=normal",
        "sysmaster.target=rescue sysmaster.nonsense=1",
        "dyndbg=\"file x.c +p\" \"sysmaster.target=broker\" -- emergency",
        "a\tsingle\u{b}quiet x=\"unclosed sysmaster.log=debug",
    ];
    Ok(lines.iter().map(|line| line.as_bytes().to_vec()).collect())
}

fn command_line(bytes: &[u8]) -> Result<bool, String> {
    let mut options = BootOptions::default();
    let mut lies = None;
    let mut warnings = 0;
    cmdline::read_line(bytes, &EMPTY, &mut options, &mut |warning| {
        warnings += 1;
        if usize::from(warning.column) > bytes.len() + 1 {
            lies = Some(format!("column {} of {}", warning.column, bytes.len()));
        }
    });
    if warnings > bytes.len() {
        return Err(format!("{warnings} warnings of {} bytes", bytes.len()));
    }
    lies.map_or(Ok(warnings == 0), Err)
}

fn products() -> Result<Vec<Vec<u8>>> {
    let base = house();
    let mut all = Vec::new();
    for folder in [
        "manifests/products",
        "manifests/tests/good",
        "manifests/tests/bad",
    ] {
        let folder = base.join(folder);
        let entries = std::fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
        for entry in entries {
            let path = entry?.path();
            if path.extension().is_some_and(|ending| ending == "toml") {
                all.push(std::fs::read(path)?);
            }
        }
    }
    all.sort();
    Ok(all)
}

fn manifest(bytes: &[u8]) -> Result<bool, String> {
    let board = choose_board(Some("pc-x86_64")).map_err(|error| error.to_string())?;
    let base = house();
    let outcome = compile_text(
        &compile::Request {
            product: &base.join("manifests/products/fuzz.toml"),
            board: &board,
            rootfs: None,
            base: &base,
            check_only: true,
        },
        &String::from_utf8_lossy(bytes),
    );
    let complaints = outcome.problems.iter().filter(|problem| problem.is_error());
    let is_refused = complaints.count() > 0;
    if is_refused != outcome.product.is_none() {
        return Err("refused without a complaint, or taken with one".to_string());
    }
    // Rendering follows every place into its text.
    let _ = outcome.render(false);
    Ok(!is_refused)
}
