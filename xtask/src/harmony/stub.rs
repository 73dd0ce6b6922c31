//! This file links the stub kernel with a root image, and boots it.

use super::Files;
use crate::{build, house, process};
use anyhow::{Context, Result, bail};
use manifests::board::Board;
use qemu_tests::expect::Scenario;
use qemu_tests::machine::Machine;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// What the stub is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variant {
    /// Its clock goes on.
    Normal,
    /// As on boards whose timers are stubs: the clock reads 0 and nothing times out.
    NoClock,
    /// The first time that it is to be switched off, the machine is reset.
    Reset,
}

/// What it says in the end: the root task wanted it, or nothing can happen any more.
const SWITCHED_OFF: &str = "stub: switched off by its root task";
pub const IDLE: &str = "stub: idle for ever";
const DIED: &str = "stub: the kernel dies";

/// With this, QEMU ends where the machine would begin again.
const NO_REBOOT: &str = "-no-reboot";

/// A boot with a handful of services takes a second or two; busy machines take many times that.
const LIMIT: Duration = Duration::from_secs(120);

/// The stub, linked with the root image. It does to the root task's core what the scenario says.
///
/// # Errors
/// It cannot be built or linked.
pub fn link(
    board: &Board,
    files: &Files,
    variant: Variant,
    scenario: &Scenario,
) -> Result<PathBuf> {
    let (library, toolchain) = build::stub_kernel(board)?;
    let kernel = files.image.with_extension(match variant {
        Variant::Normal => "stub",
        Variant::NoClock => "no-clock.stub",
        Variant::Reset => "reset.stub",
    });
    let mut linker = Command::new(&toolchain.linker);
    if toolchain.linker.ends_with("rust-lld") {
        linker.args(["-flavor", "gnu"]);
    }
    linker
        .args([
            "--gc-sections",
            "--build-id=none",
            "-zmax-page-size=4096",
            "-ustub_start",
        ])
        .arg("--script")
        .arg(house::root().join("qemu-tests/stub-kernel/link.ld"))
        .arg("-o")
        .arg(&kernel)
        .args([&library, &files.object]);
    match variant {
        Variant::Normal => {}
        Variant::NoClock => {
            linker.arg("--defsym=stub_no_clock=1");
        }
        Variant::Reset => {
            linker.arg("--defsym=stub_reset=1");
        }
    }
    linker.arg(format!("--defsym=stub_deaths={}", scenario.core_deaths));
    linker.arg(format!("--defsym=stub_poisons={}", scenario.core_poisons));
    linker.arg(format!("--defsym=stub_damages={}", scenario.core_damages));
    process::capture(&mut linker).context("linking the stub kernel")?;
    Ok(kernel)
}

/// Boots the kernel until its root task switches it off, or until nothing can happen any more; all
/// that was on the console.
///
/// # Errors
/// It dies, or does not end in time.
pub fn run(board: &Board, kernel: &Path, variant: Variant) -> Result<String> {
    let log = kernel.with_extension("log");
    let mut board = board.clone();
    if variant == Variant::Reset {
        board.qemu.args.retain(|word| word != NO_REBOOT);
    }
    let mut machine = Machine::start(&board, kernel, &log)?;
    let (which, _, line) = machine.wait_for_any(&[DIED, SWITCHED_OFF, IDLE], LIMIT)?;
    if which == 0 {
        bail!("{line}\n{}", machine.tail());
    }
    machine.wait_for_end(LIMIT)?;
    Ok(machine.text(0))
}
