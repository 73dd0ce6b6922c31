//! This file lists the checks of the house, in the order in which they are performed.

use super::commands::{CARGO_LIMIT, cargo, cargo_command, fails, ourselves, succeeds};
use super::{Outcome, Step, boots, lint, skips};
use crate::setup::{self, Core};
use crate::{build, house, process, replay};
use anyhow::Result;
use manifests::board::Board;
use std::collections::BTreeSet;
use std::time::Duration;

/// Builds a product for every board, whose kernels may have to be fetched, and boots each twice.
const BUDGET_LIMIT: Duration = Duration::from_secs(30 * 60);

/// All steps, the quick ones first, and in the end what must be alone.
pub fn all() -> Result<Vec<Step>> {
    let mut steps = vec![
        Step::quick("tidy: the rules of the house", lint::rules),
        Step::quick("format: rustfmt", lint::format),
        Step::quick("lint: clippy on the host's crates", lint::host),
        Step::quick("lint: clippy on the firmware", lint::firmware),
        Step::quick("tests of the host's crates", host_tests),
    ];
    steps.push(Step::quick("fuzz: a bounded run of every decoder", || {
        succeeds(&["fuzz"])
    }));
    steps.push(Step::quick("simulation: 20 000 histories", || {
        succeeds(&["sim"])?;
        succeeds(&["sim", "--exchange"])
    }));
    steps.push(Step::quick("simulation: three planted defects", || {
        succeeds(&["sim", "--mutants", "--quick"])
    }));
    steps.push(Step::slow("process 1 in namespaces", namespaces).of("namespaces"));
    // It waits more than it works: for a held core, and for a loop to be taken for one.
    steps.push(Step::slow("healing: deaths that nobody notices", healing).of("healing"));
    steps.extend(boots::native()?);
    // It compiles with one processor for minutes; and this one waits for others' services.
    steps.extend(sizes().map(|step| step.of("size")));
    steps.push(Step::slow("bench: every contender runs every row", bench).of("bench"));
    steps.extend(boots::foreign()?);
    steps.extend(harmony()?.into_iter().map(|step| step.of("harmony")));
    let instructions = || succeeds(&["bench", "--compare"]);
    steps.push(Step::slow("bench: instructions of the core", instructions).of("instructions"));
    steps.extend(refusals()?.into_iter().map(|step| step.of("refusals")));
    // Alone: how many exits share a turn decides on its calls, and another step on that.
    steps.extend(figures());
    Ok(steps)
}

/// What every board's firmware takes of its flash.
fn sizes() -> [Step; 2] {
    [
        Step::slow("size: within every board's budget", || succeeds(&["size"])),
        Step::slow("refusal: a build over its budget", || {
            let args = ["size", "--board", "virt-aarch64"];
            fails(
                &[&args[..], &["--max-file-kib", "0"]].concat(),
                "over budget: virt-aarch64",
            )
        }),
    ]
}

/// What it takes while it runs, and that the texts say what was measured, of the flash as well.
fn figures() -> [Step; 2] {
    [
        Step::slow("budget: ten services on every board", || {
            process::run_shown(&mut ourselves(&["budget"])?, BUDGET_LIMIT)?;
            Ok(Outcome::Passed(String::new()))
        }),
        Step::slow("figures: the texts tell what was measured", || {
            succeeds(&["figures", "--check"])
        }),
    ]
}

fn refusals() -> Result<Vec<Step>> {
    let mut steps = vec![
        Step::slow("refusal: a recorder without healing", mortal_recorder),
        Step::slow("refusal: a gateway whose broker is broken", || {
            fails(
                &["run", "--product", "broken-broker", "--once"],
                "the product does not work",
            )
        }),
    ];
    steps.extend(planted_panics(&house::boards()?, "minimal"));
    Ok(steps)
}

/// The root task of Harmony's microkernel, on the stub.
fn harmony() -> Result<Vec<Step>> {
    let mut steps = vec![
        Step::slow("harmony: the probe on the stub kernel", || {
            crate::harmony::compare()?;
            Ok(Outcome::Passed(String::new()))
        }),
        Step::slow("harmony: cores that end, over the simulated kernel", || {
            let package = ["test", "--package", "hal-harmony", "--features", "split"];
            let tests = ["split", "hostile_core", "generated"].map(|name| ["--test", name]);
            cargo(&[&package[..], &tests.concat()].concat())
        }),
        Step::slow("harmony: services on the stub kernel", || {
            succeeds(&["run", "--once", "--board", "oh-tee-virt"])
        }),
        Step::slow("harmony: the same without a clock", || {
            let board = house::board("oh-tee-virt")?;
            crate::harmony::run_without_clock(&board, &house::product("harmony-demo")?)?;
            Ok(Outcome::Passed(String::new()))
        }),
        Step::slow("harmony: the same in one process, from a RAM disk", || {
            let arguments = ["run", "--once", "--board", "oh-tee-virt"];
            succeeds(&[&arguments[..], &["--product", "harmony-solo"]].concat())
        }),
        Step::slow("harmony: the same without its RAM disk", || {
            let board = house::board("oh-tee-virt")?;
            crate::harmony::run_without_disk(&board, &house::product("harmony-solo")?)?;
            Ok(Outcome::Passed(String::new()))
        }),
        Step::slow("harmony: what a boot leaves over a reset", || {
            let board = house::board("oh-tee-virt")?;
            crate::harmony::run_with_reset(&board, &house::product("harmony-reset")?)?;
            Ok(Outcome::Passed(String::new()))
        }),
        Step::slow("library: the core in an image with a C main", || {
            Ok(Outcome::Passed(crate::library::run()?))
        }),
        Step::slow("size: Harmony's root image without services", || {
            succeeds(&["image", "--board", "oh-tee-virt", "--product", "bare"])
        }),
    ];
    steps.extend(planted_panics(&house::harmony_boards()?, "bare"));
    Ok(steps)
}

fn host_tests() -> Result<Outcome> {
    cargo(&["test", "--no-fail-fast"])
}

/// Plain cargo in the example's own folder, for each target whose `core` came compiled; what it
/// locks must be what the house locks.
pub fn example() -> Result<Outcome> {
    let mut built = Vec::new();
    for board in house::boards()? {
        let toolchain = setup::toolchain(&board.triple, false)?;
        if toolchain.core == Core::FromSource {
            continue;
        }
        let mut cargo = toolchain.cargo();
        cargo
            .current_dir(house::root().join("examples/acme-firmware"))
            .args([
                "build",
                "--release",
                "--locked",
                "--target",
                &toolchain.triple,
            ])
            // Other people's crates, which the guide's firmware needs as well.
            .env("CARGO_BUILD_BUILD_DIR", house::target());
        process::run_shown(&mut cargo, CARGO_LIMIT)?;
        built.push(toolchain.triple);
    }
    if built.is_empty() {
        let cause = "no target's core came compiled; the next step builds it from source";
        return Ok(Outcome::Skipped(cause.to_string()));
    }
    Ok(Outcome::Passed(built.join(", ")))
}

/// Process 1 of a product made for it, and the keeper, built for this machine and run in namespaces
/// of their own.
fn namespaces() -> Result<Outcome> {
    let boards = house::boards()?;
    let own = |board: &&Board| board.triple.starts_with(std::env::consts::ARCH);
    let Some(board) = boards.iter().find(own) else {
        let why = format!(
            "no board has this machine's processor, {}",
            std::env::consts::ARCH
        );
        return Ok(Outcome::Skipped(why));
    };
    let folder = house::root().join("hal-linux/tests/namespace");
    let build_with = |product: &str, features: &[String]| {
        build::firmware(&build::Request {
            board,
            product: &folder.join(product),
            rootfs: None,
            features,
            heals: true,
        })
    };
    let build = |product| build_with(product, &[]);
    let (firmware, split) = (build("product.toml")?, build("split.toml")?);
    let escalating = build("escalating.toml")?;
    let recording = build("recording.toml")?;
    let replay = replay::build(&folder.join("recording.toml"), &board.name, None)?;
    let split_recording = build("split-recording.toml")?;
    let split_replay = replay::build(&folder.join("split-recording.toml"), &board.name, None)?;
    let added = ["added-field".to_string()];
    let upgraded = build_with("upgraded.toml", &added)?;
    let split_upgraded = build_with("split-upgraded.toml", &added)?;
    let corrected = ["corrected".to_string()];
    let split_corrected = build_with("split-corrected.toml", &corrected)?;
    let keeper = build::keeper(board)?;
    let mut cargo = cargo_command(&["test", "--package", "hal-linux"]);
    cargo
        .args(["--test", "namespace", "--test", "keeper"])
        .env("SYSMASTER_NAMESPACE_INIT", &firmware.file)
        .env("SYSMASTER_NAMESPACE_SYMBOLS", &firmware.symbols)
        .env("SYSMASTER_SPLIT_INIT", &split.file)
        .env("SYSMASTER_SPLIT_SYMBOLS", &split.symbols)
        .env("SYSMASTER_ESCALATING_INIT", &escalating.file)
        .env("SYSMASTER_ESCALATING_SYMBOLS", &escalating.symbols)
        .env("SYSMASTER_RECORDING_INIT", &recording.file)
        .env("SYSMASTER_RECORDING_SYMBOLS", &recording.symbols)
        .env("SYSMASTER_RECORDING_REPLAY", replay)
        .env("SYSMASTER_SPLIT_RECORDING_INIT", &split_recording.file)
        .env("SYSMASTER_SPLIT_RECORDING_REPLAY", split_replay)
        .env("SYSMASTER_NAMESPACE_UPGRADED", &upgraded.file)
        .env("SYSMASTER_NAMESPACE_UPGRADED_SYMBOLS", &upgraded.symbols)
        .env("SYSMASTER_SPLIT_UPGRADED", &split_upgraded.file)
        .env("SYSMASTER_SPLIT_UPGRADED_SYMBOLS", &split_upgraded.symbols)
        .env("SYSMASTER_SPLIT_CORRECTED", &split_corrected.file)
        .env(
            "SYSMASTER_SPLIT_CORRECTED_SYMBOLS",
            &split_corrected.symbols,
        )
        .env("SYSMASTER_KEEPER", &keeper.file);
    skips::told(&mut cargo)
}

/// Deaths of process 1 under load.
fn healing() -> Result<Outcome> {
    if cfg!(not(target_arch = "x86_64")) {
        let why = "in namespaces faults are written for x86-64 only".to_string();
        return Ok(Outcome::Skipped(why));
    }
    for composition in ["--composition=solo", "--composition=split"] {
        let heal = ["heal", "--quick", composition];
        succeeds(&heal)?;
        for campaign in [
            &["--sweep"][..],
            &["--ladder"],
            &["--old-calls", "--only", "ill"],
        ] {
            succeeds(&[&heal[..], campaign].concat())?;
        }
    }
    Ok(Outcome::Passed(String::new()))
}

/// That the contenders run and the document is written; no speed is judged.
fn bench() -> Result<Outcome> {
    if cfg!(not(target_arch = "x86_64")) {
        let why = "the benchmark's programs are written for x86-64 only".to_string();
        return Ok(Outcome::Skipped(why));
    }
    succeeds(&["bench", "--quick"])
}

fn mortal_recorder() -> Result<Outcome> {
    let product = "hal-linux/tests/namespace/recording.toml";
    let args = ["build", "--product", product, "--board", "pc-x86_64"];
    fails(
        &[&args[..], &["--without-healing"]].concat(),
        "asks for `recorder`, which needs healing",
    )
}

/// A planted panic is refused on every target; boards of one are linked alike.
fn planted_panics(boards: &[Board], product: &'static str) -> Vec<Step> {
    let (mut steps, mut targets) = (Vec::new(), BTreeSet::new());
    for board in boards.iter().cloned() {
        if targets.insert(board.triple.clone()) {
            let name = format!("refusal: a planted panic on {}", board.name);
            steps.push(Step::slow(name, move || planted_panic(&board, product)));
        }
    }
    steps
}

fn planted_panic(board: &Board, product: &str) -> Result<Outcome> {
    let args = ["build", "--product", product, "--features", "planted-panic"];
    fails(
        &[&args[..], &["--board", &board.name]].concat(),
        "a panic can be reached",
    )
}
