//! This file builds process 1 of a product for a board and strips it.
//!
//! The program is static, not position independent and needs no libc. It is linked by lld with
//! nothing of the C start-up; the crates bring `_start`, and, where `core` comes compiled,
//! `rust_eh_personality` (ARM: `__aeabi_unwind_cpp_pr0` and `pr1`), which that `core` names and
//! never calls. The panic handler calls a symbol that nobody defines, so a panic that can be
//! reached does not link; [`firmware`] says so.

use crate::setup::{self, Core, Toolchain, Turn};
use crate::{house, panics, process};
use anyhow::{Context, Result, bail};
use manifests::board::{Abi, Board};
use qemu_tests::progress::say;
use sha2::{Digest, Sha256};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// What the panic handler calls, and nobody defines.
const PANIC_SYMBOL: &str = "a_panic_is_reachable";

/// The stub kernel is small; with it the library `alloc` may have to be compiled.
const STUB_LIMIT: Duration = Duration::from_secs(10 * 60);

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
    finish(&linked("init", request, &toolchain), &built)?;
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

/// Builds the root task of a product, or another program of a board without Linux; the file with
/// symbols, as it is linked.
///
/// # Errors
/// No toolchain can be had, the manifest is refused, or the program does not compile or link.
pub fn root_task(program: &str, request: &Request<'_>) -> Result<PathBuf> {
    let toolchain = setup::toolchain(&request.board.triple, false)?;
    let product = house::stem(request.product);
    let board = &request.board.name;
    say(&format!("building {program} of {product} for {board}"));
    compile(program, request, &toolchain)?;
    Ok(linked(program, request, &toolchain))
}

/// The program of a split product's core, which its root task carries.
const CORE_PROGRAM: &str = "core-process";

/// Builds the core of a split product where the root task finds it; the file with symbols.
///
/// # Errors
/// As [`root_task`].
pub fn core_process(request: &Request<'_>) -> Result<PathBuf> {
    let linked = root_task(CORE_PROGRAM, request)?;
    let toolchain = setup::toolchain(&request.board.triple, false)?;
    let bytes = std::fs::read(&linked)
        .with_context(|| format!("cannot read {}", linked.display()))
        .and_then(crate::elf::strip)?;
    let file = core_file(request, &toolchain);
    // What includes it is not built again for the same bytes.
    if std::fs::read(&file).ok().as_ref() != Some(&bytes) {
        std::fs::write(&file, bytes).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(linked)
}

/// Where that program lies, without its symbols: each product has its own, so that no root task
/// carries the core of another.
fn core_file(request: &Request<'_>, toolchain: &Toolchain) -> PathBuf {
    let name = format!("{CORE_PROGRAM}.{}", house::stem(request.product));
    linked(&name, request, toolchain).with_extension("stripped")
}

/// Builds the programs of a product's services, which are the bins of the package in `folder`, into
/// the folder `out`, stripped.
///
/// # Errors
/// No toolchain can be had, or one does not compile.
pub fn services(board: &Board, folder: &Path, out: &Path) -> Result<()> {
    let toolchain = setup::toolchain(&board.triple, false)?;
    let package = house::stem(folder);
    say(&format!("building the services of {package}"));
    let mut cargo = toolchain.cargo();
    cargo
        .args(["build", "--quiet", "--package", &package])
        .args(["--profile", "firmware", "--target", &toolchain.triple])
        .arg("--target-dir")
        .arg(toolchain.objects().join("services"))
        .env(
            "CARGO_ENCODED_RUSTFLAGS",
            service_flags(&toolchain).join("\u{1f}"),
        )
        .env("RUSTC_BOOTSTRAP", "1");
    bare_core(&mut cargo, &toolchain, "core");
    process::run_shown(&mut cargo, STUB_LIMIT)?;
    std::fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
    let built = toolchain.objects().join("services").join(&toolchain.triple);
    let sources = folder.join("src/bin");
    let sources = std::fs::read_dir(&sources)
        .with_context(|| format!("cannot list {}", sources.display()))?;
    for source in sources {
        let name = house::stem(&source?.path());
        let file = built.join("firmware").join(&name);
        let bytes =
            std::fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        std::fs::write(out.join(name), crate::elf::strip(bytes)?)?;
    }
    Ok(())
}

/// How a service is linked: for fixed addresses, its segments in pages.
fn service_flags(toolchain: &Toolchain) -> Vec<String> {
    vec![
        format!("-Clinker={}", toolchain.linker.display()),
        "-Clinker-flavor=ld.lld".to_string(),
        "-Crelocation-model=static".to_string(),
        "-Clink-arg=-zmax-page-size=4096".to_string(),
    ]
}

/// Where the target's core does not come compiled, builds these libraries; `memcpy` and its like
/// are nobody else's where there is no libc.
pub fn bare_core(cargo: &mut Command, toolchain: &Toolchain, libraries: &str) {
    if toolchain.core == Core::FromSource {
        cargo.arg(format!("-Zbuild-std={libraries}"));
        cargo.arg("-Zbuild-std-features=compiler-builtins-mem");
    }
}

/// Builds the stub kernel for `board`'s processor; the library that a root image is linked with.
///
/// # Errors
/// No toolchain can be had, or it does not compile.
pub fn stub_kernel(board: &Board) -> Result<(PathBuf, Toolchain)> {
    let toolchain = setup::toolchain(&board.triple, false)?;
    say("building the stub kernel");
    let mut cargo = toolchain.cargo();
    cargo
        .args([
            "build",
            "--quiet",
            "--package",
            "stub-kernel",
            "--profile",
            "firmware",
        ])
        .args(["--target", &toolchain.triple])
        .arg("--target-dir")
        .arg(toolchain.objects())
        .env("RUSTC_BOOTSTRAP", "1");
    bare_core(&mut cargo, &toolchain, "core,alloc");
    process::run_shown(&mut cargo, STUB_LIMIT)?;
    let folder = toolchain.objects().join(&toolchain.triple);
    Ok((folder.join("firmware/libstub_kernel.a"), toolchain))
}

/// Builds the core as a static library with the tables of `product`, for `board`'s processor
/// without an operating system, or, by the same compiler, for the machine that this runs on.
///
/// # Errors
/// No toolchain can be had, the manifest is refused, or it does not compile.
pub fn library(board: &Board, is_for_host: bool, product: &Path) -> Result<(PathBuf, Toolchain)> {
    let toolchain = setup::toolchain(&board.triple, false)?;
    let triple = if is_for_host {
        format!("{}-unknown-linux-gnu", std::env::consts::ARCH)
    } else {
        toolchain.triple.clone()
    };
    let mut cargo = toolchain.cargo();
    cargo
        .args(["build", "--quiet", "--package", "board-c"])
        .args(["--profile", "firmware", "--target", &triple])
        .arg("--target-dir")
        .arg(toolchain.objects())
        .env("RUSTC_BOOTSTRAP", "1")
        .env("SYSMASTER_PRODUCT", product);
    if !is_for_host {
        bare_core(&mut cargo, &toolchain, "core");
    }
    process::run_shown(&mut cargo, STUB_LIMIT)?;
    let folder = toolchain.objects().join(triple);
    Ok((folder.join("firmware/libsysmaster.a"), toolchain))
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
    finish(&linked(program, &request, &toolchain), &built)?;
    Ok(built)
}

/// Until the linked program was copied, no other command builds another product there.
fn turn(request: &Request<'_>, toolchain: &Toolchain) -> Result<Turn> {
    setup::turn_in(&objects(request, toolchain), "build")
}

/// Puts the linked program where it is looked for, with symbols and without.
fn finish(linked: &Path, built: &Firmware) -> Result<()> {
    if let Some(folder) = built.file.parent() {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot make {}", folder.display()))?;
    }
    std::fs::copy(linked, &built.symbols)
        .with_context(|| format!("cannot copy {}", linked.display()))?;
    let bytes = crate::elf::strip(std::fs::read(linked)?)?;
    std::fs::write(&built.file, &bytes)?;
    make_executable(&built.file)?;
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

fn linked(program: &str, request: &Request<'_>, toolchain: &Toolchain) -> PathBuf {
    let folder = objects(request, toolchain).join(&toolchain.triple);
    let profile = match house::project(request.product) {
        Some(_) => "release",
        None => "firmware",
    };
    folder.join(profile).join(program)
}

/// Where cargo puts what it makes. A firmware of its own gets a folder of its own: its versions of
/// other people's crates need not be ours.
fn objects(request: &Request<'_>, toolchain: &Toolchain) -> PathBuf {
    let ours = toolchain.objects();
    match house::project(request.product) {
        Some(_) => ours.join(house::stem(request.product)),
        None => ours,
    }
}

/// The composition that runs on the board.
fn package(board: &Board) -> &'static str {
    match board.abi {
        Abi::Linux => "board-linux",
        Abi::OhTee => "board-oh-tee",
        Abi::Library => "board-c",
    }
}

fn cargo(
    verb: &str,
    program: &str,
    request: &Request<'_>,
    toolchain: &Toolchain,
) -> Result<Command> {
    let mut cargo = toolchain.cargo();
    cargo.arg(verb);
    match house::project(request.product) {
        // What the project's own `cargo build --release` makes, before it is stripped.
        Some(folder) => cargo
            .arg("--release")
            .current_dir(folder)
            .env("CARGO_PROFILE_RELEASE_STRIP", "none")
            .env("CARGO_PROFILE_RELEASE_DEBUG", "line-tables-only"),
        None => cargo.args(["--package", package(request.board), "--profile", "firmware"]),
    };
    cargo
        .args(["--bin", program, "--target", &toolchain.triple])
        .arg("--target-dir")
        .arg(objects(request, toolchain))
        .env(
            "CARGO_ENCODED_RUSTFLAGS",
            rustflags(request.board, toolchain).join("\u{1f}"),
        )
        // Frame sizes are recorded by an option that stable compilers hide.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("SYSMASTER_PRODUCT", request.product)
        .env("SYSMASTER_BOARD", &request.board.folder)
        .env_remove("SYSMASTER_ROOTFS")
        .stdin(Stdio::null());
    if let Some(rootfs) = request.rootfs {
        cargo.env("SYSMASTER_ROOTFS", rootfs);
    }
    let own = crate::product::features(request.product, request.board)?;
    if let (false, Some(name)) = (request.heals, own.first()) {
        let product = house::shown(request.product);
        bail!("{product} asks for `{name}`, which needs healing: there is none without it");
    }
    let mut features = request.features.to_vec();
    features.extend(own);
    if request.board.abi == Abi::OhTee && features.iter().any(|name| name == "split") {
        cargo.env("SYSMASTER_CORE", core_file(request, toolchain));
    }
    if !features.is_empty() {
        cargo.arg("--features").arg(features.join(","));
    }
    if !request.heals {
        cargo.arg("--no-default-features");
    }
    match request.board.abi {
        Abi::OhTee => bare_core(&mut cargo, toolchain, "core"),
        Abi::Linux if toolchain.core == Core::FromSource => {
            cargo.arg("-Zbuild-std=core");
        }
        Abi::Linux | Abi::Library => {}
    }
    Ok(cargo)
}

/// How every board's process 1 is compiled and linked.
fn rustflags(board: &Board, toolchain: &Toolchain) -> Vec<String> {
    let mut flags = vec![
        format!("-Clinker={}", toolchain.linker.display()),
        "-Clinker-flavor=ld.lld".to_string(),
        "-Crelocation-model=static".to_string(),
        "-Crelro-level=off".to_string(),
        "-Cforce-unwind-tables=no".to_string(),
        "-Zemit-stack-sizes".to_string(),
        // Blocks are laid out, and small choices made without a branch, for size; on machines
        // where the compiler makes functions of what code has in common, it looks twice.
        "-Cllvm-args=-apply-ext-tsp-for-size".to_string(),
        "-Cllvm-args=-two-entry-phi-node-folding-threshold=2".to_string(),
        "-Cllvm-args=-machine-outliner-reruns=1".to_string(),
        // A few instructions more than those of a call are still better put in its place; and what
        // is put in another order in the end is not found to be the same any more.
        "-Cllvm-args=-inline-threshold=12".to_string(),
        "-Cllvm-args=-enable-post-misched=0".to_string(),
    ];
    if board.abi == Abi::Linux {
        flags.push("-Clink-self-contained=no".to_string());
    }
    flags.extend(board.rustflags.iter().cloned());
    // Calls stay visible in the file that is looked at. What each link needs, `manifests::build`
    // says.
    flags.push("-Clink-arg=--emit-relocs".to_string());
    flags
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
