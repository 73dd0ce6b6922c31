//! This file reads `board/<composition>/<machine>/board.toml`, the data that describes one machine.
//!
//! It guarantees that a [`Board`] was checked as a whole; an error names the file, the line and
//! the column. It must never fetch, build or start anything.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;

/// Page sizes that Linux offers on the architectures of our boards, in bytes.
const PAGE_BYTES_MIN: u32 = 4096;
/// See [`PAGE_BYTES_MIN`].
const PAGE_BYTES_MAX: u32 = 65_536;

/// One machine, as its `board.toml` describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Board {
    /// The folder that holds `board.toml`.
    pub folder: PathBuf,
    /// Name of the board; always the name of its folder.
    pub name: String,
    /// Rust's target triple.
    pub triple: String,
    /// Debian's name of the architecture (`arm64`, `armhf`, `amd64`, ..).
    pub debian_arch: String,
    /// The release of Debian that brings the architecture, if this machine's own does not.
    pub debian_suite: Option<String>,
    /// Largest page size of the board's kernels, in bytes; segments are aligned to it.
    pub page_bytes: u32,
    /// Further compiler options that suit the machine's CPU.
    pub rustflags: Vec<String>,
    /// The console's device name below `/dev` (`ttyAMA0`).
    pub console: String,
    /// What the machine and its kernel can do; sorted, each once.
    pub capabilities: Vec<Capability>,
    /// Which kernel it boots.
    pub kernel: Kernel,
    /// How QEMU imitates it.
    pub qemu: Qemu,
    /// Where its root file system lies when it boots from a disk; `None`: from memory only.
    pub disk: Option<Disk>,
    /// What process 1 may cost on it.
    pub budget: Budget,
}

/// Something that a manifest may ask for and a machine may lack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Capability {
    /// The CPU can be stopped with the machine left on.
    Halt,
    /// The kernel can load another one and jump into it.
    Kexec,
    /// The kernel has a network stack.
    Network,
    /// The machine can be switched off by software.
    PowerOff,
    /// The machine can be restarted by software.
    Reboot,
    /// The kernel can swap.
    Swap,
    /// There is a hardware watchdog.
    Watchdog,
}

/// The kernel of a board.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Kernel {
    /// Debian packages that bring it; apt resolves metapackages.
    pub packages: Vec<String>,
    /// Kernel command line that every boot of this board needs.
    pub append: String,
}

/// The QEMU line of a board, without kernel, initramfs and kernel command line.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
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
    triple: Spanned<String>,
    debian_arch: String,
    debian_suite: Option<String>,
    page_size: Spanned<u32>,
    #[serde(default)]
    rustflags: Vec<String>,
    console: Spanned<String>,
    capabilities: Spanned<Vec<Capability>>,
    kernel: Spanned<Kernel>,
    qemu: Qemu,
    disk: Option<Disk>,
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
            triple: file.triple.into_inner(),
            debian_arch: file.debian_arch,
            debian_suite: file.debian_suite,
            page_bytes: file.page_size.into_inner(),
            rustflags: file.rustflags,
            console: file.console.into_inner(),
            capabilities,
            kernel: file.kernel.into_inner(),
            qemu: file.qemu,
            disk: file.disk,
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
            Self::Kexec => "kexec",
            Self::Network => "network",
            Self::PowerOff => "power-off",
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
    if !file.triple.get_ref().contains("-linux-") {
        let cause = "a board below board/linux needs a Linux target triple, \
                     such as aarch64-unknown-linux-musl";
        return Err(Problem::new(file.triple.span(), cause));
    }
    let page_bytes = *file.page_size.get_ref();
    if !page_bytes.is_power_of_two() || !(PAGE_BYTES_MIN..=PAGE_BYTES_MAX).contains(&page_bytes) {
        let cause =
            format!("page-size is a power of two from {PAGE_BYTES_MIN} to {PAGE_BYTES_MAX} bytes");
        return Err(Problem::new(file.page_size.span(), cause));
    }
    if file.console.get_ref().is_empty() || file.console.get_ref().contains('/') {
        let cause = "console is a device name without /dev/, such as ttyAMA0";
        return Err(Problem::new(file.console.span(), cause));
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
    if file.kernel.get_ref().packages.is_empty() {
        let cause = "kernel.packages is empty: name the Debian package that brings the kernel";
        return Err(Problem::new(file.kernel.span(), cause));
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
mod tests {
    use super::*;

    const GOOD: &str = r#"name = "toy"
triple = "aarch64-unknown-linux-musl"
debian-arch = "arm64"
page-size = 4096
console = "ttyAMA0"
capabilities = ["reboot", "power-off"]
[kernel]
packages = ["linux-image-cloud-arm64"]
append = "console=ttyAMA0"
[qemu]
program = "qemu-system-aarch64"
package = "qemu-system-arm"
args = ["-M", "virt"]
[budget]
file-kib = 72
"#;

    fn parse(text: &str) -> Result<Board, BoardError> {
        let folder = Path::new("board/linux/toy");
        Board::parse(folder, text).map_err(|problem| problem.locate("board.toml".into(), text))
    }

    #[test]
    fn every_board_of_the_house_is_read() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../board/linux");
        let boards = Board::load_all(&root).unwrap_or_else(|error| panic!("{error}"));
        let names: Vec<&str> = boards.iter().map(|board| board.name.as_str()).collect();
        for wanted in ["pc-x86_64", "virt-aarch64", "virt-armv7"] {
            assert!(names.contains(&wanted), "{wanted} is missing in {names:?}");
        }
        for board in &boards {
            let console = format!("console={}", board.console);
            assert!(
                board.kernel.append.contains(&console),
                "{}: no {console}",
                board.name
            );
            assert!(
                board.has(Capability::PowerOff),
                "{}: --once could not end",
                board.name
            );
        }
    }

    #[test]
    fn a_good_board_is_read_as_written() {
        let board = parse(GOOD).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(board.page_bytes, 4096);
        assert_eq!(
            board.capabilities,
            [Capability::PowerOff, Capability::Reboot]
        );
        assert_eq!(board.qemu.args, ["-M", "virt"]);
        assert_eq!(board.budget.file_kib, 72);
        assert_eq!(board.budget.text_kib, None);
    }

    #[test]
    fn a_bad_board_is_refused_with_its_place() {
        let cases = [
            (
                "name = \"toy\"",
                "name = \"pc\"",
                "board.toml:1:8",
                "name = \"toy\"",
            ),
            (
                "aarch64-unknown-linux-musl",
                "thumbv7m-none-eabi",
                ":2:10",
                "Linux target triple",
            ),
            ("4096", "5000", ":4:13", "power of two"),
            ("4096", "131072", ":4:13", "power of two"),
            ("page-size", "pagesize", ":4:1", "unknown field `pagesize`"),
            (
                "\"ttyAMA0\"\n",
                "\"/dev/ttyAMA0\"\n",
                ":5:11",
                "without /dev/",
            ),
            (
                "\"reboot\"",
                "\"rebot\"",
                ":6:17",
                "unknown variant `rebot`",
            ),
            (
                "\"reboot\"",
                "\"power-off\"",
                ":6:16",
                "\"power-off\" is listed twice",
            ),
            (
                "[\"linux-image-cloud-arm64\"]",
                "[]",
                ":7:1",
                "kernel.packages is empty",
            ),
            ("file-kib = 72", "", ":14:1", "missing field `file-kib`"),
            ("[qemu]", "[qemu", ":10:6", "unclosed table"),
        ];
        for (good, bad, place, cause) in cases {
            let text = GOOD.replacen(good, bad, 1);
            let error = parse(&text).expect_err(&text).to_string();
            assert!(error.contains(place), "wanted {place} in:\n{error}");
            assert!(error.contains(cause), "wanted {cause:?} in:\n{error}");
        }
    }

    #[test]
    fn an_error_underlines_its_source() {
        let error = parse(&GOOD.replacen("4096", "5000", 1)).expect_err("5000 is no page size");
        let wanted = "page-size is a power of two from 4096 to 65536 bytes\n \
                      --> board.toml:4:13\n  |\n4 | page-size = 5000\n  |             ^^^^";
        assert_eq!(error.to_string(), wanted);
    }

    #[test]
    fn a_missing_file_names_its_path() {
        let error = Board::load(Path::new("no/such/board")).expect_err("there is no such board");
        let error = error.to_string();
        assert!(error.contains("no/such/board/board.toml"), "{error}");
    }
}
