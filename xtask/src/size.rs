//! This file prints what process 1 costs on each board and holds it against the board's budget.

use crate::cli::Size;
use crate::{build, elf, house, stack};
use anyhow::{Context, Result, bail};
use manifests::board::Board;

const KIB: u64 = 1024;

/// One line of the table, in bytes.
#[derive(Debug)]
struct Cost {
    board: Board,
    sizes: elf::Sizes,
    file: u64,
    stack: stack::Report,
}

/// Builds, measures, prints and judges.
///
/// # Errors
/// A board does not build or costs more than it may.
pub fn report(size: &Size) -> Result<()> {
    let product = house::product(&size.product)?;
    let mut costs = Vec::new();
    for board in house::chosen(size.board.as_deref())? {
        costs.push(measure(board, &product)?);
    }
    print(&costs);
    let excess: Vec<String> = costs
        .iter()
        .flat_map(|cost| over_budget(cost, size.max_file_kib))
        .collect();
    if !excess.is_empty() {
        bail!("over budget: {}", excess.join("; "));
    }
    Ok(())
}

fn measure(board: Board, product: &std::path::Path) -> Result<Cost> {
    let request = build::Request {
        board: &board,
        product,
        rootfs: None,
        features: &[],
    };
    let firmware = build::firmware(&request)?;
    let data = std::fs::read(&firmware.symbols)?;
    let elf = object::File::parse(&*data).context("the linker wrote no ELF file")?;
    let stack = stack::measure(&firmware.symbols)?;
    let file = std::fs::metadata(&firmware.file)?.len();
    Ok(Cost {
        sizes: elf::sizes(&elf),
        file,
        stack,
        board,
    })
}

fn print(costs: &[Cost]) {
    println!("board            text     data      bss     file   budget    stack  (bytes)");
    for Cost {
        board,
        sizes,
        file,
        stack,
    } in costs
    {
        println!(
            "{:<13} {:>7}  {:>7}  {:>7}  {:>7}  {:>7}  {:>7}",
            board.name,
            sizes.text,
            sizes.data,
            sizes.bss,
            file,
            u64::from(board.budget.file_kib) * KIB,
            stack.bytes
        );
    }
    for Cost { board, stack, .. } in costs {
        println!("\ndeepest stack on {}:", board.name);
        for (function, frame) in &stack.path {
            println!("  {frame:>6}  {function}");
        }
        for cycle in &stack.cycles {
            println!("  a cycle, each counted once: {}", cycle.join(", "));
        }
    }
}

fn over_budget(cost: &Cost, max_file_kib: Option<u32>) -> Vec<String> {
    let budget = &cost.board.budget;
    let limits = [
        (
            "file",
            cost.file,
            Some(max_file_kib.unwrap_or(budget.file_kib)),
        ),
        ("text", cost.sizes.text, budget.text_kib),
        ("data", cost.sizes.data, budget.data_kib),
        ("bss", cost.sizes.bss, budget.bss_kib),
    ];
    let excess = |(what, bytes, kib): (&str, u64, Option<u32>)| {
        let limit = u64::from(kib?) * KIB;
        let name = &cost.board.name;
        (bytes > limit).then(|| format!("{name}: {what} has {bytes} bytes of at most {limit}"))
    };
    limits.into_iter().filter_map(excess).collect()
}
