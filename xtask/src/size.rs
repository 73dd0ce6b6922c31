//! This file prints what process 1 and the keeper cost on each board, and holds them against the
//! board's budgets. A variant is built where the board limits it, or all are.

use crate::cli::Size;
use crate::{build, elf, figures, house, stack};
use anyhow::{Context, Result, bail};
use manifests::board::{Board, Budget};
use std::path::{Path, PathBuf};

const KIB: u64 = 1024;

/// The first function of a child that shares process 1's memory, and the stack that it has there:
/// `STACK_BYTES` of `hal-linux/src/sys/pool.rs`.
const CHILD: (&str, u64) = ("hal_linux::sys::pool::enter", 768);

/// How many frames of the deepest chain a line has room for.
const FRAMES_SHOWN: usize = 4;

/// How many functions of a cycle a line has room for.
const CYCLE_NAMES_MAX: usize = 3;

/// A way to build a product.
#[derive(Debug, Clone, Copy)]
struct Variant {
    /// What is behind the board's name; the same in the last lines of the table.
    word: &'static str,
    /// What its manifest says besides.
    keys: &'static str,
    heals: bool,
    /// What it may cost; `None`: it is not measured unless it is asked for.
    limit: fn(&Budget) -> Option<u32>,
}

/// All but the usual one. That comes last, so that it is what is left in the product's folder.
const VARIANTS: [Variant; 4] = [
    Variant {
        word: "mortal",
        keys: "",
        heals: false,
        limit: |budget| budget.without_healing_kib,
    },
    Variant {
        word: "upgradable",
        keys: "[product]\nhot-upgrade = true\n",
        heals: true,
        limit: |budget| budget.with_upgrade_kib,
    },
    Variant {
        word: "split",
        keys: "[product]\ncomposition = \"split\"\n",
        heals: true,
        limit: |budget| budget.split_kib,
    },
    Variant {
        word: FULL,
        keys: EVERYTHING,
        heals: true,
        limit: |budget| budget.full_kib,
    },
];

/// The variant whose code is that of every other product as well: a child's stack is measured here.
const FULL: &str = "full";

/// Something of all that code is left out for where it is not asked for (`hal_linux::Uses`).
const EVERYTHING: &str = r#"[product]
hot-upgrade = true

[watchdog]
device = "/dev/watchdog0"
pretimeout = "10s"

[healing]
deaths = 20
record = "/run/deaths"

[directory."/run/full"]

[symlink."/run/link"]
target = "/run/full"

[mount.data]
source = "/dev/vda1"
at = "/data"
type = "ext4"

[target.ten]
requires = ["console-shell", "idle", "newline", "socket", "path", "data"]

[service.newline]
exec = ["/bin/true"]
user = 1
group = 1
limits = { open-files = 64 }
oom-score = -100
nice = 1
ready = { on = "newline", fd = 3, within = "10s" }

[service.socket]
exec = ["/bin/true"]
ready = { on = "listen", tcp = 80, within = "10s" }

[service.path]
exec = ["/bin/true"]
ready = { on = "path", path = "/run/path", within = "10s" }

[service.other]
exec = ["/bin/true"]
stop-exec = ["/bin/true"]
binds-to = ["socket"]
conflicts = ["path"]
start-limit = { count = 5, within = "1min", then = "reboot" }
"#;

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
    let mut costs = Vec::new();
    for board in house::chosen(size.board.as_deref())? {
        costs.extend(board_costs(size, &board)?);
    }
    print(&costs);
    println!(
        "mortal: built with `--without-healing`; upgradable: with hot-upgrade = true; split: with \
         composition = \"split\"; full: with all that other products use"
    );
    println!();
    for cost in &costs {
        print_stack(cost, size.stack);
    }
    let excess: Vec<String> = costs.iter().flat_map(over_budget).collect();
    if !excess.is_empty() {
        bail!("over budget: {}", excess.join("; "));
    }
    Ok(())
}

/// What there is to say of one board; noted for the README if it is about the usual product.
fn board_costs(size: &Size, board: &Board) -> Result<Vec<Cost>> {
    let product = house::product(&size.product)?;
    let firmware = |product: &Path, heals| {
        build::firmware(&build::Request {
            board,
            product,
            rootfs: None,
            features: &[],
            heals,
        })
    };
    let mut costs = Vec::new();
    for variant in VARIANTS {
        let limit = (variant.limit)(&board.budget);
        let is_asked = limit.is_some() || (size.all && variant.word != FULL);
        // Its units are those of the usual product, and more.
        if !is_asked || (variant.word == FULL && size.product != figures::PRODUCT) {
            continue;
        }
        let own = match variant.keys {
            "" => product.clone(),
            keys => with_keys(&product, variant.word, keys)?,
        };
        let name = format!("{} {}", board.name, variant.word);
        let built = firmware(&own, variant.heals)?;
        if variant.word == FULL {
            check_child(&board.name, &built)?;
        }
        costs.push(measure(name, &built, file_only(limit))?);
    }
    let mut budget = board.budget;
    budget.file_kib = size.max_file_kib.unwrap_or(budget.file_kib);
    let built = firmware(&product, true)?;
    costs.push(measure(board.name.clone(), &built, budget)?);
    if board.budget.keeper_kib.is_some() || size.all {
        let keeper = build::keeper(board)?;
        let budget = file_only(board.budget.keeper_kib);
        costs.push(measure(format!("{} keeper", board.name), &keeper, budget)?);
    }
    if size.product == figures::PRODUCT {
        let files = costs.iter().map(|cost| {
            let word = cost.name.strip_prefix(&board.name).unwrap_or_default();
            (word.trim().to_string(), cost.file)
        });
        figures::note_sizes(board, files)?;
    }
    Ok(costs)
}

/// Writes a manifest down that is `product`'s with these keys besides.
fn with_keys(product: &Path, word: &str, keys: &str) -> Result<PathBuf> {
    let folder = house::target().join("size");
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make {}", folder.display()))?;
    let file = folder.join(format!("{}-{word}.toml", house::stem(product)));
    let text = format!("include = [{:?}]\n\n{keys}", product.display());
    // What is there already is left alone: its time says whether tables must be made anew.
    if std::fs::read_to_string(&file).ok().as_ref() != Some(&text) {
        std::fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(file)
}

/// A budget that judges nothing but the file.
fn file_only(kib: Option<u32>) -> Budget {
    Budget {
        file_kib: kib.unwrap_or(u32::MAX),
        ..Budget::default()
    }
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
    println!(
        "board                         text     data      bss     file   budget    stack  (bytes)"
    );
    for cost in costs {
        println!(
            "{:<26} {:>7}  {:>7}  {:>7}  {:>7}  {:>7}  {:>7}",
            cost.name,
            cost.sizes.text,
            cost.sizes.data,
            cost.sizes.bss,
            cost.file,
            u64::from(cost.budget.file_kib) * KIB,
            cost.stack.bytes
        );
    }
}

/// The deepest chain of calls: its largest frames on a line, or all of them.
fn print_stack(Cost { name, stack, .. }: &Cost, whole: bool) {
    if whole {
        println!("\nstack of {name}: {} bytes, outermost first", stack.bytes);
        for (function, frame) in &stack.path {
            println!("  {frame:>6}  {function}");
        }
    } else {
        println!("stack of {name}: {}", largest(&stack.path));
    }
    for cycle in &stack.cycles {
        let (shown, more) = cycle.split_at(cycle.len().min(CYCLE_NAMES_MAX));
        let shown: Vec<String> = shown.iter().map(|name| short(name)).collect();
        let rest = match more.len() {
            0 => String::new(),
            count => format!(" and {count} more"),
        };
        println!(
            "  {} call each other ({}{rest}): each is counted once, which holds while none is\n  \
             entered again; `--stack` names them all",
            cycle.len(),
            shown.join(", ")
        );
    }
    if whole {
        for cycle in &stack.cycles {
            println!("  cycle: {}", cycle.join(", "));
        }
    }
}

/// The largest frames of a chain, in its order.
fn largest(path: &[(String, u64)]) -> String {
    let mut sizes: Vec<u64> = path.iter().map(|(_, frame)| *frame).collect();
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    let least = sizes.get(FRAMES_SHOWN - 1).copied().unwrap_or(0);
    let shown = path.iter().filter(|(_, frame)| *frame >= least.max(1));
    let words: Vec<String> = shown
        .take(FRAMES_SHOWN)
        .map(|(function, frame)| format!("{} {frame}", short(function)))
        .collect();
    words.join(" > ")
}

/// The last two words of a function's path: `<a::b::C<d::E>>::f` is `C::f`.
fn short(function: &str) -> String {
    let mut depth = 0_u32;
    let mut plain = String::new();
    let name = function.split(" as ").last().unwrap_or(function);
    for letter in name.trim_start_matches('<').chars() {
        match letter {
            '<' => depth += 1,
            '>' => depth = depth.saturating_sub(1),
            _ if depth == 0 => plain.push(letter),
            _ => {}
        }
    }
    let mut words: Vec<&str> = plain.split("::").filter(|word| !word.is_empty()).collect();
    while words
        .last()
        .is_some_and(|word| word.starts_with("{closure"))
    {
        words.pop();
    }
    let begin = words.len().saturating_sub(2);
    words[begin..].join("::")
}

fn over_budget(cost: &Cost) -> Vec<String> {
    let budget = &cost.budget;
    let limits = [
        ("file", cost.file, Some(budget.file_kib)),
        ("text", cost.sizes.text, budget.text_kib),
        ("data", cost.sizes.data, budget.data_kib),
        ("bss", cost.sizes.bss, budget.bss_kib),
        ("stack", cost.stack.bytes, budget.stack_kib),
    ];
    let excess = |(what, bytes, kib): (&str, u64, Option<u32>)| {
        let limit = u64::from(kib?) * KIB;
        let name = &cost.name;
        (bytes > limit).then(|| format!("{name}: {what} has {bytes} bytes of at most {limit}"))
    };
    limits.into_iter().filter_map(excess).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_known_by_its_last_two_words() {
        let cases = [
            ("_start", "_start"),
            ("hal_linux::sys::start::enter", "start::enter"),
            (
                "<init_core::driver::Driver<hal_linux::linux::Linux>>::step",
                "Driver::step",
            ),
            (
                "<init_core::report::Report>::notice::<hal_linux::Console>::{closure#0}",
                "Report::notice",
            ),
            (
                "<init_core::event::Exit as init_core::wire::Value>::pass",
                "Value::pass",
            ),
        ];
        for (long, wanted) in cases {
            assert_eq!(short(long), wanted, "{long}");
        }
    }

    #[test]
    fn the_largest_frames_are_shown_in_the_order_of_the_calls() {
        let path = [
            ("a", 16),
            ("b", 300),
            ("c", 0),
            ("d", 100),
            ("e", 20),
            ("f", 50),
        ];
        let path: Vec<_> = path.map(|(name, frame)| (name.to_string(), frame)).into();
        assert_eq!(largest(&path), "b 300 > d 100 > e 20 > f 50");
    }
}
