//! This room makes root images for boards of Harmony's microkernel, and runs them on the stub.

mod elf_file;
mod log;
mod object_file;
mod probe;
mod ram_disk;
mod root_image;
mod stub;

pub use probe::{compare, print};

use crate::{build, house};
use anyhow::{Context, Result, bail};
use manifests::board::Board;
use object::{Object, ObjectSection};
use qemu_tests::expect::{self, Scenario, Standing};
use qemu_tests::progress::say;
use qemu_tests::report::BootReport;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The product without services: what it costs, the core and the HAL cost.
const BARE: &str = "bare";

/// What the names of products begin with whose services are those of `qemu-tests/harmony-demo`.
const DEMOS: &str = "harmony-";

/// What a core says whose predecessor ended while it wrote its log.
const LINE_MISSING: &str = "a line may be missing";

/// A root image and what was made beside it.
#[derive(Debug)]
pub struct Files {
    /// What the kernel's make variable `PROCMGR` names.
    pub image: PathBuf,
    /// The same for a linker.
    pub object: PathBuf,
    /// The program with its symbols.
    pub symbols: PathBuf,
    /// The program that has the words of the log: the same, or that of a core of its own.
    pub words: PathBuf,
    /// What is loaded beside the kernel, if the product has its programs there.
    pub ram_disk: Option<PathBuf>,
}

/// Builds a program of a board and writes its root image, in every form, into `out`.
///
/// # Errors
/// It cannot be built, is over budget, or the kernel would choke on it.
pub fn build(program: &str, board: &Board, product: &Path, out: &Path) -> Result<Files> {
    let services = services(board, product, out)?;
    let request = build::Request {
        board,
        product,
        rootfs: services.as_deref(),
        features: &[],
        heals: true,
    };
    let features = crate::product::features(product, board)?;
    let is_split = features.iter().any(|name| name == "split");
    let is_keeper = program == "init" && is_split;
    let core = is_keeper.then(|| build::core_process(&request));
    let core = core.transpose()?;
    let linked = build::root_task(program, &request)?;
    let read = |file: &Path| {
        std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))
    };
    let elf = read(&linked)?;
    // Who decides writes the log.
    let words = core.as_deref().map_or_else(|| Ok(elf.clone()), read)?;
    let (image, read) = root_image::write(&elf)?;
    let object = object_file::write(&image)?;
    std::fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
    let files = Files {
        image: out.join(format!("{program}.img")),
        object: out.join(format!("{program}.o")),
        symbols: out.join(format!("{program}.elf")),
        words: out.join(format!("{program}.log.elf")),
        ram_disk: ram_disk::write(board, product, services.as_deref(), out)?,
    };
    for (file, bytes) in [
        (&files.image, &image),
        (&files.object, &object),
        (&files.symbols, &elf),
        (&files.words, &words),
    ] {
        std::fs::write(file, bytes).with_context(|| format!("cannot write {}", file.display()))?;
    }
    let sizes = crate::elf::sizes(&object::File::parse(&*elf)?);
    let costs = sizes.text + sizes.data + sizes.bss;
    let budget = u64::from(board.budget.file_kib) << 10;
    let is_bare = house::stem(product) == BARE;
    if is_bare && costs > budget {
        bail!(
            "over budget: {} has {costs} bytes of code and data without services, of {budget} at \
             most (file-kib in its board.toml)",
            board.name
        );
    }
    say(&format!(
        "  {} ({} bytes: {} segments, layout of {}; text {} + data {} + bss {})",
        house::shown(&files.image),
        image.len(),
        read.segments.len(),
        root_image::LAYOUT,
        sizes.text,
        sizes.data,
        sizes.bss
    ));
    Ok(files)
}

/// Builds the programs of a product whose services are a package of ours; their folder.
fn services(board: &Board, product: &Path, out: &Path) -> Result<Option<PathBuf>> {
    if !house::stem(product).starts_with(DEMOS) {
        return Ok(None);
    }
    let package = house::root().join("qemu-tests/harmony-demo");
    let folder = out.join("services");
    build::services(board, &package, &folder)?;
    Ok(Some(folder))
}

/// Writes the root image of a product into the folder that the user chose, in every form.
///
/// # Errors
/// It cannot be built, or the kernel would choke on it.
pub fn write(board: &Board, product: &Path, out: &Path) -> Result<()> {
    let files = build("init", board, product, out)?;
    let mut what = vec![
        (
            &files.image,
            "the root image: the kernel's make variable PROCMGR",
        ),
        (
            &files.object,
            "the same for a linker: section .incbin-procmgr_bin",
        ),
        (&files.symbols, "the program with its symbols"),
    ];
    what.extend(
        files
            .ram_disk
            .iter()
            .map(|file| (file, "services' programs: a RAM disk")),
    );
    say(&format!("{} has", house::shown(out)));
    for (file, what) in what {
        let bytes = std::fs::metadata(file)?.len();
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        say(&format!("  {name:<20} {bytes:>11} bytes  {what}"));
    }
    Ok(())
}

/// Boots a product on the stub kernel, shows its console, and judges its boot.
///
/// # Errors
/// It cannot be built, or a unit of it does not come up.
pub fn run(board: &Board, product: &Path, out: &Path) -> Result<()> {
    run_on(board, product, out, stub::Variant::Normal)
}

/// As [`run`], on the stub without a clock, where nothing times out by itself.
///
/// # Errors
/// As [`run`].
pub fn run_without_clock(board: &Board, product: &Path) -> Result<()> {
    run_on(
        board,
        product,
        &folder(board, product),
        stub::Variant::NoClock,
    )
}

/// As [`run`], on the stub that begins again when it is first to be switched off.
///
/// # Errors
/// As [`run`].
pub fn run_with_reset(board: &Board, product: &Path) -> Result<()> {
    run_on(
        board,
        product,
        &folder(board, product),
        stub::Variant::Reset,
    )
}

/// What is said of a RAM disk that was not loaded: there is nothing at its place.
const NO_DISK: &str = "the RAM disk is broken at byte 0: there is no header of an entry";

/// Boots a product whose programs are in a RAM disk without that: what is wrong is told with its
/// place, every service fails, and nothing else does.
///
/// # Errors
/// It cannot be built, or does something else.
pub fn run_without_disk(board: &Board, product: &Path) -> Result<()> {
    let files = build("init", board, product, &folder(board, product))?;
    let (variant, scenario) = (stub::Variant::Normal, expect::scenario(product, "")?);
    let kernel = stub::link(board, &files, variant, &scenario)?;
    let console = stub::run(board, &kernel, variant)?;
    let console = log::Decoder::new(&std::fs::read(&files.words)?)?.decode(&console)?;
    print!("{}", log::shortened(&console));
    let wanted = [NO_DISK, "steady: failed", stub::IDLE];
    match wanted.into_iter().find(|words| !console.contains(words)) {
        None => Ok(()),
        Some(words) => bail!("without its RAM disk the product does not say {words:?}"),
    }
}

/// Where a product's images lie.
fn folder(board: &Board, product: &Path) -> PathBuf {
    let out = house::target().join("images").join(&board.name);
    out.join(house::stem(product))
}

fn run_on(board: &Board, product: &Path, out: &Path, variant: stub::Variant) -> Result<()> {
    let files = build("init", board, product, out)?;
    if variant == stub::Variant::Reset {
        waits_for_memory(&files.symbols)?;
    }
    let scenario = expect::scenario(product, "")?;
    let kernel = stub::link(board, &files, variant, &scenario)?;
    let mut machine = board.clone();
    if let Some(file) = &files.ram_disk {
        machine.qemu.args.extend(ram_disk::loader(board, file));
    }
    let console = stub::run(&machine, &kernel, variant)?;
    let console = log::Decoder::new(&std::fs::read(&files.words)?)?.decode(&console)?;
    print!("{}", log::shortened(&console));
    let report = BootReport::read(console.lines());
    println!("\n{report}");
    if let Some(problem) = unreached(&report, &scenario, &console) {
        bail!("the product does not work: {problem}");
    }
    let lines = console
        .lines()
        .map(|line| (Duration::ZERO, line.to_string()));
    let lines: Vec<_> = lines.collect();
    let mut missing = Vec::new();
    for one in &scenario.expect {
        match one.judge(&lines) {
            Standing::Met(_, line) => println!("  shown: {}: {line}", one.what),
            Standing::Missing(line) => missing.push(format!("{}: no line {line:?}", one.what)),
        }
    }
    // A machine that begins again has its core ended as often again.
    let boots = if variant == stub::Variant::Reset {
        2
    } else {
        1
    };
    let deaths = scenario.core_ends() * boots;
    let healed = console.lines().filter(|line| is_healing(line)).count();
    if deaths > 0 {
        println!("  healed: {healed} cores took the place of another, of {deaths} that were ended");
    }
    if u32::try_from(healed) != Ok(deaths) {
        missing.push(format!(
            "{deaths} cores were to be ended, {healed} were replaced"
        ));
    }
    if !missing.is_empty() {
        bail!("the product does not work:\n  {}", missing.join("\n  "));
    }
    if scenario.expect.is_empty()
        && let Some(problem) = report.problem()
    {
        bail!("the product does not work: {problem}");
    }
    Ok(())
}

/// `dsb sy`.
const MEMORY_BARRIER: u32 = 0xd503_3f9f;

/// What is left for the next boot must be in the memory before the machine is reset. No emulator
/// shows that it is not: the instruction is looked for.
fn waits_for_memory(program: &Path) -> Result<()> {
    let bytes = std::fs::read(program)?;
    let file = object::File::parse(&*bytes)?;
    let text = file
        .sections()
        .filter(|one| one.kind() == object::SectionKind::Text);
    for section in text {
        let words = section.data()?.as_chunks::<4>().0.iter();
        let mut words = words.map(|word| u32::from_le_bytes(*word));
        if words.any(|word| word == MEMORY_BARRIER) {
            return Ok(());
        }
    }
    bail!(
        "{} does not wait for its memory before a reset",
        house::shown(program)
    )
}

/// Why the target is not taken for reached. Who is asked for by it must come up; what a product
/// shows of faults, it expects. The line that says so may be missing only where cores were ended,
/// one of them says that a line may be, and the scenario expects something that shows it otherwise.
fn unreached(report: &BootReport, scenario: &Scenario, console: &str) -> Option<&'static str> {
    match &report.end {
        Some(end) if end.reached => None,
        Some(_) => Some("its target was not reached"),
        None if scenario.core_ends() == 0 => Some("it does not say that its target was reached"),
        None if !console.contains(LINE_MISSING) => {
            Some("it does not say that its target was reached, and no line is missing")
        }
        None if scenario.expect.is_empty() => {
            Some("it does not say that its target was reached, and nothing else shows it")
        }
        None => None,
    }
}

/// What a keeper says when its core is replaced.
fn is_healing(line: &str) -> bool {
    line.starts_with("keeper: the core ") && line.contains("; another takes its place: ")
}

#[cfg(test)]
mod tests;
