//! This file is `cargo xtask bench --agree`: which ratios of a new run lie outside of what the
//! document that is kept tells of its own run, by its spreads.
//!
//! A ratio is sysMaster's median by that of the peer that the kept document names as best. It lies
//! within the spread if what it may be by the spreads of one run and by those of the other have
//! something in common, or if the ratios differ by less than a twentieth. Memory is counted in
//! pages: what it is may be one more or one less. Of another row that was measured once there is no
//! spread, and no verdict if the ratios differ by more.

use anyhow::{Context, Result, bail, ensure};
use qemu_tests::progress::say;
use std::collections::BTreeMap;
use std::path::Path;

/// sysMaster's lines in the tables.
const OURS: &str = "sysMaster";

/// Ratios that differ by less say the same.
const NEAR: f64 = 0.05;

/// By how much a program's memory can differ from itself, in KiB.
const PAGE_KIB: f64 = 4.0;

/// A cell: the median, and from where to where the samples lie
/// ([`bench_lives::samples::QUARTERS_FROM`]).
#[derive(Clone, Copy, Debug, PartialEq)]
struct Cell {
    median: f64,
    low: f64,
    high: f64,
}

/// Cells by section and column, and there by contender.
type Cells = BTreeMap<(String, String), BTreeMap<String, Cell>>;

/// What became of a ratio.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Agrees,
    Left,
    /// One of the runs tells no spread.
    Unknown,
}

/// Compares a new document with the one that is kept.
///
/// # Errors
/// They have no ratio in common, or ratios left their spread.
pub fn compare(kept: &Path, new: &Path) -> Result<()> {
    let read = |path: &Path| {
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
    };
    let (lines, missing) = verdicts(&read(kept)?, &read(new)?);
    ensure!(
        !lines.is_empty(),
        "the two documents have no ratio in common"
    );
    for row in missing {
        println!("{row}: not compared, not both documents tell its ratio");
    }
    let count = lines.len();
    let of = |verdict| lines.iter().filter(move |(it, _)| *it == verdict);
    for (_, line) in of(Verdict::Left) {
        println!("{line}");
    }
    let [agree, left, unknown] =
        [Verdict::Agrees, Verdict::Left, Verdict::Unknown].map(|verdict| of(verdict).count());
    say(&format!(
        "of {count} ratios {agree} agree within their spread, {left} left it, and of {unknown} a \
         run tells none, for it measured once or always the same"
    ));
    if left > 0 {
        bail!("{left} ratios are not what {} says", kept.display());
    }
    Ok(())
}

/// Of each ratio that both tell: the verdict and a line for people. And the rows for which the kept
/// one names a best peer, and of which there is no ratio in both.
fn verdicts(kept: &str, new: &str) -> (Vec<(Verdict, String)>, Vec<String>) {
    let (before, now) = (cells(kept), cells(new));
    let (mut lines, mut missing) = (Vec::new(), Vec::new());
    for (key @ (section, column), cells) in &before {
        let Some(peer) = best_peer(kept, section, column) else {
            continue;
        };
        let both = |cells: &BTreeMap<String, Cell>| {
            Some((*cells.get(OURS)?, *cells.get(peer)?)).filter(|(_, peer)| peer.low > 0.0)
        };
        let Some((before, now)) = both(cells).zip(now.get(key).and_then(both)) else {
            missing.push(format!("{section}: {column}, by {peer}"));
            continue;
        };
        let verdict = verdict(before, now);
        let ratio = |(ours, peer): (Cell, Cell)| ours.median / peer.median;
        let [(least, most), (lower, upper)] = [span(before), span(now)];
        lines.push((
            verdict,
            format!(
                "{section}: {column}, by {peer}: {:.2} ({lower:.2} to {upper:.2}), was {:.2} \
                 ({least:.2} to {most:.2})",
                ratio(now),
                ratio(before),
            ),
        ));
    }
    (lines, missing)
}

/// What the ratio may be.
fn span((ours, peer): (Cell, Cell)) -> (f64, f64) {
    (ours.low / peer.high, ours.high / peer.low)
}

fn verdict(before: (Cell, Cell), now: (Cell, Cell)) -> Verdict {
    let [(least, most), (lower, upper)] = [span(before), span(now)];
    let [was, is] = [before, now].map(|(ours, peer)| ours.median / peer.median);
    if lower <= most && least <= upper || (is / was - 1.0).abs() < NEAR {
        Verdict::Agrees
    } else if least < most && lower < upper {
        Verdict::Left
    } else {
        Verdict::Unknown
    }
}

/// Whom the document's first table names in the line of a row.
fn best_peer<'a>(text: &'a str, section: &str, column: &str) -> Option<&'a str> {
    let begin = format!("| {section}: {column}, ");
    let line = text.lines().find(|line| line.starts_with(&begin))?;
    let (_, peer) = line.split(" | ").nth(2)?.rsplit_once('(')?;
    peer.strip_suffix(')')
}

/// Every cell of every table that is a number.
fn cells(text: &str) -> Cells {
    let mut cells = Cells::new();
    let (mut section, mut unit, mut columns) = ("", "", Vec::new());
    for line in text.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            (section, columns) = (title, Vec::new());
        }
        let Some(inner) = line.strip_prefix("| ").and_then(|it| it.strip_suffix(" |")) else {
            continue;
        };
        let parts: Vec<&str> = inner.split(" | ").collect();
        let Some((name, values)) = parts.split_first() else {
            continue;
        };
        if columns.is_empty() {
            (unit, columns) = (*name, values.to_vec());
            continue;
        }
        for (column, value) in columns.iter().zip(values) {
            if let Some(mut cell) = cell(value) {
                if unit == "KiB" && column.ends_with(" services") {
                    cell.low -= PAGE_KIB;
                    cell.high += PAGE_KIB;
                }
                let row = cells.entry((section.to_string(), (*column).to_string()));
                row.or_default().insert((*name).to_string(), cell);
            }
        }
    }
    cells
}

/// `median`, or `median (low to high)`.
fn cell(text: &str) -> Option<Cell> {
    let number = |text: &str| text.replace(' ', "").parse::<f64>().ok();
    let Some((median, rest)) = text.split_once(" (") else {
        let median = number(text)?;
        return Some(Cell {
            median,
            low: median,
            high: median,
        });
    };
    let (low, high) = rest.strip_suffix(')')?.split_once(" to ")?;
    Some(Cell {
        median: number(median)?,
        low: number(low)?,
        high: number(high)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(ours: &str, peer: &str) -> String {
        format!(
            "## Where sysMaster stands\n\n\
             | row | sysMaster | best peer | ratio | floor | ratio | place |\n|---|---|---|\n\
             | Boot: 10 services, ms | 1 | 2 (one init) | 0.50 | 1 | 1.00 | 1 of 2 |\n\n\
             ## Boot\n\nWords.\n\n| ms | 10 services | 20 in a row |\n|---|---|---|\n\
             | sysMaster | {ours} | 3 |\n| one init | {peer} | no order among services |\n"
        )
    }

    fn verdict_of(kept: (&str, &str), new: (&str, &str)) -> Verdict {
        let (lines, missing) = verdicts(&document(kept.0, kept.1), &document(new.0, new.1));
        assert_eq!((lines.len(), missing.len()), (1, 0), "{lines:?}");
        lines[0].0
    }

    #[test]
    fn a_row_of_which_one_run_tells_no_ratio_is_named() {
        let whole = document("1", "2");
        let lines = |new: &str| {
            let (lines, missing) = verdicts(&whole, new);
            assert!(lines.is_empty(), "{lines:?}");
            missing
        };
        let row = "Boot: 10 services, by one init";
        for new in [
            document("-", "2"),
            document("1", "ended too early"),
            document("1", "0"),
            whole.replace("## Boot", "## Start"),
            whole.replace("| 10 services", "| 11 services"),
        ] {
            assert_eq!(lines(&new), [row], "{new}");
        }
    }

    #[test]
    fn a_ratio_agrees_while_the_spreads_of_both_runs_have_something_in_common() {
        let kept = ("1 (0.9 to 1.1)", "2 (1.9 to 2.1)");
        assert_eq!(verdict_of(kept, kept), Verdict::Agrees);
        let near = ("1.3 (1.15 to 1.4)", "2 (1.9 to 2.1)");
        assert_eq!(verdict_of(kept, near), Verdict::Agrees);
        let far = ("2 (1.8 to 2.2)", "2 (1.9 to 2.1)");
        assert_eq!(verdict_of(kept, far), Verdict::Left);
        assert_eq!(verdict_of(far, kept), Verdict::Left);
        let precise = |ours| (ours, "1000 (999 to 1001)");
        let before = precise("1000 (999 to 1001)");
        assert_eq!(
            verdict_of(before, precise("980 (979 to 981)")),
            Verdict::Agrees
        );
        assert_eq!(
            verdict_of(before, precise("940 (939 to 941)")),
            Verdict::Left
        );
    }

    #[test]
    fn memory_may_be_a_page_more_or_less() {
        let in_kib = |ours: &str| document(ours, "64").replace("| ms |", "| KiB |");
        let verdict = |ours: &str| verdicts(&in_kib("36"), &in_kib(ours)).0[0].0;
        assert_eq!(verdict("40"), Verdict::Agrees);
        assert_eq!(verdict("60"), Verdict::Left);
    }

    #[test]
    fn what_was_measured_once_leaves_no_spread() {
        let once = ("1", "2");
        assert_eq!(verdict_of(once, once), Verdict::Agrees);
        assert_eq!(verdict_of(once, ("3", "2")), Verdict::Unknown);
        let often = ("3 (2.9 to 3.1)", "2 (1.9 to 2.1)");
        assert_eq!(verdict_of(once, often), Verdict::Unknown);
    }

    #[test]
    fn cells_are_read_with_thousands_apart_and_words_are_none() {
        let wanted = Cell {
            median: 3_816.0,
            low: 3_400.0,
            high: 4_773.5,
        };
        assert_eq!(cell("3 816 (3 400 to 4 773.5)"), Some(wanted));
        assert_eq!(cell("no such command"), None);
        assert_eq!(cell("device down"), None);
    }

    #[test]
    fn every_ratio_of_the_page_that_is_kept_agrees_with_itself() {
        let page = crate::house::root().join("docs/benchmarks.md");
        let text = std::fs::read_to_string(page).expect("it is of the house");
        let (lines, missing) = verdicts(&text, &text);
        assert!(lines.len() > 30, "{missing:?}");
        // Nobody wakes up: there is nothing to divide by.
        let idle = |row: &String| row.starts_with("Idle: ");
        assert!(missing.iter().all(idle), "{missing:?}");
        assert!(lines.iter().all(|(it, _)| *it == Verdict::Agrees));
    }
}
