//! This file is what others call: build a product from a `build.rs`, check one, expand one.
//!
//! A build reads its request from the environment: `SYSMASTER_PRODUCT` (path of the manifest),
//! `SYSMASTER_BOARD` (a board of the house, or the folder of one) and `SYSMASTER_ROOTFS`. Without a
//! path it takes the `product.toml` beside the package's own `Cargo.toml`.

use crate::board::{Abi, Board};
use crate::compile::{Outcome, Request, compile};
use crate::{emit, unused};
use std::env;
use std::fmt;
use std::path::{Path, PathBuf};

/// What a build script is told, all optional.
const VARIABLES: [&str; 3] = ["SYSMASTER_PRODUCT", "SYSMASTER_BOARD", "SYSMASTER_ROOTFS"];

/// What the linker is told beside the board's page size and the script. Segments may share a page
/// of the file (`noseparate-code`); nothing in process 1 unwinds.
const LINK_ARGS: [&str; 6] = [
    "--gc-sections",
    // Functions of the same instructions are one; nobody asks whether two are.
    "--icf=all",
    "--build-id=none",
    "--no-eh-frame-hdr",
    "-znoseparate-code",
    // Constants lie in the code's mapping: a page less in memory.
    "--no-rosegment",
];

/// The same where the script lays everything out.
const BARE_LINK_ARGS: [&str; 3] = ["--gc-sections", "--build-id=none", "--no-eh-frame-hdr"];

/// The folders of boards, by composition.
const COMPOSITIONS: [&str; 2] = ["board/linux", "board/oh-tee"];

/// Where this package lies: the house's products and boards are found from here.
const HERE: &str = env!("CARGO_MANIFEST_DIR");

/// Why nothing could be compiled; `Display` is ready for the user's terminal.
#[derive(Debug)]
pub struct Failure(String);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

/// The folder that holds the house: its products and boards.
#[must_use]
pub fn house() -> PathBuf {
    let here = Path::new(HERE);
    here.parent().unwrap_or(here).to_path_buf()
}

/// Compiles the product that the environment names to `$OUT_DIR/manifest.rs`, and tells cargo how
/// the board's process 1 is linked; for a `build.rs`. On errors it prints them and ends the process
/// with exit code 1.
pub fn build() {
    for name in VARIABLES {
        println!("cargo:rerun-if-env-changed={name}");
    }
    end(try_build(None));
}

/// As [`build`], for a library that somebody else links: without `SYSMASTER_BOARD` and without what
/// a board is linked with.
pub fn build_library() {
    for name in VARIABLES {
        println!("cargo:rerun-if-env-changed={name}");
    }
    end(try_build(Some(Board::library())));
}

fn end(outcome: Result<(), Failure>) {
    if let Err(failure) = outcome {
        eprintln!("{failure}");
        std::process::exit(1);
    }
}

fn try_build(board: Option<Board>) -> Result<(), Failure> {
    let [product, name, rootfs] = VARIABLES.map(env::var_os);
    let board = match board {
        Some(board) => board,
        None => choose_board(
            name.as_deref()
                .map(|name| name.to_string_lossy())
                .as_deref(),
        )?,
    };
    println!("cargo:rerun-if-changed={}", board.folder.display());
    let usual = match board.abi {
        Abi::Linux => "products/minimal.toml",
        Abi::OhTee => "products/bare.toml",
        Abi::Library => "../board/c/demo/product.toml",
    };
    let product = product.map(PathBuf::from).or_else(own_product);
    let product = product.unwrap_or_else(|| Path::new(HERE).join(usual));
    link(&board);
    let rootfs = rootfs.map(PathBuf::from);
    let outcome = compile(&Request {
        product: &product,
        board: &board,
        rootfs: rootfs.as_deref(),
        base: &house(),
        check_only: false,
    });
    watch(&outcome, rootfs.as_deref());
    let said = outcome.render(false);
    let Some(product) = &outcome.product else {
        return Err(Failure(said));
    };
    for text in said.lines() {
        println!("cargo:warning={text}");
    }
    check_feature("split", "composition = \"split\"", product.split.is_some())?;
    let exchanges = product.split.is_some() && product.hot_upgrade;
    let key = "composition = \"split\" and hot-upgrade = true";
    check_feature("exchange", key, exchanges)?;
    let healing = product.healing.as_ref();
    let records = healing.is_some_and(|healing| healing.recorder.is_some());
    check_feature("recorder", "[healing] recorder", records)?;
    if let Some(name) = unused::missed(product, is_there) {
        return Err(Failure(format!(
            "the manifest uses what the feature `{name}` leaves out: build without it"
        )));
    }
    let folder = env::var("OUT_DIR").map_err(|_| {
        Failure(String::from(
            "OUT_DIR is not set: call manifests::build() from a build.rs",
        ))
    })?;
    let path = Path::new(&folder).join("manifest.rs");
    std::fs::write(&path, emit::emit(product))
        .map_err(|error| Failure(format!("cannot write {}: {error}", path.display())))
}

/// Whether the package is built with this feature.
fn is_there(name: &str) -> bool {
    let name = name.to_uppercase().replace('-', "_");
    env::var_os(format!("CARGO_FEATURE_{name}")).is_some()
}

/// What process 1 is compiled with is what the manifest wants, no more and no less.
fn check_feature(name: &str, key: &str, is_wanted: bool) -> Result<(), Failure> {
    match (is_wanted, is_there(name)) {
        (true, true) | (false, false) => Ok(()),
        (true, false) => Err(Failure(format!(
            "the manifest says {key}: build with `--features {name}`, which this package must \
             have as {name} = [\"hal-linux/{name}\"] (`cargo xtask build` does so)"
        ))),
        (false, true) => Err(Failure(format!(
            "the manifest does not say {key}: build without the feature `{name}`"
        ))),
    }
}

/// The manifest of the package that is built.
fn own_product() -> Option<PathBuf> {
    let package = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR")?);
    Some(package.join("product.toml")).filter(|path| path.is_file())
}

/// Tells cargo how programs for the board are linked. For another target than the board's, as when
/// the package is only looked at, they are linked as always there.
fn link(board: &Board) {
    if env::var("TARGET").ok().as_ref() != Some(&board.triple) {
        return;
    }
    let script = match board.abi {
        Abi::Linux => house().join("board/linux/firmware.ld"),
        Abi::OhTee => board.folder.join("link.x"),
        Abi::Library => return,
    };
    println!("cargo:rerun-if-changed={}", script.display());
    let args = match board.abi {
        Abi::Linux => &LINK_ARGS[..],
        Abi::OhTee | Abi::Library => &BARE_LINK_ARGS,
    };
    for arg in args {
        println!("cargo:rustc-link-arg-bins={arg}");
    }
    println!(
        "cargo:rustc-link-arg-bins=-zmax-page-size={}",
        board.page_bytes
    );
    println!("cargo:rustc-link-arg-bins=--script={}", script.display());
}

fn watch(outcome: &Outcome, rootfs: Option<&Path>) {
    for source in outcome.sources.iter() {
        println!("cargo:rerun-if-changed={}", source.path.display());
    }
    for input in outcome.inputs.iter().filter(|input| input.exists()) {
        println!("cargo:rerun-if-changed={}", input.display());
    }
    let programs = outcome.product.iter().flat_map(|product| &product.units);
    for unit in programs {
        for program in [&unit.start, &unit.stop] {
            if let (crate::model::Program::Exec(exec), Some(root)) = (program, rootfs)
                && let Some(path) = exec.arguments.first()
                && let Some(file) = crate::rootfs::Rootfs::new(root).find(path)
            {
                println!("cargo:rerun-if-changed={}", file.display());
            }
        }
    }
}

/// The board of that name or in that folder; without one, the first that fits `TARGET`.
///
/// # Errors
/// There is no such board, or it is bad.
pub fn choose_board(name: Option<&str>) -> Result<Board, Failure> {
    let fail = |error: crate::board::BoardError| Failure(error.to_string());
    if let Some(name) = name
        && name.contains('/')
    {
        return Board::load(Path::new(name)).map_err(fail);
    }
    let mut boards = Vec::new();
    for composition in COMPOSITIONS {
        let folder = house().join(composition);
        boards.extend(Board::load_all(&folder).map_err(fail)?);
    }
    let target = env::var("TARGET").unwrap_or_default();
    let architecture = |triple: &str| triple.split('-').next().unwrap_or_default().to_string();
    let found = match name {
        Some(name) => boards.iter().find(|board| board.name == name),
        None => boards
            .iter()
            .find(|board| board.triple == target)
            .or_else(|| {
                let fits = |board: &&Board| architecture(&board.triple) == architecture(&target);
                boards.iter().find(fits)
            })
            .or(boards.first()),
    };
    found.cloned().ok_or_else(|| {
        let names: Vec<_> = boards.iter().map(|board| board.name.as_str()).collect();
        let meant = crate::diagnostic::did_you_mean(name.unwrap_or_default(), names.clone());
        let advice = meant.unwrap_or_else(|| format!("choose one of {}", names.join(", ")));
        Failure(format!(
            "there is no board {:?}: {advice}",
            name.unwrap_or_default()
        ))
    })
}
