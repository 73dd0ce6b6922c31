//! This file is the entry of `cargo xtask`: it reads the command line and calls the task.
#![forbid(unsafe_code)]

mod bench;
mod budget;
mod build;
mod cli;
mod dictionary;
mod elf;
mod figures;
mod fuzz;
mod graph;
mod harmony;
mod heal;
mod house;
mod image;
mod library;
mod miri;
mod panics;
mod process;
mod product;
mod replay;
mod returns;
mod setup;
mod sim;
mod size;
mod stack;
mod test;
mod tidy;

use anyhow::Result;
use clap::Parser;
use cli::{Choice, Cli, Target, Task};
use qemu_tests::progress::say;
use std::process::ExitCode;

fn main() -> ExitCode {
    let task = Cli::parse().task;
    // Its exit code is its word.
    if let Task::Witness(witness) = &task {
        return heal::witness(witness).unwrap_or(ExitCode::FAILURE);
    }
    match perform(&task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn perform(task: &Task) -> Result<()> {
    match task {
        Task::Run(choice) => image::run(choice),
        Task::Image(choice) => image::write(choice),
        Task::Check(choice) => product::check(choice),
        Task::Graph(choice) => graph::draw(choice),
        Task::Setup(target) => set_up(target),
        Task::Build(choice) => build_product(choice),
        Task::Size(size) => size::report(size),
        Task::Fuzz(choice) => fuzz::run(choice),
        Task::Budget(measure) => {
            let boards = house::chosen(measure.board.as_deref())?;
            budget::report(boards, &measure.product)
        }
        Task::Figures(figures) => figures::report(figures),
        Task::Heal(choice) => heal::run(choice),
        Task::Bench(choice) => bench::run(choice),
        Task::Miri => miri::run(),
        Task::Sim(choice) => sim::run(choice),
        Task::Replay(choice) => replay::run(choice),
        Task::Witness(_) => Ok(()),
        Task::Dictionary => dictionary::run(),
        Task::Tidy => tidy::check().map(|count| say(&format!("{count} files follow the rules"))),
        Task::Test(test) => test::run(test),
        Task::Probe => harmony::print(),
        Task::Scenarios(choice) => image::scenarios(choice),
    }
}

fn set_up(target: &Target) -> Result<()> {
    for board in house::chosen(target.board.as_deref())? {
        setup::ensure(&[setup::qemu(&board)])?;
        setup::toolchain(&board.triple, true)?;
    }
    Ok(())
}

fn build_product(choice: &Choice) -> Result<()> {
    let board = house::board(&choice.board)?;
    let product = house::product(&choice.product)?;
    let rootfs = choice
        .rootfs
        .as_deref()
        .map(std::path::absolute)
        .transpose()?;
    build::firmware(&build::Request {
        board: &board,
        product: &product,
        rootfs: rootfs.as_deref(),
        features: &choice.features,
        heals: !choice.without_healing,
    })?;
    Ok(())
}
