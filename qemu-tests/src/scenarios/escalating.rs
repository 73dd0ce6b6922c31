//! This file holds the scenarios of a process 1 that dies more often than its manifest allows.

use super::hostile::INJURE;
use super::{Boards, DOWN_WITHIN, Guest, Scenario, Start};
use anyhow::{Result, ensure};

/// What is shown of such a machine.
pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "a machine whose process 1 dies too often starts anew, then from its other slot",
        product: "escalating",
        start: Start::Disk,
        reboots: true,
        body: climbs,
        ..Scenario::PLAIN
    },
    Scenario {
        name: "what process 1 died of is kept over a reset in memory that was set aside",
        product: "remembering",
        boards: Boards::Pc,
        append: &["memmap=2M!128M"],
        reboots: true,
        body: remembers,
        ..Scenario::PLAIN
    },
];

fn climbs(guest: &mut Guest) -> Result<()> {
    starts_anew(guest)?;
    dies_twice(guest)?;
    // A reboot-mode driver would hand this word to the boot loader; the kernel says it in any case.
    let word = "reboot: Restarting system with command 'recovery'";
    guest.machine.wait_for(word, DOWN_WITHIN)?;
    ends_after(guest, 2, "/root/deaths")
}

fn remembers(guest: &mut Guest) -> Result<()> {
    starts_anew(guest)?;
    ends_after(guest, 1, "/dev/pmem0")
}

fn starts_anew(guest: &mut Guest) -> Result<()> {
    dies_twice(guest)?;
    for text in [
        "dies again and again: the machine starts anew",
        "reboot: Restarting system",
    ] {
        guest.machine.wait_for(text, DOWN_WITHIN)?;
    }
    Ok(())
}

/// The machine comes up once more, has said once each time why it started anew, and the record
/// says how often.
fn ends_after(guest: &mut Guest, starts: u32, record: &str) -> Result<()> {
    let mut shell = guest.up("shell")?;
    let counts = format!("head -c 256 {record} | grep -q 'restarts: {starts}'");
    shell.until(&counts, DOWN_WITHIN)?;
    shell.last_command("poweroff")?;
    guest.powered_off()?;
    let lines = guest.machine.console().lines();
    for times in 1..=starts {
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
