//! This file holds the scenarios of small products: the ways into and out of a running system.

use super::{Boards, DOWN_WITHIN, Guest, Scenario};
use anyhow::{Result, ensure};
use std::time::Duration;

const MINIMAL: Scenario = Scenario {
    product: "minimal",
    boards: Boards::All,
    ..Scenario::PLAIN
};

/// What is shown of small products.
pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "a reboot starts the machine again",
        reboots: true,
        body: reboot,
        ..MINIMAL
    },
    Scenario {
        name: "the word single leads to the rescue shell",
        boards: Boards::Arm,
        append: &["single"],
        body: rescue,
        ..MINIMAL
    },
    Scenario {
        name: "the word quiet silences process 1 and nothing else",
        boards: Boards::One,
        append: &["quiet"],
        body: quiet,
        ..MINIMAL
    },
    Scenario {
        name: "a target chosen on the kernel command line is reached",
        boards: Boards::One,
        append: &["sysmaster.target=rescue", "sysmaster.nonsense=1"],
        body: chosen_target,
        ..MINIMAL
    },
    Scenario {
        name: "a missing data device fails its unit and leaves a shell",
        product: "no-data",
        boards: Boards::Arm,
        body: missing_device,
        ..MINIMAL
    },
    Scenario {
        name: "children that dump core before their program harm nobody",
        product: "deaf-services",
        body: dump_core_early,
        ..MINIMAL
    },
];

fn reboot(guest: &mut Guest) -> Result<()> {
    let shell = guest.up("shell")?;
    shell.last_command("reboot")?;
    guest
        .machine
        .wait_for("reboot: Restarting system", DOWN_WITHIN)?;
    guest.machine.wait_for("Linux version", DOWN_WITHIN)?;
    let mut shell = guest.up("shell")?;
    let uptime = shell.success("cat /proc/uptime")?;
    ensure!(!uptime.is_empty(), "no uptime");
    shell.last_command("poweroff")?;
    guest.powered_off()
}

/// Before Linux 5.16 such a child takes all with it that share its memory.
fn dump_core_early(guest: &mut Guest) -> Result<()> {
    let mut shell = guest.up("shell")?;
    shell.success("mkfifo /run/never")?;
    for instance in 1..=6 {
        shell.success(&format!("(sctl start deaf@{instance} &) > /dev/null"))?;
    }
    // Each is called as process 1 until it has executed its program.
    shell.success("until [ $(grep -l '^init' /proc/[0-9]*/comm | wc -l) -ge 7 ]; do :; done")?;
    for instance in 1..=6 {
        shell.success(&format!("sctl stop deaf@{instance}"))?;
    }
    shell.success("until [ $(grep -l '^init' /proc/[0-9]*/comm | wc -l) -eq 1 ]; do :; done")?;
    shell.success("sctl list")?;
    shell.last_command("poweroff")?;
    guest.powered_off()
}

fn rescue(guest: &mut Guest) -> Result<()> {
    let mut shell = guest.up("rescue")?;
    // The shell is the rescue unit's, so the product's own one was not started.
    let status = shell.command("sctl status console-shell")?;
    ensure!(
        status.code == 3,
        "the product's shell runs in rescue: {}",
        status.output
    );
    shell.last_command("poweroff")?;
    guest.powered_off()
}

fn quiet(guest: &mut Guest) -> Result<()> {
    let mut shell = super::Session::open(&mut guest.machine)?;
    shell.success("true")?;
    shell.last_command("poweroff")?;
    guest.powered_off()?;
    let lines = guest.machine.console().lines();
    let said = lines.iter().find(|(_, line)| line.contains("init: ["));
    ensure!(said.is_none(), "process 1 said something: {said:?}");
    Ok(())
}

fn chosen_target(guest: &mut Guest) -> Result<()> {
    guest
        .machine
        .wait_for("sysmaster.nonsense=1: unknown", DOWN_WITHIN)?;
    let shell = guest.up("rescue")?;
    shell.last_command("poweroff")?;
    guest.powered_off()
}

fn missing_device(guest: &mut Guest) -> Result<()> {
    guest
        .machine
        .wait_for("data: failed: ", Duration::from_secs(180))?;
    let line = guest.booted()?;
    ensure!(
        line.contains("NOT reached"),
        "the boot counts as good: {line}"
    );
    let mut shell = super::Session::open(&mut guest.machine)?;
    let mounted = shell.command("grep ' /data ' /proc/mounts")?;
    ensure!(
        mounted.code != 0,
        "something is mounted at /data: {}",
        mounted.output
    );
    shell.last_command("poweroff")?;
    guest.powered_off()
}
