//! This file describes programs as data: what a HAL needs to run them, in the form it needs.
//!
//! Strings are nul-terminated and argument vectors end with `None`, so that a kernel can read them
//! where they lie: starting a program builds nothing at run time.

use core::ffi::CStr;

/// What starting or stopping a unit runs. Each is run in a child process, never in process 1.
/// It names a place in one of the manifest's tables: a number is a quarter of a reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// Nothing.
    None,
    /// A program of the image, by its place in [`Manifest::programs`](super::Manifest::programs).
    Exec(u16),
    /// Steps that the HAL knows how to do. They are done in order and all attempted; each failure
    /// is reported with its step and cause, and the child's exit code is 1 if any failed. By their
    /// place in [`Manifest::setups`](super::Manifest::setups).
    Setup(u16),
}

/// A vector of nul-terminated strings, laid out as `execve` wants it: thin pointers, the last one
/// `None` (null). Written by the manifest compiler as `[Some(&b"/bin/sh\0"[0]), .., None]`; the
/// compiler guarantees the nul and the final `None`.
pub type Arguments = &'static [Option<&'static u8>];

/// A program with all that its process is given.
#[derive(Clone, Copy, Debug)]
pub struct Exec {
    /// Absolute path of the file.
    pub program: &'static CStr,
    /// Argument vector, the program's name first.
    pub arguments: Arguments,
    /// In what it runs.
    pub context: &'static Context,
}

/// A program that lies in the image.
#[derive(Clone, Copy, Debug)]
pub struct Image {
    /// What [`Exec::program`] calls it.
    pub path: &'static CStr,
    /// The ELF file.
    pub file: &'static [u8],
}

/// In what a program runs. Programs that want the same refer to the same.
#[derive(Clone, Copy, Debug)]
pub struct Context {
    /// `NAME=value` strings: the whole environment.
    pub environment: Arguments,
    /// Working directory.
    pub directory: &'static CStr,
    /// User and groups; `None`: root, no supplementary groups.
    pub credentials: Option<Credentials>,
    /// File mode creation mask.
    pub umask: u16,
    /// Scheduling niceness, -20 to 19.
    pub nice: i8,
    /// Priority where the kernel's are strict, 1 to 254; 0: the board's choice.
    pub priority: u8,
    /// Out-of-memory score adjustment, -1000 to 1000; `None`: unchanged.
    pub oom_score: Option<i16>,
    /// Resource limits to set.
    pub limits: &'static [Limit],
    /// Descriptor 0. A console here becomes the controlling terminal, as a shell needs.
    pub stdin: Stream,
    /// Descriptor 1.
    pub stdout: Stream,
    /// Descriptor 2.
    pub stderr: Stream,
}

/// Where a standard descriptor leads.
#[derive(Clone, Copy, Debug)]
pub enum Stream {
    /// `/dev/null`.
    Null,
    /// The machine's console.
    Console,
    /// The kernel's log, each line marked with the unit's name by the program itself.
    Kmsg,
    /// This file: opened for appending and created (mode 0640) for output, read-only for input.
    File(&'static CStr),
    /// This terminal device, e.g. `/dev/ttyS1`.
    Terminal(&'static CStr),
}

/// Whom a process runs as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// User.
    pub uid: u32,
    /// Primary group.
    pub gid: u32,
    /// All supplementary groups.
    pub groups: &'static [u32],
}

/// A resource by its Linux `RLIMIT_*` meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// Address space, bytes.
    AddressSpace,
    /// Core file, bytes.
    CoreFile,
    /// CPU time, seconds.
    CpuTime,
    /// Data segment, bytes.
    Data,
    /// File size, bytes.
    FileSize,
    /// Locked memory, bytes.
    LockedMemory,
    /// Message queues, bytes.
    MessageQueue,
    /// Ceiling of niceness.
    Nice,
    /// Open descriptors.
    OpenFiles,
    /// Processes of the user.
    Processes,
    /// Real-time priority.
    RealtimePriority,
    /// Real-time CPU time, microseconds.
    RealtimeTime,
    /// Queued signals.
    PendingSignals,
    /// Stack, bytes.
    Stack,
}

/// A soft or hard value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitValue {
    /// At most this.
    Max(u64),
    /// No limit.
    Unlimited,
}

/// One resource limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Which resource.
    pub resource: Resource,
    /// The limit in force.
    pub soft: LimitValue,
    /// How far the process may raise it.
    pub hard: LimitValue,
}

/// What is looked for until it is there: a socket that listens, or a path.
#[derive(Clone, Copy, Debug)]
pub enum Probe {
    /// A TCP port, on any address, IPv4 or IPv6.
    Tcp(u16),
    /// A Unix socket of any type, by path.
    Unix(&'static CStr),
    /// Whatever is at this path.
    Path(&'static CStr),
}

/// One step of setting the machine up.
#[derive(Clone, Copy, Debug)]
pub enum SetupOp {
    /// Waits until a device node exists; ends only by the unit's start timeout.
    WaitDevice(&'static CStr),
    /// Mounts a file system; creates the mount point; already mounted there with the same type is
    /// success.
    Mount {
        /// Device or word that stands for it.
        source: &'static CStr,
        /// Mount point.
        at: &'static CStr,
        /// File system type.
        kind: &'static CStr,
        /// `MS_*` flags.
        flags: u32,
        /// Options of the file system, comma-separated.
        data: &'static CStr,
    },
    /// Unmounts; not mounted is success.
    Unmount(&'static CStr),
    /// Makes a directory with its parents; an existing one gets mode and owner.
    Directory {
        /// Absolute path.
        path: &'static CStr,
        /// Permission bits.
        mode: u16,
        /// Owner.
        uid: u32,
        /// Group.
        gid: u32,
    },
    /// Makes a symbolic link, replacing another link but never a file or directory.
    Symlink {
        /// Where the link is.
        path: &'static CStr,
        /// What it points to.
        target: &'static CStr,
    },
    /// Sets a kernel parameter.
    Sysctl {
        /// Path below `/proc/sys`, absolute.
        path: &'static CStr,
        /// What is written.
        value: &'static CStr,
    },
    /// Sets the host name.
    Hostname(&'static CStr),
    /// Brings the network's loopback interface up.
    LoopbackUp,
}
