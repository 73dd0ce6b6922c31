//! This file leaves a machine no memory in its control group, over and over, while process 1 faults
//! or a core is killed. Whomever the kernel kills for it: each death is told, once, and who was
//! killed comes again.

use crate::inject::{Injury, at_birth, injure};
use crate::machine::{End, Machine};
use crate::skip::skip;
use crate::split::{boot, core, named, send, services, until};
use nix::sys::signal::Signal;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// Name process 1 of `product.toml` and of `split.toml`, built by `cargo xtask test`.
const SOLO: &str = "SYSMASTER_NAMESPACE_INIT";
const SPLIT: &str = "SYSMASTER_SPLIT_INIT";

/// Where hierarchies are mounted.
const MOUNT: &str = "/sys/fs/cgroup";

/// What a guest takes: less than the hog, so that the kernel mostly chooses that one.
const GUEST_BYTES: u64 = HOG_BYTES / 2;

/// What the hog takes.
const HOG_BYTES: u64 = 16 * 1024 * 1024;

/// No limit to speak of.
const PLENTY_BYTES: u64 = 1 << 40;

/// How often process 1, or the core, dies while memory runs out.
const DEATHS: usize = 10;

/// Far above what any of it takes.
const LIMIT: Duration = Duration::from_secs(60);

/// A control group of memory, in either version of the interface. Dropped, it is removed.
struct Group {
    folder: PathBuf,
    /// The files of its limit, of what is used, and of how many were killed for it.
    files: [&'static str; 3],
}

impl Group {
    /// `None` with a loud word where none can be made.
    fn new(name: &str) -> Option<Self> {
        let name = format!("sysmaster-{name}-{}", std::process::id());
        let mount = Path::new(MOUNT);
        let group = match mount.join("cgroup.controllers").is_file() {
            true => Self {
                folder: mount.join(name),
                files: ["memory.max", "memory.current", "memory.events"],
            },
            false => Self {
                folder: mount.join("memory").join(name),
                files: [
                    "memory.limit_in_bytes",
                    "memory.usage_in_bytes",
                    "memory.oom_control",
                ],
            },
        };
        let made = fs::create_dir(&group.folder).map(|()| group.allow(PLENTY_BYTES));
        if made.is_err() || !group.folder.join(group.files[0]).is_file() {
            skip(&format!("no group of memory in {}", group.folder.display()));
            return None;
        }
        Some(group)
    }

    /// What puts process 1 and all that it starts into it.
    fn script(&self) -> String {
        format!(
            "echo 0 > {}/cgroup.procs && exec \"$@\"",
            self.folder.display()
        )
    }

    /// Refused where so little cannot be: what is used stays the limit.
    fn allow(&self, bytes: u64) {
        let [limit, ..] = self.files;
        let _ = fs::write(self.folder.join(limit), bytes.to_string());
    }

    /// Makes what is used now the limit. Where somebody takes more in between, the older interface
    /// refuses that, and it is done again.
    fn allow_no_more(&self) {
        let [limit, ..] = self.files;
        until("what is used is the limit", || {
            fs::write(self.folder.join(limit), self.used().to_string()).is_ok()
        });
    }

    fn used(&self) -> u64 {
        let [_, used, _] = self.files;
        let text = fs::read_to_string(self.folder.join(used)).expect("it is there");
        text.trim().parse().expect("a number of bytes")
    }

    /// Somebody in it, whom process 1 knows nothing of, takes memory that is not there.
    fn guest(&self) -> Guest {
        let script = self.script();
        let dd = ["if=/dev/zero", "of=/dev/null", "count=1", "status=none"];
        let guest = Command::new("sh")
            .args(["-c", &script, "sh", "dd", &format!("bs={GUEST_BYTES}")])
            .args(dd)
            .spawn();
        Guest(guest.expect("sh starts"))
    }

    /// How many the kernel has killed for want of memory.
    fn kills(&self) -> usize {
        let [.., events] = self.files;
        let text = fs::read_to_string(self.folder.join(events)).expect("it is there");
        let count = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
        count
            .and_then(|count| count.parse().ok())
            .expect("the kernel counts them")
    }
}

/// Dropped, it is ended.
struct Guest(Child);

impl Guest {
    /// Waits for its end; 1 where the kernel chose it, of which process 1 hears nothing.
    fn wait(&mut self) -> usize {
        let status = self.0.wait().expect("it is our child");
        usize::from(status.signal() == Some(9))
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // Gone already is as good.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Who was in it is killed with its machine, and may take a moment to be gone.
        let end = Instant::now() + LIMIT;
        while fs::remove_dir(&self.folder).is_err() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Leaves nothing of the memory and lets something die, over and over; each time this is said.
fn goes_hungry(name: &str, program: &str, dies: fn(&Machine), said: &str) {
    let Some(group) = Group::new(name) else {
        return;
    };
    let Some(file) = std::env::var_os(program).map(PathBuf::from) else {
        return skip(&format!(
            "{program} names no process 1; `cargo xtask test` builds one"
        ));
    };
    let script = group.script();
    let first = ["sh", "-c", &script, "sh"];
    let Some(mut machine) = Machine::boot_copy(&first, Some(&file), "hungry") else {
        return;
    };
    machine.wait_for("boot: hungry reached");
    services(&machine);
    let mut guests = 0;
    for _ in 0..DEATHS {
        group.allow(PLENTY_BYTES);
        until("the hog has what it wants", || group.used() > HOG_BYTES);
        let before = group.kills();
        group.allow_no_more();
        let mut guest = group.guest();
        dies(&machine);
        machine.wait_for(said);
        assert!(machine.sctl(&["list"]).status.success());
        guests += guest.wait();
        // Without this the limit may have been one that everybody could live with.
        let end = Instant::now() + LIMIT;
        while group.kills() == before {
            assert!(Instant::now() < end, "nobody is killed for want of memory");
            guests += group.guest().wait();
        }
    }
    group.allow(PLENTY_BYTES);
    // Whom the kernel chose is its own affair: mostly the hog. Each death was told, and once.
    // (A line may be written twice by a death; each has its time and its count of restarts.)
    let told = |console: &str| {
        let lines = console
            .lines()
            .filter(|line| line.contains("ended: SIGKILL"));
        lines.collect::<BTreeSet<_>>().len()
    };
    let kills = group.kills();
    assert!(kills >= DEATHS, "{kills}: {}", machine.console());
    let all = kills - guests + if program == SPLIT { DEATHS } else { 0 };
    while told(&machine.console()) < all {
        machine.wait_for("ended: SIGKILL");
    }
    services(&machine);
    until("the hog is there", || named(&machine, "dd").len() == 1);
    machine.signal(15);
    assert_eq!(machine.end(), End::Off, "{}", machine.console());
    let console = machine.console();
    assert_eq!((told(&console), group.kills()), (all, kills), "{console}");
}

#[test]
fn memory_runs_out_while_process_1_faults_and_each_death_is_told() {
    let dies = |machine: &Machine| injure(machine.pid(), Injury::Counter(0));
    goes_hungry("hungry", SOLO, dies, "died and goes on where it was");
}

#[test]
fn memory_runs_out_while_cores_are_killed_and_each_death_is_told() {
    let dies = |machine: &Machine| send(core(machine), Signal::SIGKILL);
    goes_hungry(
        "split",
        SPLIT,
        dies,
        "the core is a new one and goes on where it was",
    );
}

/// A core has no memory for what it writes first, and the kernel kills it.
#[test]
fn a_core_that_the_kernel_kills_for_want_of_memory_is_replaced_and_no_service_is() {
    let Some(group) = Group::new("core") else {
        return;
    };
    let Some(mut machine) = boot("holding") else {
        return;
    };
    let before = services(&machine);
    let members = group.folder.join("cgroup.procs");
    for death in 1..=DEATHS {
        let old = core(&machine);
        let starve = |new: u32| {
            fs::write(&members, new.to_string()).expect("it is there");
            group.allow(0);
        };
        at_birth(machine.pid(), || send(old, Signal::SIGKILL), starve);
        until("the kernel kills it", || group.kills() == death);
        for _ in 0..2 {
            machine.wait_for("the core ended: SIGKILL; another takes its place");
        }
        machine.wait_for("the core is a new one and goes on where it was");
    }
    assert_eq!(group.kills(), DEATHS, "{}", machine.console());
    assert!(machine.sctl(&["list"]).status.success());
    assert_eq!(named(&machine, "sleep"), before, "{}", machine.console());
    machine.signal(15);
    assert_eq!(machine.end(), End::Off, "{}", machine.console());
}
