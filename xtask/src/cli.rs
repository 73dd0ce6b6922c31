//! This file says what can be typed after `cargo xtask`.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// The tasks of the house. Each sets up what it needs, once, and says so.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub task: Task,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Task {
    /// Boot a product in a virtual machine, show that its services work, hand its console over
    Run(Run),
    /// Write what a machine boots: kernel, initial root file system, and a disk for card or eMMC
    Image(Image),
    /// Check a manifest without building it
    Check(Check),
    /// Draw a product's dependency graph
    Graph(Graph),
    /// Install what builds and boots a board, without building anything
    Setup(Target),
    /// Build process 1 of a product for a board
    Build(Choice),
    /// Print what process 1 costs on each board, and fail over the board's budget
    Size(Size),
    /// Boot ten services and print what process 1 costs while it runs; fail over budget
    Budget(Measure),
    /// Write what `size` and `budget` measured into the README
    Figures(Figures),
    /// Feed damaged input to everything that reads what others wrote
    Fuzz(Fuzz),
    /// Let an interpreter look for undefined behaviour in code that handles memory by hand
    Miri,
    /// Let the core live through seeded histories on a simulated machine, with faults and deaths
    Sim(Sim),
    /// Perform again, step by step, what `sctl record` took out of a device
    Replay(Replay),
    /// Make process 1 fault for real, again and again, and count what its services noticed
    Heal(Heal),
    /// Measure sysMaster and other inits at the same work, and write docs/benchmarks.md
    Bench(Bench),
    /// Is a service of `heal`
    #[command(hide = true)]
    Witness(Witness),
    /// Check the rules of the house that no compiler checks
    Tidy,
    /// Count anew which letters of the firmware's texts one byte stands for
    Dictionary,
    /// Perform every check and test, the quick ones first
    Test(Test),
    /// Walk Harmony's conformance table on the stub kernel and print the transcript
    Probe,
    /// Boot products and do things at their consoles: crash, stop, reboot, rescue
    Scenarios(Scenarios),
}

/// Which scenarios.
#[derive(Debug, Args)]
pub struct Scenarios {
    /// A folder of board/linux; all of them by default
    #[arg(long)]
    pub board: Option<String>,
    /// Those whose name contains this
    #[arg(long, value_name = "PART")]
    pub only: Option<String>,
}

/// Which manifest to check.
#[derive(Debug, Args)]
pub struct Check {
    /// A manifest, or the name of one in manifests/products
    pub file: String,
    /// A folder of board/linux; all that the product is meant for by default
    #[arg(long)]
    pub board: Option<String>,
    /// Print the manifest as it is after includes and overlays, each key with its origin
    #[arg(long)]
    pub expand: bool,
    /// The unpacked root file system: looks programs and users up in it
    #[arg(long, value_name = "DIR")]
    pub rootfs: Option<PathBuf>,
}

/// What to draw.
#[derive(Debug, Args)]
pub struct Graph {
    /// A manifest, or the name of one in manifests/products
    pub file: String,
    /// A folder of board/linux
    #[arg(long, default_value = "virt-aarch64")]
    pub board: String,
    /// Draw an SVG into this file (with Graphviz); as text on the terminal by default
    #[arg(long, value_name = "SVG")]
    pub out: Option<PathBuf>,
}

/// One board, or all.
#[derive(Debug, Args)]
pub struct Target {
    /// A folder of board/linux; all of them by default
    #[arg(long)]
    pub board: Option<String>,
}

/// A product on a board.
#[derive(Debug, Args)]
pub struct Choice {
    /// A manifest, or the name of one in manifests/products
    #[arg(long, default_value = "gateway")]
    pub product: String,
    /// A folder of board/linux
    #[arg(long, default_value = "virt-aarch64")]
    pub board: String,
    /// The unpacked root file system: checks the manifest's programs and users against it
    #[arg(long, value_name = "DIR")]
    pub rootfs: Option<PathBuf>,
    /// A smaller process 1: a fault of its own ends the machine
    #[arg(long)]
    pub without_healing: bool,
    /// Cargo features of the board's crate, for tests
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub features: Vec<String>,
}

/// What to boot, and how it goes on.
#[derive(Debug, Args)]
pub struct Run {
    /// A manifest, or the name of one in manifests/products; the board's usual one by default
    #[arg(long)]
    pub product: Option<String>,
    /// A folder of board/linux or board/oh-tee
    #[arg(long, default_value = "virt-aarch64")]
    pub board: String,
    /// Judge the product, power it off and end: exit code 0 if all of it works
    #[arg(long)]
    pub once: bool,
    /// Boot from the board's disk instead of an initramfs; what it writes there is forgotten
    #[arg(long)]
    pub disk: bool,
    /// Hand the console over from the first line, judging nothing
    #[arg(long, conflicts_with = "once")]
    pub interactive: bool,
}

/// What to write.
#[derive(Debug, Args)]
pub struct Image {
    /// A manifest, or the name of one in manifests/products; the board's usual one by default
    #[arg(long)]
    pub product: Option<String>,
    /// A folder of board/linux or board/oh-tee
    #[arg(long, default_value = "virt-aarch64")]
    pub board: String,
    /// Where to; target/images/BOARD/PRODUCT by default
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Make the disk at least this large, in MiB; fitting by default
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub disk_mib: u32,
}

/// What to measure.
#[derive(Debug, Args)]
pub struct Size {
    /// A manifest, or the name of one in manifests/products
    #[arg(long, default_value = "ten")]
    pub product: String,
    /// A folder of board/linux; all of them by default
    #[arg(long)]
    pub board: Option<String>,
    /// Judge by this instead of the board's own budget
    #[arg(long, value_name = "N")]
    pub max_file_kib: Option<u32>,
    /// Print the deepest stack with every function on its way
    #[arg(long)]
    pub stack: bool,
    /// Build every variant, also those for which a board has no limit
    #[arg(long)]
    pub all: bool,
}

/// What to boot and look at.
#[derive(Debug, Args)]
pub struct Measure {
    /// A product like `ten`, with the targets `ten` and `bare`
    #[arg(long, default_value = "ten")]
    pub product: String,
    /// A folder of board/linux; all of them by default
    #[arg(long)]
    pub board: Option<String>,
}

/// What to do with the figures.
#[derive(Debug, Args)]
pub struct Figures {
    /// Measure and write nothing: compare with what was measured last, within 1 KiB of a file and
    /// three pages
    #[arg(long)]
    pub check: bool,
}

/// What to damage, and how often.
#[derive(Debug, Args)]
pub struct Fuzz {
    /// Cases of each fast decoder; slow ones get a fixed part of it
    #[arg(long, value_name = "N", default_value_t = 300_000)]
    pub cases: u64,
    /// The number of the first case
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// One of request, response, stream, letter, cmdline, manifest, recording, region; all of them
    /// by default
    #[arg(long, value_name = "NAME")]
    pub decoder: Option<String>,
    /// Read this input instead, given in hexadecimal digits
    #[arg(long, value_name = "HEX", requires = "decoder")]
    pub input: Option<String>,
}

/// Which histories.
#[derive(Debug, Args)]
pub struct Sim {
    /// How many histories; 20000 by default, 500 on Harmony's kernel
    #[arg(long, value_name = "N")]
    pub seeds: Option<u64>,
    /// The seed of the first; 1 by default
    #[arg(long, value_name = "SEED")]
    pub from: Option<u64>,
    /// Print the history of this seed and perform it alone
    #[arg(long, value_name = "SEED", conflicts_with_all = ["seeds", "from", "replay"])]
    pub seed: Option<u64>,
    /// Perform the history in this file, as a failure prints it
    #[arg(long, value_name = "FILE", conflicts_with_all = ["seeds", "from"])]
    pub replay: Option<PathBuf>,
    /// On Harmony's simulated kernel instead, with keeper and core: 500 by default, each takes
    /// much longer
    #[arg(long)]
    pub harmony: bool,
    /// Keeper and core are exchanged for another program and back, behind the relay
    #[arg(long, conflicts_with_all = ["harmony", "replay"])]
    pub exchange: bool,
    /// Plant defects into the core, one at a time, and show that the histories find each
    #[arg(long, conflicts_with_all = ["seed", "replay"])]
    pub mutants: bool,
    /// Plant those whose name contains this
    #[arg(long, value_name = "PART", conflicts_with_all = ["seed", "replay"])]
    pub mutant: Option<String>,
    /// Plant three only, as `cargo xtask test` does
    #[arg(long, requires = "mutants")]
    pub quick: bool,
}

/// What a device recorded, and which of it is shown.
#[derive(Debug, Args)]
pub struct Replay {
    /// What `sctl record` wrote
    pub file: PathBuf,
    /// The product that recorded it: a name of ours or the path of a manifest
    #[arg(long)]
    pub product: String,
    /// The board that recorded it; by default the one that the recording names
    #[arg(long)]
    pub board: Option<String>,
    /// The root file system that the device's process 1 was built with, if any
    #[arg(long, value_name = "DIR")]
    pub rootfs: Option<PathBuf>,
    /// Show steps from this one on
    #[arg(long, value_name = "STEP")]
    pub from: Option<u32>,
    /// Show steps up to this one
    #[arg(long, value_name = "STEP")]
    pub to: Option<u32>,
    /// Show steps in which this unit has a part
    #[arg(long, value_name = "UNIT")]
    pub unit: Option<String>,
    /// Show no steps, only whether it comes to the same
    #[arg(long)]
    pub quiet: bool,
}

/// How often process 1 dies, of what, and with how many services.
#[derive(Debug, Args)]
pub struct Heal {
    /// 60 deaths with 20 services, and no time judged; a short sweep
    #[arg(long)]
    pub quick: bool,
    /// So many services instead of 10, 50, 100 and 500; no time judged
    #[arg(long, value_name = "N", value_parser = services)]
    pub services: Option<usize>,
    /// So many deaths; no time judged
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub deaths: Option<u64>,
    /// One kind of fault, or one turn of a sweep; all of them by default
    #[arg(long, value_name = "KIND")]
    pub only: Option<String>,
    /// In a virtual machine of this board instead of in namespaces: 50 services, 1 000 deaths, and
    /// no time judged
    #[arg(long, value_name = "BOARD")]
    pub board: Option<String>,
    /// Who dies: process 1, or with `split` the core that is a child of it. The whole campaign has
    /// both, one after the other, if this is not said; all else has `solo`
    #[arg(long, value_parser = ["solo", "split"])]
    pub composition: Option<String>,
    /// The number of the first case
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Take a process 1 that does not heal: shows that the campaign can fail
    #[arg(long)]
    pub without_healing: bool,
    /// On a kernel with the calls of Linux 4.14 and no younger ones, as a filter has it
    #[arg(long)]
    pub old_calls: bool,
    /// Instead of at random moments, after the k-th instruction and at each system call of what
    /// process 1, or the core, does when it is asked, stops, starts and restarts a service, is
    /// upgraded, and lives again
    #[arg(long, conflicts_with_all = ["services", "deaths", "without_healing", "old_calls"])]
    pub sweep: bool,
    /// Process 1, or the core, dies more often than its manifest allows: rescue target, a new
    /// start, the other slot, ten times over
    #[arg(long, conflicts_with_all = ["deaths", "without_healing", "sweep", "old_calls"])]
    pub ladder: bool,
    /// One instruction in so many; not given: each of the HAL and the checkpoint, one in 7
    /// elsewhere; on a board one in 997
    #[arg(long, value_name = "N", requires = "sweep", conflicts_with = "quick")]
    #[arg(value_parser = stride)]
    pub stride: Option<usize>,
}

fn stride(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| "a number from 1 on".to_string())
}

fn services(text: &str) -> Result<usize, String> {
    let number = text
        .parse()
        .ok()
        .filter(|number| (5..=2_000).contains(number));
    number.ok_or_else(|| "5 to 2000 services".to_string())
}

/// What to measure, and against whom.
#[derive(Debug, Args)]
pub struct Bench {
    /// One round with few services: shows that everything runs, into target/bench/docs
    #[arg(long)]
    pub quick: bool,
    /// The machine that they run on
    #[arg(long, value_enum, default_value_t = BenchBoard::Namespace)]
    pub board: BenchBoard,
    /// How often everything is repeated, the contenders in turn
    #[arg(long, value_name = "N", default_value_t = 7)]
    pub rounds: usize,
    /// More contenders: a folder of folders with a peer.toml each, as in qemu-tests/peers
    #[arg(long, value_name = "DIR")]
    pub peers: Option<PathBuf>,
    /// Count the instructions of the core's own work instead, and fail if they are more than stored
    #[arg(long, conflicts_with_all = ["quick", "only", "peers"])]
    pub compare: bool,
    /// Count them and store them
    #[arg(long, conflicts_with_all = ["quick", "only", "peers", "compare"])]
    pub accept: bool,
    /// Measure what builds take and what abilities add to process 1, into docs/benchmarks-costs.md
    #[arg(long, conflicts_with_all = ["quick", "only", "peers", "compare", "accept"])]
    pub costs: bool,
    /// These contenders alone, into target/bench/docs
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub only: Vec<String>,
    /// Write into target/bench/docs, and fail if ratios left the spread that the kept page tells
    #[arg(long, conflicts_with_all = ["quick", "compare", "accept", "costs"])]
    pub agree: bool,
}

/// Where the contenders run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum BenchBoard {
    /// Namespaces on this machine's kernel
    Namespace,
    /// The emulated 64-bit ARM board
    VirtAarch64,
    /// The emulated 32-bit ARM board
    VirtArmv7,
}

/// Which service a witness is, and where it writes.
#[derive(Debug, Args)]
pub struct Witness {
    /// Its index
    pub unit: usize,
    /// Makes its lives
    pub seed: u64,
    /// The file that all witnesses append to
    pub journal: PathBuf,
}

/// What to check.
#[derive(Debug, Args)]
pub struct Test {
    /// Leave out what builds firmware or boots virtual machines
    #[arg(long)]
    pub quick: bool,
    /// Perform the steps whose name contains this
    #[arg(long, value_name = "PART")]
    pub only: Option<String>,
    /// Perform the step of this name, and say on the last line how it ended
    #[arg(long, value_name = "NAME", hide = true)]
    pub step: Option<String>,
}
