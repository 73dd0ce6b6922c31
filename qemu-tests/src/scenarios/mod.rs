//! This file runs black-box scenarios: real kernels, real products, judged from outside.
//!
//! A scenario boots a product, does something at its console and looks at what the guest shows.
//! Each image is built once; each scenario has its own boot, so none can spoil another's. All run
//! to the end, whatever fails.

mod disk;
mod escalating;
mod exchange;
mod gateway;
mod hostile;
mod impostors;
mod older;
mod small;
mod split;
mod watchdog;

use crate::image::{Image, Recipe};
use crate::machine::{Machine, Options};
use crate::progress::Step;
use crate::run::{Request, boot_loader, build_disk, build_image, nonce};
use crate::session::Session;
use anyhow::{Context, Result, bail};
use manifests::board::Board;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// From the start of QEMU to the end of the boot; see `run`.
const BOOT_WITHIN: Duration = Duration::from_secs(180);

/// From a request to power off or to reboot until QEMU has done so.
pub(crate) const DOWN_WITHIN: Duration = Duration::from_secs(60);

/// What scenarios need from the outside.
pub struct Bench<'a> {
    /// The boards to run on.
    pub boards: &'a [Board],
    /// Where downloads are kept.
    pub cache: &'a Path,
    /// Where images and console logs are written, one folder for each board and product.
    pub out: &'a Path,
    /// The manifest of a product, by its name.
    pub product: &'a dyn Fn(&str) -> Result<PathBuf>,
    /// What a product's root file system is made of.
    pub recipe: &'a dyn Fn(&Board, &Path) -> Result<Recipe>,
    /// Builds process 1, given the product's manifest and the folder of its root file system; the
    /// same with symbols lies beside it.
    pub build: &'a dyn Fn(&Board, &Path, &Path) -> Result<PathBuf>,
    /// Builds the program that goes over to a board's disk.
    pub early: &'a dyn Fn(&Board) -> Result<PathBuf>,
    /// Builds the keeper of one command.
    pub keeper: &'a dyn Fn(&Board) -> Result<PathBuf>,
    /// Builds the program that forgets sockets.
    pub forgets: &'a dyn Fn(&Board) -> Result<PathBuf>,
}

/// One scenario.
#[derive(Clone, Copy)]
pub(crate) struct Scenario {
    /// What it shows, a sentence.
    pub(crate) name: &'static str,
    /// Which product it boots.
    pub(crate) product: &'static str,
    /// Which boards it is for.
    pub(crate) boards: Boards,
    /// What boots it, and from where.
    pub(crate) start: Start,
    /// Another product whose process 1 lies beside its own, as `/images/image`; and, as
    /// `/images/spoilt`, the same but that it dies of what it finds.
    pub(crate) image: Option<&'static str>,
    /// Words added to the kernel command line.
    pub(crate) append: &'static [&'static str],
    /// Words added to QEMU's command line.
    pub(crate) arguments: &'static [&'static str],
    /// Whether a guest that reboots starts again.
    pub(crate) reboots: bool,
    /// What is done once QEMU runs.
    pub(crate) body: fn(&mut Guest) -> Result<()>,
}

impl Scenario {
    /// What most have in common: one board, from memory, nothing added, nothing done.
    const PLAIN: Self = Self {
        name: "",
        product: "",
        boards: Boards::One,
        start: Start::Memory,
        image: None,
        append: &[],
        arguments: &[],
        reboots: false,
        body: |_| Ok(()),
    };
}

/// What boots a product, and from where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Start {
    /// QEMU; the root file system is in memory.
    Memory,
    /// The same with the calls of an older kernel, and the keeper of one command beside it.
    Older,
    /// QEMU; the root file system is on the board's disk.
    Disk,
    /// The board's boot loader, which gets nothing but the disk.
    BootLoader,
}

/// Which boards a scenario is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Boards {
    /// Every board.
    All,
    /// Those whose packages are of the machine's own release of Debian.
    Native,
    /// The ARM boards among the native ones.
    Arm,
    /// The one whose processor has 32 bits.
    Short,
    /// PCs: a word tells their kernels which memory is kept over a reset.
    Pc,
    /// The one whose kernel's package brings the drivers of servers.
    Server,
    /// The one with Linux 5.10.
    Old,
    /// Boards whose disk a boot loader can boot.
    WithBootLoader,
    /// Where the architecture makes no difference: the default board only.
    One,
}

/// A booted product.
pub(crate) struct Guest {
    /// The machine.
    pub(crate) machine: Machine,
    /// The word of this boot.
    pub(crate) nonce: String,
}

impl Boards {
    fn has(self, board: &Board) -> bool {
        match self {
            Self::All => true,
            Self::Native => board.debian_suite.is_none(),
            Self::Arm => Self::Native.has(board) && board.debian_arch.starts_with("arm"),
            Self::Short => Self::Native.has(board) && board.debian_arch == "armhf",
            Self::Pc => Self::Native.has(board) && board.debian_arch == "amd64",
            Self::Server => board.name == "virt-aarch64-16k",
            Self::Old => board.name == "virt-aarch64-5.10",
            Self::WithBootLoader => {
                let disk = board.disk.as_ref();
                disk.is_some_and(|disk| disk.boot_loader.is_some())
            }
            Self::One => board.name == "virt-aarch64",
        }
    }
}

impl Guest {
    /// Waits until process 1 says how the boot ended; returns its line.
    pub(crate) fn booted(&mut self) -> Result<String> {
        let (_, line) = self.machine.wait_for(" reached after ", BOOT_WITHIN)?;
        Ok(line)
    }

    /// Waits for the end of the boot, which must have reached `target`, and opens a shell.
    pub(crate) fn up(&mut self, target: &str) -> Result<Session<'_>> {
        let line = self.booted()?;
        if !line.contains(&format!("boot: {target} reached after ")) {
            bail!(
                "the boot did not reach {target}: {line}\n{}",
                self.machine.tail()
            );
        }
        Session::open(&mut self.machine)
    }

    /// Waits until the kernel has cut the power after an orderly shutdown.
    pub(crate) fn powered_off(&mut self) -> Result<()> {
        self.machine.wait_for("reboot: Power down", DOWN_WITHIN)?;
        self.machine.wait_for_end(DOWN_WITHIN)
    }
}

/// Runs every scenario whose name contains `only` on every board of the bench it is for.
///
/// # Errors
/// At least one failed; what and why was printed, and how many.
pub fn run_all(bench: &Bench<'_>, only: Option<&str>) -> Result<()> {
    let mut images = BTreeMap::new();
    let (mut passed, mut failed) = (0_u32, 0_u32);
    let scenarios = gateway::SCENARIOS
        .iter()
        .chain(small::SCENARIOS)
        .chain(disk::SCENARIOS)
        .chain(escalating::SCENARIOS)
        .chain(exchange::SCENARIOS)
        .chain(hostile::SCENARIOS)
        .chain(impostors::SCENARIOS)
        .chain(older::SCENARIOS)
        .chain(split::SCENARIOS)
        .chain(watchdog::SCENARIOS);
    for board in bench.boards {
        let wanted = |scenario: &&Scenario| {
            scenario.boards.has(board) && only.is_none_or(|part| scenario.name.contains(part))
        };
        for scenario in scenarios.clone().filter(wanted) {
            let begun = Instant::now();
            let result = run_one(bench, board, scenario, &mut images);
            let seconds = begun.elapsed().as_secs_f64();
            match result {
                Ok(()) => {
                    passed += 1;
                    println!("ok      {}: {} ({seconds:.1} s)", board.name, scenario.name);
                }
                Err(error) => {
                    failed += 1;
                    println!("FAILED  {}: {}\n{error:#}", board.name, scenario.name);
                }
            }
        }
    }
    println!("scenarios: {passed} passed, {failed} failed");
    if passed + failed == 0 {
        bail!(
            "no scenario has this in its name: {}",
            only.unwrap_or_default()
        );
    }
    if failed > 0 {
        bail!("{failed} scenarios failed");
    }
    Ok(())
}

/// What was built for a product on a board, and how its kind of boot differs from the usual one.
struct Built {
    image: Image,
    options: Options,
}

/// Images built so far; a failed build is not tried again.
type Images = BTreeMap<Key, Result<Built, String>>;

/// Board, product, what lies beside it, and how it boots.
type Key = (String, &'static str, Option<&'static str>, Start);

fn run_one(
    bench: &Bench<'_>,
    board: &Board,
    scenario: &Scenario,
    images: &mut Images,
) -> Result<()> {
    let out = bench
        .out
        .join(format!("{}-{}", scenario.product, board.name));
    let key = (
        board.name.clone(),
        scenario.product,
        scenario.image,
        scenario.start,
    );
    let built = images.entry(key).or_insert_with(|| {
        let _step = Step::begin(format!("building {} for {}", scenario.product, board.name));
        build(bench, board, scenario, &out).map_err(|error| format!("{error:#}"))
    });
    let built = built
        .as_ref()
        .map_err(|text| anyhow::anyhow!("no image: {text}"))?;
    let nonce = nonce()?;
    let mut options = built.options.clone();
    options.append.push(format!("gateway.nonce={nonce}"));
    options
        .append
        .extend(scenario.append.iter().map(ToString::to_string));
    let arguments = scenario.arguments.iter().map(ToString::to_string);
    options.arguments.extend(arguments);
    options.reboots = scenario.reboots;
    let log = out.join(format!("{}.log", scenario.name.replace([' ', '/'], "-")));
    let machine = Machine::boot(board, &built.image, &options, &log)?;
    (scenario.body)(&mut Guest { machine, nonce })
}

fn build(bench: &Bench<'_>, board: &Board, scenario: &Scenario, out: &Path) -> Result<Built> {
    let product = (bench.product)(scenario.product)?;
    let recipe = (bench.recipe)(board, &product)
        .with_context(|| format!("reading {}", product.display()))?;
    let build = |rootfs: &Path| (bench.build)(board, &product, rootfs);
    let beside = |rootfs: &Path| {
        if scenario.start == Start::Older {
            let mut beside = vec![("usr/sbin/keeper", (bench.keeper)(board)?)];
            for (place, answer) in older::PROGRAMS {
                let file = out.join(place);
                std::fs::write(&file, older::program(answer))?;
                beside.push((place, file));
            }
            return Ok(beside);
        }
        let mut beside = Vec::new();
        if Boards::Old.has(board) {
            beside.push(("usr/bin/forgets", (bench.forgets)(board)?));
        }
        if let Some(image) = scenario.image {
            let image = (bench.build)(board, &(bench.product)(image)?, rootfs)?;
            let spoilt = out.join("spoilt");
            std::fs::write(&spoilt, exchange::spoilt(board, &image)?)?;
            beside.extend([("images/image", image), ("images/spoilt", spoilt)]);
        }
        Ok(beside)
    };
    let request = Request {
        board,
        product: &product,
        recipe,
        cache: bench.cache,
        out,
        build: &build,
        beside: &beside,
        early: &|| (bench.early)(board),
    };
    if matches!(scenario.start, Start::Memory | Start::Older) {
        let (image, options) = (build_image(&request)?, Options::default());
        return Ok(Built { image, options });
    }
    let bootable = build_disk(&request, 0)?;
    let boot_loader = match scenario.start {
        Start::BootLoader => Some(boot_loader(&request)?),
        Start::Disk | Start::Memory | Start::Older => None,
    };
    let options = Options {
        append: bootable.append,
        arguments: bootable.arguments,
        boot_loader,
        ..Options::default()
    };
    let image = bootable.image;
    Ok(Built { image, options })
}
