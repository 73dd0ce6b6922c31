//! This file reads process 1's lines on the console and makes the boot report of them.
//!
//! It is what the user sees of a boot: each unit with its time to ready, what failed and why, the
//! total. Whether services work is judged elsewhere (`expect`).

use std::fmt;

/// What process 1's lines begin with.
const MARK: &str = "init: [";

/// What process 1 said of a boot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BootReport {
    /// Units in the order in which they became ready, with the time each took.
    pub ready: Vec<(String, String)>,
    /// Units that failed, each once.
    pub failed: Vec<FailedUnit>,
    /// Units that ended or failed and were started again.
    pub restarted: Vec<RestartedUnit>,
    /// When process 1 wrote its first line, on the kernel's clock.
    pub begun: Option<String>,
    /// How the boot ended.
    pub end: Option<BootEnd>,
}

/// A unit that failed and did not become ready since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedUnit {
    /// Its name.
    pub unit: String,
    /// The cause.
    pub why: String,
    /// Whether it is tried again, so the failure is not the last word.
    pub again: bool,
}

/// A unit that was started again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestartedUnit {
    /// Its name.
    pub unit: String,
    /// How often.
    pub count: u32,
    /// Why the last time.
    pub why: String,
}

/// The line that ends a boot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootEnd {
    /// The target that was asked for.
    pub target: String,
    /// Whether it was reached.
    pub reached: bool,
    /// Its time and counts, in process 1's words.
    pub rest: String,
}

impl BootReport {
    /// Reads the console's lines; what is not process 1's is passed over.
    pub fn read<'a>(lines: impl IntoIterator<Item = &'a str>) -> Self {
        let mut report = Self::default();
        for line in lines {
            // A prompt without a newline may stand before the mark.
            let Some((time, text)) = line
                .find(MARK)
                .and_then(|at| line.get(at + MARK.len()..))
                .and_then(|rest| rest.split_once("] "))
            else {
                continue;
            };
            if report.begun.is_none() {
                report.begun = Some(time.trim().to_string());
            }
            report.take(text);
        }
        report
    }

    fn take(&mut self, text: &str) {
        if let Some(text) = text.strip_prefix("boot: ") {
            self.take_boot(text);
        } else if let Some((unit, took)) = text.split_once(": ready after ") {
            self.failed.retain(|failed| failed.unit != unit);
            if !self.ready.iter().any(|(name, _)| name == unit) {
                self.ready.push((unit.to_string(), took.to_string()));
            }
        } else if let Some((unit, why)) = text.split_once(": failed: ") {
            self.ready.retain(|(name, _)| name != unit);
            self.failed.retain(|failed| failed.unit != unit);
            let (unit, why) = (unit.to_string(), why.to_string());
            self.failed.push(FailedUnit {
                unit,
                why,
                again: false,
            });
        } else if let Some((unit, rest)) = text.split_once(": ended: ")
            && let Some((why, rest)) = rest.split_once("; restart ")
        {
            self.take_restart(unit, rest, why);
        } else if let Some((unit, rest)) = text.split_once(": restart ")
            && let Some(failed) = self.failed.iter_mut().find(|failed| failed.unit == unit)
        {
            failed.again = true;
            let why = failed.why.clone();
            self.take_restart(unit, rest, &why);
        }
    }

    /// `rest` is what follows the word: `2 in 400 ms`.
    fn take_restart(&mut self, unit: &str, rest: &str, why: &str) {
        let count = rest
            .split(' ')
            .next()
            .and_then(|count| count.parse().ok())
            .unwrap_or(1);
        self.restarted.retain(|known| known.unit != unit);
        let (unit, why) = (unit.to_string(), why.to_string());
        self.restarted.push(RestartedUnit { unit, count, why });
    }

    fn take_boot(&mut self, text: &str) {
        for (mark, reached) in [(" NOT reached after ", false), (" reached after ", true)] {
            if let Some((target, rest)) = text.split_once(mark) {
                let (target, rest) = (target.to_string(), rest.to_string());
                self.end = Some(BootEnd {
                    target,
                    reached,
                    rest,
                });
                return;
            }
        }
    }

    /// Whether nothing that is wrong with the boot is still being mended.
    #[must_use]
    pub fn is_final(&self) -> bool {
        // A target that was missed is not reached later: its start was given up.
        let Some(end) = &self.end else {
            return false;
        };
        !end.reached || !self.failed.iter().any(|failed| failed.again)
    }

    /// What is wrong with the boot; `None`: the target was reached and nothing failed.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        let Some(end) = &self.end else {
            return Some("process 1 has not ended the boot".to_string());
        };
        if !self.failed.is_empty() {
            let names: Vec<&str> = self
                .failed
                .iter()
                .map(|failed| failed.unit.as_str())
                .collect();
            return Some(format!("these units failed: {}", names.join(", ")));
        }
        (!end.reached).then(|| format!("the target {} was not reached", end.target))
    }
}

impl fmt::Display for BootReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.ready.iter().map(|(name, _)| name);
        let all = names.chain(self.failed.iter().map(|failed| &failed.unit));
        let width = all.map(|name| name.chars().count()).max().unwrap_or(0);
        for (unit, took) in &self.ready {
            write!(f, "  {unit:width$}  ready after {took}")?;
            if let Some(restarted) = self.restarted.iter().find(|it| it.unit == *unit) {
                let RestartedUnit { count, why, .. } = restarted;
                let times = if *count == 1 {
                    "once"
                } else {
                    &format!("{count} times")
                };
                write!(f, ", restarted {times} (last: {why})")?;
            }
            writeln!(f)?;
        }
        for FailedUnit { unit, why, again } in &self.failed {
            let again = if *again { ", being tried again" } else { "" };
            writeln!(f, "  {unit:width$}  FAILED: {why}{again}")?;
        }
        match &self.end {
            Some(end) => {
                let word = if end.reached {
                    "reached"
                } else {
                    "NOT reached"
                };
                write!(f, "{} {word} after {}", end.target, end.rest)?;
            }
            None => write!(f, "the boot did not end")?,
        }
        if let Some(begun) = &self.begun {
            write!(f, "; the kernel had taken {begun} s")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOOT: &str = "\
[    1.459] Run /init as init process
init: [    1.480] sysMaster 0.1.0: gateway on virt-aarch64, 12 units, target online
init: [    1.492] setup: ready after 12 ms
init: [    1.600] broker: ready after 45 ms
init: [    1.601] flaky: ready after 3 ms
init: [    1.610] flaky: ended: SIGSEGV; restart 1 in 200 ms
init: [    1.810] flaky: ended: SIGSEGV; restart 2 in 400 ms
gateway login: init: [    1.900] boot: online reached after 420 ms: 12 units ready, 0 failed
";

    #[test]
    fn a_boot_is_read_from_its_lines() {
        let report = BootReport::read(BOOT.lines());
        assert_eq!(report.problem(), None);
        let text = "  \
  setup   ready after 12 ms
  broker  ready after 45 ms
  flaky   ready after 3 ms, restarted 2 times (last: SIGSEGV)
online reached after 420 ms: 12 units ready, 0 failed; the kernel had taken 1.480 s";
        assert_eq!(report.to_string(), text);
    }

    #[test]
    fn a_failed_unit_is_a_problem_even_where_the_target_was_reached() {
        let failed = BOOT.replace("broker: ready after 45 ms", "broker: failed: exit code 3");
        let report = BootReport::read(failed.lines());
        assert_eq!(
            report.problem().as_deref(),
            Some("these units failed: broker")
        );
        assert!(
            report
                .to_string()
                .contains("  broker  FAILED: exit code 3\n"),
            "{report}"
        );
    }

    #[test]
    fn a_failure_is_not_the_last_word_while_the_unit_is_tried_again() {
        let again = "\
init: [    1.100] log: failed: exit code 1
init: [    1.100] log: restart 1 in 200 ms
init: [    1.200] boot: online reached after 420 ms: 12 units ready, 1 failed
";
        let report = BootReport::read(again.lines());
        assert!(report.problem().is_some() && !report.is_final());
        let ready = format!("{again}init: [    1.300] log: ready after 3 ms\n");
        let report = BootReport::read(ready.lines());
        assert!(report.problem().is_none() && report.is_final());
        assert!(
            report
                .to_string()
                .contains("restarted once (last: exit code 1)"),
            "{report}"
        );
        let given_up = format!("{again}init: [    1.300] log: failed: ended too often\n");
        let report = BootReport::read(given_up.lines());
        assert!(report.problem().is_some() && report.is_final());
    }

    #[test]
    fn a_target_that_was_not_reached_and_a_boot_without_end_are_problems() {
        let missed = BOOT.replace("online reached", "online NOT reached");
        let problem = BootReport::read(missed.lines()).problem();
        assert_eq!(
            problem.as_deref(),
            Some("the target online was not reached")
        );
        let cut = BOOT.lines().take(5);
        assert!(BootReport::read(cut).problem().is_some());
    }
}
