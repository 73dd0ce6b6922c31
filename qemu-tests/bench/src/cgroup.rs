//! This file counts what a machine costs in cgroups of its own: processor time of all its
//! processes, those that are gone included, and the kernel's memory for them.
//!
//! Both versions of the interface are known: with version 1 there is a group in each of the two
//! hierarchies, with version 2 one for both.

use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Where hierarchies are mounted.
const MOUNT: &str = "/sys/fs/cgroup";

/// Other hierarchies, of both versions together, in which some contenders make groups.
const OTHERS: [&str; 4] = ["unified", "systemd", "pids", "devices"];

/// The groups of one machine. Dropped, they are removed.
#[derive(Debug)]
pub struct Cgroups {
    time: PathBuf,
    memory: PathBuf,
    /// The parts of other hierarchies that a contender may make its own.
    own: Vec<PathBuf>,
    is_unified: bool,
}

impl Cgroups {
    /// New groups, empty.
    ///
    /// # Errors
    /// There is no cgroup file system, or we may not write to it.
    pub fn make() -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("sysmaster-bench-{}-{number}", std::process::id());
        let mount = Path::new(MOUNT);
        let is_unified = mount.join("cgroup.controllers").is_file();
        let (time, memory) = if is_unified {
            (mount.join(&name), mount.join(&name))
        } else if mount.join("cpuacct").is_dir() && mount.join("memory").is_dir() {
            let [time, memory] = ["cpuacct", "memory"].map(|part| mount.join(part).join(&name));
            (time, memory)
        } else {
            bail!("no cgroups for processor time and memory are mounted at {MOUNT}");
        };
        // With version 2 alone that would be the group whose costs are counted, and the set-up's
        // with them.
        let own: Vec<PathBuf> = OTHERS
            .map(|part| mount.join(part))
            .into_iter()
            .filter(|part| part.join("cgroup.procs").is_file())
            .map(|part| part.join(&name))
            // Groups that a contender makes for its services are to lie in the one that is read.
            // Of the set-up one process stays outside of the machine, for all contenders alike.
            .chain((!is_unified).then(|| memory.clone()))
            .collect();
        for folder in [&time, &memory].into_iter().chain(&own) {
            fs::create_dir_all(folder)
                .with_context(|| format!("cannot make {} (it takes root)", folder.display()))?;
        }
        Ok(Self {
            time,
            memory,
            own,
            is_unified,
        })
    }

    /// The files to which a process that joins writes its number.
    pub fn lists(&self) -> [PathBuf; 2] {
        [&self.time, &self.memory].map(|folder| folder.join("cgroup.procs"))
    }

    /// The same for the groups that are the roots of the machine's own name space.
    pub fn own_lists(&self) -> String {
        let lists = self.own.iter().map(|folder| folder.join("cgroup.procs"));
        let lists: Vec<String> = lists.map(|list| list.display().to_string()).collect();
        lists.join(" ")
    }

    /// Processor time of all processes so far.
    ///
    /// # Errors
    /// The kernel does not tell.
    pub fn time(&self) -> Result<Duration> {
        if self.is_unified {
            let micros = field(&self.time.join("cpu.stat"), "usage_usec")?;
            return Ok(Duration::from_micros(micros));
        }
        number(&self.time.join("cpuacct.usage")).map(Duration::from_nanos)
    }

    /// Bytes that the kernel holds for the processes: stacks, page tables, descriptors, sockets.
    ///
    /// # Errors
    /// The kernel does not tell.
    pub fn kernel_bytes(&self) -> Result<u64> {
        if self.is_unified {
            return field(&self.memory.join("memory.stat"), "kernel");
        }
        number(&self.memory.join("memory.kmem.usage_in_bytes"))
    }

    /// Lets the machine use so much more memory than it does, and no more.
    ///
    /// # Errors
    /// The kernel does not take it.
    pub fn limit(&self, spare_bytes: u64) -> Result<()> {
        let (usage, limit) = match self.is_unified {
            true => ("memory.current", "memory.max"),
            false => ("memory.usage_in_bytes", "memory.limit_in_bytes"),
        };
        let bytes = number(&self.memory.join(usage))? + spare_bytes;
        let file = self.memory.join(limit);
        fs::write(&file, bytes.to_string())
            .with_context(|| format!("cannot write {}", file.display()))
    }
}

impl Drop for Cgroups {
    fn drop(&mut self) {
        for folder in [&self.time, &self.memory].into_iter().chain(&self.own) {
            // The last processes may still be on their way out; a group that stays costs nothing.
            for _ in 0..50 {
                if remove(folder).is_ok() || !folder.exists() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }
}

/// Removes a group and those that a contender made in it.
fn remove(folder: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)?.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove(&entry.path())?;
        }
    }
    fs::remove_dir(folder)
}

fn number(file: &Path) -> Result<u64> {
    let text =
        fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let number = text.trim().parse();
    number.with_context(|| format!("no number in {}", file.display()))
}

fn field(file: &Path, name: &str) -> Result<u64> {
    let text =
        fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    let value = value.with_context(|| format!("{} has no {name}", file.display()))?;
    Ok(value.trim().parse()?)
}
