//! This file is process 1 and its services as a process beside them sees them: their numbers, what
//! the witnesses wrote, and who still lives.
//!
//! It starts nothing and ends nothing.

use crate::record::Record;
use crate::witness::{Line, Role};
use anyhow::{Context, Result, bail, ensure};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Far above what the start of 500 services takes on a slow, busy machine.
pub(crate) const BOOT_LIMIT: Duration = Duration::from_secs(60);

/// How long a process that was killed may take to end.
const END_LIMIT: Duration = Duration::from_secs(30);

/// Between two looks at something that has not happened yet.
const POLL_INTERVAL: Duration = Duration::from_millis(1);

/// The name of a service.
#[must_use]
pub fn unit_name(index: usize) -> String {
    format!("witness@{index}")
}

/// The indices of the services with a role.
#[must_use]
pub fn units(services: usize, role: Role) -> Vec<usize> {
    (0..services)
        .filter(|unit| Role::of(*unit) == role)
        .collect()
}

/// A running process 1.
#[derive(Debug)]
pub struct Machine {
    /// Process 1's number here, and the moment of its start as the kernel counts it.
    pid: u32,
    born: String,
    journal: File,
    /// A line of which only the beginning was there.
    unfinished: String,
    /// What the witnesses told.
    pub record: Record,
}

impl Machine {
    /// Looks at the process 1 that has this number here. Its witnesses write into `journal`.
    ///
    /// # Errors
    /// There is no such process, or no such file.
    pub fn of(pid: u32, journal: &Path, services: usize) -> Result<Self> {
        let journal =
            File::open(journal).with_context(|| format!("cannot read {}", journal.display()))?;
        Ok(Self {
            pid,
            born: birth(pid).context("there is no process 1")?,
            journal,
            unfinished: String::new(),
            record: Record::new(services),
        })
    }

    /// Waits until every service has begun.
    ///
    /// # Errors
    /// One does not begin in time, or process 1 ends.
    pub fn wait_for_all(&mut self) -> Result<()> {
        let until = Instant::now() + BOOT_LIMIT;
        while !self.record.all_begun() {
            ensure!(
                self.is_the_same(),
                "process 1 ended while it booted (it takes root)"
            );
            ensure!(
                Instant::now() < until,
                "not every service began within {} s",
                BOOT_LIMIT.as_secs()
            );
            std::thread::sleep(POLL_INTERVAL);
            self.read_record()?;
        }
        Ok(())
    }

    /// Process 1's number here.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The number here of the core's process.
    ///
    /// # Errors
    /// There is none for long.
    pub fn core(&self) -> Result<u32> {
        let until = Instant::now() + BOOT_LIMIT;
        while Instant::now() < until {
            for pid in self.children().unwrap_or_default() {
                let name = std::fs::read_to_string(format!("/proc/{pid}/comm"));
                if name.is_ok_and(|name| name.trim_end() == "init-core") {
                    return Ok(pid);
                }
            }
            std::thread::sleep(POLL_INTERVAL);
        }
        bail!("process 1 has no core")
    }

    /// The number here of a service's process.
    ///
    /// # Errors
    /// There is none.
    pub fn witness(&self, unit: usize) -> Result<u32> {
        let mut pids = self.children()?.into_iter();
        let pid = pids.find(|pid| is_witness(&format!("/proc/{pid}/cmdline"), unit));
        pid.with_context(|| format!("service {unit} has no process"))
    }

    /// Whether any of these services has a process.
    ///
    /// # Errors
    /// Process 1 is gone.
    pub(crate) fn has_any(&self, units: &[usize]) -> Result<bool> {
        let is_one = |pid: &u32| {
            let line = format!("/proc/{pid}/cmdline");
            units.iter().any(|unit| is_witness(&line, *unit))
        };
        Ok(self.children()?.iter().any(is_one))
    }

    fn children(&self) -> Result<Vec<u32>> {
        let file = format!("/proc/{0}/task/{0}/children", self.pid);
        let children =
            std::fs::read_to_string(&file).with_context(|| format!("cannot read {file}"))?;
        let pids = children.split_whitespace().map(str::parse);
        Ok(pids.collect::<Result<_, _>>()?)
    }

    /// Whether process 1 is still the process that booted.
    #[must_use]
    pub fn is_the_same(&self) -> bool {
        birth(self.pid).as_ref() == Some(&self.born)
    }

    /// The control socket, as seen from here.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        format!("/proc/{}/root/run/sysmaster/control", self.pid).into()
    }

    /// Takes in what the witnesses have written since.
    ///
    /// # Errors
    /// Their file cannot be read, or holds what no witness writes.
    pub fn read_record(&mut self) -> Result<()> {
        self.journal.read_to_string(&mut self.unfinished)?;
        let end = self.unfinished.rfind('\n').map_or(0, |end| end + 1);
        let rest = self.unfinished.split_off(end);
        let whole = std::mem::replace(&mut self.unfinished, rest);
        let pid = self.pid;
        for text in whole.lines().filter(|text| Line::is_whole(text)) {
            let Some(line) = Line::read(text) else {
                bail!("no witness writes {text:?}");
            };
            self.record.take(line, |unit, its| lives(pid, unit, its));
        }
        Ok(())
    }

    /// Looks for steady services whose process is gone.
    pub fn look_for_lost(&mut self) {
        let pid = self.pid;
        self.record.look_for_lost(|unit, its| lives(pid, unit, its));
    }
}

/// Whether process `pid` of the machine is a living witness of the unit.
fn lives(machine: u32, unit: usize, pid: u32) -> bool {
    is_witness(&format!("/proc/{machine}/root/proc/{pid}/cmdline"), unit)
}

fn is_witness(command_line: &str, unit: usize) -> bool {
    let Ok(line) = std::fs::read(command_line) else {
        return false;
    };
    // A process that ended and was not reaped yet has no command line.
    let mut words = line.split(|byte| *byte == 0).skip(1);
    words.next() == Some(b"witness") && words.next() == Some(unit.to_string().as_bytes())
}

/// Whether a process has ended, or does so at once.
#[must_use]
pub fn is_gone(pid: u32) -> bool {
    let until = Instant::now() + END_LIMIT;
    while birth(pid).is_some() {
        if Instant::now() > until {
            return false;
        }
        std::thread::sleep(POLL_INTERVAL);
    }
    true
}

/// When a process that has not ended was started, in the kernel's ticks.
fn birth(pid: u32) -> Option<String> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The 3rd word is its state, the 22nd the moment; the second is a name in parentheses, which
    // may hold anything.
    let (_, rest) = text.rsplit_once(") ")?;
    let mut words = rest.split(' ');
    let state = words.next()?;
    let has_ended = matches!(state, "Z" | "X");
    words.nth(18).filter(|_| !has_ended).map(str::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_the_same_until_it_ends() {
        let mut child = std::process::Command::new("sleep")
            .arg("1000")
            .spawn()
            .expect("sleep can be run");
        let pid = child.id();
        let journal = std::env::current_exe().expect("this program has a file");
        let machine = Machine::of(pid, &journal, 1).expect("it runs");
        assert!(machine.is_the_same());
        child.kill().expect("it is ours");
        while machine.is_the_same() {
            std::thread::yield_now();
        }
        // Not reaped yet, which counts as ended.
        child.wait().expect("it is ours");
        assert!(!machine.is_the_same());
    }
}
