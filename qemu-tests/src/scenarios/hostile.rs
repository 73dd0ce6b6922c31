//! This file holds the scenarios of a machine that is not left in peace: signals, a file system
//! that never answers, a clock that is set, and the ways to end that cut no power.

use super::{Boards, DOWN_WITHIN, Guest, Scenario};
use crate::session::Session;
use anyhow::{Context, Result, ensure};
use std::collections::BTreeSet;
use std::time::Duration;

const HOSTILE: Scenario = Scenario {
    product: "hostile",
    ..Scenario::PLAIN
};

/// What is shown of such a machine.
pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "no signal that asks for nothing changes anything",
        boards: Boards::Native,
        body: signals,
        ..HOSTILE
    },
    Scenario {
        name: "process 1 faults and is executed again, twenty times each, and nobody notices",
        product: "minimal",
        boards: Boards::All,
        // Younger kernels let nobody but a debugger write to a program's code.
        append: &["proc_mem.force_override=always"],
        body: faults,
        ..Scenario::PLAIN
    },
    Scenario {
        name: "programs on a file system that never answers delay nobody",
        body: stalled,
        ..HOSTILE
    },
    Scenario {
        name: "memory runs out while process 1 faults, and whoever takes it is killed",
        product: "minimal",
        // What the kernel says is asked for: between our lines it would break them.
        append: &["mem=128M", "loglevel=1"],
        body: hungry,
        ..Scenario::PLAIN
    },
    Scenario {
        name: "a console whose words are led to a terminal that nobody reads holds nobody up",
        body: redirected,
        ..HOSTILE
    },
    Scenario {
        name: "a clock that is set moves no deadline",
        body: clock,
        ..HOSTILE
    },
    Scenario {
        name: "a halt stops the machine and leaves the power on",
        body: halt,
        ..HOSTILE
    },
    Scenario {
        name: "a kexec without a kernel reboots",
        reboots: true,
        body: kexec,
        ..HOSTILE
    },
];

/// What asks for something, by custom, besides what the kernel has no name for.
const REQUESTS: [u8; 9] = [2, 10, 12, 15, 35, 37, 38, 39, 40];

fn signals(guest: &mut Guest) -> Result<()> {
    let mut shell = guest.up("shell")?;
    let harmless = (1..=64_u8).filter(|number| !REQUESTS.contains(number));
    for number in harmless {
        shell.success(&format!("kill -{number} 1"))?;
    }
    shell.success("sctl list")?;
    shell.last_command("poweroff")?;
    guest.powered_off()?;
    let lines = guest.machine.console().lines();
    let count = |text: &str| lines.iter().filter(|(_, line)| line.contains(text)).count();
    // One line a second, however many there are.
    ensure!(count("ignored SIG") > 0, "nothing was told of sent faults");
    ensure!(count(": begins") == 1, "more than one end was begun");
    Ok(())
}

/// Who runs as which process.
pub(super) const WHO: &str =
    "sctl list | while read name kind state pid rest; do echo $name $state $pid; done";

/// Process 1 sleeps in a system call, and where that returns to is what it executes next: no
/// instruction of any of our machines. Changed in its memory, it faults as soon as it wakes up.
pub(super) const INJURE: &str = "case $(uname -m) in \
     x86_64) bad='\\x0f\\x0b';; arm*) bad='\\x00\\xde';; *) bad='\\0\\0\\0\\0';; esac; \
     set -- $(cat /proc/1/syscall); shift $(($# - 1)); \
     printf $bad | dd of=/proc/1/mem bs=1 seek=$(($1)) conv=notrunc 2>/dev/null";

/// A child that has not come to its program yet dies, and leaves a core. It may share process 1's
/// memory: before Linux 5.16 that kills whoever does, unless the memory is not to be dumped.
const DUMPS_CORE: &str = "mkfifo /run/input && sctl start --no-wait waits-for-input > /dev/null && \
     child=$(sctl list | while read name kind state pid rest; do \
     [ $name != waits-for-input ] || echo $pid; done) && \
     [ /proc/$child/exe -ef /proc/1/exe ] && kill -SEGV $child && \
     while [ -e /proc/$child ]; do sleep 0.1; done && sctl reset-failed waits-for-input";

const FAULT_COUNT: usize = 20;

fn faults(guest: &mut Guest) -> Result<()> {
    let mut shell = guest.up("shell")?;
    shell.success(&format!("{WHO} > /run/before; cat /run/before"))?;
    for _ in 0..FAULT_COUNT {
        shell.success(INJURE)?;
        shell.success("sctl list > /dev/null")?;
    }
    for _ in 0..FAULT_COUNT {
        shell.success("sctl reexec")?;
    }
    shell.success(DUMPS_CORE)?;
    if shell.command("uname -r | grep -q ^5")?.code == 0 {
        forgets(&mut shell)?;
    }
    // TOMOYO, which Debian's 5.10 has on, knows what is executed by this path alone.
    shell.success("[ /dev/fd -ef /proc/self/fd ]")?;
    // Its own file, as it is on the device.
    shell.success("sctl upgrade /init")?;
    ends_as_before(shell)?;
    guest.powered_off()?;
    let lines = guest.machine.console().lines();
    let count = |text: &str| distinct(&lines, text);
    let renewed = count("was executed again and goes on where it was");
    ensure!(renewed == FAULT_COUNT, "executed again {renewed} times");
    let healed = count("died and goes on where it was");
    ensure!(
        healed == FAULT_COUNT,
        "{FAULT_COUNT} faults, healed {healed} times"
    );
    ensure!(count("died of SIGILL") == FAULT_COUNT, "other faults");
    let died = |line: &str| line.contains("waits-for-input: ") && line.contains("SIGSEGV");
    ensure!(
        lines.iter().any(|(_, line)| died(line)),
        "no child without a program died: {lines:?}"
    );
    Ok(())
}

/// Until so many children of process 1 are held, with its program.
fn held(count: usize) -> String {
    let names = "grep -l '^init' /proc/[0-9]*/comm";
    format!("until [ $({names} | wc -l) -eq $((1 + {count})) ]; do sleep 0.1; done")
}

/// Somebody passes sockets in a circle and forgets them, with something that takes an hour to
/// close. This kernel has that done by whoever closes a Unix socket next, or sends through one:
/// those are children.
fn forgets(shell: &mut Session<'_>) -> Result<()> {
    // Process 1 is asked to close.
    let held_once = held(1);
    shell.success(&format!(
        "{{ forgets end > /dev/null & }}; first=$!; {held_once}"
    ))?;
    shell.success("sctl list > /dev/null")?;
    // Process 1 is asked to answer.
    shell.success(
        "{ sctl start waits-for-input > /dev/null & }; asks=$!; \
         until sctl status waits-for-input | grep -q starting; do sleep 0.1; done",
    )?;
    shell.success(
        "{ forgets > /run/forgotten & }; second=$!; \
         until grep -q forgotten /run/forgotten; do sleep 0.1; done",
    )?;
    let held_twice = held(2);
    shell.success(&format!(": > /run/input; wait $asks && {held_twice}"))?;
    shell.success("sctl list > /dev/null")?;
    shell.success(&format!("kill $first $second; {}", held(0)))?;
    Ok(())
}

/// How many lines contain the text. One that came twice, with its time, is one: a death may write
/// it again.
fn distinct(lines: &[(Duration, String)], text: &str) -> usize {
    let found = lines.iter().map(|(_, line)| line.as_str());
    let found: BTreeSet<&str> = found.filter(|line| line.contains(text)).collect();
    found.len()
}

/// Exits are told, and the power is cut, as if nothing had happened.
pub(super) fn ends_as_before(mut shell: Session<'_>) -> Result<()> {
    shell.success(&format!("{WHO} > /run/after; cmp /run/before /run/after"))?;
    let machine = shell.leave("exit 7")?;
    machine.wait_for("console-shell: ended: exit code 7", DOWN_WITHIN)?;
    Session::open(machine)?.last_command("poweroff")
}

/// Takes more than there is, over and over.
const HOG: &str =
    "{ while :; do dd if=/dev/zero of=/dev/null bs=110M count=1; done 2> /dev/null & }";

fn hungry(guest: &mut Guest) -> Result<()> {
    const DEATHS: usize = 3;
    const LOOK: &str = "dmesg -s 1000000 > /run/log";
    let killed = |name: &str| format!("$(grep -c 'Killed process .*{name}' /run/log)");
    let mut shell = guest.up("shell")?;
    shell.success(&format!("{WHO} > /run/before"))?;
    shell.success("echo 1 > /proc/sys/vm/overcommit_memory")?;
    shell.command(HOG)?;
    for _ in 0..DEATHS {
        // None is no failure.
        shell.success(&format!("{LOOK}; before={} || true", killed("(dd)")))?;
        shell.until(
            &format!("{LOOK}; [ {} -gt $before ]", killed("(dd)")),
            DOWN_WITHIN,
        )?;
        shell.success(INJURE)?;
        shell.success("sctl list > /dev/null")?;
    }
    shell.success("kill $!")?;
    shell.success(LOOK)?;
    shell.success(&format!("[ {} = {} ]", killed(""), killed("(dd)")))?;
    ends_as_before(shell)?;
    guest.powered_off()?;
    let lines = guest.machine.console().lines();
    let healed = distinct(&lines, "died and goes on where it was");
    ensure!(healed == DEATHS, "{DEATHS} faults, healed {healed} times");
    Ok(())
}

/// Nobody ever reads what the kernel asks of this file system.
const MOUNT_SILENCE: &str = "insmod $(find /lib/modules -name 'fuse.ko*') && \
     { [ -e /dev/fuse ] || mknod /dev/fuse c 10 229; } && exec 9<>/dev/fuse && \
     mount -i -t fuse -o fd=9,rootmode=40000,user_id=0,group_id=0 silence /mnt";

fn stalled(guest: &mut Guest) -> Result<()> {
    let mut shell = guest.up("shell")?;
    shell.success(MOUNT_SILENCE)?;
    for instance in 1..=6 {
        shell.success(&format!("sctl start --no-wait stuck@{instance}"))?;
    }
    // Each is called as process 1 until it has executed its program, which never comes.
    shell.success("until [ $(grep -l '^init' /proc/[0-9]*/comm | wc -l) -eq 7 ]; do :; done")?;
    shell.success("sctl list && sctl start --no-wait late && sctl stop late")?;
    // All that was done while they were still stuck.
    for instance in 1..=6 {
        shell.success(&format!("sctl status stuck@{instance} | grep -q starting"))?;
    }
    for instance in 1..=6 {
        shell.until(
            &format!("sctl status stuck@{instance} | grep -q failed"),
            DOWN_WITHIN,
        )?;
    }
    shell.last_command("poweroff")?;
    guest.powered_off()
}

/// Leads the console's words to a terminal that it opens to wait, and then does not read any more.
const REDIRECT: &str = "{ /sbin/bootlogd -d -c -l /run/words & } && logger=$! && \
     until echo led > /dev/console; grep -q led /run/words; do sleep 0.1; done && \
     kill -STOP $logger";

/// Until writing to the console waits, also for process 1.
const FILL: &str = "{ dd if=/dev/zero of=/dev/console bs=1000 count=100 & } && filler=$! && \
     until grep -q wait_woken /proc/$filler/stack; do sleep 0.1; done";

/// What is said meanwhile is more than the terminal had room for, and comes when it is read.
fn redirected(guest: &mut Guest) -> Result<()> {
    let mut shell = guest.up("shell")?;
    // One command: the shell's own words go the same way.
    shell.success(&format!(
        "{{ {REDIRECT} && {FILL} && for count in 1 2 3 4 5; do \
         sctl start late --no-wait && sctl stop late; done; \
         echo $? > /run/code; kill -9 $logger; }} > /run/told 2>&1; \
         cat /run/told; [ $(cat /run/code) = 0 ]"
    ))?;
    shell.machine().wait_for("late: stopped", DOWN_WITHIN)?;
    shell.last_command("poweroff")?;
    guest.powered_off()
}

/// The clock goes back to 1996 and forth to 2036, in seconds since 1970.
const DATES: [&str; 2] = ["@820454400", "@2082758400"];

/// Services that wait for 4 s, and what process 1 says when the wait is over.
const WAITS: [(&str, &str); 2] = [
    ("late", "late: failed: not ready in time"),
    ("dying", "dying: ready after"),
];

fn clock(guest: &mut Guest) -> Result<()> {
    let mut shell = guest.up("shell")?;
    for date in DATES {
        for (unit, over) in WAITS {
            let begin = seconds(&mut shell)?;
            // What has died once waits until it is started again.
            shell.success(&format!(
                "sctl start --no-wait {unit}; \
                 until sctl status {unit} | grep -qE 'starting|waiting'; do :; done; \
                 date -s {date}; sctl status {unit} | grep -E 'starting|waiting'"
            ))?;
            let (_, line) = shell.machine().wait_for(over, DOWN_WITHIN)?;
            let span = stamp(&line)? - begin;
            ensure!(
                (3.9..30.0).contains(&span),
                "{unit}: 4 s took {span} s when the clock was set to {date}"
            );
            shell.success(&format!("sctl stop {unit}; sctl reset-failed {unit}"))?;
        }
    }
    shell.last_command("poweroff")?;
    guest.powered_off()
}

/// The time of one of process 1's lines, in seconds since the start.
fn stamp(line: &str) -> Result<f64> {
    let (_, rest) = line.split_once("init: [").context("no line of process 1")?;
    let (inner, _) = rest.split_once(']').context("no time")?;
    inner
        .trim()
        .parse()
        .with_context(|| format!("time of {line}"))
}

/// Seconds since the guest's start, whatever its date.
fn seconds(shell: &mut Session<'_>) -> Result<f64> {
    let uptime = shell.success("cat /proc/uptime")?;
    let first = uptime.split_whitespace().next().context("no uptime")?;
    first.parse().with_context(|| format!("uptime {uptime}"))
}

fn halt(guest: &mut Guest) -> Result<()> {
    let shell = guest.up("shell")?;
    shell.last_command("halt")?;
    guest
        .machine
        .wait_for("reboot: System halted", DOWN_WITHIN)?;
    ensure!(!guest.machine.has_ended()?, "the power is off");
    Ok(())
}

/// No kernel was loaded for it, which the kernel refuses after all has been stopped.
fn kexec(guest: &mut Guest) -> Result<()> {
    let shell = guest.up("shell")?;
    shell.last_command("sctl kexec")?;
    guest
        .machine
        .wait_for("reboot: Restarting system", DOWN_WITHIN)?;
    let shell = guest.up("shell")?;
    shell.last_command("poweroff")?;
    guest.powered_off()
}
