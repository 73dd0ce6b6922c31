//! This file holds the scenarios of a root file system on a disk.

use super::{Boards, DOWN_WITHIN, Guest, Scenario, Start};
use anyhow::{Result, ensure};

/// What the kernel says when it finds a journal that was not closed.
const RECOVERY: &str = "EXT4-fs (vda1): recovery complete";

const DISK: Scenario = Scenario {
    product: "minimal",
    start: Start::Disk,
    ..Scenario::PLAIN
};

/// What is shown of a disk.
pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "what is written to the root survives a reboot, which leaves the disk clean",
        reboots: true,
        body: survives,
        ..DISK
    },
    Scenario {
        name: "a swap file in use is given up, and the disk is left clean",
        reboots: true,
        body: swaps,
        ..DISK
    },
    Scenario {
        name: "a reset in the middle leaves a disk that boots, with what was synced",
        reboots: true,
        body: reset,
        ..DISK
    },
    Scenario {
        name: "a root that does not come is named",
        append: &["root=/dev/vdz9"],
        body: absent,
        ..DISK
    },
    Scenario {
        name: "a boot loader boots the disk with nothing beside it",
        boards: Boards::WithBootLoader,
        start: Start::BootLoader,
        body: boots_and_powers_off,
        ..DISK
    },
];

fn survives(guest: &mut Guest) -> Result<()> {
    let nonce = guest.nonce.clone();
    let mut shell = guest.up("shell")?;
    let mounts = shell.success("grep ' / ' /proc/mounts")?;
    ensure!(
        mounts.contains("ext4") && mounts.contains("rw,"),
        "the root is another one: {mounts}"
    );
    shell.success(&format!("echo {nonce} > /root/word"))?;
    shell.last_command("reboot")?;
    guest
        .machine
        .wait_for("reboot: Restarting system", DOWN_WITHIN)?;
    let begin = guest.machine.cursor();
    let mut shell = guest.up("shell")?;
    let found = shell.success("cat /root/word")?;
    ensure!(found.contains(&nonce), "the file says {found:?}");
    shell.last_command("poweroff")?;
    guest.powered_off()?;
    let text = guest.machine.text(begin);
    ensure!(
        !text.contains(RECOVERY) && text.contains("EXT4-fs (vda1): mounted"),
        "the disk was not clean:\n{text}"
    );
    Ok(())
}

/// As long as it is in use, the file system cannot be made read-only.
fn swaps(guest: &mut Guest) -> Result<()> {
    let mut shell = guest.up("shell")?;
    shell.success(
        "dd if=/dev/zero of=/swap bs=1M count=8 && mkswap /swap && swapon /swap && \
         grep /swap /proc/swaps",
    )?;
    shell.last_command("reboot")?;
    guest
        .machine
        .wait_for("reboot: Restarting system", DOWN_WITHIN)?;
    let begin = guest.machine.cursor();
    let shell = guest.up("shell")?;
    shell.last_command("poweroff")?;
    guest.powered_off()?;
    let text = guest.machine.text(begin);
    ensure!(
        !text.contains(RECOVERY) && text.contains("EXT4-fs (vda1): mounted"),
        "the disk was not clean:\n{text}"
    );
    Ok(())
}

fn reset(guest: &mut Guest) -> Result<()> {
    let nonce = guest.nonce.clone();
    let mut shell = guest.up("shell")?;
    shell.success(&format!("echo {nonce} > /root/word; sync"))?;
    shell.last_command("echo b > /proc/sysrq-trigger")?;
    guest.machine.wait_for(RECOVERY, DOWN_WITHIN)?;
    let mut shell = guest.up("shell")?;
    let found = shell.success("cat /root/word")?;
    ensure!(found.contains(&nonce), "the file says {found:?}");
    shell.last_command("poweroff")?;
    guest.powered_off()
}

fn absent(guest: &mut Guest) -> Result<()> {
    guest
        .machine
        .wait_for("early: still waiting for /dev/vdz9", DOWN_WITHIN)?;
    Ok(())
}

fn boots_and_powers_off(guest: &mut Guest) -> Result<()> {
    guest
        .machine
        .wait_for("/boot/extlinux/extlinux.conf", DOWN_WITHIN)?;
    let shell = guest.up("shell")?;
    shell.last_command("poweroff")?;
    guest.powered_off()
}
