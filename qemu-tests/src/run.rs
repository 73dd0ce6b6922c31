//! This file is what `cargo xtask image` and `cargo xtask run` do once they know board and product.
//!
//! A run ends with success only if the kernel booted, the product's target was reached without a
//! failed unit, its services showed on the console that they work, and the machine powered off when
//! it was told to.

use crate::debian::Store;
use crate::expect::{self, Expectation, Standing};
use crate::image::{self, Bootable, Image, Recipe, Tree};
use crate::kernel::Kernel;
use crate::machine::{Machine, Options};
use crate::progress::{Step, say};
use crate::report::BootReport;
use crate::session::Session;
use anyhow::{Context, Result, bail};
use manifests::board::Board;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// From the start of QEMU to the end of the boot. An emulated ARM board takes three seconds on an
/// idle desk; the rest is for busy machines.
const BOOT_WITHIN: Duration = Duration::from_secs(180);

/// From the end of the boot until the services have shown that they work.
const SHOWN_WITHIN: Duration = Duration::from_secs(60);

/// From the request to the end of QEMU.
const POWER_OFF_WITHIN: Duration = Duration::from_secs(60);

/// Programs, each with its place in a root file system.
pub type Beside = Vec<(&'static str, PathBuf)>;

/// A product on a board.
pub struct Request<'a> {
    /// The board.
    pub board: &'a Board,
    /// The product's manifest.
    pub product: &'a Path,
    /// What its root file system is made of.
    pub recipe: Recipe,
    /// Where downloads are kept.
    pub cache: &'a Path,
    /// The folder that the image is written to.
    pub out: &'a Path,
    /// Builds process 1 for the product, given the folder of its root file system.
    pub build: &'a dyn Fn(&Path) -> Result<PathBuf>,
    /// Other programs that the root file system has: their places and files, given its folder.
    pub beside: &'a dyn Fn(&Path) -> Result<Beside>,
    /// Builds the program that goes over to the board's disk.
    pub early: &'a dyn Fn() -> Result<PathBuf>,
}

/// How a run goes on when the product is up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// Judge it and power off.
    Once,
    /// Judge it, then hand the console to the user, if there is one.
    HandOver,
    /// Hand the console to the user from the first line, judging nothing.
    Interactive,
}

/// Where the root file system lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Medium {
    /// In memory: the initramfs is the root.
    Memory,
    /// On the board's disk.
    Disk,
}

impl Request<'_> {
    fn name(&self) -> String {
        let product = self.product.with_extension("");
        let parts: Vec<_> = product.iter().rev().take(2).collect();
        let name = match parts.as_slice() {
            // A firmware package is known by its folder.
            [name, folder] if *name == "product" => folder,
            [name, ..] => name,
            [] => OsStr::new(""),
        };
        format!("{} on {}", name.display(), self.board.name)
    }
}

/// Builds the image: packages, kernel, root file system, process 1.
///
/// # Errors
/// Something cannot be fetched, built, read or written.
pub fn build_image(request: &Request<'_>) -> Result<Image> {
    Ok(assemble(request)?.2)
}

/// Builds the image, and a disk of at least `bytes_min` that boots the same product.
///
/// # Errors
/// As [`build_image`]; or the board has no disk.
pub fn build_disk(request: &Request<'_>, bytes_min: u64) -> Result<Bootable> {
    let (tree, kernel, _) = assemble(request)?;
    let early = (request.early)()?;
    image::write_disk(tree, &kernel, request.board, &early, request.out, bytes_min)
        .with_context(|| format!("the disk of {}", request.name()))
}

/// Fetches what boots the board's disk with nothing beside it.
///
/// # Errors
/// The board has none, or it cannot be fetched.
pub fn boot_loader(request: &Request<'_>) -> Result<PathBuf> {
    let disk = request.board.disk.as_ref();
    let loader = disk
        .and_then(|disk| disk.boot_loader.as_ref())
        .with_context(|| format!("{} has no boot loader", request.board.name))?;
    let store = Store::new(
        request.cache,
        &request.board.debian_arch,
        request.board.debian_suite.as_deref(),
    );
    let packages = store.packages(std::slice::from_ref(&loader.package))?;
    let mut files = packages
        .iter()
        .map(|package| package.folder.join(&loader.file));
    files
        .find(|file| file.is_file())
        .with_context(|| format!("{} brings no {}", loader.package, loader.file))
}

fn assemble(request: &Request<'_>) -> Result<(Tree, Kernel, Image)> {
    let store = Store::new(
        request.cache,
        &request.board.debian_arch,
        request.board.debian_suite.as_deref(),
    );
    let kernel = Kernel::fetch(&store, &request.board.kernel.packages)
        .with_context(|| format!("the kernel of {}", request.board.name))?;
    let mut tree = image::root_file_system(&request.recipe, &store, &kernel)
        .with_context(|| format!("the root file system of {}", request.name()))?;
    let folder = request.out.join("rootfs");
    tree.write_folder(&folder)?;
    let init = (request.build)(&folder)?;
    image::add_init(&mut tree, &init)?;
    for (place, file) in (request.beside)(&folder)? {
        tree.put_file(place, 0o755, &file)?;
    }
    let image = image::write(&tree, &kernel, request.board, request.out)?;
    Ok((tree, kernel, image))
}

/// Builds and boots the product, reports and judges it.
///
/// # Errors
/// The image cannot be built, the product does not work (with what is missing and the console's
/// last lines), or the machine does not power off.
pub fn run(request: &Request<'_>, manner: Manner, medium: Medium) -> Result<()> {
    let nonce = nonce()?;
    let expectations = expect::load(request.product, &nonce)?;
    let mut options = Options {
        append: vec![format!("gateway.nonce={nonce}")],
        ..Options::default()
    };
    let image = match medium {
        Medium::Memory => build_image(request)?,
        Medium::Disk => {
            let bootable = build_disk(request, 0)?;
            options.append.extend(bootable.append);
            options.arguments = bootable.arguments;
            bootable.image
        }
    };
    say(&format!("image of {}: {}", request.name(), image.summary));
    let log = request.out.join("console.log");
    let mut machine = Machine::boot(request.board, &image, &options, &log)?;
    if manner == Manner::Interactive {
        say(&format!("{}: leave with Ctrl-A X", request.name()));
        return machine.hand_over();
    }
    let step = Step::begin(format!(
        "booting {} (console: {})",
        request.name(),
        log.display()
    ));
    let watched = watch(&mut machine, &expectations);
    drop(step);
    let lines = machine.console().lines();
    let report = BootReport::read(lines.iter().map(|(_, line)| line.as_str()));
    println!("{report}");
    show(&expectations, &lines);
    watched?;
    if manner == Manner::HandOver && std::io::stdin().is_terminal() {
        say("The console is yours: press Enter. `poweroff` ends it, Ctrl-A X cuts the power.");
        return machine.hand_over();
    }
    power_off(&mut machine)
}

/// Watches the console until everything was shown, or it is clear that it will not be.
fn watch(machine: &mut Machine, expectations: &[Expectation]) -> Result<()> {
    machine
        .wait_for_any(&["] boot: "], BOOT_WITHIN)
        .context("the product did not boot")?;
    let deadline = Instant::now() + SHOWN_WITHIN;
    loop {
        let ended = machine.has_ended()?;
        let lines = machine.console().lines();
        let report = BootReport::read(lines.iter().map(|(_, line)| line.as_str()));
        let missing = missing(expectations, &lines);
        let problem = report.problem();
        if problem.is_none() && missing.is_empty() {
            return Ok(());
        }
        let failed = report.is_final() && problem.is_some();
        if failed || ended || Instant::now() >= deadline {
            let mut causes: Vec<String> = problem.into_iter().collect();
            causes.extend(missing);
            if ended {
                causes.push("the machine ended by itself".to_string());
            }
            bail!(
                "the product does not work: {}\n{}",
                causes.join("; "),
                machine.tail()
            );
        }
        machine.console().wait_for_more(Duration::from_millis(200));
    }
}

fn missing(expectations: &[Expectation], lines: &[(Duration, String)]) -> Vec<String> {
    let missing = expectations.iter().filter_map(|expectation| {
        let what = &expectation.what;
        match expectation.judge(lines) {
            Standing::Met(..) => None,
            Standing::Missing(line) => Some(format!("not shown that {what} (no line {line:?})")),
        }
    });
    missing.collect()
}

fn show(expectations: &[Expectation], lines: &[(Duration, String)]) {
    for expectation in expectations {
        match expectation.judge(lines) {
            Standing::Met(time, line) => {
                let seconds = time.as_secs_f64();
                println!(
                    "works: {}\n       at {seconds:.2} s: {}",
                    expectation.what,
                    line.trim()
                );
            }
            Standing::Missing(_) => {
                println!("NOT SHOWN: {}", expectation.what);
            }
        }
    }
}

/// Logs in on the console and asks for the power-off, as a user would.
fn power_off(machine: &mut Machine) -> Result<()> {
    let session = Session::open(machine).context("the power-off cannot be asked for")?;
    let asked = Instant::now();
    session.last_command("poweroff")?;
    machine
        .wait_for("reboot: Power down", POWER_OFF_WITHIN)
        .context("the machine does not power off")?;
    machine.wait_for_end(POWER_OFF_WITHIN)?;
    println!("powered off in {:.2} s", asked.elapsed().as_secs_f64());
    Ok(())
}

/// A word that no earlier boot has seen.
pub(crate) fn nonce() -> Result<String> {
    let mut bytes = [0_u8; 6];
    File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .context("reading /dev/urandom")?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
