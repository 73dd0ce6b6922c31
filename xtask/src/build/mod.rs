//! This file builds process 1 of a product for a board and strips it.
//!
//! The program is static, not position independent and needs no libc. It is linked by lld with
//! nothing of the C start-up; the crates bring `_start`, and, where `core` comes compiled,
//! `rust_eh_personality` (ARM: `__aeabi_unwind_cpp_pr0` and `pr1`), which that `core` names and
//! never calls. The panic handler calls a symbol that nobody defines, so a panic that can be
//! reached does not link; [`firmware`] says so.

mod bare;
mod command;

pub use bare::{bare_core, core_process, library, root_task, services, stub_kernel};

use crate::setup::{self, Toolchain, Turn};
use crate::{elf, house, panics, process, returns};
use anyhow::{Context, Result, bail};
use command::{cargo, linked, objects};
use manifests::board::Board;
use qemu_tests::progress::say;
use sha2::{Digest, Sha256};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// What the panic handler calls, and nobody defines.
const PANIC_SYMBOL: &str = "a_panic_is_reachable";

/// The beginning of a warning, up to an empty line, about an option that a board chose on purpose.
const CHOSEN_WARNING: &str = "warning: unstable feature specified for `-Ctarget-feature`";

/// What to build.
#[derive(Debug)]
pub struct Request<'a> {
    /// For which machine.
    pub board: &'a Board,
    /// The product's manifest; absolute.
    pub product: &'a Path,
    /// The unpacked root file system against which programs and users are checked.
    pub rootfs: Option<&'a Path>,
    /// Cargo features of the board's crate.
    pub features: &'a [String],
    /// With its usual features, of which healing is one.
    pub heals: bool,
}

/// Process 1, built.
#[derive(Debug)]
pub struct Firmware {
    /// What the device runs.
    pub file: PathBuf,
    /// The same program with symbols, line tables, relocations and frame sizes.
    pub symbols: PathBuf,
}

/// Builds process 1, and returns the file that the device runs.
///
/// # Errors
/// No toolchain can be had, the manifest is refused, or the program does not compile or link.
pub fn firmware(request: &Request<'_>) -> Result<Firmware> {
    let toolchain = setup::toolchain(&request.board.triple, false)?;
    let product = house::stem(request.product);
    let board = &request.board.name;
    let _turn = turn(request, &toolchain)?;
    say(&format!("building process 1 of {product} for {board}"));
    compile("init", request, &toolchain)?;
    let file = device_file(request.board, request.product);
    let built = Firmware {
        symbols: file.with_extension("symbols"),
        file,
    };
    finish(&linked("init", request, &toolchain), request.board, &built)?;
    Ok(built)
}

/// Where [`firmware`] leaves the file that the device runs.
pub fn device_file(board: &Board, product: &Path) -> PathBuf {
    let boards = house::target().join("boards");
    boards
        .join(&board.name)
        .join(house::stem(product))
        .join("init")
}

/// The SHA-256 of a file, in hexadecimal digits.
///
/// # Errors
/// The file cannot be read.
pub fn sha256(file: &Path) -> Result<String> {
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(hex(&Sha256::digest(&bytes)))
}

/// Builds the program that goes over to `board`'s disk and executes process 1 from there.
///
/// # Errors
/// No toolchain can be had, or the program does not compile or link.
pub fn early(board: &Board) -> Result<PathBuf> {
    Ok(without_product("early", board)?.file)
}

/// Builds the init for one command.
///
/// # Errors
/// No toolchain can be had, or the program does not compile or link.
pub fn keeper(board: &Board) -> Result<Firmware> {
    without_product("keeper", board)
}

fn without_product(program: &str, board: &Board) -> Result<Firmware> {
    let toolchain = setup::toolchain(&board.triple, false)?;
    say(&format!("building {program} for {}", board.name));
    // The tables of a product are not part of it; any will do.
    let request = Request {
        board,
        product: &house::product("minimal")?,
        rootfs: None,
        features: &[],
        heals: true,
    };
    let _turn = turn(&request, &toolchain)?;
    compile(program, &request, &toolchain)?;
    let folder = house::target().join("boards").join(&board.name);
    let built = Firmware {
        file: folder.join(program),
        symbols: folder.join(format!("{program}.symbols")),
    };
    finish(&linked(program, &request, &toolchain), board, &built)?;
    Ok(built)
}

/// Until the linked program was copied, no other command builds another product there.
fn turn(request: &Request<'_>, toolchain: &Toolchain) -> Result<Turn> {
    setup::turn_in(&objects(request, toolchain), "build")
}

/// Puts the linked program where it is looked for, with symbols and without.
fn finish(linked: &Path, board: &Board, built: &Firmware) -> Result<()> {
    if let Some(folder) = built.file.parent() {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot make {}", folder.display()))?;
    }
    // Put in its place when it is whole: another command may run the one before.
    let new = built.file.with_extension("new");
    std::fs::copy(linked, &new).with_context(|| format!("cannot copy {}", linked.display()))?;
    std::fs::rename(&new, &built.symbols)?;
    let bytes = std::fs::read(linked)?;
    let program = object::File::parse(&*bytes).context("the linker wrote no ELF file")?;
    elf::check_pages(&program, board.page_bytes.into())
        .with_context(|| format!("{} does not run on {}", linked.display(), board.name))?;
    let bytes = elf::strip(bytes)?;
    std::fs::write(&new, &bytes)?;
    make_executable(&new)?;
    std::fs::rename(&new, &built.file)?;
    let name = house::shown(&built.file);
    say(&format!("  {name} ({} bytes)", bytes.len()));
    say(&format!("  sha256 {}", hex(&Sha256::digest(&bytes))));
    Ok(())
}

/// What the linker says of an address that an instruction does not reach.
const OUT_OF_RANGE: &str = "R_AARCH64_ADR_PREL_LO21 out of range";

fn compile(program: &str, request: &Request<'_>, toolchain: &Toolchain) -> Result<()> {
    let mut cargo = cargo("build", program, request, toolchain)?;
    let mut child = cargo
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot start cargo")?;
    let output = child.stderr.take().context("cargo has no output")?;
    let mut panics = false;
    let mut too_far = false;
    let mut chosen = false;
    for line in BufReader::new(output).lines() {
        let line = line?;
        panics |= line.contains(PANIC_SYMBOL);
        too_far |= line.contains(OUT_OF_RANGE);
        chosen |= line.starts_with(CHOSEN_WARNING);
        if !chosen && !line.contains(") generated 1 warning") {
            eprintln!("{line}");
        }
        chosen &= !line.is_empty();
    }
    let status = child.wait()?;
    if panics && !status.success() {
        let places = explain(program, request, toolchain)
            .unwrap_or_else(|error| vec![format!("the places cannot be found: {error:#}")]);
        bail!(
            "a panic can be reached, so process 1 of {} is not linked. Handle the case instead \
             (checked_.., .get(), a typed error):\n  {}",
            request.board.name,
            places.join("\n  ")
        );
    }
    if too_far && !status.success() {
        bail!(
            "process 1 for {0} is larger than its instructions reach. Take `-Ccode-model=tiny` out \
             of `rustflags` in board/linux/{0}/board.toml: the program gets larger by 2 %, and has \
             room for as many units as a manifest may have",
            request.board.name
        );
    }
    if !status.success() {
        bail!(
            "process 1 for {} was not built: see above",
            request.board.name
        );
    }
    check_returns(&linked(program, request, toolchain), request.board)
}

/// Sees to it that the compiler made no function that loses its way back.
fn check_returns(linked: &Path, board: &Board) -> Result<()> {
    let bytes =
        std::fs::read(linked).with_context(|| format!("cannot read {}", linked.display()))?;
    let program = object::File::parse(&*bytes).context("the linker wrote no ELF file")?;
    let lost = returns::lost(&program)
        .with_context(|| format!("cannot look at the code of {}", linked.display()))?;
    if !lost.is_empty() {
        bail!(
            "the compiler made functions of process 1 for {} that do not find back:\n  {}\nLeave \
             out what makes functions of what others have in common: for {} `SECOND_LOOK` in \
             xtask/src/build/command.rs, or what the board's `rustflags` say of the outliner",
            board.name,
            lost.join("\n  "),
            board.triple
        );
    }
    Ok(())
}

/// Links the program with its panics into a file that is only looked at, and finds them.
fn explain(program: &str, request: &Request<'_>, toolchain: &Toolchain) -> Result<Vec<String>> {
    let mut cargo = cargo("rustc", program, request, toolchain)?;
    cargo.args([
        "--quiet",
        "--",
        "-Clink-arg=--unresolved-symbols=ignore-all",
    ]);
    process::capture(&mut cargo)?;
    panics::places(&linked(program, request, toolchain))
}

/// Lets everybody execute a file.
///
/// # Errors
/// It is not ours.
pub fn make_executable(file: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o755))
        .with_context(|| format!("cannot make {} executable", file.display()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
