//! This file is what a child does between its creation and its program.
//!
//! Everything that may wait for a device or a file system happens here, not in process 1. A step
//! that fails is left in the child's word of shared memory, and the child ends. The child may share
//! process 1's memory: it writes to nothing but its stack and that word.

use crate::cause::Cause;
use crate::sys::fd;
use crate::sys::futex::{EXECUTED, OWNER, execute_marked};
use crate::sys::kernel::Kernel;
use crate::sys::process::{close_from, duplicate_to, exit, set_dumpable};
use crate::sys::signals;
use crate::uses::uses;
use core::ffi::CStr;
use core::sync::atomic::{AtomicU32, Ordering};
use init_core::event::{Errno, SpawnStep};
use init_core::report::{LINE_BYTES_MAX, Line};
use init_core::unit::{Credentials, Exec, Limit, LimitValue, Resource, Stream};
use linux_raw_sys::general as abi;
use rustix::fd::AsFd;
use rustix::fs::Mode;
use rustix::process::{Resource as OsResource, Rlimit};
use rustix::thread::{Gid, Uid};

/// The exit code of a child whose program was not executed (as shells have it).
const NOT_EXECUTED: u8 = 127;

/// Nothing to read, and whatever is written is gone.
pub const NULL: &CStr = c"/dev/null";

/// Process 1's own file creation mask, and most programs'.
pub const UMASK: u16 = 0o022;

/// Supplementary groups of one process; the manifest compiler refuses more.
pub const GROUP_COUNT_MAX: usize = 32;

/// What a child does, and with what. It outlives the child.
#[derive(Clone, Copy, Debug)]
pub struct Job {
    /// The program.
    pub exec: &'static Exec,
    /// Where a failed step is told, and that its program was executed.
    pub word: &'static AtomicU32,
    /// The child's number, if the kernel is to tell in the word when the program was executed.
    pub marked: Option<&'static AtomicU32>,
    /// The write end of a pipe that stays open, and the descriptor where the program expects it.
    pub pipe: Option<(u16, u8)>,
    /// The highest descriptor that process 1 has, or had.
    pub highest: u16,
    /// What the standard descriptors can be taken from.
    pub standard: Standard,
    /// What the kernel has.
    pub kernel: Kernel,
}

/// Where process 1's own standard descriptors lead.
#[derive(Clone, Copy, Debug)]
pub struct Standard {
    /// The machine's console; `None`: what process 1 was started with serves as one.
    pub console: Option<&'static CStr>,
    /// Descriptor 0 is `/dev/null`.
    pub null: bool,
}

/// Becomes the program. Never returns.
pub fn run(job: &Job) -> ! {
    let mut step = SpawnStep::Session;
    let error = match prepare(job, &mut step) {
        Ok(()) => {
            step = SpawnStep::Exec;
            replace(job)
        }
        Err(Cause(error)) => error,
    };
    job.word.store(encode(step, error), Ordering::Release);
    exit(NOT_EXECUTED)
}

/// Executes the program. Returns only on failure.
fn replace(job: &Job) -> Errno {
    let exec = job.exec;
    let environment = exec.context.environment;
    let pid = job.marked.map(|number| number.load(Ordering::Acquire));
    execute_marked(exec.program, exec.arguments, environment, job.word, pid)
}

/// Marks a failure's word, which is no process's number.
const FAILED: u32 = 1 << 29;

const _: () = assert!(FAILED & OWNER == FAILED && FAILED & EXECUTED == 0);

/// How far a child has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Not to its program yet.
    Open,
    /// Its program was executed.
    Executed,
    /// A step failed.
    Failed,
}

/// How far a child has come, by its word.
pub fn way(word: u32) -> Way {
    if word & EXECUTED != 0 {
        Way::Executed
    } else if word & FAILED != 0 {
        Way::Failed
    } else {
        Way::Open
    }
}

/// A failure in one word. Were it the child's number, the kernel would take it for its mark's.
pub const fn encode(step: SpawnStep, error: Errno) -> u32 {
    let [low, high] = error.0.to_le_bytes();
    FAILED | u32::from_le_bytes([low, high, step.number(), 0])
}

/// What a child left in its word.
pub fn decode(word: u32) -> Option<(SpawnStep, Errno)> {
    let error = Errno(u16::try_from(word & 0xffff).unwrap_or(u16::MAX));
    let number = u8::try_from((word ^ FAILED) >> 16).ok()?;
    Some((SpawnStep::of_number(number)?, error))
}

/// All before the program; `step` says how far it came.
fn prepare(job: &Job, step: &mut SpawnStep) -> Result<(), Cause> {
    let exec = job.exec.context;
    // First of all: a child that waits must not keep others' connections open.
    let opens_console = is_on_console(job);
    let first = if opens_console { 1 } else { 3 };
    let kept = job.pipe.map(|(end, _)| end);
    close_from(first, kept, job.highest, job.kernel);
    rustix::process::setsid()?;
    *step = SpawnStep::Signals;
    signals::unblock_all()?;
    *step = SpawnStep::Limits;
    if uses().limits {
        for limit in exec.limits {
            set_limit(limit)?;
        }
    }
    *step = SpawnStep::Nice;
    if exec.nice != 0 {
        rustix::process::setpriority_process(None, exec.nice.into())?;
    }
    *step = SpawnStep::OomScore;
    if let Some(score) = exec.oom_score.filter(|_| uses().oom_scores) {
        set_oom_score(score)?;
    }
    *step = SpawnStep::Stdin;
    let has_null = matches!(exec.stdin, Stream::Null);
    if !has_null || !job.standard.null {
        place(&exec.stdin, job, 0, false)?;
    }
    *step = SpawnStep::Stdout;
    if opens_console {
        open_console(job)?;
    } else {
        place(&exec.stdout, job, 1, has_null)?;
        *step = SpawnStep::Stderr;
        place(&exec.stderr, job, 2, has_null)?;
    }
    *step = SpawnStep::ReadyDescriptor;
    if let Some((end, number)) = job.pipe {
        put_at(end, number.into())?;
    }
    if let Some(credentials) = exec.credentials.as_ref().filter(|_| uses().users) {
        become_user(credentials, step)?;
    }
    if exec.umask != UMASK {
        rustix::process::umask(Mode::from_raw_mode(exec.umask.into()));
    }
    *step = SpawnStep::Directory;
    if exec.directory != c"/" {
        rustix::process::chdir(exec.directory)?;
    }
    Ok(())
}

fn become_user(credentials: &Credentials, step: &mut SpawnStep) -> Result<(), Cause> {
    *step = SpawnStep::Groups;
    let mut places = [Gid::ROOT; GROUP_COUNT_MAX];
    let groups = places
        .get_mut(..credentials.groups.len())
        .ok_or(Cause::TOO_LONG)?;
    for (place, group) in groups.iter_mut().zip(credentials.groups) {
        *place = Gid::from_raw(*group);
    }
    rustix::thread::set_thread_groups(groups)?;
    *step = SpawnStep::Group;
    let gid = Gid::from_raw(credentials.gid);
    rustix::thread::set_thread_res_gid(gid, gid, gid)?;
    *step = SpawnStep::User;
    let uid = Uid::from_raw(credentials.uid);
    rustix::thread::set_thread_res_uid(uid, uid, uid)?;
    // Another user's memory may leave a core file again, where `fs.suid_dumpable` says so; and this
    // memory may be process 1's.
    Ok(set_dumpable(false)?)
}

fn set_limit(limit: &Limit) -> Result<(), Cause> {
    let value = |value| match value {
        LimitValue::Max(max) => Some(max),
        LimitValue::Unlimited => None,
    };
    let new = Rlimit {
        current: value(limit.soft),
        maximum: value(limit.hard),
    };
    Ok(rustix::process::setrlimit(resource(limit.resource), new)?)
}

fn resource(resource: Resource) -> OsResource {
    match resource {
        Resource::AddressSpace => OsResource::As,
        Resource::CoreFile => OsResource::Core,
        Resource::CpuTime => OsResource::Cpu,
        Resource::Data => OsResource::Data,
        Resource::FileSize => OsResource::Fsize,
        Resource::LockedMemory => OsResource::Memlock,
        Resource::MessageQueue => OsResource::Msgqueue,
        Resource::Nice => OsResource::Nice,
        Resource::OpenFiles => OsResource::Nofile,
        Resource::Processes => OsResource::Nproc,
        Resource::RealtimePriority => OsResource::Rtprio,
        Resource::RealtimeTime => OsResource::Rttime,
        Resource::PendingSignals => OsResource::Sigpending,
        Resource::Stack => OsResource::Stack,
    }
}

fn set_oom_score(score: i16) -> Result<(), Cause> {
    let mut room = [0; LINE_BYTES_MAX];
    let mut text = Line::new(&mut room);
    text.text(if score < 0 { "-" } else { "" });
    text.number(score.unsigned_abs());
    let file = fd::open_to_write(c"/proc/self/oom_score_adj")?;
    rustix::io::write(&file, text.end())?;
    Ok(())
}

/// No input, all output to the console's device: as most have it, and quicker done together.
fn is_on_console(job: &Job) -> bool {
    let exec = job.exec.context;
    let streams = (&exec.stdin, &exec.stdout, &exec.stderr);
    job.standard.null
        && job.standard.console.is_some()
        && matches!(streams, (Stream::Null, Stream::Console, Stream::Console))
}

/// Opens the console as 1, the lowest number that is free, and makes it 2 as well. Without a
/// console a program still runs.
fn open_console(job: &Job) -> Result<(), Errno> {
    let console = job.standard.console.unwrap_or(NULL);
    let open = |path| fd::open_inherited(path, abi::O_RDWR | abi::O_NOCTTY);
    let file = open(console).or_else(|_| open(NULL))?;
    duplicate_to(file.number(), 2)?;
    file.leak();
    Ok(())
}

/// Makes standard descriptor `number` what the program wants there. Where descriptor 0 is the null
/// device, that need not be opened once more.
fn place(stream: &Stream, job: &Job, number: u16, has_null: bool) -> Result<(), Cause> {
    let (access, append) = match number {
        0 => (abi::O_RDONLY, 0),
        _ => (abi::O_WRONLY, abi::O_APPEND | abi::O_CREAT),
    };
    let terminal = abi::O_RDWR | abi::O_NOCTTY;
    let (path, flags) = match stream {
        Stream::Null if has_null => return Ok(duplicate_to(0, number)?),
        Stream::Null => (NULL, abi::O_RDWR),
        Stream::Console => match job.standard.console {
            Some(console) => (console, terminal),
            // Inherited as it is.
            None => return Ok(()),
        },
        Stream::Kmsg => (c"/dev/kmsg", access),
        Stream::File(path) => (*path, access | append),
        Stream::Terminal(path) => (*path, terminal),
    };
    let file = match fd::open(path, flags, 0o640) {
        Err(_) if matches!(stream, Stream::Console) => return Ok(()),
        other => other?,
    };
    put_at(file.number(), number)?;
    if number == 0 && matches!(stream, Stream::Console | Stream::Terminal(_)) {
        // A shell needs it for job control. A terminal that has a session already keeps it.
        let _ = rustix::process::ioctl_tiocsctty(file.as_fd());
    }
    // What is not where the program wants it is closed when that is executed.
    file.leak();
    Ok(())
}

/// Makes descriptor `number` lead where `from` does, and stay open over exec.
fn put_at(from: u16, number: u16) -> Result<(), Errno> {
    if from == number {
        return fd::keep_over_exec(from);
    }
    duplicate_to(from, number)
}
