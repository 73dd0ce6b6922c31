//! This file is `cargo xtask bench`: sysMaster and other inits do the same work on the same kernel,
//! one after the other in turn, several times, and the document is written from what was measured.
//!
//! Times come from the programs that are run, never from how often the harness looks. A contender
//! that cannot do a row is shown as such; one that fails where it should not ends the command.

mod cgroup;
mod compare;
mod contender;
mod document;
mod extent;
mod healing;
mod journal;
mod lives;
mod machine;
mod memory;
mod plot;
mod programs;
mod rows;
mod samples;
mod sections;
mod stage;

use crate::cli::Bench;
use crate::setup::{self, Tool};
use crate::{cli, house};
use anyhow::{Context, Result, bail, ensure};
use contender::{Contender, Workshop};
use extent::Extent;
use qemu_tests::progress::say;
use rows::Lives;
use samples::Samples;
use std::fs;
use std::path::Path;

/// Measures and writes the document.
///
/// # Errors
/// It cannot be run here, or a contender failed where it should not.
pub fn run(bench: &Bench) -> Result<()> {
    if bench.compare || bench.accept {
        return compare::run(bench.accept);
    }
    ensure!(
        cfg!(target_arch = "x86_64"),
        "the benchmark's programs are written for x86-64 only: run this on such a machine"
    );
    if bench.board != cli::BenchBoard::Namespace {
        bail!("on virtual boards the benchmark does not run yet: choose --board namespace");
    }
    let extent = if bench.quick {
        Extent::quick()
    } else {
        Extent::full(bench.rounds)
    };
    if extent.calls.is_some() {
        setup::ensure(&[Tool {
            program: Some("strace".to_string()),
            package: "strace".to_string(),
            why: "counts the system calls of every contender".to_string(),
        }])?;
    }
    let workshop = workshop()?;
    let (mut contenders, left_out) = workshop.contenders(bench.peers.as_deref(), bench.quick)?;
    if !bench.only.is_empty() {
        let names = bench.only.join(", ");
        contenders.retain(|it| bench.only.contains(&it.name));
        ensure!(!contenders.is_empty(), "there is no contender {names}");
    }
    let names: Vec<&str> = contenders.iter().map(|it| it.name.as_str()).collect();
    say(&format!("contenders: {}", names.join(", ")));
    let before = machine::Machine::read();
    let (samples, failures) = measure(&workshop, &contenders, &extent)?;
    let document = document::Document {
        contenders: &contenders,
        left_out: &left_out,
        samples: &samples,
        extent: &extent,
        machine: &before,
    };
    let out = if bench.quick || !bench.only.is_empty() {
        workshop.folder.join("docs")
    } else {
        house::root().join("docs")
    };
    write(&document, &out)?;
    if !failures.is_empty() {
        bail!("not all went as it should:\n  {}", failures.join("\n  "));
    }
    Ok(())
}

fn measure(
    workshop: &Workshop,
    contenders: &[Contender],
    extent: &Extent,
) -> Result<(Samples, Vec<String>)> {
    let mut samples = Samples::default();
    let mut lives = Lives {
        workshop,
        contenders,
        extent,
        samples: &mut samples,
        failures: Vec::new(),
    };
    lives.perform()?;
    let failures = lives.failures;
    Ok((samples, failures))
}

fn workshop() -> Result<Workshop> {
    let boards = house::boards()?;
    let own = boards.into_iter().find(|board| {
        board.triple.starts_with(std::env::consts::ARCH) && board.debian_suite.is_none()
    });
    let board = own.context("no board has this machine's processor")?;
    let folder = house::target().join("bench");
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

fn write(document: &document::Document<'_>, folder: &Path) -> Result<()> {
    let plots = folder.join("plots");
    fs::create_dir_all(&plots)?;
    plot::draw(document, &plots)?;
    let file = folder.join("benchmarks.md");
    let text = document.text();
    fs::write(&file, &text).with_context(|| format!("cannot write {}", file.display()))?;
    say(&format!("written: {}", house::shown(&file)));
    if folder == house::root().join("docs") {
        let readme = house::root().join("README.md");
        let quoted = document::quote(&fs::read_to_string(&readme)?, &text);
        fs::write(&readme, quoted)?;
    }
    Ok(())
}
