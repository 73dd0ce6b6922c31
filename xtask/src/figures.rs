//! This file is `cargo xtask figures`: it writes what `size` and `budget` measured into the texts
//! that tell of it, between marks, so that nobody copies numbers by hand.
//!
//! Both leave what they find in `target/figures`, a file a board. With `--check` nothing is built
//! or booted: the texts are held against what is there.

mod density;
mod text;

use crate::budget::Row;
use crate::cli::{self, Size};
use crate::{budget, house, setup, size};
use anyhow::{Context, Result, ensure};
use manifests::board::Board;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use text::{Known, Slack, rewritten};

/// The product that the figures are of.
pub const PRODUCT: &str = "ten";

/// The boards that the texts tell of.
const BOARDS: [&str; 3] = ["virt-aarch64", "virt-armv7", "pc-x86_64"];

/// The texts that have figures.
const TEXTS: [&str; 3] = ["README.md", "docs/healing.md", "docs/upgrade.md"];

/// How far a text may be from what is measured: a file grows by a few bytes with many a change;
/// memory is counted in pages, and of the same file up to three are touched in one boot and not in
/// the next, as events coincide; so do calls, where two services are served in one turn.
const SLACK: Slack = Slack {
    file_bytes: 1_024,
    memory_tenths: 120,
    calls_tenths: 20,
};

/// What a board's guest told is kept by this name, in tenths.
const GUEST: &str = "budget-in-tenths";

/// What was measured of no board in particular is kept by these.
const ARM: &str = "arm";
const DENSITY: &str = "density";

/// What was measured of one board, by name.
type Measured = BTreeMap<String, u64>;

/// Writes the figures, or checks them.
///
/// # Errors
/// Something cannot be measured, or a text tells something else than what was.
pub fn report(figures: &cli::Figures) -> Result<()> {
    if !figures.check {
        measure()?;
    }
    let known = known(if figures.check { SLACK } else { Slack::NONE })?;
    let mut wrong = Vec::new();
    for name in TEXTS {
        let path = house::root().join(name);
        let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {name}"))?;
        let is_ours = |said: &str| figures.check && said != known.compiler;
        let mut known = known.clone();
        if let Some(said) = text::compiler(&text).filter(|said| is_ours(said)) {
            println!(
                "{name}: its files are of {said}, those here of {}",
                known.compiler
            );
            known.files.clear();
        }
        let new = rewritten(&text, &known).with_context(|| format!("the figures of {name}"))?;
        let lines = text.lines().zip(new.lines());
        let others = lines.filter(|(old, new)| old != new);
        wrong.extend(others.map(|(old, new)| format!("{name}: {old}\nmeasured: {new}")));
        if !figures.check && new != text {
            std::fs::write(&path, new).with_context(|| format!("cannot write {name}"))?;
            println!("wrote {name}");
        }
    }
    ensure!(
        !figures.check || wrong.is_empty(),
        "{}\n`cargo xtask figures` measures and writes them",
        wrong.join("\n")
    );
    Ok(())
}

/// Builds and boots all that the texts tell of.
fn measure() -> Result<()> {
    write(ARM, DENSITY, density::measure()?.into_iter())?;
    for board in BOARDS {
        size::report(&Size {
            product: PRODUCT.to_string(),
            board: Some(board.to_string()),
            max_file_kib: None,
            stack: false,
            all: false,
        })?;
    }
    let boards = BOARDS.into_iter().map(house::board);
    budget::report(boards.collect::<Result<_>>()?, PRODUCT)
}

/// What was measured last of all boards; nothing of those that were not.
fn known(slack: Slack) -> Result<Known> {
    let mut known = Known {
        compiler: compiler()?,
        files: BTreeMap::new(),
        memory: BTreeMap::new(),
        density: read(ARM, DENSITY).unwrap_or_default(),
        slack,
    };
    for board in BOARDS {
        for (kind, all) in [("size", &mut known.files), (GUEST, &mut known.memory)] {
            match read(board, kind) {
                Some(measured) => drop(all.insert(board, measured)),
                None => println!("{board}: its {kind} was not measured, nothing to compare"),
            }
        }
    }
    Ok(known)
}

/// The compilers of firmware, as they call themselves: the first board's, and which boards have
/// another.
fn compiler() -> Result<String> {
    let of = |board: &str| {
        let toolchain = setup::toolchain(&house::board(board)?.triple, false)?;
        let mut rustc = Command::new(&toolchain.rustc);
        let said = crate::process::capture(rustc.arg("--version"))?;
        let mut words = said.split_whitespace();
        let name = [words.next(), words.next()].map(Option::unwrap_or_default);
        anyhow::Ok(name.join(" "))
    };
    let first = of(BOARDS[0])?;
    let mut all = first.clone();
    for board in &BOARDS[1..] {
        let other = of(board)?;
        if other != first {
            all.push_str(&format!(" ({board}: {other})"));
        }
    }
    Ok(all)
}

/// Keeps the sizes of a board's files, by what is built.
///
/// # Errors
/// The folder cannot be written to.
pub fn note_sizes(board: &Board, files: impl Iterator<Item = (String, u64)>) -> Result<()> {
    write(&board.name, "size", files)
}

/// Keeps what a board's guest told, in tenths.
///
/// # Errors
/// The folder cannot be written to.
pub fn note_budget(board: &Board, rows: &[Row]) -> Result<()> {
    let rows = rows.iter().map(|row| {
        let name = row.what.trim().to_string();
        (name, row.tenths)
    });
    write(&board.name, GUEST, rows)
}

fn file(board: &str, kind: &str) -> PathBuf {
    house::target()
        .join("figures")
        .join(format!("{board}.{kind}"))
}

fn write(board: &str, kind: &str, figures: impl Iterator<Item = (String, u64)>) -> Result<()> {
    let file = file(board, kind);
    let lines: String = figures
        .map(|(name, value)| format!("{value} {name}\n"))
        .collect();
    let folder = file.parent().context("it has a folder")?;
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(&file, lines))
        .with_context(|| format!("cannot write {}", file.display()))
}

fn read(board: &str, kind: &str) -> Option<Measured> {
    let text = std::fs::read_to_string(file(board, kind)).ok()?;
    let figure = |line: &str| {
        let (value, name) = line.split_once(' ')?;
        Some((name.to_string(), value.parse().ok()?))
    };
    text.lines().map(figure).collect()
}
