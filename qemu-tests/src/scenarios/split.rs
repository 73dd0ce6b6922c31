//! This file holds the scenario of a product whose core is a process of its own, on processors
//! where the tests in namespaces cannot run.

use super::hostile::{INJURE, WHO, ends_as_before};
use super::{Boards, Guest, Scenario};
use anyhow::{Result, ensure};

/// What is shown of such a product.
pub(super) const SCENARIOS: &[Scenario] = &[Scenario {
    name: "a core is locked in, and is replaced whatever happens to it, and nobody notices",
    product: "no-data",
    boards: Boards::Arm,
    append: &["sysmaster.target=shell", "proc_mem.force_override=always"],
    body: replaced,
    ..Scenario::PLAIN
}];

/// The process that decides.
const CORE: &str = "core=$(pidof init-core)";

/// How often each thing happens to it.
const COUNT: usize = 2;

/// It can call the kernel for no more than its pipes and has no rights to gain; it holds its two
/// ends of pipes.
const LOCKED_IN: &str = "grep -q '^Seccomp:.2$' /proc/$core/status && \
     grep -q '^NoNewPrivs:.1$' /proc/$core/status && \
     grep -q '^CapEff:.0000000000000000$' /proc/$core/status && \
     [ $(ls /proc/$core/fd | wc -l) -eq 2 ]";

fn replaced(guest: &mut Guest) -> Result<()> {
    // An endless loop, where it returns to from its sleep.
    let circle = INJURE
        .replace("/proc/1/", "/proc/$core/")
        .replace("\\x0f\\x0b", "\\xeb\\xfe")
        .replace("\\x00\\xde", "\\xfe\\xe7")
        .replace("\\0\\0\\0\\0", "\\0\\0\\0\\x14");
    let fault = INJURE.replace("/proc/1/", "/proc/$core/");
    let harms = [
        ("kill -9 $core", "the core ended: SIGKILL"),
        (fault.as_str(), "the core ended: SIGILL"),
        (circle.as_str(), "the core did not answer for 1000 ms"),
        ("kill -STOP $core", "the core was stopped by somebody"),
    ];
    let mut shell = guest.up("shell")?;
    shell.success(&format!("{WHO} > /run/before; cat /run/before"))?;
    for (harm, _) in harms {
        for _ in 0..COUNT {
            shell.success(&format!("{CORE} && {LOCKED_IN} && {{ {harm}; }}"))?;
            shell.success("sctl list > /dev/null")?;
        }
    }
    // The core alone, then keeper and core together; the image is their own file, as it is on the
    // device.
    shell.success("sctl upgrade --core /init")?;
    shell.success(&format!("{CORE} && {LOCKED_IN} && kill -9 $core"))?;
    shell.success("sctl list > /dev/null")?;
    shell.success(&format!("{CORE} && {LOCKED_IN}"))?;
    shell.success("sctl reexec")?;
    shell.success("sctl upgrade /init")?;
    shell.success(&format!("{CORE} && {LOCKED_IN}"))?;
    ends_as_before(shell)?;
    guest.powered_off()?;
    let lines = guest.machine.console().lines();
    for what in [
        "the core was exchanged",
        "process 1 was executed again",
        "process 1 was upgraded",
    ] {
        let told = format!("{what} and goes on where it was");
        ensure!(
            lines.iter().any(|(_, line)| line.contains(&told)),
            "{told:?} was not said"
        );
    }
    for (_, told) in harms {
        let told = format!("{told}; another takes its place");
        let count = lines
            .iter()
            .filter(|(_, line)| line.contains(&told))
            .count();
        // A busy machine may keep one silent for too long once more.
        ensure!(count >= COUNT, "{told:?} was said {count} times");
    }
    Ok(())
}
