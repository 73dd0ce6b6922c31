//! This file reads what supervising costs while nothing happens: memory, and wake-ups.
//!
//! Counted are process 1 and every other process that stays and is no service.

use crate::stage::Stage;
use anyhow::{Context, Result};
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Memory of all supervising processes together, in KiB.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    /// Pages that they have mapped; what several share counts for each.
    pub resident: u64,
    /// The same; what several share counts once.
    pub proportional: u64,
    /// Pages that are nobody's file: anonymous and shared memory.
    pub own: u64,
    /// What the kernel holds for the whole machine, services included.
    pub kernel: u64,
    /// How many processes there are.
    pub processes: u64,
}

/// What happened in a while.
#[derive(Clone, Copy, Debug, Default)]
pub struct Idle {
    /// How often one of them was given a processor.
    pub wake_ups: u64,
    /// Processor time that they used.
    pub time: Duration,
}

/// Reads the memory of a machine.
///
/// # Errors
/// It is gone, or the kernel does not tell.
pub fn memory(stage: &mut Stage) -> Result<Memory> {
    let mut sum = Memory {
        kernel: stage.cgroups.kernel_bytes()? / 1024,
        ..Memory::default()
    };
    for pid in supervisors(stage)? {
        let file = format!("/proc/{pid}/smaps_rollup");
        let text = fs::read_to_string(&file).with_context(|| format!("cannot read {file}"))?;
        let field = |name: &str| -> Result<u64> {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|rest| rest.split_whitespace().next());
            let number = number.with_context(|| format!("{file} has no {name}"))?;
            Ok(number.parse()?)
        };
        sum.resident += field("Rss:")?;
        sum.proportional += field("Pss:")?;
        sum.own += field("Pss_Anon:")? + field("Pss_Shmem:")?;
        sum.processes += 1;
    }
    Ok(sum)
}

/// Bytes of the libraries that the supervising processes have mapped.
///
/// # Errors
/// It is gone.
pub fn library_bytes(stage: &mut Stage) -> Result<u64> {
    let pids = supervisors(stage)?;
    let mut libraries = BTreeSet::new();
    for pid in pids {
        let maps = fs::read_to_string(format!("/proc/{pid}/maps"))?;
        for line in maps.lines() {
            let path = line.split_whitespace().nth(5).unwrap_or_default();
            if path.contains(".so") {
                libraries.insert(PathBuf::from(format!("/proc/{pid}/root{path}")));
            }
        }
    }
    let canonical: BTreeSet<_> = libraries
        .iter()
        .map(|file| {
            fs::metadata(file).map(|data| {
                use std::os::unix::fs::MetadataExt;
                (data.dev(), data.ino(), data.len())
            })
        })
        .collect::<std::io::Result<_>>()?;
    Ok(canonical.iter().map(|(_, _, length)| length).sum())
}

/// Lets time pass and counts what the supervising processes did meanwhile.
///
/// # Errors
/// They are gone.
pub fn idle(stages: &mut [&mut Stage], time: Duration) -> Result<Vec<Idle>> {
    let mut before = Vec::new();
    for stage in &mut *stages {
        before.push(activity(&supervisors(stage)?)?);
    }
    let begin = Instant::now();
    std::thread::sleep(time);
    let share = time.as_secs_f64() / begin.elapsed().as_secs_f64();
    let mut idles = Vec::new();
    for (stage, before) in stages.iter_mut().zip(before) {
        let after = activity(&supervisors(stage)?)?;
        idles.push(Idle {
            wake_ups: after.wake_ups.saturating_sub(before.wake_ups),
            time: after.time.saturating_sub(before.time).mul_f64(share),
        });
    }
    Ok(idles)
}

/// What the supervising processes did since they began.
///
/// # Errors
/// They are gone.
pub fn activity_of(stage: &mut Stage) -> Result<Idle> {
    activity(&supervisors(stage)?)
}

fn activity(pids: &[u32]) -> Result<Idle> {
    let mut sum = Idle::default();
    for pid in pids {
        let file = format!("/proc/{pid}/status");
        let text = fs::read_to_string(&file).with_context(|| format!("cannot read {file}"))?;
        for line in text.lines() {
            if let Some((name, number)) = line.split_once(':')
                && name.ends_with("ctxt_switches")
            {
                sum.wake_ups += number.trim().parse::<u64>()?;
            }
        }
        let schedule = fs::read_to_string(format!("/proc/{pid}/schedstat"))?;
        let run = schedule.split(' ').next().unwrap_or_default();
        sum.time += Duration::from_nanos(run.parse()?);
    }
    Ok(sum)
}

fn supervisors(stage: &mut Stage) -> Result<Vec<u32>> {
    let processes = stage.processes()?;
    let others = processes.iter().filter(|(_, is_service)| !is_service);
    Ok(others.map(|(pid, _)| *pid).collect())
}
