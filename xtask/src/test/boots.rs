//! This file lists the checks that boot virtual machines with Linux.

use super::steps::{example, ourselves, succeeds};
use super::{Outcome, Step, guide};
use crate::{build, house, process, setup};
use anyhow::{Result, bail};
use manifests::board::Board;
use std::sync::Mutex;
use std::thread::ScopedJoinHandle;

/// All of them.
pub fn all() -> Result<Vec<Step>> {
    let mut steps = Vec::new();
    let (foreign, native): (Vec<Board>, Vec<Board>) = house::boards()?
        .into_iter()
        .partition(|board| board.debian_suite.is_some());
    for board in native.iter().cloned() {
        let name = format!("boot: the gateway on {}", board.name);
        steps.push(Step::slow(name, move || {
            succeeds(&[
                "run",
                "--product",
                "gateway",
                "--once",
                "--board",
                &board.name,
            ])
        }));
    }
    for board in house::boards()?
        .into_iter()
        .filter(|board| board.disk.is_some())
    {
        let name = format!("boot: from the disk of {}", board.name);
        steps.push(Step::slow(name, move || {
            let args = ["run", "--product", "minimal", "--once", "--disk"];
            succeeds(&[&args[..], &["--board", &board.name]].concat())
        }));
    }
    steps.push(Step::slow(
        "example: acme-firmware as its user builds it",
        example,
    ));
    steps.push(Step::slow("docs/guide.md, followed", guide::follow));
    for board in native.iter().cloned() {
        let name = format!("boot: the keeper on {}", board.name);
        steps.push(Step::slow(name, move || keeper(&board)));
    }
    steps.push(Step::slow("healing: deaths on virt-aarch64", || {
        succeeds(&["heal", "--quick", "--board", "virt-aarch64"])
    }));
    for (what, boards, perform) in [
        ("scenarios", native, scenarios as Work),
        ("boot and scenarios", foreign, foreign_board),
    ] {
        let names: Vec<&str> = boards.iter().map(|board| board.name.as_str()).collect();
        let name = format!("{what} on {}", names.join(", "));
        steps.push(Step::slow(name, move || side_by_side(&boards, perform)));
    }
    Ok(steps)
}

/// What is done for each board.
type Work = fn(&Board) -> Result<Outcome>;

/// Work on two boards at a time: a virtual machine keeps one processor busy.
fn side_by_side(boards: &[Board], perform: Work) -> Result<Outcome> {
    let left = Mutex::new(boards.iter().collect::<Vec<_>>());
    let next = || left.lock().map_or(None, |mut left| left.pop());
    let lane = || {
        let mut ends = Vec::new();
        while let Some(board) = next() {
            ends.push((board.name.as_str(), perform(board)));
        }
        ends
    };
    let ends = std::thread::scope(|scope| {
        let lanes = [scope.spawn(lane), scope.spawn(lane)];
        let end = |lane: ScopedJoinHandle<'_, Vec<_>>| {
            let panicked = |_| vec![("a lane", Err(anyhow::anyhow!("it panicked")))];
            lane.join().unwrap_or_else(panicked)
        };
        lanes.into_iter().flat_map(end).collect::<Vec<_>>()
    });
    let (mut wrong, mut skipped) = (Vec::new(), Vec::new());
    for (board, end) in ends {
        match end {
            Ok(Outcome::Passed(_)) => {}
            Ok(Outcome::Skipped(why)) => skipped.push(format!("{board} skipped: {why}")),
            Err(error) => wrong.push(format!("{board}: {error:#}")),
        }
    }
    if !wrong.is_empty() {
        bail!("{}", wrong.join("; "));
    }
    Ok(match skipped.len() == boards.len() {
        true => Outcome::Skipped(skipped.join("; ")),
        false => Outcome::Passed(skipped.join("; ")),
    })
}

/// Each line says of which board it is.
fn scenarios(board: &Board) -> Result<Outcome> {
    succeeds(&["scenarios", "--board", &board.name])
}

/// Performs a command of ours, and prints in one go what it says, beside which another may run.
pub fn tells(args: &[&str]) -> Result<Outcome> {
    let output = process::output(&mut ourselves(args)?)?;
    let words = [output.stderr, output.stdout].concat();
    println!("{}", String::from_utf8_lossy(&words).trim_end());
    if !output.status.success() {
        bail!("`cargo xtask {}` failed", args.join(" "));
    }
    Ok(Outcome::Passed(String::new()))
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
    tells(&[&["run", "--once"], &args[..]].concat())?;
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
