//! This file prints what process 1 and the keeper cost on each board, and holds them against the
//! board's budgets.

use crate::cli::Size;
use crate::{build, elf, house, stack};
use anyhow::{Context, Result, bail};
use manifests::board::Budget;

const KIB: u64 = 1024;

/// The first function of a child that shares process 1's memory, and the stack that it has there:
/// `STACK_BYTES` of `hal-linux/src/sys/pool.rs`.
const CHILD: (&str, u64) = ("hal_linux::sys::pool::enter", 1_024);

/// One line of the table, in bytes.
#[derive(Debug)]
struct Cost {
    name: String,
    sizes: elf::Sizes,
    file: u64,
    stack: stack::Report,
    budget: Budget,
}

/// Builds, measures, prints and judges.
///
/// # Errors
/// A board does not build or costs more than it may.
pub fn report(size: &Size) -> Result<()> {
    let product = house::product(&size.product)?;
    let mut costs = Vec::new();
    for board in house::chosen(size.board.as_deref())? {
        let request = build::Request {
            board: &board,
            product: &product,
            rootfs: None,
            features: &[],
        };
        let mut budget = board.budget;
        budget.file_kib = size.max_file_kib.unwrap_or(budget.file_kib);
        let firmware = build::firmware(&request)?;
        check_child(&board.name, &firmware)?;
        costs.push(measure(board.name.clone(), &firmware, budget)?);
        let budget = Budget {
            file_kib: board.budget.keeper_kib.unwrap_or(u32::MAX),
            ..Budget::default()
        };
        let keeper = build::keeper(&board)?;
        costs.push(measure(format!("{} keeper", board.name), &keeper, budget)?);
    }
    print(&costs);
    let excess: Vec<String> = costs.iter().flat_map(over_budget).collect();
    if !excess.is_empty() {
        bail!("over budget: {}", excess.join("; "));
    }
    Ok(())
}

fn measure(name: String, firmware: &build::Firmware, budget: Budget) -> Result<Cost> {
    let data = std::fs::read(&firmware.symbols)?;
    let elf = object::File::parse(&*data).context("the linker wrote no ELF file")?;
    Ok(Cost {
        name,
        sizes: elf::sizes(&elf),
        file: std::fs::metadata(&firmware.file)?.len(),
        stack: stack::measure(&firmware.symbols, None)?,
        budget,
    })
}

/// Holds the deepest stack of a child against what it has: there is no guard page below it.
fn check_child(board: &str, firmware: &build::Firmware) -> Result<()> {
    let (function, limit) = CHILD;
    let bytes = stack::measure(&firmware.symbols, Some(function))?.bytes;
    println!("{board}: a child before its program needs {bytes} of {limit} bytes of stack");
    if bytes > limit {
        bail!("{board}: raise STACK_BYTES in hal-linux/src/sys/pool.rs to {bytes} or more");
    }
    Ok(())
}

fn print(costs: &[Cost]) {
    println!("board                   text     data      bss     file   budget    stack  (bytes)");
    for cost in costs {
        println!(
            "{:<20} {:>7}  {:>7}  {:>7}  {:>7}  {:>7}  {:>7}",
            cost.name,
            cost.sizes.text,
            cost.sizes.data,
            cost.sizes.bss,
            cost.file,
            u64::from(cost.budget.file_kib) * KIB,
            cost.stack.bytes
        );
    }
    for Cost { name, stack, .. } in costs {
        println!("\ndeepest stack on {name}:");
        for (function, frame) in &stack.path {
            println!("  {frame:>6}  {function}");
        }
        for cycle in &stack.cycles {
            println!("  a cycle, each counted once: {}", cycle.join(", "));
        }
    }
}

fn over_budget(cost: &Cost) -> Vec<String> {
    let budget = &cost.budget;
    let limits = [
        ("file", cost.file, Some(budget.file_kib)),
        ("text", cost.sizes.text, budget.text_kib),
        ("data", cost.sizes.data, budget.data_kib),
        ("bss", cost.sizes.bss, budget.bss_kib),
    ];
    let excess = |(what, bytes, kib): (&str, u64, Option<u32>)| {
        let limit = u64::from(kib?) * KIB;
        let name = &cost.name;
        (bytes > limit).then(|| format!("{name}: {what} has {bytes} bytes of at most {limit}"))
    };
    limits.into_iter().filter_map(excess).collect()
}
