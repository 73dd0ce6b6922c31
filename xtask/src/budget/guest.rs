//! This file boots the product of ten services and looks at process 1 from inside the guest.
//!
//! The kernel counts the system calls (its tracepoint `raw_syscalls:sys_enter`, on since before
//! process 1 exists), so that nothing traces process 1 and changes what it does. What ten services
//! cost is the difference between a boot with them and one without, of the same file.

use super::figures::{self, Calls, Memory};
use anyhow::{Context, Result, bail, ensure};
use manifests::board::Board;
use qemu_tests::image::Image;
use qemu_tests::machine::{Machine, Options};
use qemu_tests::session::Session;
use std::path::Path;
use std::time::Duration;

/// An emulated board takes some seconds on an idle desk; the rest is for busy machines.
const BOOT_WITHIN: Duration = Duration::from_secs(180);

/// How long process 1 has nothing to do while its wake-ups are counted, in seconds.
pub const IDLE_SECONDS: u32 = 30;

/// How many services the product has more in one boot than in the other.
pub const SERVICES: u32 = 10;

/// Boots without services beside the first, where that one made so many calls by chance that ten
/// services would have added less than they must.
const MORE_BOOTS_MAX: u32 = 2;

/// The kernel records every system call from its own start.
const TRACE: [&str; 2] = ["trace_event=raw_syscalls:sys_enter", "trace_buf_size=8M"];

/// An instruction takes a nanosecond, and whoever sleeps, none: how often process 1 looks whether a
/// program was executed does not depend on this machine, and idle seconds pass at once.
const CLOCK: [&str; 2] = ["-icount", "shift=0,sleep=off"];

/// Ends one of the services. Who looks for them is not to be found.
const END_ONE: &str = "all() { ps | awk '/sleep [1]0000/ {print $1}'; }; old=$(all | head -n1); \
                       kill -9 $old";

/// Whether there are as many again without it.
const ARE_BACK: &str = "! kill -0 $old 2>/dev/null && [ $(all | wc -l) = 10 ]";

/// What was seen in the guest.
#[derive(Debug)]
pub struct Seen {
    /// Of the file that process 1 runs.
    pub sha256: String,
    pub memory: Memory,
    /// The same after a service ended and was started again.
    pub again: Memory,
    /// The same after a request of the control tool behind it.
    pub asked: Memory,
    /// Process 1's and its children's calls that ten services add.
    pub calls: Calls,
    /// Times that process 1 woke up in [`IDLE_SECONDS`].
    pub wake_ups: u32,
}

/// Boots `image` twice and looks.
///
/// # Errors
/// It does not boot, or the guest does not tell a figure.
pub fn look(board: &Board, image: &Image, folder: &Path) -> Result<Seen> {
    let bare = || {
        let mut machine = boot(board, image, "bare", &folder.join("budget-bare.log"))?;
        calls(&mut Session::open(&mut machine)?, board)
    };
    let mut least = bare()?;
    let mut machine = boot(board, image, "ten", &folder.join("budget-ten.log"))?;
    let mut shell = Session::open(&mut machine)?;
    let ten = calls(&mut shell, board)?;
    // Chance only adds calls, such as another look whether a program is executed by now.
    for _ in 0..MORE_BOOTS_MAX {
        if difference(ten, least).is_ok() {
            break;
        }
        let again = bare()?;
        least.own = least.own.min(again.own);
        least.children = least.children.min(again.children);
    }
    let sum = shell.success("sha256sum /proc/1/exe")?;
    let sha256 = sum.split_whitespace().next().context("no SHA-256")?;
    let memory = memory(&mut shell)?;
    shell.success(END_ONE)?;
    shell.until(ARE_BACK, BOOT_WITHIN)?;
    // Process 1 may still take the confirmation of the execution in; asked, it would be another
    // figure. Nothing is judged by this one.
    shell.success("sleep 1")?;
    let again = self::memory(&mut shell)?;
    shell.success("sctl list")?;
    let asked = self::memory(&mut shell)?;
    let before = switches(&mut shell)?;
    let idle = format!("sleep {IDLE_SECONDS}");
    shell.until(&idle, BOOT_WITHIN)?;
    let wake_ups = switches(&mut shell)?.saturating_sub(before);
    Ok(Seen {
        sha256: sha256.to_string(),
        memory,
        again,
        asked,
        calls: difference(ten, least)?,
        wake_ups,
    })
}

fn boot(board: &Board, image: &Image, target: &str, log: &Path) -> Result<Machine> {
    let mut append = TRACE.map(String::from).to_vec();
    append.push(format!("sysmaster.target={target}"));
    // The stack's place, by chance, would decide on a page or two.
    append.push(String::from("norandmaps"));
    let options = Options {
        append,
        arguments: CLOCK.map(String::from).to_vec(),
        ..Options::default()
    };
    let mut machine = Machine::boot(board, image, &options, log)?;
    let (_, line) = machine.wait_for(" reached after ", BOOT_WITHIN)?;
    if !line.contains(&format!("boot: {target} reached after ")) {
        bail!(
            "the boot did not reach {target}: {line}\n{}",
            machine.tail()
        );
    }
    Ok(machine)
}

fn memory(shell: &mut Session<'_>) -> Result<Memory> {
    figures::memory(&shell.success(
        "grep -E '^[0-9a-f]+-|^Rss|^Anonymous' /proc/1/smaps; grep VmPTE /proc/1/status; \
         for f in /proc/1/fd/*; do t=$(readlink $f); case $t in /memfd*) \
         echo memory-file $(stat -L -c %b $f) $t;; esac; done",
    )?)
}

fn calls(shell: &mut Session<'_>, board: &Board) -> Result<Calls> {
    let folder = "/sys/kernel/tracing";
    shell.success(&format!("mount -t tracefs tracefs {folder}"))?;
    shell.success(&format!("echo 0 >{folder}/tracing_on"))?;
    let lost = shell.success(&format!("grep -h overrun {folder}/per_cpu/cpu*/stats"))?;
    if !lost
        .lines()
        .all(|line| !line.contains("overrun") || line.trim().ends_with(": 0"))
    {
        bail!("the kernel's record is too small for this boot:\n{lost}");
    }
    // Counted there: a console that is busy does not bring hundreds of lines whole. Not counted
    // is what process 1 does before it starts its first service: the steps of set-up are waited for
    // in more turns or in fewer, by chance.
    let [first, second] = executes(board);
    let count = format!(
        r#"sed -n 's/^ *[^ ]*-\([0-9]*\) .*sys_enter: NR \([0-9-]*\) .*/\1 \2/p' {folder}/trace |
        awk '$1 == 1 {{ if ($2 == {CLONE3}) on = 1; own += on; next }}
            !done[$1] {{ calls[$1]++; if ($2 == {first} || $2 == {second}) done[$1] = 1 }}
            END {{ for (one in done) if (done[one]) {{ programs++; sum += calls[one] }}
                print "counted", own + 0, sum + 0, programs + 0, "calls" }}'"#
    );
    figures::calls(&shell.success(&flat(&count))?)
}

/// One line for the shell.
fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// With which process 1 starts a program, on every architecture. The steps of set-up are forked.
const CLONE3: u32 = 435;

/// The numbers of execve and execveat.
fn executes(board: &Board) -> [u32; 2] {
    match board.triple.split('-').next().unwrap_or_default() {
        "x86_64" => [59, 322],
        machine if machine.starts_with("arm") => [11, 387],
        // What all newer architectures have in common.
        _ => [221, 281],
    }
}

fn switches(shell: &mut Session<'_>) -> Result<u32> {
    figures::switches(&shell.success("grep ctxt /proc/1/status")?)
}

/// What ten services add.
fn difference(ten: Calls, bare: Calls) -> Result<Calls> {
    let programs = ten.programs.saturating_sub(bare.programs);
    ensure!(
        programs == SERVICES,
        "{} programs were executed with {SERVICES} services, {} without",
        ten.programs,
        bare.programs
    );
    let more = |ten: u32, bare: u32| {
        // One makes the child, and one executes.
        ten.checked_sub(bare)
            .filter(|more| *more >= SERVICES)
            .with_context(|| format!("{ten} system calls with {SERVICES} services, {bare} without"))
    };
    Ok(Calls {
        own: more(ten.own, bare.own)?,
        children: more(ten.children, bare.children)?,
        programs,
    })
}
