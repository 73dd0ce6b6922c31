//! This file lists the checks that boot virtual machines with Linux. What is made for one board is
//! one chain.

use super::commands::{ourselves, succeeds};
use super::steps::example;
use super::{Outcome, Step, guide};
use crate::{build, house, process, setup};
use anyhow::Result;
use manifests::board::Board;

/// Those of boards whose kernel is of the Debian release that all else is of.
pub fn native() -> Result<Vec<Step>> {
    let (_, native) = boards()?;
    // The longest come first.
    let steps = native.iter().rev().flat_map(native_board);
    Ok(steps.collect())
}

/// The others, and what is built as its users build it.
pub fn foreign() -> Result<Vec<Step>> {
    let mut steps = vec![Step::slow("docs/guide.md, followed", guide::follow).of("guide")];
    let (foreign, _) = boards()?;
    for board in foreign {
        let (name, chain) = (&board.name, board.name.clone());
        let name = format!("boot, keeper and scenarios: {name}");
        steps.push(Step::slow(name, move || foreign_board(&board)).of(&chain));
    }
    steps.push(Step::slow("example: acme-firmware as its user builds it", example).of("example"));
    steps.push(
        Step::slow("healing: deaths on virt-aarch64", || {
            succeeds(&["heal", "--quick", "--board", "virt-aarch64"])
        })
        .of("virt-aarch64"),
    );
    Ok(steps)
}

/// With packages of a Debian release of their own, and the rest.
fn boards() -> Result<(Vec<Board>, Vec<Board>)> {
    Ok(house::boards()?
        .into_iter()
        .partition(|board| board.debian_suite.is_some()))
}

fn native_board(board: &Board) -> Vec<Step> {
    let step = |name: String, perform: fn(&Board) -> Result<Outcome>| {
        let own = board.clone();
        Step::slow(name, move || perform(&own)).of(&board.name)
    };
    let name = &board.name;
    let mut steps = vec![step(format!("boot: the gateway on {name}"), gateway)];
    if board.disk.is_some() {
        steps.push(step(format!("boot: from the disk of {name}"), disk));
    }
    steps.push(step(format!("boot: the keeper on {name}"), keeper));
    steps.push(step(format!("scenarios: {name}"), scenarios));
    steps
}

fn gateway(board: &Board) -> Result<Outcome> {
    let args = ["run", "--product", "gateway", "--once"];
    succeeds(&[&args[..], &["--board", &board.name]].concat())
}

fn disk(board: &Board) -> Result<Outcome> {
    let args = ["run", "--product", "minimal", "--once", "--disk"];
    succeeds(&[&args[..], &["--board", &board.name]].concat())
}

fn scenarios(board: &Board) -> Result<Outcome> {
    succeeds(&["scenarios", "--board", &board.name])
}

/// A board whose packages are of a Debian release in the making: a day on which that has no
/// installable kernel is no failure of ours.
fn foreign_board(board: &Board) -> Result<Outcome> {
    let args = ["--product", "minimal", "--board", &board.name];
    let image = process::output(&mut ourselves(&[&["image"], &args[..]].concat())?)?;
    let words = String::from_utf8_lossy(&image.stderr);
    let is_apt = |line: &&str| line.contains("apt cannot") || line.contains("apt finds no");
    if !image.status.success()
        && let Some(line) = words.lines().rfind(is_apt)
    {
        return Ok(Outcome::Skipped(line.to_string()));
    }
    succeeds(&[&["run", "--once"], &args[..]].concat())?;
    keeper(board)?;
    scenarios(board)
}

/// The keeper as process 1 of a machine.
fn keeper(board: &Board) -> Result<Outcome> {
    setup::ensure(&[setup::qemu(board)])?;
    let keeper = build::keeper(board)?;
    let out = house::target()
        .join("images")
        .join(&board.name)
        .join("keeper");
    let cache = house::target().join("cache");
    qemu_tests::keeper::boot(board, &keeper.file, &cache, &out)?;
    Ok(Outcome::Passed(String::new()))
}
