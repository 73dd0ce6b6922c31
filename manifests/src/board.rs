//! This file reads `board/<composition>/<machine>/board.toml`, the data that describes one machine.
//!
//! It guarantees that a [`Board`] was checked as a whole; an error names the file, the line and
//! the column. It must never fetch, build or start anything.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::ram_disk::RamDisk;
use serde::Deserialize;
use toml::Spanned;

/// Page sizes that Linux offers on the architectures of our boards, in bytes.
pub(crate) const PAGE_BYTES_MIN: u32 = 4096;
/// See [`PAGE_BYTES_MIN`].
const PAGE_BYTES_MAX: u32 = 65_536;

/// One machine, as its `board.toml` describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Board {
    /// The folder that holds `board.toml`.
    pub folder: PathBuf,
    /// Name of the board; always the name of its folder.
    pub name: String,
    /// What its kernel offers to programs.
    pub abi: Abi,
    /// Rust's target triple.
    pub triple: String,
    /// Debian's name of the architecture (`arm64`, `armhf`, `amd64`, ..); empty without Linux.
    pub debian_arch: String,
    /// The release of Debian that brings the architecture, if this machine's own does not.
    pub debian_suite: Option<String>,
    /// Largest page size of the board's kernels, in bytes; segments are aligned to it.
    pub page_bytes: u32,
    /// Further compiler options that suit the machine's CPU.
    pub rustflags: Vec<String>,
    /// The console's device name below `/dev` (`ttyAMA0`); empty without Linux.
    pub console: String,
    /// What the machine and its kernel can do; sorted, each once.
    pub capabilities: Vec<Capability>,
    /// Which kernel it boots; no packages without Linux.
    pub kernel: Kernel,
    /// How QEMU imitates it.
    pub qemu: Qemu,
    /// Where its root file system lies when it boots from a disk; `None`: from memory only.
    pub disk: Option<Disk>,
    /// Where programs may lie that are not in the image; `None`: nowhere.
    pub ram_disk: Option<RamDisk>,
    /// What process 1 may cost on it.
    pub budget: Budget,
}

impl Board {
    /// Whatever a C main makes of it: nothing is asked of a machine, and nothing of Linux is there.
    #[must_use]
    pub fn library() -> Self {
        Self {
            folder: crate::house().join("board/c"),
            name: String::from("library"),
            abi: Abi::Library,
            triple: String::new(),
            debian_arch: String::new(),
            debian_suite: None,
            page_bytes: PAGE_BYTES_MIN,
            rustflags: Vec::new(),
            console: String::new(),
            capabilities: vec![
                Capability::Halt,
                Capability::Letters,
                Capability::PowerOff,
                Capability::Reboot,
            ],
            kernel: Kernel::default(),
            qemu: Qemu::default(),
            disk: None,
            ram_disk: None,
            budget: Budget::default(),
        }
    }
}

/// What a kernel offers to programs, and which composition runs on it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Abi {
    /// Linux's system calls: board/linux, hal-linux.
    #[default]
    Linux,
    /// The public ABI of OpenHarmony's own microkernel: board/oh-tee, hal-harmony.
    OhTee,
    /// None: the core is a library in an image with a C main, board/c.
    #[serde(skip)]
    Library,
}

/// Something that a manifest may ask for and a machine may lack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Capability {
    /// The CPU can be stopped with the machine left on.
    Halt,
    /// Programs lie in the image: there are no files.
    Images,
    /// The kernel can load another one and jump into it.
    Kexec,
    /// Services tell process 1 what they have to say by letters.
    Letters,
    /// The kernel has a network stack.
    Network,
    /// The machine can be switched off by software.
    PowerOff,
    /// Priorities are strict: who has more of it runs.
    Priorities,
    /// The machine can be restarted by software.
    Reboot,
    /// The kernel can swap.
    Swap,
    /// There is a hardware watchdog.
    Watchdog,
}

/// The kernel of a board.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Kernel {
    /// Debian packages that bring it; apt resolves metapackages.
    pub packages: Vec<String>,
    /// Kernel command line that every boot of this board needs.
    pub append: String,
}

/// The QEMU line of a board, without kernel, initramfs and kernel command line.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Qemu {
    /// Program name, looked up on `PATH`.
    pub program: String,
    /// Debian package that brings the program.
    pub package: String,
    /// Arguments that describe the machine.
    pub args: Vec<String>,
}

/// The disk, card or eMMC of a board, with one partition.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Disk {
    /// The partition's device as the kernel calls it, such as `/dev/mmcblk0p1`.
    pub root: String,
    /// Kernel modules that lead to it; what they need is added, what is built in is left out.
    pub modules: Vec<String>,
    /// How QEMU connects the drive whose id is `disk`.
    pub qemu_args: Vec<String>,
    /// A boot loader for the machine that QEMU imitates, which boots from the disk alone.
    pub boot_loader: Option<BootLoader>,
}

/// A boot loader of Debian's.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct BootLoader {
    /// Debian package that brings it.
    pub package: String,
    /// Its path in the package.
    pub file: String,
}

/// Upper limits for process 1 with its control tool; `None` is not judged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Budget {
    /// The stripped file.
    pub file_kib: u32,
    /// Code and constants.
    pub text_kib: Option<u32>,
    /// Initialised variables.
    pub data_kib: Option<u32>,
    /// Zeroed variables.
    pub bss_kib: Option<u32>,
    /// The stripped file of a process 1 that a fault of its own ends.
    pub without_healing_kib: Option<u32>,
    /// The stripped file of a process 1 that can be exchanged.
    pub with_upgrade_kib: Option<u32>,
    /// The stripped file of a process 1 with all that a product can use.
    pub full_kib: Option<u32>,
    /// The stripped file of a process 1 whose core is a process of its own.
    pub split_kib: Option<u32>,
    /// The stripped file of the keeper, the init for one command.
    pub keeper_kib: Option<u32>,
    /// The deepest stack that a walk through the program's calls finds.
    pub stack_kib: Option<u32>,
    /// Resident memory with ten services, the pages of its file included.
    pub resident_kib: Option<u32>,
    /// Anonymous and shared memory with ten services.
    pub anonymous_kib: Option<u32>,
    /// System calls for the start of one service, by process 1 and by the child up to its exec.
    pub calls_per_service: Option<u32>,
    /// Wake-ups in 30 seconds in which nothing happens.
    pub idle_wake_ups: Option<u32>,
}

/// The file as written; [`Board`] is what is left after the checks.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct File {
    name: Spanned<String>,
    #[serde(default)]
    abi: Abi,
    triple: Spanned<String>,
    debian_arch: Option<Spanned<String>>,
    debian_suite: Option<String>,
    page_size: Spanned<u32>,
    #[serde(default)]
    rustflags: Vec<String>,
    console: Option<Spanned<String>>,
    capabilities: Spanned<Vec<Capability>>,
    kernel: Option<Spanned<Kernel>>,
    qemu: Qemu,
    disk: Option<Disk>,
    ram_disk: Option<Spanned<RamDisk>>,
    budget: Budget,
}

impl Board {
    /// Reads and checks `folder/board.toml`.
    ///
    /// # Errors
    /// The file cannot be read, is not TOML, has an unknown or missing key, or describes a machine
    /// that cannot be (each with its place in the file).
    pub fn load(folder: &Path) -> Result<Self, BoardError> {
        let path = folder.join("board.toml");
        let text = std::fs::read_to_string(&path).map_err(|error| BoardError {
            path: path.clone(),
            place: None,
            cause: format!("cannot read it: {error}"),
        })?;
        Self::parse(folder, &text).map_err(|problem| problem.locate(path, &text))
    }

    /// Reads every board below `root` (`board/linux`), sorted by name.
    ///
    /// # Errors
    /// `root` cannot be listed, or the first bad board.
    pub fn load_all(root: &Path) -> Result<Vec<Self>, BoardError> {
        let unreadable = |error: std::io::Error| BoardError {
            path: root.to_path_buf(),
            place: None,
            cause: format!("cannot list the boards: {error}"),
        };
        let mut boards = Vec::new();
        for entry in std::fs::read_dir(root).map_err(unreadable)? {
            let folder = entry.map_err(unreadable)?.path();
            if folder.join("board.toml").is_file() {
                boards.push(Self::load(&folder)?);
            }
        }
        boards.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(boards)
    }

    fn parse(folder: &Path, text: &str) -> Result<Self, Problem> {
        let file: File = toml::from_str(text).map_err(|error| Problem {
            span: error.span().unwrap_or(0..0),
            cause: error.message().to_string(),
        })?;
        check(folder, &file)?;
        let mut capabilities = file.capabilities.into_inner();
        capabilities.sort();
        Ok(Self {
            folder: folder.to_path_buf(),
            name: file.name.into_inner(),
            abi: file.abi,
            triple: file.triple.into_inner(),
            debian_arch: inner(file.debian_arch),
            debian_suite: file.debian_suite,
            page_bytes: file.page_size.into_inner(),
            rustflags: file.rustflags,
            console: inner(file.console),
            capabilities,
            kernel: inner(file.kernel),
            qemu: file.qemu,
            disk: file.disk,
            ram_disk: file.ram_disk.map(Spanned::into_inner),
            budget: file.budget,
        })
    }

    /// Whether the machine offers `capability`.
    #[must_use]
    pub fn has(&self, capability: Capability) -> bool {
        self.capabilities.contains(&capability)
    }
}

impl Capability {
    /// The word in `board.toml` and in diagnostics.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Halt => "halt",
            Self::Images => "images",
            Self::Kexec => "kexec",
            Self::Letters => "letters",
            Self::Network => "network",
            Self::PowerOff => "power-off",
            Self::Priorities => "priorities",
            Self::Reboot => "reboot",
            Self::Swap => "swap",
            Self::Watchdog => "watchdog",
        }
    }
}

/// What no single key can tell.
fn check(folder: &Path, file: &File) -> Result<(), Problem> {
    let folder_name = folder
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    if folder_name.as_ref() != Some(file.name.get_ref()) {
        let cause = format!(
            "a board has the name of its folder: write name = {:?}",
            folder_name.unwrap_or_default()
        );
        return Err(Problem::new(file.name.span(), cause));
    }
    if let Some(disk) = &file.ram_disk {
        let fault = disk.get_ref().fault(file.abi);
        fault.map_or(Ok(()), |cause| Err(Problem::new(disk.span(), cause)))?;
    }
    match file.abi {
        Abi::Linux => check_linux(file)?,
        Abi::OhTee => check_oh_tee(file)?,
        // No file says so.
        Abi::Library => {}
    }
    let page_bytes = *file.page_size.get_ref();
    if !page_bytes.is_power_of_two() || !(PAGE_BYTES_MIN..=PAGE_BYTES_MAX).contains(&page_bytes) {
        let cause =
            format!("page-size is a power of two from {PAGE_BYTES_MIN} to {PAGE_BYTES_MAX} bytes");
        return Err(Problem::new(file.page_size.span(), cause));
    }
    let words = file.capabilities.get_ref();
    if let Some(twice) = words
        .iter()
        .enumerate()
        .find(|(i, word)| words[..*i].contains(word))
    {
        let cause = format!("{:?} is listed twice", twice.1.word());
        return Err(Problem::new(file.capabilities.span(), cause));
    }
    Ok(())
}

/// A key's value; that of a key which this kind of board has not.
fn inner<T: Default>(value: Option<Spanned<T>>) -> T {
    value.map(Spanned::into_inner).unwrap_or_default()
}

/// What a board with Linux must have.
fn check_linux(file: &File) -> Result<(), Problem> {
    let triple = &file.triple;
    if !triple.get_ref().contains("-linux-") {
        let cause = "a board below board/linux needs a Linux target triple, \
                     such as aarch64-unknown-linux-musl";
        return Err(Problem::new(triple.span(), cause));
    }
    let needs = |key: &str| Problem::new(file.name.span(), format!("missing field `{key}`"));
    if file.debian_arch.is_none() {
        return Err(needs("debian-arch"));
    }
    let console = file.console.as_ref().ok_or_else(|| needs("console"))?;
    if console.get_ref().is_empty() || console.get_ref().contains('/') {
        let cause = "console is a device name without /dev/, such as ttyAMA0";
        return Err(Problem::new(console.span(), cause));
    }
    let kernel = file.kernel.as_ref().ok_or_else(|| needs("kernel"))?;
    if kernel.get_ref().packages.is_empty() {
        let cause = "kernel.packages is empty: name the Debian package that brings the kernel";
        return Err(Problem::new(kernel.span(), cause));
    }
    Ok(())
}

/// What a board without Linux must not have, so that nothing is written in vain.
fn check_oh_tee(file: &File) -> Result<(), Problem> {
    if !file.triple.get_ref().starts_with("aarch64-unknown-none") {
        let cause = "an oh-tee kernel runs programs for aarch64-unknown-none";
        return Err(Problem::new(file.triple.span(), cause));
    }
    let page_bytes = &file.page_size;
    if *page_bytes.get_ref() != PAGE_BYTES_MIN {
        let cause = format!("an oh-tee kernel has pages of {PAGE_BYTES_MIN} bytes");
        return Err(Problem::new(page_bytes.span(), cause));
    }
    let spans = [
        ("debian-arch", file.debian_arch.as_ref().map(Spanned::span)),
        ("console", file.console.as_ref().map(Spanned::span)),
        ("kernel", file.kernel.as_ref().map(Spanned::span)),
    ];
    let written = spans.into_iter().find_map(|(key, span)| Some((key, span?)));
    if let Some((key, span)) = written {
        let cause = format!("`{key}` is for boards with Linux: this one has abi = \"oh-tee\"");
        return Err(Problem::new(span, cause));
    }
    Ok(())
}

/// A cause and where in the text it lies.
struct Problem {
    span: Range<usize>,
    cause: String,
}

impl Problem {
    fn new(span: Range<usize>, cause: impl Into<String>) -> Self {
        Self {
            span,
            cause: cause.into(),
        }
    }

    fn locate(self, path: PathBuf, text: &str) -> BoardError {
        let before = text.get(..self.span.start).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let source = text[line_start..].lines().next().unwrap_or_default();
        let column = before[line_start..].chars().count() + 1;
        let underlined = text
            .get(self.span.clone())
            .unwrap_or_default()
            .lines()
            .next();
        let place = Place {
            line: before.matches('\n').count() + 1,
            column,
            width: underlined.map_or(1, |part| part.chars().count().max(1)),
            source: source.to_string(),
        };
        BoardError {
            path,
            place: Some(place),
            cause: self.cause,
        }
    }
}

/// Why a board cannot be used; `Display` is ready for the user's terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoardError {
    path: PathBuf,
    place: Option<Place>,
    cause: String,
}

/// A stretch of one source line; line and column count from one.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    line: usize,
    column: usize,
    width: usize,
    source: String,
}

impl fmt::Display for BoardError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, place, cause } = self;
        writeln!(f, "{cause}")?;
        let Some(Place {
            line,
            column,
            width,
            source,
        }) = place
        else {
            return write!(f, " --> {}", path.display());
        };
        let margin = " ".repeat(line.to_string().len());
        let indent = " ".repeat(column - 1);
        let underline = "^".repeat(*width);
        writeln!(f, "{margin}--> {}:{line}:{column}", path.display())?;
        writeln!(f, "{margin} |")?;
        writeln!(f, "{line} | {source}")?;
        write!(f, "{margin} | {indent}{underline}")
    }
}

impl std::error::Error for BoardError {}

#[cfg(test)]
mod tests;
