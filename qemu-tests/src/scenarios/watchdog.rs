//! This file holds the scenarios of a machine with a hardware watchdog, played by the kernel's own
//! `softdog`, and by QEMU as a device on the bus: it resets the machine unless it is fed.

use super::hostile::INJURE;
use super::{Boards, DOWN_WITHIN, Guest, Scenario};
use crate::session::Session;
use anyhow::{Result, ensure};

const WATCHED: Scenario = Scenario {
    product: "watched",
    ..Scenario::PLAIN
};

/// What is shown of such a machine.
pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "a watchdog is fed, also by a process 1 that healed or was exchanged",
        boards: Boards::Arm,
        body: fed,
        ..WATCHED
    },
    Scenario {
        name: "a process 1 that is held still is reset by the watchdog",
        body: still,
        ..WATCHED
    },
    Scenario {
        name: "a machine whose critical service has failed is reset by the watchdog",
        body: sick,
        ..WATCHED
    },
    Scenario {
        name: "a watchdog on the bus is fed by every life, warns of one held still, and resets",
        product: "guarded",
        boards: Boards::Server,
        append: &["proc_mem.force_override=always"],
        arguments: &["-device", "i6300esb"],
        body: warned,
        ..Scenario::PLAIN
    },
];

/// What the kernel says when it was not fed.
const RESET: &str = "softdog: Initiating system reboot";

fn watched(guest: &mut Guest) -> Result<Session<'_>> {
    let mut shell = guest.up("shell")?;
    let active = "grep -q '^active' /sys/class/watchdog/watchdog0/state";
    shell.until(active, DOWN_WITHIN)?;
    Ok(shell)
}

/// Lives after faults, one that was asked for and one of another image feed it, and none of them
/// opens it anew: the kernel says so of a watchdog that is closed while it counts.
fn fed_by_all(shell: &mut Session<'_>) -> Result<()> {
    for _ in 0..3 {
        shell.success(INJURE)?;
        shell.success("sctl list > /dev/null")?;
    }
    for exchange in ["reexec", "upgrade /init"] {
        shell.success(&format!("sctl {exchange}"))?;
        // Longer than it waits.
        shell.success("sleep 12; sctl list > /dev/null")?;
    }
    let closed = shell.success("dmesg | grep -c 'watchdog did not stop' || true")?;
    ensure!(closed.trim() == "0", "it was closed");
    Ok(())
}

fn fed(guest: &mut Guest) -> Result<()> {
    let mut shell = watched(guest)?;
    fed_by_all(&mut shell)?;
    shell.last_command("poweroff")?;
    guest.powered_off()?;
    let lines = guest.machine.console().lines();
    let count = |text: &str| lines.iter().filter(|(_, line)| line.contains(text)).count();
    all_lived(count)?;
    let told = count("watchdog: /dev/watchdog0 resets after 8 s");
    ensure!(told == 1, "it was opened {told} times");
    Ok(())
}

/// Each life has said why it began.
fn all_lived(count: impl Fn(&str) -> usize) -> Result<()> {
    for (what, times) in [("died", 3), ("was executed again", 1), ("was upgraded", 1)] {
        let told = count(&format!("process 1 {what} and goes on where it was"));
        ensure!(told == times, "it {what} {told} times");
    }
    Ok(())
}

fn still(guest: &mut Guest) -> Result<()> {
    let mut shell = watched(guest)?;
    freeze(&mut shell)?;
    guest.machine.wait_for(RESET, DOWN_WITHIN)?;
    guest.machine.wait_for_end(DOWN_WITHIN)
}

/// Holds process 1 still.
fn freeze(shell: &mut Session<'_>) -> Result<()> {
    shell.success("mkdir -p /run/groups && mount -t cgroup2 none /run/groups")?;
    shell.success("mkdir /run/groups/still && echo 1 > /run/groups/still/cgroup.procs")?;
    shell.success("echo 1 > /run/groups/still/cgroup.freeze")?;
    Ok(())
}

fn warned(guest: &mut Guest) -> Result<()> {
    const WARNING: &str = "watchdog0: pretimeout event";
    let mut shell = watched(guest)?;
    fed_by_all(&mut shell)?;
    let warnings = shell.success("dmesg | grep -c 'watchdog0: pretimeout' || true")?;
    ensure!(
        warnings.trim() == "0",
        "it warned of a machine that is well"
    );
    freeze(&mut shell)?;
    guest.machine.wait_for(WARNING, DOWN_WITHIN)?;
    // QEMU ends where the machine would start anew, and nobody in it asked for that.
    guest.machine.wait_for_end(DOWN_WITHIN)?;
    let lines = guest.machine.console().lines();
    let count = |text: &str| lines.iter().filter(|(_, line)| line.contains(text)).count();
    all_lived(count)?;
    let told = count("watchdog: /dev/watchdog resets after 8 s, warns 3 s before");
    ensure!(told == 1, "it was opened {told} times");
    ensure!(count("reboot: ") == 0, "it went down by itself");
    Ok(())
}

fn sick(guest: &mut Guest) -> Result<()> {
    let mut shell = watched(guest)?;
    shell.command("sctl start vital")?;
    let not_fed = "watchdog: not fed, it will reset the machine: vital";
    guest.machine.wait_for(not_fed, DOWN_WITHIN)?;
    // A life that begins must not feed it either. This ends with the machine.
    guest
        .machine
        .type_text(&format!("while :; do {INJURE}; sleep 2; done\n"))?;
    guest.machine.wait_for(RESET, DOWN_WITHIN)?;
    guest.machine.wait_for_end(DOWN_WITHIN)
}
