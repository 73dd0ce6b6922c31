//! This file runs a contender as process 1 of a machine of its own: namespaces, a root file system
//! with its files only, and cgroups in which its costs are counted.
//!
//! Needs root, util-linux and a Linux that shows cgroups. What differs between contenders is their
//! root, process 1 and its configuration; everything else is the same text for all. A stage that is
//! dropped is killed with all it runs.

use crate::cgroup::Cgroups;
use crate::journal::{Journal, Kind, Record, now_ns};
use crate::plan::Plan;
use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeMap;
use std::fs;
use std::io::PipeWriter;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Far above what the slowest contender takes for the largest plan on a busy machine.
pub const LIMIT: Duration = Duration::from_secs(120);

/// Between two looks. Seldom enough to cost the contender next to nothing: times come from the
/// journal, not from here.
const LOOK_INTERVAL: Duration = Duration::from_millis(4);

/// Between two looks whether a probe within has ended, which measures meanwhile.
const PROBE_LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// Joins the cgroups that become the roots of the machine's own hierarchies: some contenders sort
/// their processes into groups, and would do so in the host's.
const JOIN: &str = r#"for list in $1; do echo 0 > "$list"; done; shift; exec "$@""#;

/// Makes the machine and becomes its process 1. Arguments: the root, the files written for this
/// run, the folder with journal and probe, two cgroups' process lists, process 1 with arguments.
///
/// The console is a null device: nobody waits for a terminal.
const SET_UP: &str = r#"set -e
root=$1 files=$2 shared=$3 one=$4 other=$5
shift 5
mount --bind "$root" "$root"
cd "$root"
mount -t tmpfs -o mode=755 tmpfs run
for folder in etc var dev; do
    mount -t tmpfs -o mode=755 tmpfs run
    cp -a "$folder"/. run/
    mount --move run "$folder"
done
mount -t tmpfs -o mode=1777 tmpfs tmp
cp -a "$files"/. .
mount -t proc proc proc
for device in null:3 zero:5 full:7 random:8 urandom:9; do
    mknod -m 666 "dev/${device%:*}" c 1 "${device#*:}"
done
mknod -m 600 dev/console c 1 3
mkdir -p dev/pts dev/shm
mount --bind "$shared" bench
exec 8>"$one" 9>"$other"
pivot_root . mnt
cd /
exec /bench/probe begin "$@"
"#;

/// What is started.
#[derive(Debug)]
pub struct Setup<'a> {
    /// The contender's root file system.
    pub root: &'a Path,
    /// Files that are copied over it.
    pub files: &'a Path,
    /// The folder that all see as /bench.
    pub shared: &'a Path,
    /// Process 1: its file, then its arguments with its name.
    pub command: &'a [String],
    /// What it runs.
    pub plan: Plan,
    /// Count system calls into this file, by strace.
    pub calls: Option<&'a Path>,
    /// Where process 1's output goes; otherwise nowhere.
    pub output: Option<&'a PipeWriter>,
}

/// A running machine.
#[derive(Debug)]
pub struct Stage {
    outside: Child,
    plan: Plan,
    is_traced: bool,
    pid: u32,
    /// What its programs wrote.
    pub journal: Journal,
    /// What it costs.
    pub cgroups: Cgroups,
}

impl Stage {
    /// Starts it, and waits for nothing.
    ///
    /// # Errors
    /// The namespaces cannot be made.
    pub fn begin(setup: &Setup<'_>) -> Result<Self> {
        let cgroups = Cgroups::make()?;
        let journal = Journal::create(&setup.shared.join("journal"))?;
        // Nothing of it outlives us.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]);
        if let Some(file) = setup.calls {
            command.args(["strace", "-f", "-c", "-o"]).arg(file);
        }
        command
            .args(["sh", "-c", JOIN, "sh"])
            .arg(cgroups.own_lists())
            .arg("unshare")
            .args([
                "--pid", "--fork", "--mount", "--uts", "--net", "--ipc", "--cgroup",
            ])
            .args(["--kill-child", "--", "sh", "-c", SET_UP, "sh"])
            .args([setup.root, setup.files, setup.shared])
            .args(cgroups.lists())
            .args(setup.command)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .stdin(Stdio::null())
            .stdout(match setup.output {
                Some(output) => Stdio::from(output.try_clone()?),
                None => Stdio::null(),
            })
            .stderr(journal.complain()?);
        let outside = command
            .spawn()
            .context("cannot start setpriv; it is part of util-linux")?;
        Ok(Self {
            outside,
            plan: setup.plan,
            is_traced: setup.calls.is_some(),
            pid: 0,
            journal,
            cgroups,
        })
    }

    /// Waits until every service has begun; the time from process 1's execution to the last one's
    /// first instruction.
    ///
    /// # Errors
    /// It ended, or a service did not begin in time.
    pub fn wait_for_all(&mut self) -> Result<Duration> {
        let wanted = self.plan.services;
        self.wait(|records| begun(records) >= wanted)
            .with_context(|| {
                let begun = begun(&self.journal.records);
                format!("{begun} of {wanted} services began")
            })?;
        let records = &self.journal.records;
        let from = first(records, Kind::Machine).context("process 1 was not executed")?;
        let until = first_begins(records).into_values().max();
        Ok(Duration::from_nanos(until.unwrap_or(from) - from))
    }

    /// Waits until what was written satisfies.
    ///
    /// # Errors
    /// The machine ended, or it took too long.
    pub fn wait(&mut self, is_enough: impl Fn(&[Record]) -> bool) -> Result<()> {
        let until = Instant::now() + LIMIT;
        loop {
            self.journal.read()?;
            if is_enough(&self.journal.records) {
                return Ok(());
            }
            if let Ok(Some(status)) = self.outside.try_wait() {
                let words = self.journal.complaints();
                bail!("the machine ended by itself, with {status} (it takes root){words}");
            }
            ensure!(
                Instant::now() < until,
                "nothing more happened within {} s{}",
                LIMIT.as_secs(),
                self.journal.complaints()
            );
            std::thread::sleep(LOOK_INTERVAL);
        }
    }

    /// Whether process 1 is gone.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.outside.try_wait(), Ok(None))
    }

    /// Waits for its end without looking, and says when that was.
    ///
    /// # Errors
    /// It takes too long.
    pub fn wait_for_end(&mut self) -> Result<u64> {
        let pid = rustix::process::Pid::from_raw(i32::try_from(self.outside.id())?);
        let descriptor = rustix::process::pidfd_open(
            pid.context("no process")?,
            rustix::process::PidfdFlags::empty(),
        )?;
        let mut waits = [rustix::event::PollFd::new(
            &descriptor,
            rustix::event::PollFlags::IN,
        )];
        let limit = rustix::event::Timespec {
            tv_sec: i64::try_from(LIMIT.as_secs())?,
            tv_nsec: 0,
        };
        let ended = rustix::event::poll(&mut waits, Some(&limit))?;
        let now = now_ns();
        ensure!(ended > 0, "it did not end within {} s", LIMIT.as_secs());
        self.outside.wait()?;
        Ok(now)
    }

    /// Process 1's number outside.
    ///
    /// # Errors
    /// It is gone.
    pub fn pid(&mut self) -> Result<u32> {
        if self.pid == 0 {
            let mut pid = only_child(self.outside.id());
            if self.is_traced {
                pid = pid.and_then(only_child);
            }
            self.pid = pid.context("process 1 is gone")?;
        }
        Ok(self.pid)
    }

    /// Ends a service, and waits for the one that takes its place: nanoseconds from its last
    /// instruction but one to the other's first.
    ///
    /// # Errors
    /// It is not there, or none takes its place.
    pub fn replace(&mut self, index: usize) -> Result<u64> {
        let index = u32::try_from(index)?;
        self.journal.read()?;
        let before = self.journal.records.len();
        let pid = self.service(index)?;
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGUSR1)?;
        let is = |record: &Record, kind| record.kind == kind && record.index == index;
        let end = |records: &[Record]| {
            let new = records.get(before..).unwrap_or_default();
            new.iter().find(|it| is(it, Kind::End)).map(|it| it.time_ns)
        };
        let begin = |records: &[Record]| {
            let new = records.get(before..).unwrap_or_default();
            new.iter()
                .find(|it| is(it, Kind::Begin))
                .map(|it| it.time_ns)
        };
        self.wait(|records| begin(records).is_some())?;
        let records = &self.journal.records;
        let (end, begin) = end(records).zip(begin(records)).context("it did not end")?;
        Ok(begin.saturating_sub(end))
    }

    /// Ends a service; whether another takes its place in time.
    ///
    /// # Errors
    /// It is not there.
    pub fn replace_within(&mut self, index: u32, limit: Duration) -> Result<bool> {
        self.journal.read()?;
        let before = self.journal.records.len();
        let pid = self.service(index)?;
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGUSR1)?;
        let until = Instant::now() + limit;
        while Instant::now() < until && !self.has_ended() {
            self.journal.read()?;
            let new = self.journal.records.get(before..).unwrap_or_default();
            if new
                .iter()
                .any(|it| it.kind == Kind::Begin && it.index == index)
            {
                return Ok(true);
            }
            std::thread::sleep(LOOK_INTERVAL);
        }
        Ok(false)
    }

    /// The process of a service, outside.
    fn service(&mut self, index: u32) -> Result<nix::unistd::Pid> {
        let records = self.journal.records.iter().rev();
        let begins = records.filter(|it| it.kind == Kind::Begin && it.index == index);
        let inside = begins.map(|it| it.value).next();
        let inside = inside.with_context(|| format!("service {index} never began"))?;
        for (pid, is_service) in self.processes()? {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            let names = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
            let last = names.and_then(|names| names.split_whitespace().last());
            if is_service && last == Some(inside.to_string().as_str()) {
                return Ok(nix::unistd::Pid::from_raw(i32::try_from(pid)?));
            }
        }
        bail!("service {index} has no process")
    }

    /// A command that runs a program of this machine within it.
    ///
    /// # Errors
    /// Process 1 is gone.
    pub fn inside(&mut self, words: &[&str]) -> Result<Command> {
        let pid = self.pid()?.to_string();
        let mut command = Command::new("nsenter");
        command
            .args(["--target", &pid, "--mount", "--uts", "--ipc", "--net"])
            .args(["--cgroup", "--pid", "--"])
            .args(words)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(self.journal.complain()?);
        Ok(command)
    }

    /// Runs the probe within the machine, to its end.
    ///
    /// # Errors
    /// It fails, or process 1 is gone.
    pub fn probe(&mut self, words: &[&str]) -> Result<()> {
        let mut all = vec!["/bench/probe"];
        all.extend(words);
        let mut command = self.inside(&all)?;
        let mut probe = command.spawn().context("cannot start nsenter")?;
        let until = Instant::now() + LIMIT;
        let status = loop {
            if let Some(status) = probe.try_wait()? {
                break status;
            }
            if Instant::now() >= until {
                probe.kill()?;
                probe.wait()?;
                bail!("{} took more than {} s", all.join(" "), LIMIT.as_secs());
            }
            std::thread::sleep(PROBE_LOOK_INTERVAL);
        };
        let words = self.journal.complaints();
        ensure!(
            status.success(),
            "{} failed: {status}{words}",
            all.join(" ")
        );
        Ok(())
    }

    /// The processes of the machine: number outside, and whether it is one of the services.
    ///
    /// # Errors
    /// They cannot be listed.
    pub fn processes(&mut self) -> Result<Vec<(u32, bool)>> {
        let space = fs::read_link(format!("/proc/{}/ns/pid", self.pid()?))?;
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc")?.flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|it| it.parse().ok()) else {
                continue;
            };
            let folder = entry.path();
            if fs::read_link(folder.join("ns/pid")).ok().as_ref() != Some(&space) {
                continue;
            }
            // A process that just ended has no program; it counts for nobody.
            if let Ok(program) = fs::read_link(folder.join("exe")) {
                found.push((pid, program.ends_with("bench/probe")));
            }
        }
        Ok(found)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // `--kill-child`: all inside go with it. Gone already is as good.
        if self.is_traced
            && let Some(pid) = only_child(self.outside.id())
            && let Some(pid) = i32::try_from(pid).ok()
        {
            let _ = nix::sys::signal::kill(
                nix::unistd::Pid::from_raw(pid),
                nix::sys::signal::Signal::SIGKILL,
            );
        } else {
            let _ = self.outside.kill();
        }
        let _ = self.outside.wait();
    }
}

/// When each service began first.
pub fn first_begins(records: &[Record]) -> BTreeMap<u32, u64> {
    let mut begins = BTreeMap::new();
    for record in records.iter().filter(|it| it.kind == Kind::Begin) {
        begins.entry(record.index).or_insert(record.time_ns);
    }
    begins
}

fn begun(records: &[Record]) -> usize {
    first_begins(records).len()
}

/// When the first record of a kind was written.
pub fn first(records: &[Record], kind: Kind) -> Option<u64> {
    let found = records.iter().find(|record| record.kind == kind);
    found.map(|record| record.time_ns)
}

fn only_child(pid: u32) -> Option<u32> {
    let file = format!("/proc/{pid}/task/{pid}/children");
    fs::read_to_string(file).ok()?.trim().parse().ok()
}
