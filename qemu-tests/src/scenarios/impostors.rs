//! This file has programs take the places of a console and of a watchdog (CUSE): they let
//! themselves be opened, or not even that, and never answer what else they are asked.

use super::hostile::INJURE;
use super::{DOWN_WITHIN, Guest, Scenario};
use crate::session::Session;
use anyhow::{Result, ensure};

/// What is shown of such a machine.
pub(super) const SCENARIOS: &[Scenario] = &[Scenario {
    name: "a program in the place of a console or a watchdog is not used, and delays nobody",
    product: "impostors",
    append: &["proc_mem.force_override=always"],
    body: impostors,
    ..Scenario::PLAIN
}];

/// What is said of them, each time somebody looks.
const REFUSED: [&str; 2] = [
    "init: /dev/late: Driven by a file system or a program",
    "init: no watchdog: /dev/watchdog0: Driven by a file system or a program",
];

/// How many children of process 1 there are that have its program.
const HELD: &str = "$(($(grep -l '^init' /proc/[0-9]*/comm 2>/dev/null | wc -l) - 1))";

fn impostors(guest: &mut Guest) -> Result<()> {
    let mut shell = guest.up("shell")?;
    // At the end of the boot, and when set-up is done again.
    told(&mut shell, [1, 1])?;
    goes_on(&mut shell, 0)?;
    shell.success("sctl restart setup")?;
    told(&mut shell, [2, 2])?;
    goes_on(&mut shell, 0)?;
    // Whoever has opened the first one does not come to the second.
    shell.success("touch /run/clinging && sctl restart --no-wait setup")?;
    told(&mut shell, [3, 2])?;
    goes_on(&mut shell, 1)?;
    // They end, and whom they held is free. The next ones do not even let themselves be opened.
    shell.success("touch /run/mute")?;
    for change in ["stop", "start"] {
        for name in ["late", "watchdog0"] {
            shell.success(&format!("sctl {change} impostor@{name}"))?;
        }
    }
    goes_on(&mut shell, 0)?;
    shell.success("sctl restart --no-wait setup")?;
    goes_on(&mut shell, 1)?;
    shell.success(&format!("{INJURE}; sctl list > /dev/null"))?;
    goes_on(&mut shell, 1)?;
    shell.last_command("poweroff")?;
    guest.powered_off()?;
    let text = guest.machine.console().text(0);
    ensure!(!text.contains("watchdog0 resets after"), "it was used");
    let lived_again = text.contains("process 1 died and goes on where it was");
    ensure!(lived_again, "there was no other life");
    Ok(())
}

/// Waits until it was said so many times of each, and no more.
fn told(shell: &mut Session<'_>, times: [usize; 2]) -> Result<()> {
    for (refused, times) in REFUSED.into_iter().zip(times) {
        let count = |shell: &mut Session<'_>| {
            let text = shell.machine().console().text(0);
            text.matches(refused).count()
        };
        while count(shell) < times {
            shell.machine().wait_for(refused, DOWN_WITHIN)?;
        }
        ensure!(count(shell) == times, "told too often: {refused}");
    }
    Ok(())
}

/// The process of a service that is started again.
const IDLE: &str = "$(sctl list | while read name kind state pid rest; do \
     [ $name != idle ] || echo $pid; done)";

/// So many children are held; process 1 answers, sees exits, starts services again, and has none of
/// the devices.
fn goes_on(shell: &mut Session<'_>, held: usize) -> Result<()> {
    shell.until(&format!("[ {HELD} -eq {held} ]"), DOWN_WITHIN)?;
    shell.success("sctl list > /dev/null")?;
    shell.success(&format!("before={IDLE}; kill -9 $before"))?;
    let again = format!("{{ now={IDLE}; [ $now != - ] && [ $now != $before ]; }}");
    shell.until(&again, DOWN_WITHIN)?;
    shell.success("! ls -l /proc/1/fd | grep -E '/dev/(late|watchdog0)'")?;
    shell.success(&format!("[ {HELD} -eq {held} ]"))?;
    Ok(())
}
