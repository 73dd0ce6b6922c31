//! This file holds a product after reading and checking: what the emitter writes down.
//!
//! Numbers are in the units of `init-core`; unit indices are those of the generated table.

use crate::diagnostic::Span;
use crate::value::LimitPair;
use std::path::PathBuf;

/// A checked product.
#[derive(Debug, Clone)]
pub struct Product {
    /// The product's name.
    pub name: String,
    /// The board's name.
    pub board: String,
    /// All units; the index is the id.
    pub units: Vec<Unit>,
    /// Index of the default target.
    pub default_target: usize,
    /// Index of the rescue target.
    pub rescue_target: Option<usize>,
    /// Microseconds from the request to the final action.
    pub shutdown_timeout: u64,
    /// Microseconds between the two signals to leftovers.
    pub leftover_grace: u64,
    /// The hardware watchdog, if there is one.
    pub watchdog: Option<Watchdog>,
    /// What is done when process 1 dies again and again; `None`: what is usual.
    pub healing: Option<Healing>,
    /// What Ctrl-Alt-Del asks for, as in the manifest.
    pub ctrl_alt_del: String,
    /// The console device.
    pub console: String,
    /// quiet, normal or debug.
    pub log_level: String,
    /// Process 1 can be exchanged for another image.
    pub hot_upgrade: bool,
    /// Where a RAM disk lies that has the programs, and how many bytes it may have.
    pub ram_disk: Option<(u64, u64)>,
    /// The core is a process of its own, which may be silent for so many microseconds.
    pub split: Option<u64>,
    /// What the root file system is made of.
    pub rootfs: Rootfs,
    /// Programs that lie in the image, each once; `None`: the board has files.
    pub images: Option<Vec<Image>>,
}

/// A program that lies in the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// What the manifest calls it.
    pub name: String,
    /// Where the file is that is put in.
    pub file: PathBuf,
}

/// A hardware watchdog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watchdog {
    /// Its device.
    pub device: String,
    /// Seconds without food until it resets the machine.
    pub seconds: u16,
    /// Seconds before the reset in which it warns; 0: it does not.
    pub warning_seconds: u16,
    /// It resets no machine that goes down.
    pub disarm: bool,
}

/// What is done when process 1 dies again and again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Healing {
    /// How many deaths are healed, in so many microseconds.
    pub limit: Option<(u16, u64)>,
    /// What is done then.
    pub steps: Vec<HealingStep>,
    /// What the kernel is told to start the other slot.
    pub other_slot: String,
    /// Where restarts are counted.
    pub record: Option<String>,
    /// Microseconds after which a boot is taken for a good one.
    pub reset_after: u64,
    /// Bytes of the flight recorder, if there is one.
    pub recorder: Option<u32>,
}

/// What is done when healing does not help; as in `init-core`, by the same names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HealingStep {
    /// `rescue`
    Rescue,
    /// `reboot`
    Reboot,
    /// `other-slot`
    OtherSlot,
    /// `power-off`
    PowerOff,
}

/// What the root file system is made of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rootfs {
    /// Debian packages.
    pub packages: Vec<String>,
    /// Folders to copy, with the folder of the manifest joined in front.
    pub folders: Vec<PathBuf>,
    /// What is left out, relative to the root.
    pub exclude: Vec<String>,
    /// Kernel modules.
    pub modules: Vec<String>,
}

/// What a unit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnitKind {
    /// A state of the machine.
    Target,
    /// A program that ends.
    Task,
    /// A program that stays.
    Service,
    /// A file system.
    Mount,
}

impl UnitKind {
    /// The word in section headers.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Target => "target",
            Self::Task => "task",
            Self::Service => "service",
            Self::Mount => "mount",
        }
    }
}

/// How one unit refers to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RelationKind {
    /// `requires`
    Requires,
    /// `wants`
    Wants,
    /// `binds-to`
    BindsTo,
    /// `conflicts`
    Conflicts,
    /// `after`, also turned around from `before`.
    After,
}

/// One reference to another unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Relation {
    /// Which kind.
    pub kind: RelationKind,
    /// The other unit's index.
    pub to: usize,
    /// Where it is written; the file number is [`crate::fields::BUILT_IN`] if implied.
    pub span: Span,
}

/// One unit.
#[derive(Debug, Clone)]
pub struct Unit {
    /// Its name, instance included.
    pub name: String,
    /// What it is.
    pub kind: UnitKind,
    /// Its section's header; built in if the compiler made it.
    pub span: Span,
    /// What starting it runs.
    pub start: Program,
    /// What stopping it runs.
    pub stop: Program,
    /// When it is ready.
    pub ready: Ready,
    /// Whether somebody waits for it.
    pub awaited: bool,
    /// Microseconds; `None`: no limit.
    pub start_timeout: Option<u64>,
    /// Microseconds for each heartbeat; `None`: nobody listens.
    pub watchdog: Option<u64>,
    /// What happens when it ends; `None`: nothing.
    pub restart: Option<Restart>,
    /// How it is stopped.
    pub stopping: Stopping,
    /// Further exit codes that are a success.
    pub success_codes: Vec<u8>,
    /// Further signals that are a success.
    pub success_signals: Vec<u8>,
    /// Whether the device is unhealthy without it.
    pub critical: bool,
    /// Whether its program may control units and machine by letters.
    pub controls: bool,
    /// Whether an upgraded process 1 restarts it if it runs otherwise.
    pub restarts_on_upgrade: bool,
    /// References to others.
    pub relations: Vec<Relation>,
}

/// What is run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Program {
    /// Nothing.
    #[default]
    None,
    /// A program of the image.
    Exec(Box<Exec>),
    /// Steps.
    Setup(Vec<Step>),
}

/// A program with all that its process is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exec {
    /// Arguments; the first is the file.
    pub arguments: Vec<String>,
    /// The file lies in the image.
    pub is_image: bool,
    /// Strict priority; 0: the board's.
    pub priority: u8,
    /// Where the file is written.
    pub span: Span,
    /// `NAME=value`.
    pub environment: Vec<String>,
    /// Working directory.
    pub directory: String,
    /// User, group, groups; `None`: root.
    pub credentials: Option<Credentials>,
    /// File mode creation mask.
    pub umask: u16,
    /// Niceness.
    pub nice: i64,
    /// Out-of-memory score.
    pub oom_score: Option<i64>,
    /// Resource limits by the name of their key.
    pub limits: Vec<(&'static str, LimitPair)>,
    /// Descriptors 0, 1, 2.
    pub streams: [Stream; 3],
}

/// Whom a process runs as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// User.
    pub uid: u32,
    /// Primary group.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
}

/// Where a descriptor leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stream {
    /// Nowhere.
    Null,
    /// The console.
    Console,
    /// The kernel's log.
    Kmsg,
    /// A file.
    File(String),
    /// A terminal.
    Terminal(String),
}

/// When a unit is ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ready {
    /// Its program was executed.
    Exec,
    /// Its program ended well.
    Exit,
    /// A newline came.
    Newline(u8),
    /// A letter came.
    Letter,
    /// A TCP port listens.
    Tcp(u16),
    /// A Unix socket listens.
    Unix(String),
    /// A path exists.
    Path(String),
}

/// When a unit is started again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restart {
    /// never, on-failure or always.
    pub when: String,
    /// First wait, microseconds.
    pub from: u64,
    /// Longest wait, microseconds.
    pub to: u64,
    /// Ready for this long resets the wait, microseconds.
    pub reset_after: u64,
    /// Restarts allowed; 0: all.
    pub count: u16,
    /// In so many microseconds.
    pub within: u64,
    /// fail, rescue, reboot or power-off.
    pub then: String,
}

/// How a unit is stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stopping {
    /// The signal's number.
    pub signal: u8,
    /// Microseconds of grace.
    pub timeout: u64,
    /// Whether signals reach the whole group.
    pub group: bool,
}

/// One step of setting the machine up.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of init-core's SetupOp")]
pub enum Step {
    /// Waits for a device node.
    WaitDevice(String),
    /// Mounts.
    Mount {
        source: String,
        at: String,
        kind: String,
        flags: u32,
        data: String,
    },
    /// Unmounts.
    Unmount(String),
    /// Makes a directory.
    Directory {
        path: String,
        mode: u16,
        uid: u32,
        gid: u32,
    },
    /// Makes a symbolic link.
    Symlink { path: String, target: String },
    /// Sets a kernel parameter.
    Sysctl { path: String, value: String },
    /// Sets the host name.
    Hostname(String),
    /// Brings loopback up.
    LoopbackUp,
}

impl Unit {
    /// A unit of that name that does nothing.
    #[must_use]
    pub fn new(name: String, kind: UnitKind, span: Span) -> Self {
        let ready = match kind {
            UnitKind::Target | UnitKind::Service => Ready::Exec,
            UnitKind::Task | UnitKind::Mount => Ready::Exit,
        };
        Self {
            name,
            kind,
            span,
            start: Program::None,
            stop: Program::None,
            ready,
            awaited: false,
            start_timeout: None,
            watchdog: None,
            restart: None,
            stopping: Stopping {
                signal: 15,
                timeout: 5_000_000,
                group: true,
            },
            success_codes: Vec::new(),
            success_signals: Vec::new(),
            critical: false,
            controls: false,
            restarts_on_upgrade: false,
            relations: Vec::new(),
        }
    }

    /// Whether the compiler made it.
    #[must_use]
    pub fn is_implicit(&self) -> bool {
        self.span.file == crate::fields::BUILT_IN
    }

    /// The units at the other end of one kind of references, each once.
    pub fn others(&self, kind: RelationKind) -> impl Iterator<Item = usize> {
        let of_kind = move |relation: &&Relation| relation.kind == kind;
        self.relations.iter().filter(of_kind).map(|each| each.to)
    }

    /// Adds a reference unless it is there.
    pub fn relate(&mut self, kind: RelationKind, to: usize, span: Span) {
        if !self.others(kind).any(|other| other == to) {
            self.relations.push(Relation { kind, to, span });
        }
    }
}
