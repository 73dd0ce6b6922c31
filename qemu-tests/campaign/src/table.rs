//! This file adds up what the injections came to, prints it and judges it.

use std::collections::BTreeMap;
use std::time::Duration;

/// What came of one injection.
#[derive(Clone, Debug, Default)]
pub struct Case {
    /// From the moment when process 1 went on until a client had its answer; `None`: it never had.
    pub recovery: Option<Duration>,
    /// Services whose process changed or was doubled.
    pub disturbed: u64,
    /// Ends of services that process 1 does not know of, or knows otherwise.
    pub exits_lost: u64,
    /// Clients that were neither answered nor told.
    pub hung: u64,
}

impl Case {
    /// Whether everything is as it must be.
    #[must_use]
    pub fn is_good(&self) -> bool {
        let faults = self.disturbed + self.exits_lost + self.hung;
        self.recovery.is_some() && faults == 0
    }
}

/// Times that a composition must keep; who dies slowly is not judged by them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Targets {
    /// Of the middle.
    pub median: Option<Duration>,
    /// Of 99 in 100.
    pub p99: Option<Duration>,
    /// Of the longest.
    pub max: Option<Duration>,
}

/// One line: the cases of one kind of fault.
#[derive(Clone, Debug, Default)]
struct Row {
    injected: u64,
    disturbed: u64,
    exits_lost: u64,
    hung: u64,
    times: Vec<Duration>,
}

impl Row {
    fn add(&mut self, case: &Case) {
        self.injected += 1;
        self.disturbed += case.disturbed;
        self.exits_lost += case.exits_lost;
        self.hung += case.hung;
        self.times.extend(case.recovery);
    }

    fn print(&self, name: &str) {
        let mut times = self.times.clone();
        times.sort_unstable();
        let shown = |time: Option<Duration>| match time {
            Some(time) => format!("{:.2}", time.as_secs_f64() * 1_000.0),
            None => "-".to_string(),
        };
        println!(
            "{name:<12} {:>8} {:>9} {:>9} {:>10} {:>7} {:>9} {:>9} {:>9}",
            self.injected,
            times.len(),
            self.disturbed,
            self.exits_lost,
            self.hung,
            shown(part(&times, 50)),
            shown(part(&times, 99)),
            shown(times.last().copied()),
        );
    }
}

/// The time that `percent` of the cases did not exceed; `times` is sorted.
fn part(times: &[Duration], percent: usize) -> Option<Duration> {
    let rank = (times.len() * percent).div_ceil(100);
    times.get(rank.saturating_sub(1)).copied()
}

/// All cases of one composition.
#[derive(Debug, Default)]
pub struct Table {
    rows: BTreeMap<&'static str, Row>,
    /// Of kinds whose time is judged.
    judged: Vec<Duration>,
}

impl Table {
    /// Adds a case of this kind.
    pub fn add(&mut self, kind: &'static str, dies_slowly: bool, case: &Case) {
        self.rows.entry(kind).or_default().add(case);
        if !dies_slowly {
            self.judged.extend(case.recovery);
        }
    }

    /// How many cases there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.rows.values().map(|row| row.injected).sum()
    }

    /// Prints the lines in the order of `kinds`, and their sum.
    pub fn print(&self, kinds: &[&'static str]) {
        println!(
            "{:<12} {:>8} {:>9} {:>9} {:>10} {:>7} {:>9} {:>9} {:>9}",
            "fault",
            "injected",
            "recovered",
            "disturbed",
            "exits lost",
            "hung",
            "median ms",
            "p99 ms",
            "max ms"
        );
        let mut sum = Row::default();
        for (kind, row) in kinds
            .iter()
            .filter_map(|kind| self.rows.get_key_value(kind))
        {
            row.print(kind);
            sum.injected += row.injected;
            sum.disturbed += row.disturbed;
            sum.exits_lost += row.exits_lost;
            sum.hung += row.hung;
            sum.times.extend(&row.times);
        }
        sum.print("all");
    }

    /// What must not be, in words; empty when all is well.
    #[must_use]
    pub fn findings(&self, targets: Targets) -> Vec<String> {
        let mut findings = Vec::new();
        let sum = |of: fn(&Row) -> u64| self.rows.values().map(of).sum::<u64>();
        let counts = [
            (
                "deaths not recovered from",
                sum(|row| row.injected - row.times.len() as u64),
            ),
            ("services disturbed", sum(|row| row.disturbed)),
            ("exits lost", sum(|row| row.exits_lost)),
            ("clients hung", sum(|row| row.hung)),
        ];
        let wrong = counts.iter().filter(|(_, count)| *count > 0);
        findings.extend(wrong.map(|(what, count)| format!("{count} {what}")));
        let mut times = self.judged.clone();
        times.sort_unstable();
        for (what, is, limit) in [
            ("median", part(&times, 50), targets.median),
            ("99th percentile", part(&times, 99), targets.p99),
            ("longest time", times.last().copied(), targets.max),
        ] {
            if let (Some(is), Some(limit)) = (is, limit)
                && is > limit
            {
                findings.push(format!(
                    "the {what} to recover is {is:.2?}, not {limit:.0?}"
                ));
            }
        }
        findings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Case = Case {
        recovery: Some(Duration::from_millis(1)),
        disturbed: 0,
        exits_lost: 0,
        hung: 0,
    };

    fn findings(case: &Case, targets: Targets) -> Vec<String> {
        let mut table = Table::default();
        table.add("ill", false, &GOOD);
        table.add("ill", false, case);
        table.findings(targets)
    }

    #[test]
    fn each_column_that_must_be_zero_is_judged() {
        assert_eq!(findings(&GOOD, Targets::default()), Vec::<String>::new());
        let recovery = None;
        let table = [
            (Case { recovery, ..GOOD }, "1 deaths not recovered from"),
            (
                Case {
                    disturbed: 2,
                    ..GOOD
                },
                "2 services disturbed",
            ),
            (
                Case {
                    exits_lost: 3,
                    ..GOOD
                },
                "3 exits lost",
            ),
            (Case { hung: 4, ..GOOD }, "4 clients hung"),
        ];
        for (case, text) in table {
            assert!(!case.is_good(), "{text}");
            assert_eq!(findings(&case, Targets::default()), [text]);
        }
    }

    #[test]
    fn times_are_judged_where_there_is_a_target() {
        let slow = Case {
            recovery: Some(Duration::from_millis(30)),
            ..GOOD
        };
        let max = Some(Duration::from_millis(20));
        let targets = Targets {
            max,
            ..Targets::default()
        };
        assert_eq!(findings(&slow, Targets::default()), Vec::<String>::new());
        assert_eq!(findings(&slow, targets).len(), 1);
        let mut table = Table::default();
        table.add("loop", true, &slow);
        assert_eq!(
            table.findings(targets),
            Vec::<String>::new(),
            "a death's own time"
        );
    }

    #[test]
    fn a_percentile_is_one_of_the_times() {
        let times: Vec<Duration> = (1..=200).map(Duration::from_millis).collect();
        assert_eq!(part(&times, 50), Some(Duration::from_millis(100)));
        assert_eq!(part(&times, 99), Some(Duration::from_millis(198)));
        assert_eq!(part(&[], 50), None);
    }
}
