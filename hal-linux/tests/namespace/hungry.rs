//! This file leaves a machine no memory in its control group, over and over, while process 1 faults
//! or a core is killed. Whomever the kernel kills for it: each death is told, once, and who was
//! killed comes again.

use crate::inject::{Injury, injure};
use crate::machine::{End, Machine};
use crate::split::{core, named, send, services, until};
use nix::sys::signal::Signal;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Name process 1 of `product.toml` and of `split.toml`, built by `cargo xtask test`.
const SOLO: &str = "SYSMASTER_NAMESPACE_INIT";
const SPLIT: &str = "SYSMASTER_SPLIT_INIT";

/// Where hierarchies are mounted.
const MOUNT: &str = "/sys/fs/cgroup";

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
            eprintln!("SKIPPED: no group of memory in {}", group.folder.display());
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

    fn used(&self) -> u64 {
        let [_, used, _] = self.files;
        let text = fs::read_to_string(self.folder.join(used)).expect("it is there");
        text.trim().parse().expect("a number of bytes")
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
        return eprintln!("SKIPPED: {program} names no process 1; `cargo xtask test` builds one");
    };
    let script = group.script();
    let first = ["sh", "-c", &script, "sh"];
    let Some(mut machine) = Machine::boot_copy(&first, Some(&file), "hungry") else {
        return;
    };
    machine.wait_for("boot: hungry reached");
    services(&machine);
    for _ in 0..DEATHS {
        group.allow(PLENTY_BYTES);
        until("the hog has what it wants", || group.used() > HOG_BYTES);
        group.allow(group.used());
        dies(&machine);
        machine.wait_for(said);
        assert!(machine.sctl(&["list"]).status.success());
    }
    group.allow(PLENTY_BYTES);
    // Whom the kernel chose is its own affair: mostly the hog. Each death was told, and once.
    let told = |console: &str| console.matches("ended: SIGKILL").count();
    let kills = group.kills();
    assert!(kills > 0, "nobody went hungry: {}", machine.console());
    let all = kills + if program == SPLIT { DEATHS } else { 0 };
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
