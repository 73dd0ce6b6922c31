//! This file is `cargo xtask budget`: what process 1 with ten services costs while it runs, held
//! against the board's budgets.
//!
//! It looks at the file that `cargo xtask run --product ten` boots: the guest's own SHA-256 of it
//! must be the one of the build. A figure without a budget is shown and not judged.

mod figures;
mod guest;

use crate::{build, figures as figures_of, house, image, setup};
use anyhow::{Context, Result, anyhow, bail, ensure};
use guest::{IDLE_SECONDS, SERVICES, Seen};
use manifests::board::{Board, Budget};
use qemu_tests::image::Image;
use qemu_tests::progress::Step;
use std::path::PathBuf;

/// One line of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub what: &'static str,
    /// In tenths of `unit`.
    pub tenths: u64,
    pub unit: &'static str,
    /// In whole units.
    pub budget: Option<u32>,
}

impl Row {
    fn new(what: &'static str, value: u32, unit: &'static str, budget: Option<u32>) -> Self {
        Self {
            what,
            tenths: u64::from(value) * 10,
            unit,
            budget,
        }
    }

    /// Whether it costs more than it may.
    pub fn is_over(&self) -> bool {
        self.budget
            .is_some_and(|budget| self.tenths > u64::from(budget) * 10)
    }

    /// The figure with its unit, with a decimal where it has one.
    pub fn figure(&self) -> String {
        let (whole, tenths) = (self.tenths / 10, self.tenths % 10);
        let number = match tenths {
            0 => whole.to_string(),
            _ => format!("{whole}.{tenths}"),
        };
        format!("{number} {}", self.unit).trim_end().to_string()
    }
}

/// How many guests run at a time: half of a guest's minute is idle, and two processors bear three
/// that boot.
const AT_ONCE: usize = 3;

/// What is to be looked at on one board.
struct Ready {
    board: Board,
    image: Image,
    folder: PathBuf,
    /// Of the file that was built.
    sha256: String,
}

/// Builds all, boots some at a time, looks, prints and judges.
///
/// # Errors
/// The product does not build or boot, a guest runs another file than the one that was built, or a
/// figure is over its board's budget.
pub fn report(boards: Vec<Board>, product: &str) -> Result<()> {
    let mut wrong = Vec::new();
    let mut all = Vec::new();
    for board in boards {
        let name = board.name.clone();
        match ready(board, product) {
            Ok(ready) => all.push(ready),
            Err(error) => wrong.push(format!("{name}: {error:#}")),
        }
    }
    for some in all.chunks(AT_ONCE) {
        let names: Vec<&str> = some.iter().map(|ready| ready.board.name.as_str()).collect();
        let step = Step::begin(format!("looking at process 1 on {}", names.join(", ")));
        let looks = std::thread::scope(|scope| {
            let begin = |ready| scope.spawn(move || rows(ready, product));
            let looks: Vec<_> = some.iter().map(begin).collect();
            looks
                .into_iter()
                .map(|look| look.join())
                .collect::<Vec<_>>()
        });
        drop(step);
        for (ready, look) in some.iter().zip(looks) {
            let name = &ready.board.name;
            let look = look.unwrap_or_else(|_| Err(anyhow!("looking at {name} panicked")));
            let rows = match look {
                Ok(rows) => rows,
                Err(error) => {
                    wrong.push(format!("{error:#}"));
                    continue;
                }
            };
            print(&ready.board, product, &ready.sha256, &rows);
            if product == figures_of::PRODUCT {
                figures_of::note_budget(&ready.board, &rows)?;
            }
            let excess = rows.iter().filter(|row| row.is_over());
            wrong.extend(excess.map(|row| {
                format!(
                    "{} on {name} is over the budget in its board.toml",
                    row.what.trim()
                )
            }));
        }
    }
    println!(
        "\nMemory from /proc/1/smaps; calls from the kernel's tracepoint, as the difference that \
         {SERVICES} services\nmake; wake-ups are context switches in {IDLE_SECONDS} s. The kernel \
         tells nobody how deep its own stack is."
    );
    if !wrong.is_empty() {
        bail!("{}", wrong.join("; "));
    }
    Ok(())
}

fn ready(board: Board, product: &str) -> Result<Ready> {
    let manifest = house::product(product)?;
    setup::ensure(&[setup::qemu(&board)])?;
    let folder = image::default_out(&manifest, &board);
    let image = image::build(&board, &manifest)?;
    let sha256 = build::sha256(&build::device_file(&board, &manifest))?;
    Ok(Ready {
        board,
        image,
        folder,
        sha256,
    })
}

/// What is seen on one board.
fn rows(ready: &Ready, product: &str) -> Result<Vec<Row>> {
    let board = &ready.board;
    let seen = guest::look(board, &ready.image, &ready.folder)
        .with_context(|| format!("looking at {product} on {}", board.name))?;
    ensure!(
        ready.sha256 == seen.sha256,
        "process 1 of the guest is another file than the one that was built: sha256 {} there, {} \
         here",
        seen.sha256,
        ready.sha256
    );
    Ok(table(&seen, &board.budget))
}

fn table(seen: &Seen, budget: &Budget) -> Vec<Row> {
    let memory = &seen.memory;
    let files = memory.memory_files.iter().map(|file| file.kib).sum();
    let each = |what, calls: u32, budget| Row {
        what,
        tenths: u64::from(calls) * 10 / u64::from(SERVICES),
        unit: "",
        budget,
    };
    let calls = seen.calls.own + seen.calls.children;
    vec![
        Row::new(
            "resident memory",
            memory.resident(),
            "KiB",
            budget.resident_kib,
        ),
        Row::new("  of its file", memory.file, "KiB", None),
        Row::new(
            "  anonymous and shared",
            memory.anonymous + memory.shared,
            "KiB",
            budget.anonymous_kib,
        ),
        Row::new("    shared alone", memory.shared, "KiB", None),
        Row::new(
            "  once it started a service again",
            seen.again.resident(),
            "KiB",
            None,
        ),
        Row::new(
            "  and once it was asked",
            seen.asked.resident(),
            "KiB",
            None,
        ),
        Row::new("memory files, mapped or not", files, "KiB", None),
        Row::new("page tables", memory.page_tables, "KiB", None),
        each("system calls a service", calls, budget.calls_per_service),
        each("  by process 1", seen.calls.own, None),
        each("  by the child up to its exec", seen.calls.children, None),
        Row::new(
            "wake-ups while idle",
            seen.wake_ups,
            "",
            budget.idle_wake_ups,
        ),
    ]
}

fn print(board: &Board, product: &str, sha256: &str, rows: &[Row]) {
    println!(
        "\n{product} on {}, process 1 with sha256\n  {sha256}",
        board.name
    );
    println!(
        "{:<36} {:>10} {:>10}  verdict",
        "figure", "measured", "budget"
    );
    for row in rows {
        let (budget, verdict) = match row.budget {
            None => (String::new(), ""),
            Some(budget) if row.is_over() => (format!("{budget} {}", row.unit), "OVER"),
            Some(budget) => (format!("{budget} {}", row.unit), "within"),
        };
        let line = format!(
            "{:<36} {:>10} {:>10}  {verdict}",
            row.what,
            row.figure(),
            budget.trim_end()
        );
        println!("{}", line.trim_end());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use figures::{Calls, Memory};

    fn seen() -> Seen {
        Seen {
            sha256: String::new(),
            memory: Memory {
                anonymous: 24,
                shared: 8,
                file: 40,
                page_tables: 40,
                memory_files: Vec::new(),
            },
            calls: Calls {
                own: 45,
                children: 40,
                programs: 10,
            },
            wake_ups: 0,
            again: Memory::default(),
            asked: Memory::default(),
        }
    }

    fn over(seen: &Seen) -> Vec<&'static str> {
        let budget = Budget {
            resident_kib: Some(72),
            anonymous_kib: Some(32),
            calls_per_service: Some(9),
            idle_wake_ups: Some(0),
            ..Budget::default()
        };
        let rows = table(seen, &budget);
        let over = rows.iter().filter(|row| row.is_over());
        over.map(|row| row.what.trim()).collect()
    }

    #[test]
    fn what_costs_as_much_as_it_may_is_within() {
        assert_eq!(over(&seen()), Vec::<&str>::new());
    }

    #[test]
    fn one_more_of_anything_is_over() {
        let mut more = seen();
        more.memory.anonymous += 4;
        more.calls.own += 10;
        more.wake_ups = 1;
        let all = [
            "resident memory",
            "anonymous and shared",
            "system calls a service",
            "wake-ups while idle",
        ];
        assert_eq!(over(&more), all);
    }

    #[test]
    fn a_half_call_is_told() {
        let rows = table(&seen(), &Budget::default());
        let calls = rows.iter().find(|row| row.what == "system calls a service");
        assert_eq!(calls.expect("it is told").figure(), "8.5");
    }
}
