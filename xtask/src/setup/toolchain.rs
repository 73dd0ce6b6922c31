//! This file chooses the toolchain that builds firmware for a target.
//!
//! In this order: the Rust that runs us, where it has the target's `core`; the same after
//! `rustup target add`; Debian's `rustc-web`, which builds `core` from its source package. The
//! choice is said once; a failed `rustup target add` is remembered below `target/setup`, so that
//! later commands neither wait nor need a network.

use super::debian::{self, Tool};
use crate::{house, process};
use anyhow::{Context, Result, bail};
use qemu_tests::progress::say;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// A target's `core` is a download of 30 to 40 MiB; slower than this, Debian's packages are tried.
const RUSTUP_LIMIT: Duration = Duration::from_secs(240);

/// Debian's compiler, its cargo and the source of `core`: one version of each.
const DEBIAN_PACKAGES: [&str; 3] = ["rustc-web", "cargo-web", "rust-web-src"];

/// What builds firmware for one target.
#[derive(Debug, Clone)]
pub struct Toolchain {
    /// The target triple.
    pub triple: String,
    /// Its compiler.
    pub rustc: PathBuf,
    /// Its cargo, itself and no proxy.
    pub cargo: PathBuf,
    /// A linker that speaks ld.lld's options.
    pub linker: PathBuf,
    /// Where `core` comes from.
    pub core: Core,
}

/// Where `core` comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Core {
    /// It came with the toolchain, compiled.
    Prebuilt,
    /// Cargo compiles it from the source package.
    FromSource,
}

impl Toolchain {
    /// The folder for what it builds: two toolchains that share one undo each other's work.
    pub fn objects(&self) -> PathBuf {
        let name = match self.core {
            Core::Prebuilt => "prebuilt-core",
            Core::FromSource => "core-from-source",
        };
        house::target().join("firmware").join(name)
    }

    /// `cargo` with exactly this toolchain, whatever the caller's environment says.
    pub fn cargo(&self) -> Command {
        let mut command = Command::new(&self.cargo);
        without_foreign(&mut command);
        command.env("RUSTC", &self.rustc).current_dir(house::root());
        command
    }
}

/// Takes out of a command's environment what rustup's proxy and `cargo run` set for *their*
/// toolchain, or a user for other builds; each would change what is built here.
pub fn without_foreign(command: &mut Command) {
    let foreign = [
        "RUSTC",
        "RUSTUP_TOOLCHAIN",
        "LD_LIBRARY_PATH",
        "CARGO",
        "RUSTDOC",
        "RUSTFLAGS",
        "CARGO_BUILD_RUSTFLAGS",
        "CARGO_BUILD_TARGET",
        "CARGO_TARGET_DIR",
        "CARGO_BUILD_BUILD_DIR",
        "RUSTC_WRAPPER",
        "RUSTC_WORKSPACE_WRAPPER",
    ];
    for name in foreign {
        command.env_remove(name);
    }
}

/// The toolchain for `triple`, installed where none is there. `again`: forget earlier failures.
///
/// # Errors
/// Neither rustup nor Debian's packages can bring one.
pub fn toolchain(triple: &str, again: bool) -> Result<Toolchain> {
    let host = Host::find()?;
    if host.has_core(triple) {
        return host.toolchain(triple);
    }
    let turn = super::turn()?;
    match host.add_target(triple, again) {
        Ok(()) => return host.toolchain(triple),
        Err(error) => say(&format!("toolchain: rustup cannot help: {error:#}")),
    }
    drop(turn);
    debian_toolchain(triple, &host)
}

/// The Rust that runs us.
struct Host {
    rustc: PathBuf,
    cargo: PathBuf,
    sysroot: PathBuf,
    triple: String,
    release: String,
}

impl Host {
    fn find() -> Result<Self> {
        let rustc = std::env::var_os("RUSTC").map_or_else(|| PathBuf::from("rustc"), PathBuf::from);
        let sysroot = process::capture(Command::new(&rustc).args(["--print", "sysroot"]))
            .context("no rustc answers: install Rust and try again")?;
        let sysroot = PathBuf::from(sysroot.trim());
        let version = process::capture(Command::new(&rustc).arg("-vV"))?;
        let field = |name: &str| {
            let line = version.lines().find_map(|line| line.strip_prefix(name));
            line.map(|text| text.trim().to_string())
                .with_context(|| format!("rustc -vV has no line {name:?}"))
        };
        let own = |program: &str| Some(sysroot.join("bin").join(program)).filter(|f| f.is_file());
        Ok(Self {
            rustc: own("rustc").unwrap_or(rustc),
            cargo: own("cargo").unwrap_or_else(|| PathBuf::from("cargo")),
            triple: field("host:")?,
            release: field("release:")?,
            sysroot,
        })
    }

    fn rustlib(&self, triple: &str) -> PathBuf {
        self.sysroot.join("lib/rustlib").join(triple)
    }

    fn has_core(&self, triple: &str) -> bool {
        let files = std::fs::read_dir(self.rustlib(triple).join("lib"));
        files.is_ok_and(|files| {
            files
                .flatten()
                .any(|file| file.file_name().to_string_lossy().starts_with("libcore-"))
        })
    }

    fn toolchain(&self, triple: &str) -> Result<Toolchain> {
        say(&format!(
            "toolchain: rustc {} with its own core for {triple}",
            self.release
        ));
        Ok(Toolchain {
            triple: triple.to_string(),
            rustc: self.rustc.clone(),
            cargo: self.cargo.clone(),
            linker: self.linker()?,
            core: Core::Prebuilt,
        })
    }

    /// rustup's `rust-lld`, else any `ld.lld`, else Debian's.
    fn linker(&self) -> Result<PathBuf> {
        let own = self.rustlib(&self.triple).join("bin/rust-lld");
        if own.is_file() {
            return Ok(own);
        }
        let why = "links programs for every board".to_string();
        debian::ensure(&[Tool {
            program: Some("ld.lld".into()),
            package: "lld".into(),
            why,
        }])?;
        process::find("ld.lld").context("lld is installed, but there is no ld.lld on PATH")
    }

    fn add_target(&self, triple: &str, again: bool) -> Result<()> {
        if process::find("rustup").is_none() {
            bail!("it is not installed");
        }
        let memo = house::target()
            .join("setup")
            .join(format!("rustup-{triple}.failed"));
        if again {
            // Absent is what it should be.
            let _ = std::fs::remove_file(&memo);
        }
        if memo.is_file() {
            bail!("`rustup target add {triple}` failed earlier (`cargo xtask setup` tries again)");
        }
        say(&format!(
            "set-up: rustup target add {triple}: it is the core library of the board"
        ));
        let mut rustup = Command::new("rustup");
        rustup.args(["target", "add", triple]);
        let added = process::run_within(&mut rustup, RUSTUP_LIMIT);
        if let Err(error) = &added {
            std::fs::write(&memo, format!("{error:#}\n"))?;
        } else if !self.has_core(triple) {
            bail!(
                "rustup added the target to another toolchain than {}",
                self.sysroot.display()
            );
        }
        added
    }
}

fn debian_toolchain(triple: &str, host: &Host) -> Result<Toolchain> {
    let tools = DEBIAN_PACKAGES.map(|package| Tool {
        program: None,
        package: package.to_string(),
        why: format!("builds firmware for {triple}"),
    });
    debian::ensure(&tools)
        .with_context(|| format!("no toolchain for {triple}: neither rustup nor Debian has one"))?;
    let rustc = debian::file_of("rustc-web", "/usr/bin/rustc")?;
    let version = process::capture(Command::new(&rustc).arg("--version"))?;
    let release = version
        .split_whitespace()
        .nth(1)
        .unwrap_or("of unknown version");
    say(&format!(
        "toolchain: Debian's rustc {release}, which builds core for {triple}"
    ));
    Ok(Toolchain {
        triple: triple.to_string(),
        cargo: debian::file_of("cargo-web", "/usr/bin/cargo")?,
        rustc,
        linker: host.linker()?,
        core: Core::FromSource,
    })
}
