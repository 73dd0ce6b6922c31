//! This file is `cargo xtask bench`: sysMaster and other inits do the same work on the same kernel,
//! one after the other in turn, several times, and a document is written from what was measured.
//!
//! What is measured, and how, is `qemu-tests/bench`; here contenders are made ready, and documents
//! are written: one for this machine's kernel, and one for each board. A contender that cannot do a
//! row is shown as such; one that fails where it should not ends the command.

mod agree;
mod compare;
mod contender;
mod costs;
mod document;
mod guest;
mod head;
mod machine;
mod plot;
pub mod programs;
mod reasons;
mod roots;
mod sections;
mod workshop;

use crate::cli::{Bench, BenchBoard};
use crate::house;
use crate::setup::{self, Tool};
use anyhow::{Context, Result, bail, ensure};
use bench_lives::contender::Contender as Player;
use bench_lives::extent::Extent;
use bench_lives::rows::Lives;
use bench_lives::samples::Samples;
use contender::Contender;
use document::Document;
use machine::Machine;
use manifests::board::Board;
use qemu_tests::progress::say;
use std::fs;
use std::path::PathBuf;
use workshop::Workshop;

/// What was measured, what went wrong, and on what machine.
type Measured = (Samples, Vec<String>, Machine);

/// Measures and writes a document.
///
/// # Errors
/// It cannot be run here, or a contender failed where it should not.
pub fn run(bench: &Bench) -> Result<()> {
    if bench.compare || bench.accept {
        return compare::run(bench.accept);
    }
    if bench.costs {
        return costs::run();
    }
    let (board, is_here) = match bench.board {
        BenchBoard::Namespace => (own_board()?, true),
        BenchBoard::VirtAarch64 => (house::board("virt-aarch64")?, false),
        BenchBoard::VirtArmv7 => (house::board("virt-armv7")?, false),
    };
    let extent = match (bench.quick, is_here) {
        (true, _) => Extent::quick(),
        (false, true) => Extent::full(bench.rounds),
        (false, false) => Extent::board(bench.rounds),
    };
    let folder = house::target().join("bench");
    let folder = match is_here {
        true => folder,
        false => guest::folder(&board),
    };
    let workshop = workshop(board, folder)?;
    let others = bench.peers.as_deref();
    // On a board the other composition is not looked at: it takes a build for each plan.
    let is_short = bench.quick || !is_here;
    let (mut contenders, left_out) = workshop.contenders(others, is_short)?;
    if !bench.only.is_empty() {
        let names = bench.only.join(", ");
        contenders.retain(|it| bench.only.iter().any(|name| name == it.name()));
        ensure!(!contenders.is_empty(), "there is no contender {names}");
    }
    for contender in &contenders {
        workshop.prepare(contender, &extent)?;
    }
    let names: Vec<&str> = contenders.iter().map(Contender::name).collect();
    say(&format!("contenders: {}", names.join(", ")));
    let (mut samples, failures, machine) = match is_here {
        true => here(&workshop, &contenders, &extent)?,
        false => guest::measure(&workshop, &players(&contenders), &extent)?,
    };
    files(&contenders, &mut samples)?;
    growth(&contenders, &extent, &mut samples);
    // What is kept is a whole run's in which all went as it should.
    let is_part = bench.quick || bench.agree || !bench.only.is_empty() || !failures.is_empty();
    let out = if is_part {
        house::target().join("bench/docs")
    } else {
        house::root().join("docs")
    };
    let document = Document {
        contenders: &contenders,
        left_out: &left_out,
        samples: &samples,
        extent: &extent,
        machine: &machine,
        board: (!is_here).then_some(workshop.board.name.as_str()),
        folder: &out,
    };
    let file = write(&document)?;
    if !failures.is_empty() {
        bail!("not all went as it should:\n  {}", failures.join("\n  "));
    }
    match file.file_name().filter(|_| bench.agree) {
        Some(name) => agree::compare(&house::root().join("docs").join(name), &file),
        None => Ok(()),
    }
}

/// Measures on this machine's kernel.
fn here(workshop: &Workshop, contenders: &[Contender], extent: &Extent) -> Result<Measured> {
    if extent.calls.is_some() {
        setup::ensure(&[Tool {
            program: Some("strace".to_string()),
            package: "strace".to_string(),
            why: "counts the system calls of every contender".to_string(),
        }])?;
    }
    let machine = Machine::read();
    let mut samples = Samples::default();
    let players = players(contenders);
    let mut lives = Lives {
        folder: &workshop.folder,
        say,
        contenders: &players,
        extent,
        samples: &mut samples,
        failures: Vec::new(),
    };
    lives.perform();
    let failures = lives.failures;
    Ok((samples, failures, machine))
}

fn players(contenders: &[Contender]) -> Vec<Player> {
    contenders.iter().map(|it| it.player.clone()).collect()
}

/// Adds how large the files are: process 1, what stays beside it, the libraries of both, tools.
fn files(contenders: &[Contender], samples: &mut Samples) -> Result<()> {
    for contender in contenders {
        let name = contender.name();
        let size = |files: &Vec<PathBuf>| -> Result<u64> {
            let mut bytes = 0;
            for file in files {
                let data = fs::metadata(file);
                bytes += data
                    .with_context(|| format!("cannot read {}", file.display()))?
                    .len();
            }
            Ok(bytes)
        };
        let [process_1, helpers, tools] = &contender.files;
        let [process_1, helpers, tools] = [size(process_1)?, size(helpers)?, size(tools)?];
        for (row, bytes) in [
            ("file.process-1", process_1),
            ("file.helpers", helpers),
            ("file.tools", tools),
        ] {
            samples.add(row, name, bytes as f64);
        }
        if let Some(libraries) = samples.summary("file.libraries", name) {
            let together = libraries.median + (process_1 + helpers) as f64;
            samples.add("file.together", name, together);
        }
    }
    Ok(())
}

/// Adds what each further service costs: the difference between the most and the fewest.
fn growth(contenders: &[Contender], extent: &Extent, samples: &mut Samples) {
    let sorted = || extent.memories.iter().copied();
    let (Some(few), Some(many)) = (sorted().min(), sorted().max()) else {
        return;
    };
    let Some(services) = many.checked_sub(few).filter(|it| *it > 0) else {
        return;
    };
    for name in contenders.iter().map(Contender::name) {
        for row in ["resident", "proportional", "own", "kernel"] {
            let of = |services| samples.summary(&format!("{row}.{services}"), name);
            let (Some(low), Some(high)) = (of(few), of(many)) else {
                continue;
            };
            let each = (high.median - low.median) / services as f64;
            samples.add(&format!("{row}.each"), name, each);
        }
    }
}

fn own_board() -> Result<Board> {
    ensure!(
        cfg!(target_arch = "x86_64"),
        "on this machine's own kernel the benchmark runs on x86-64 only: choose another --board"
    );
    let boards = house::boards()?;
    let own = boards.into_iter().find(|board| {
        board.triple.starts_with(std::env::consts::ARCH) && board.debian_suite.is_none()
    });
    own.context("no board has this machine's processor")
}

fn workshop(board: Board, folder: PathBuf) -> Result<Workshop> {
    for part in ["roots", "files", "machines", "shared"] {
        let part = folder.join(part);
        if part.exists() {
            fs::remove_dir_all(&part)?;
        }
    }
    let shared = folder.join("shared");
    fs::create_dir_all(&shared).with_context(|| format!("cannot make {}", shared.display()))?;
    programs::build(&board, &shared)?;
    Ok(Workshop { board, folder })
}

/// Writes it; where it lies.
fn write(document: &Document<'_>) -> Result<PathBuf> {
    let folder = document.folder;
    let plots = folder.join("plots");
    fs::create_dir_all(&plots)?;
    let name = match document.board {
        Some(board) => format!("benchmarks-{board}.md"),
        None => {
            plot::draw(document, &plots)?;
            "benchmarks.md".to_string()
        }
    };
    let file = folder.join(name);
    let text = document.text();
    fs::write(&file, &text).with_context(|| format!("cannot write {}", file.display()))?;
    say(&format!("written: {}", house::shown(&file)));
    if document.board.is_none() && folder == house::root().join("docs") {
        let readme = house::root().join("README.md");
        let quoted = document::quote(&fs::read_to_string(&readme)?, &text);
        fs::write(&readme, quoted)?;
    }
    Ok(file)
}
