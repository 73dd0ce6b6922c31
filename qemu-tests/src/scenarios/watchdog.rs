//! This file holds the scenarios of a machine with a hardware watchdog, played by the kernel's own
//! `softdog`: it resets the machine unless it is fed.

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
        name: "a watchdog is fed, also by a process 1 that healed",
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
];

/// What the kernel says when it was not fed.
const RESET: &str = "softdog: Initiating system reboot";

fn watched(guest: &mut Guest) -> Result<Session<'_>> {
    let mut shell = guest.up("shell")?;
    let active = "grep -q '^active' /sys/class/watchdog/watchdog0/state";
    shell.until(active, DOWN_WITHIN)?;
    Ok(shell)
}

fn fed(guest: &mut Guest) -> Result<()> {
    let mut shell = watched(guest)?;
    for _ in 0..3 {
        shell.success(INJURE)?;
        shell.success("sctl list > /dev/null")?;
    }
    // Longer than it waits.
    shell.success("sleep 12; sctl list > /dev/null")?;
    shell.last_command("poweroff")?;
    guest.powered_off()?;
    let lines = guest.machine.console().lines();
    let count = |text: &str| lines.iter().filter(|(_, line)| line.contains(text)).count();
    ensure!(count("goes on where it was") == 3, "it did not heal thrice");
    let told = count("watchdog: /dev/watchdog0 resets after 8 s");
    ensure!(told == 1, "it was opened {told} times");
    Ok(())
}

fn still(guest: &mut Guest) -> Result<()> {
    let mut shell = watched(guest)?;
    shell.success("mkdir -p /run/groups && mount -t cgroup2 none /run/groups")?;
    shell.success("mkdir /run/groups/still && echo 1 > /run/groups/still/cgroup.procs")?;
    shell.success("echo 1 > /run/groups/still/cgroup.freeze")?;
    guest.machine.wait_for(RESET, DOWN_WITHIN)?;
    guest.machine.wait_for_end(DOWN_WITHIN)
}

fn sick(guest: &mut Guest) -> Result<()> {
    let mut shell = watched(guest)?;
    shell.command("sctl start vital")?;
    let not_fed = "watchdog: not fed, it will reset the machine: vital";
    guest.machine.wait_for(not_fed, DOWN_WITHIN)?;
    guest.machine.wait_for(RESET, DOWN_WITHIN)?;
    guest.machine.wait_for_end(DOWN_WITHIN)
}
