//! This file finds how long process 1's turns are, in the kernel's record of who is given the
//! processor: a turn is from then until process 1 waits, without what others were given meanwhile.

use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};

/// Where the kernel's tracing is mounted.
const MOUNT: &str = "/sys/kernel/tracing";

/// Room for the record, in KiB: some 60 bytes a switch.
const BUFFER_KIB: u32 = 16 * 1024;

/// What a kernel has where nobody asked for more.
const USUAL_KIB: u32 = 1_408;

/// Stands in a record for events that it had no room for.
const LOST: &str = " EVENTS]";

/// A record that is being made. Dropped, it ends.
#[derive(Debug)]
pub struct Trace {
    folder: PathBuf,
    pid: u32,
}

impl Trace {
    /// Begins to record; `None` where the kernel does not.
    ///
    /// # Errors
    /// It should, and does not.
    pub fn begin(pid: u32) -> Result<Option<Self>> {
        let folder = PathBuf::from(MOUNT);
        if !folder.join("events/sched/sched_switch").is_dir() {
            return Ok(None);
        }
        let trace = Self { folder, pid };
        trace.write("tracing_on", "0")?;
        trace.write("trace", "")?;
        trace.write("trace_clock", "mono")?;
        trace.write("buffer_size_kb", &BUFFER_KIB.to_string())?;
        let filter = format!("prev_pid == {pid} || next_pid == {pid}");
        trace.write("events/sched/sched_switch/filter", &filter)?;
        trace.write("events/sched/sched_switch/enable", "1")?;
        trace.write("tracing_on", "1")?;
        Ok(Some(trace))
    }

    /// Ends it; how long each turn was, in microseconds.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn end(self) -> Result<Vec<u64>> {
        self.write("tracing_on", "0")?;
        let text = fs::read_to_string(self.folder.join("trace"))?;
        ensure!(
            !text.contains(LOST),
            "the kernel's record lost events: {BUFFER_KIB} KiB are too few"
        );
        Ok(turns(&text, self.pid))
    }

    fn write(&self, file: &str, text: &str) -> Result<()> {
        let path = Path::new(&self.folder).join(file);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        // Recording costs time, and the record memory; there is nobody to tell.
        let _ = self.write("events/sched/sched_switch/enable", "0");
        let _ = self.write("events/sched/sched_switch/filter", "0");
        let _ = self.write("buffer_size_kb", &USUAL_KIB.to_string());
    }
}

/// The turns in a record, in microseconds, the first that is not whole left out.
fn turns(text: &str, pid: u32) -> Vec<u64> {
    let mut turns = Vec::new();
    let (mut since, mut spent): (Option<u64>, Option<u64>) = (None, None);
    for line in text.lines() {
        let Some((head, switch)) = line.split_once(": sched_switch: ") else {
            continue;
        };
        let Some(now) = head.split_whitespace().last().and_then(micros) else {
            continue;
        };
        let value = |name: &str| {
            let mut words = switch.split_whitespace();
            words.find_map(|word| word.strip_prefix(name))
        };
        let is = |name| value(name).and_then(|it| it.parse().ok()) == Some(pid);
        if is("prev_pid=") {
            let part = since.take().map_or(0, |since| now.saturating_sub(since));
            spent = spent.map(|spent| spent + part);
            let waits = value("prev_state=").is_some_and(|state| state.starts_with('S'));
            if waits {
                turns.extend(spent);
                spent = Some(0);
            }
        }
        if is("next_pid=") {
            since = Some(now);
        }
    }
    turns
}

/// Seconds with six decimals as microseconds.
fn micros(text: &str) -> Option<u64> {
    let (seconds, rest) = text.split_once('.')?;
    let (seconds, rest): (u64, u64) = (seconds.parse().ok()?, rest.parse().ok()?);
    Some(seconds * 1_000_000 + rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_ends_where_process_1_waits_and_is_shorter_by_what_others_were_given() {
        let line = |time: &str, from: (u32, &str), to: u32| {
            let (prev, state) = from;
            format!(
                "          <idle>-0       [000] d..2. {time}: sched_switch: prev_comm=a b \
                 prev_pid={prev} prev_prio=120 prev_state={state} ==> next_comm=c \
                 next_pid={to} next_prio=120\n"
            )
        };
        let text = [
            "# tracer: nop\n".to_string(),
            // Where the record begins nobody knows how long it ran already.
            line("1.000010", (7, "S"), 0),
            line("1.000100", (0, "R"), 7),
            line("1.000130", (7, "R+"), 9),
            line("1.000900", (9, "S"), 7),
            line("1.000912", (7, "S"), 0),
            line("2.000000", (0, "R"), 7),
            line("2.000005", (7, "S"), 9),
        ];
        assert_eq!(turns(&text.concat(), 7), [42, 5]);
    }
}
