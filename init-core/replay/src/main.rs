//! This file is the program behind `cargo xtask replay`: it performs a recording of the product
//! that it was compiled for, and says step by step what came of it.

use init_core::checkpoint::recording::Recording;
use init_core::unit::Manifest;
use init_core_replay::file::File;
use init_core_replay::{Desk, End, Replay, Step, Trouble};
use std::io::Write;
use std::process::ExitCode;

mod product {
    //! The compiled manifest.
    init_core::include_manifest!();
}

static MANIFEST: &Manifest = &product::MANIFEST;

/// What is asked for.
#[derive(Default)]
struct Wish {
    file: String,
    from: Option<u32>,
    to: Option<u32>,
    unit: Option<String>,
    quiet: bool,
}

fn main() -> ExitCode {
    match wish().and_then(|wish| perform(&wish)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(words) => {
            eprintln!("replay: {words}");
            ExitCode::from(2)
        }
    }
}

fn wish() -> Result<Wish, String> {
    let mut wish = Wish::default();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
        let number = |text: String| text.parse().map_err(|_| format!("{text:?} is no number"));
        match argument.as_str() {
            "--from" => wish.from = Some(number(value()?)?),
            "--to" => wish.to = Some(number(value()?)?),
            "--unit" => wish.unit = Some(value()?),
            "--quiet" => wish.quiet = true,
            _ if argument.starts_with('-') || !wish.file.is_empty() => {
                return Err(format!("{argument:?} is not understood"));
            }
            _ => wish.file = argument,
        }
    }
    if let Some(unit) = &wish.unit
        && MANIFEST.find(unit.as_bytes()).is_none()
    {
        return Err(format!("{} has no unit {unit:?}", MANIFEST.product));
    }
    Ok(wish)
}

fn perform(wish: &Wish) -> Result<bool, String> {
    let name = &wish.file;
    let bytes = std::fs::read(name).map_err(|why| format!("{name}: {why}"))?;
    let file = File::parse(&bytes).map_err(|why| format!("{name}: {why}"))?;
    is_ours(&file).map_err(|why| format!("{name}: {why}"))?;
    let recording = Recording::of(file.words(), MANIFEST.units.len()).ok_or(format!(
        "{name}: byte {}: here is no recorder of {} units in this layout",
        file.begin,
        MANIFEST.units.len()
    ))?;
    let end = End {
        count: file.numbers.count,
        sum: file.numbers.sum,
    };
    let mut desk = Desk::<{ product::UNIT_COUNT }>::new();
    let replay = desk.replay(recording, end, MANIFEST);
    let mut out = std::io::stdout().lock();
    // Whoever closed the pipe has seen enough.
    let _ = show(&mut out, wish, &file, &replay);
    if let Some(Trouble::Damaged { number, word }) = &replay.trouble {
        let byte = file.byte_of(*word);
        return Err(format!(
            "{name}: byte {byte}: the entry of step {number} is damaged"
        ));
    }
    if let Some(trouble) = &replay.trouble {
        return Err(format!("{name}: {trouble}"));
    }
    Ok(true)
}

/// A recording is performed by what was compiled from the same manifest only.
fn is_ours(file: &File) -> Result<(), String> {
    let [_, product, board] = &file.texts;
    let recorder = MANIFEST.healing.and_then(|healing| healing.recorder);
    let ours = recorder.map_or(0, |recorder| recorder.manifest);
    let theirs = file.numbers.manifest;
    if (product.as_str(), board.as_str()) != (MANIFEST.product, MANIFEST.board) {
        return Err(format!(
            "recorded by product {product} on board {board}, and this is {} on {}",
            MANIFEST.product, MANIFEST.board
        ));
    }
    if ours != theirs {
        return Err(format!(
            "recorded by a process 1 that was compiled from another manifest of {product} (or \
             with another root file system): its number is {theirs:08x}, this one's {ours:08x}"
        ));
    }
    Ok(())
}

fn show(out: &mut impl Write, wish: &Wish, file: &File, replay: &Replay) -> std::io::Result<()> {
    let [version, product, board] = &file.texts;
    let count = file.numbers.count;
    writeln!(
        out,
        "{product} on {board}, sysMaster {version}: {count} events recorded in all"
    )?;
    let is_wanted = |step: &&Step| {
        let number = step.number;
        !wish.quiet
            && wish.from.is_none_or(|from| number >= from)
            && wish.to.is_none_or(|to| number <= to)
            && wish.unit.as_ref().is_none_or(|unit| step.is_about(unit))
    };
    for step in replay.steps.iter().filter(is_wanted) {
        write!(out, "{step}")?;
    }
    let Replay {
        first,
        performed,
        states,
        gaps,
        left_out,
        ..
    } = replay;
    write!(
        out,
        "{performed} events performed from step {first} on, {states} whole states met"
    )?;
    if *gaps > 0 {
        write!(out, ", {gaps} times what came between is not recorded")?;
    }
    if *left_out > 0 {
        write!(
            out,
            ", the last {left_out} events cannot be performed for that"
        )?;
    }
    match &replay.trouble {
        None if *left_out == 0 => writeln!(out, ": the same state"),
        Some(_) | None => writeln!(out),
    }
}
