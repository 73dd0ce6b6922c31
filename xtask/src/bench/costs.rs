//! This file is `cargo xtask bench --costs`: what a developer waits for, and what each ability that
//! a manifest can ask for adds to process 1, with the counts of the core's own work beside them.

use super::compare::BASELINE;
use super::document::number;
use super::machine::Machine;
use crate::{build, elf, house, process, setup};
use anyhow::{Context, Result};
use manifests::board::Board;
use qemu_tests::progress::say;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use toml::{Table, Value};

/// The document, beside the others.
pub const COSTS: &str = "benchmarks-costs.md";

/// On this board everything is measured.
const BOARD: &str = "virt-aarch64";

/// What abilities are added to.
const BASE: &str = "ten";

/// What is edited and booted.
const EDITED: &str = "minimal";

/// A boot of an emulated board, with a build before it, on a busy machine.
const RUN_LIMIT: Duration = Duration::from_secs(600);

const MOUNT: &str = "[mount.data]\nsource = \"/dev/vda1\"\nat = \"/data\"\ntype = \"ext4\"\n";

/// An ability in words, and what a manifest says to have it. A path to something that the image
/// lacks is no matter: only its size is looked at.
const ABILITIES: [(&str, &str); 18] = [
    (
        "readiness by a newline",
        "[service.idle]\nready = { on = \"newline\", fd = 3, within = \"10s\" }\n",
    ),
    (
        "readiness by a socket",
        "[service.idle]\nready = { on = \"listen\", tcp = 80, within = \"10s\" }\n",
    ),
    (
        "readiness by a path",
        "[service.idle]\nready = { on = \"path\", path = \"/run/x\", within = \"10s\" }\n",
    ),
    (
        "a program that stops a service",
        "[service.idle]\nstop-exec = [\"/bin/true\"]\n",
    ),
    (
        "units that are never up together",
        "[service.other]\nexec = [\"/bin/true\"]\nconflicts = [\"idle\"]\n",
    ),
    (
        "units that go with others",
        "[service.other]\nexec = [\"/bin/true\"]\nbinds-to = [\"idle\"]\n",
    ),
    (
        "a reboot after too many starts",
        "[service.idle]\nstart-limit = { count = 5, within = \"1min\", then = \"reboot\" }\n",
    ),
    ("a user of its own", "[service.idle]\nuser = 1\ngroup = 1\n"),
    (
        "resource limits",
        "[service.idle]\nlimits = { open-files = 64 }\n",
    ),
    (
        "an out-of-memory score",
        "[service.idle]\noom-score = -100\n",
    ),
    ("a directory made at boot", "[directory.\"/run/x\"]\n"),
    (
        "a link made at boot",
        "[symlink.\"/run/x\"]\ntarget = \"/run\"\n",
    ),
    ("a mount", MOUNT),
    (
        "a hardware watchdog",
        "[watchdog]\ndevice = \"/dev/watchdog0\"\n",
    ),
    (
        "steps when healing does not help",
        "[healing]\ndeaths = 20\nrecord = \"/run/deaths\"\n",
    ),
    ("the last events kept", "[healing]\nrecorder = \"16KiB\"\n"),
    ("hot upgrade", "[product]\nhot-upgrade = true\n"),
    (
        "a core of its own (split)",
        "[product]\ncomposition = \"split\"\n",
    ),
];

/// Measures and writes docs/benchmarks-costs.md.
///
/// # Errors
/// Something does not build or boot.
pub fn run() -> Result<()> {
    let board = house::board(BOARD)?;
    let clean = clean_build(&board)?;
    let edit = edit_to_guest()?;
    let abilities = abilities(&board)?;
    let counts = counts()?;
    let Machine {
        processor,
        processors,
        load,
        compiler,
        day,
        ..
    } = Machine::read();
    let text = format!(
        "# What a product costs, and a change of it\n\n\
         Written by `cargo xtask bench --costs` on {day}: change nothing here by hand. The \
         machine: {processors} processors ({processor}), load {load} when it ended; \
         {compiler}.\n\n\
         ## What a developer waits for\n\n\
         For {BOARD}, with all packages fetched before. Process 1 from nothing: core, HAL, tables \
         and the manifest compiler, dependencies included. A change of a manifest: until the board \
         has booted it under QEMU, was judged and powered off, by `cargo xtask run --product FILE \
         --once` when everything was built once.\n\n\
         | what | s |\n|---|---|\n\
         | process 1 from nothing | {:.1} |\n\
         | from a changed manifest to the end of its run | {:.1} |\n\n\
         ## What an ability adds to process 1\n\n\
         A product of ten services (`manifests/products/{BASE}.toml`) on {BOARD}, which has \
         healing and nothing of these; each alone is added to it. A file grows by steps of its \
         segments; the tables that say what is asked for are part of it.\n\n{abilities}\n\
         ## What the core's own work costs\n\n\
         Instructions of the core alone on the host's processor, counted by callgrind and stored \
         in `{BASELINE}`; CI holds each change against them (`cargo xtask bench --compare`). \
         `events 100 1000`: a thousand exits and starts among 100 services, and so on; kept: with \
         what survives process 1 written.\n\n{counts}",
        clean.as_secs_f64(),
        edit.as_secs_f64(),
    );
    let file = house::root().join("docs").join(COSTS);
    std::fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
    say(&format!("written: {}", house::shown(&file)));
    Ok(())
}

/// What was built already, put aside. Dropped, it is put back.
#[derive(Debug)]
struct Aside {
    place: PathBuf,
    kept: PathBuf,
}

impl Aside {
    fn put(place: PathBuf) -> Result<Self> {
        let kept = place.with_extension("aside");
        // A run that was killed put nothing back; what was built since is put aside now.
        if kept.exists() {
            std::fs::remove_dir_all(&kept)
                .with_context(|| format!("cannot remove {}", kept.display()))?;
        }
        if place.exists() {
            std::fs::rename(&place, &kept)
                .with_context(|| format!("cannot put {} aside", place.display()))?;
        }
        Ok(Self { place, kept })
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        if self.kept.exists() {
            // What cannot be put back is built again.
            let _ = std::fs::remove_dir_all(&self.place);
            let _ = std::fs::rename(&self.kept, &self.place);
        }
    }
}

fn firmware(board: &Board, product: &Path) -> Result<build::Firmware> {
    build::firmware(&build::Request {
        board,
        product,
        rootfs: None,
        features: &[],
        heals: true,
    })
}

fn clean_build(board: &Board) -> Result<Duration> {
    let objects = setup::toolchain(&board.triple, false)?.objects();
    let _aside = Aside::put(objects)?;
    let begin = Instant::now();
    firmware(board, &house::product(BASE)?)?;
    Ok(begin.elapsed())
}

/// A product's manifest with these keys besides.
fn overlay(base: &str, name: &str, keys: &str) -> Result<PathBuf> {
    let folder = house::target().join("bench/costs");
    std::fs::create_dir_all(&folder)?;
    let file = folder.join(format!("{name}.toml"));
    let base = house::product(base)?;
    let text = format!("include = [{:?}]\n\n{keys}", base.display());
    std::fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(file)
}

/// Twice the same way: what is built for the first time only is no part of the second.
fn edit_to_guest() -> Result<Duration> {
    let mut taken = Duration::ZERO;
    for name in ["one", "another"] {
        let keys = format!("[target.edited]\nwants = [\"{name}\"]\n\n[target.{name}]\n");
        let product = overlay(EDITED, "edited", &keys)?;
        let mut run = Command::new(std::env::current_exe()?);
        run.args(["run", "--once", "--board", BOARD, "--product"])
            .arg(product);
        let begin = Instant::now();
        process::run_within(&mut run, RUN_LIMIT)?;
        taken = begin.elapsed();
    }
    Ok(taken)
}

fn abilities(board: &Board) -> Result<String> {
    let measured = |product: &Path| -> Result<(u64, u64)> {
        let built = firmware(board, product)?;
        let data = std::fs::read(&built.symbols)?;
        let elf = object::File::parse(&*data).context("the linker wrote no ELF file")?;
        let file = std::fs::metadata(&built.file)?.len();
        Ok((elf::sizes(&elf).text, file))
    };
    let (text, file) = measured(&house::product(BASE)?)?;
    let mut table = format!(
        "| ability | code and tables, bytes | file, bytes |\n|---|---|---|\n| none | {} | {} |\n",
        number(text as f64),
        number(file as f64)
    );
    for (words, keys) in ABILITIES {
        let name = words.replace([' ', '(', ')'], "-");
        let (more_text, more_file) = measured(&overlay(BASE, &name, keys)?)?;
        let more = |now: u64, before: u64| number(now as f64 - before as f64);
        let (text, file) = (more(more_text, text), more(more_file, file));
        writeln!(table, "| {words} | +{text} | +{file} |")?;
    }
    Ok(table)
}

/// The stored counts as a table.
fn counts() -> Result<String> {
    let path = house::root().join(BASELINE);
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}", path.display()))?;
    let stored: Table = toml::from_str(&text).with_context(|| format!("in {BASELINE}"))?;
    let work = stored.get("work").and_then(Value::as_table);
    let mut table = "| work | instructions, or bytes |\n|---|---|\n".to_string();
    for (name, count) in work.context("no work is stored")? {
        let count = count.as_integer().context("a count is no number")?;
        writeln!(table, "| {name} | {} |", number(count as f64))?;
    }
    Ok(table)
}
