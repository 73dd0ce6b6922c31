//! This file measures on a board: a virtual machine is booted from everything that lies ready, and
//! a referee within it performs the order and tells what was measured.
//!
//! The machine's clock counts instructions, a nanosecond each, so that what is measured does not
//! depend on what else the machine that emulates it does. Waiting takes none of our time.

use super::machine::Machine;
use super::workshop::Workshop;
use super::{Measured, programs};
use crate::heal::program;
use crate::{build, house, product, setup};
use anyhow::{Context, Result, bail};
use bench_lives::contender::Contender as Player;
use bench_lives::extent::Extent;
use bench_lives::order::{Answer, Answers, MARK, Order};
use manifests::board::Board;
use qemu_tests::image::Image;
use qemu_tests::machine::{Machine as Virtual, Options};
use qemu_tests::progress::say;
use qemu_tests::run;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Between two answers: the longest is a life of the slowest contender, on a busy machine.
const SILENCE_MAX: Duration = Duration::from_secs(900);

/// From a mark to the end of its line.
const LINE_WITHIN: Duration = Duration::from_secs(60);

/// Where all lies ready within the machine.
const FOLDER: &str = "opt/bench";

/// The same clock on every run; files in memory are files, not shared memory; nobody else speaks.
const ARGUMENTS: [&str; 4] = ["-icount", "shift=0,sleep=off", "-m", "768"];
const APPEND: [&str; 3] = ["rootfstype=ramfs", "quiet", "loglevel=1"];

/// What is booted: sysMaster, whose only service is the referee, and what that makes machines with.
const PRODUCT: &str = r#"# Written by `cargo xtask bench`.
[product]
name = "referee"
boards = ["BOARD"]
default-target = "all"

[target.all]
wants = ["referee"]

[service.referee]
exec = ["/usr/bin/referee", "/opt/bench"]
restart = "never"

[rootfs]
packages = ["coreutils", "dash", "mount", "strace", "util-linux"]
folders = ["rootfs"]
"#;

/// Where a board's contenders are made ready: what becomes a part of the machine's root.
pub fn folder(board: &Board) -> PathBuf {
    out(board).join("rootfs").join(FOLDER)
}

fn out(board: &Board) -> PathBuf {
    house::target().join("bench").join(&board.name)
}

/// Measures, and tells on what.
///
/// # Errors
/// The machine cannot be built or booted, or the referee is heard no more.
pub fn measure(workshop: &Workshop, players: &[Player], extent: &Extent) -> Result<Measured> {
    let board = &workshop.board;
    setup::ensure(&[setup::qemu(board)])?;
    let order = Order {
        extent: extent.clone(),
        contenders: players.to_vec(),
    };
    order.write(&workshop.folder)?;
    let image = image(board)?;
    let options = Options {
        append: APPEND.map(str::to_string).to_vec(),
        arguments: ARGUMENTS.map(str::to_string).to_vec(),
        ..Options::default()
    };
    let host = Machine::read();
    let log = out(board).join("console");
    let mut machine = Virtual::boot(board, &image, &options, &log)?;
    let mut answers = Answers::default();
    loop {
        machine.wait_for(MARK, SILENCE_MAX)?;
        let begin = machine.cursor();
        machine.wait_for("\n", LINE_WITHIN)?;
        let text = machine.text(begin);
        let line = text.lines().next().unwrap_or_default();
        let answer = Answer::read(&format!("{MARK}{line}"))
            .with_context(|| format!("the console is {}", house::shown(&log)))?;
        if let Answer::Progress(words) | Answer::Failure(words) = &answer {
            say(words);
        }
        if answers.take(answer)? {
            break;
        }
    }
    let Answers {
        samples, failures, ..
    } = answers;
    let Some(kernel) = samples.words("kernel", "machine") else {
        bail!("nothing was measured: {}", failures.join("; "));
    };
    let machine = Machine {
        processor: emulated(board)?,
        processors: 1,
        kernel,
        is_virtual: true,
        ..host
    };
    Ok((samples, failures, machine))
}

fn image(board: &Board) -> Result<Image> {
    let out = out(board);
    let rootfs = out.join("rootfs");
    let programs = rootfs.join("usr/bin");
    std::fs::create_dir_all(&programs)
        .with_context(|| format!("cannot make {}", programs.display()))?;
    program::build(board, &program::REFEREE, &programs.join("referee"))?;
    let manifest = out.join("referee.toml");
    std::fs::write(&manifest, PRODUCT.replace("BOARD", &board.name))
        .with_context(|| format!("cannot write {}", manifest.display()))?;
    let init = |rootfs: &Path| {
        let request = build::Request {
            board,
            product: &manifest,
            rootfs: Some(rootfs),
            features: &[],
            heals: true,
        };
        build::firmware(&request).map(|built| built.file)
    };
    run::build_image(&run::Request {
        board,
        product: &manifest,
        recipe: product::recipe(&manifest, board)?,
        cache: &house::target().join("cache"),
        out: &out.join("image"),
        build: &init,
        beside: &|_| Ok(Vec::new()),
        early: &|| build::early(board),
    })
}

/// The processor, and who emulates it.
fn emulated(board: &Board) -> Result<String> {
    let words = board.qemu.args.iter();
    let model = words.skip_while(|word| *word != "-cpu").nth(1);
    let model = model.with_context(|| format!("{} names no -cpu", board.name))?;
    Ok(format!(
        "{model} of {}",
        programs::version(&board.qemu.program)?
    ))
}
