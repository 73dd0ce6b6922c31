//! This file boots a 32-bit ARM board with the calls of Linux 4.14 alone: those whose times have
//! 64 bits came with 5.1. A filter answers for the younger ones, also to all programs.

use super::{Boards, DOWN_WITHIN, Guest, Scenario, Session, Start};
use anyhow::{Result, ensure};
use std::time::Duration;

/// The programs that install a filter and then execute process 1, and what it answers, by words of
/// `linux/seccomp.h`: ENOSYS as old kernels do; EPERM or SIGSYS, as runtimes of containers do that
/// are older than their kernel.
pub(super) const PROGRAMS: [(&str, u32); 3] = [
    ("missing", 0x0005_0000 | 38),
    ("forbidden", 0x0005_0000 | 1),
    ("deadly", 0x0003_0000),
];

const OLDER: Scenario = Scenario {
    product: "minimal",
    boards: Boards::Short,
    start: Start::Older,
    ..Scenario::PLAIN
};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "a kernel without times of 64 bits is enough",
        append: &["rdinit=/missing"],
        body: lives,
        ..OLDER
    },
    Scenario {
        name: "times of 64 bits may be forbidden",
        append: &["rdinit=/forbidden"],
        body: lives_where_they_are_forbidden,
        ..OLDER
    },
    Scenario {
        name: "times of 64 bits may be deadly",
        append: &["rdinit=/deadly"],
        body: outlives_programs,
        ..OLDER
    },
];

fn lives(guest: &mut Guest) -> Result<()> {
    let mut shell = guest.up("shell")?;
    let count = "grep ^voluntary /proc/1/status";
    shell.success(&format!(
        "a=$({count}); sleep 2; [ \"$a\" = \"$({count})\" ]"
    ))?;
    keeps(&mut shell)?;
    goes_on(guest)
}

/// Programs sleep no more than that.
fn lives_where_they_are_forbidden(guest: &mut Guest) -> Result<()> {
    keeps(&mut guest.up("shell")?)?;
    goes_on(guest)
}

/// The C library of programs makes them without asking, and process 1 starts them again in time.
fn outlives_programs(guest: &mut Guest) -> Result<()> {
    guest.booted()?;
    for count in 1..=4 {
        let line = format!("console-shell: ended: SIGSYS; restart {count} in ");
        guest.machine.wait_for(&line, DOWN_WITHIN)?;
    }
    has_a_clock(guest)
}

/// Process 1 is filtered, sleeps and is executed again; a keeper sleeps as long as its command
/// runs, and fails with it three times.
fn keeps(shell: &mut Session<'_>) -> Result<()> {
    let sleeps = "until grep -q 'State:.S' /proc/$p/status; do n=$((n+1)); [ $n -lt 99 ]; done";
    shell.success("grep -q 'Seccomp:.*2' /proc/1/status")?;
    shell.success(&format!("p=1; n=0; {sleeps}"))?;
    shell.success("sctl list")?;
    shell.success("sctl reexec")?;
    shell.success("mkfifo /run/gate")?;
    let command = "keeper busybox cat /run/gate & p=$!";
    shell.success(&format!("{command}; n=0; {sleeps}; : > /run/gate; wait $p"))?;
    let again = shell.command("keeper --restart=always:2 busybox false")?;
    ensure!(again.code == 1, "{}", again.output);
    Ok(())
}

/// A service that ended comes back when its back-off is over, and the machine goes down.
fn goes_on(guest: &mut Guest) -> Result<()> {
    Session::open(&mut guest.machine)?.last_command("exit")?;
    for word in ["ended", "ready"] {
        let line = format!("console-shell: {word}");
        guest.machine.wait_for(&line, DOWN_WITHIN)?;
    }
    Session::open(&mut guest.machine)?.last_command("poweroff")?;
    guest.powered_off()?;
    has_a_clock(guest)
}

fn has_a_clock(guest: &Guest) -> Result<()> {
    let lines = guest.machine.console().lines();
    let timeless = |(_, line): &&(Duration, String)| line.contains("init: [    0.000]");
    let found = lines.iter().find(timeless);
    ensure!(found.is_none(), "it has no clock: {found:?}");
    Ok(())
}

/// `statx`, the youngest call of Linux 4.14 on this processor, and the first of those that are the
/// processor's own.
const YOUNGEST: u32 = 397;
const OWN: u32 = 0x000f_0000;

/// Instructions of `linux/filter.h`: code, two distances and a value. The last one answers.
const FILTER: [(u16, [u8; 2], u32); 5] = [
    // The call's number.
    (0x20, [0, 0], 0),
    (0x35, [1, 0], OWN),
    (0x25, [1, 0], YOUNGEST),
    (0x06, [0, 0], 0x7fff_0000),
    (0x06, [0, 0], 0),
];

/// What the filter is installed by, in ARM code without Thumb.
const CODE: [u32; 18] = [
    0xe3a0_70ac, // mov r7, #172: prctl
    0xe3a0_0016, // mov r0, #22: PR_SET_SECCOMP
    0xe3a0_1002, // mov r1, #2: SECCOMP_MODE_FILTER
    0xe28f_2034, // add r2, pc, #52: what follows the code
    0xef00_0000, // svc #0
    0xe350_0000, // cmp r0, #0
    0x1a00_0007, // bne to the exit
    0xe28f_002c, // add r0, pc, #44: the path
    0xe58d_0004, // str r0, [sp, #4]: the first argument
    0xe28d_1004, // add r1, sp, #4
    0xe59d_2000, // ldr r2, [sp]: how many there are
    0xe081_2102, // add r2, r1, r2, lsl #2
    0xe282_2004, // add r2, r2, #4: the environment
    0xe3a0_700b, // mov r7, #11: execve
    0xef00_0000, // svc #0
    0xe3a0_7001, // mov r7, #1: exit
    0xe3a0_0001, // mov r0, #1
    0xef00_0000, // svc #0
];

/// What it executes, ended with zeros up to a whole word.
const PATH: &[u8; 8] = b"/init\0\0\0";

/// Where the file is in memory, and the sizes of what stands before the code in it.
const BASE: u32 = 0x0001_0000;
const FILE_HEADER_BYTES: u32 = 52;
const SEGMENT_HEADER_BYTES: u32 = 32;

/// The program: the file's header, that of its one segment, the code, the number of the filter's
/// instructions and where they are, the path, the instructions.
pub(super) fn program(answer: u32) -> Vec<u8> {
    let code_at = BASE + FILE_HEADER_BYTES + SEGMENT_HEADER_BYTES;
    let filter_at = code_at + 4 * 18 + 8 + 8;
    let bytes = filter_at + 8 * 5 - BASE;
    let mut program = b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    // An executable file for ARM; behind the flags (EABI 5) sizes and counts of headers.
    program.extend([2_u16, 40].iter().flat_map(|it| it.to_le_bytes()));
    let header = [1, code_at, FILE_HEADER_BYTES, 0, 0x0500_0000];
    program.extend(header.iter().flat_map(|it| it.to_le_bytes()));
    let counts = [52_u16, 32, 1, 40, 0, 0];
    program.extend(counts.iter().flat_map(|it| it.to_le_bytes()));
    // Loaded as a whole, to be read and executed.
    let segment = [1, 0, BASE, BASE, bytes, bytes, 5, 0x1000];
    program.extend(segment.iter().flat_map(|it: &u32| it.to_le_bytes()));
    program.extend(CODE.iter().flat_map(|it| it.to_le_bytes()));
    program.extend([5, filter_at].iter().flat_map(|it: &u32| it.to_le_bytes()));
    program.extend(PATH);
    for (code, distances, value) in FILTER {
        program.extend(code.to_le_bytes());
        program.extend(distances);
        program.extend(value.to_le_bytes());
    }
    program.truncate(program.len() - 4);
    program.extend(answer.to_le_bytes());
    program
}
