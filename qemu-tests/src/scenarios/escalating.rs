//! This file holds the scenario of a process 1 that dies more often than its manifest allows.

use super::hostile::INJURE;
use super::{DOWN_WITHIN, Guest, Scenario, Start};
use anyhow::{Result, ensure};

/// What is shown of such a machine.
pub(super) const SCENARIOS: &[Scenario] = &[Scenario {
    name: "a machine whose process 1 dies too often starts anew, then from its other slot",
    product: "escalating",
    start: Start::Disk,
    reboots: true,
    body: climbs,
    ..Scenario::PLAIN
}];

fn climbs(guest: &mut Guest) -> Result<()> {
    dies_twice(guest)?;
    let anew = "dies again and again: the machine starts anew";
    guest.machine.wait_for(anew, DOWN_WITHIN)?;
    guest
        .machine
        .wait_for("reboot: Restarting system", DOWN_WITHIN)?;
    dies_twice(guest)?;
    // A reboot-mode driver would hand this word to the boot loader; the kernel says it in any case.
    let word = "reboot: Restarting system with command 'recovery'";
    guest.machine.wait_for(word, DOWN_WITHIN)?;
    let mut shell = guest.up("shell")?;
    shell.success("grep -q 'restarts: 2' /root/deaths")?;
    shell.last_command("poweroff")?;
    guest.powered_off()?;
    let lines = guest.machine.console().lines();
    for times in 1..=2 {
        let told = format!("started anew, {times} in a row: process 1 died of SIGILL");
        let count = lines
            .iter()
            .filter(|(_, line)| line.contains(&told))
            .count();
        ensure!(count == 1, "{told:?} was said {count} times");
    }
    Ok(())
}

fn dies_twice(guest: &mut Guest) -> Result<()> {
    let mut shell = guest.up("shell")?;
    shell.success(INJURE)?;
    shell.success("sctl list > /dev/null")?;
    // It dies when it is asked something.
    shell.last_command(&format!("{INJURE}; sctl list"))
}
