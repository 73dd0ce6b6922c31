//! This file is what a child does between its creation and its program.
//!
//! Everything that may wait for a device or a file system happens here, not in process 1. A step
//! that fails is left in the child's word of shared memory, and the child ends.

use crate::cause::Cause;
use crate::sys::fd;
use crate::sys::process::{execute, exit};
use crate::sys::signals;
use core::ffi::CStr;
use core::sync::atomic::{AtomicU32, Ordering};
use init_core::event::{Errno, SpawnStep};
use init_core::report::{LINE_BYTES_MAX, Line};
use init_core::unit::{Credentials, Exec, Limit, LimitValue, Resource, Stream};
use linux_raw_sys::general as abi;
use rustix::fd::{AsFd, AsRawFd, BorrowedFd};
use rustix::fs::Mode;
use rustix::process::{Resource as OsResource, Rlimit};
use rustix::thread::{Gid, Uid};

/// The exit code of a child whose program was not executed (as shells have it).
const NOT_EXECUTED: u8 = 127;

/// Supplementary groups of one process; the manifest compiler refuses more.
pub const GROUP_COUNT_MAX: usize = 32;

/// What a child needs besides its description.
pub struct Given<'a> {
    /// The machine's console; `None`: what process 1 was started with.
    pub console: Option<&'a CStr>,
    /// Where a failed step is told.
    pub word: Option<&'static AtomicU32>,
    /// The write end of a readiness pipe and the descriptor where the program expects it.
    pub ready: Option<(BorrowedFd<'a>, u8)>,
}

type Step = Result<(), (SpawnStep, Cause)>;

/// Becomes the program. Never returns.
pub fn run(exec: &Exec, given: &Given<'_>) -> ! {
    let (step, error) = match prepare(exec, given) {
        Ok(()) => (
            SpawnStep::Exec,
            execute(exec.program, exec.arguments, exec.environment),
        ),
        Err((step, Cause(error))) => (step, error),
    };
    if let Some(word) = given.word {
        word.store(encode(step, error), Ordering::Release);
    }
    exit(NOT_EXECUTED)
}

/// A failure in one word; never 0.
fn encode(step: SpawnStep, error: Errno) -> u32 {
    (step_number(step) << 16) | u32::from(error.0)
}

/// What a child left in its word.
pub fn decode(word: u32) -> Option<(SpawnStep, Errno)> {
    let error = Errno(u16::try_from(word & 0xffff).unwrap_or(u16::MAX));
    STEPS
        .iter()
        .find(|step| step_number(**step) == word >> 16)
        .map(|step| (*step, error))
}

const STEPS: [SpawnStep; 14] = [
    SpawnStep::Session,
    SpawnStep::Signals,
    SpawnStep::Limits,
    SpawnStep::Nice,
    SpawnStep::OomScore,
    SpawnStep::Stdin,
    SpawnStep::Stdout,
    SpawnStep::Stderr,
    SpawnStep::ReadyDescriptor,
    SpawnStep::Groups,
    SpawnStep::Group,
    SpawnStep::User,
    SpawnStep::Directory,
    SpawnStep::Exec,
];

#[expect(clippy::as_conversions, reason = "a fieldless enum's own number")]
const fn step_number(step: SpawnStep) -> u32 {
    step as u32
}

fn prepare(exec: &Exec, given: &Given<'_>) -> Step {
    rustix::process::setsid().map_err(|e| (SpawnStep::Session, e.into()))?;
    signals::unblock_all().map_err(|e| (SpawnStep::Signals, e.into()))?;
    for limit in exec.limits {
        set_limit(limit).map_err(|e| (SpawnStep::Limits, e))?;
    }
    if exec.nice != 0 {
        rustix::process::setpriority_process(None, exec.nice.into())
            .map_err(|e| (SpawnStep::Nice, e.into()))?;
    }
    if let Some(score) = exec.oom_score {
        set_oom_score(score).map_err(|e| (SpawnStep::OomScore, e))?;
    }
    place(&exec.stdin, given.console, Standard::In).map_err(|e| (SpawnStep::Stdin, e))?;
    place(&exec.stdout, given.console, Standard::Out).map_err(|e| (SpawnStep::Stdout, e))?;
    place(&exec.stderr, given.console, Standard::Error).map_err(|e| (SpawnStep::Stderr, e))?;
    if let Some((descriptor, number)) = given.ready {
        put_at(descriptor, number.into()).map_err(|e| (SpawnStep::ReadyDescriptor, e))?;
    }
    if let Some(credentials) = &exec.credentials {
        become_user(credentials)?;
    }
    rustix::process::umask(Mode::from_raw_mode(exec.umask.into()));
    rustix::process::chdir(exec.directory).map_err(|e| (SpawnStep::Directory, e.into()))
}

fn become_user(credentials: &Credentials) -> Step {
    let mut places = [Gid::ROOT; GROUP_COUNT_MAX];
    let groups = places
        .get_mut(..credentials.groups.len())
        .ok_or((SpawnStep::Groups, Cause::TOO_LONG))?;
    for (place, group) in groups.iter_mut().zip(credentials.groups) {
        *place = Gid::from_raw(*group);
    }
    rustix::thread::set_thread_groups(groups).map_err(|e| (SpawnStep::Groups, e.into()))?;
    let gid = Gid::from_raw(credentials.gid);
    rustix::thread::set_thread_res_gid(gid, gid, gid).map_err(|e| (SpawnStep::Group, e.into()))?;
    let uid = Uid::from_raw(credentials.uid);
    rustix::thread::set_thread_res_uid(uid, uid, uid).map_err(|e| (SpawnStep::User, e.into()))
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

#[derive(Clone, Copy, PartialEq, Eq)]
enum Standard {
    In,
    Out,
    Error,
}

fn place(stream: &Stream, console: Option<&CStr>, standard: Standard) -> Result<(), Cause> {
    let (access, append) = match standard {
        Standard::In => (abi::O_RDONLY, 0),
        Standard::Out | Standard::Error => (abi::O_WRONLY, abi::O_APPEND | abi::O_CREAT),
    };
    let terminal = abi::O_RDWR | abi::O_NOCTTY;
    let (path, flags) = match stream {
        Stream::Null => (c"/dev/null", abi::O_RDWR),
        Stream::Console => match console {
            Some(console) => (console, terminal),
            // Inherited as it is.
            None => return Ok(()),
        },
        Stream::Kmsg => (c"/dev/kmsg", access),
        Stream::File(path) => (*path, access | append),
        Stream::Terminal(path) => (*path, terminal),
    };
    let file = match (fd::open(path, flags, 0o640), stream) {
        (Ok(file), _) => file,
        // A container without a console device: what process 1 was given serves as one.
        (Err(_), Stream::Console) => return Ok(()),
        (Err(error), _) => return Err(error.into()),
    };
    let number = match standard {
        Standard::In => 0,
        Standard::Out => 1,
        Standard::Error => 2,
    };
    put_at(file.as_fd(), number)?;
    if standard == Standard::In && matches!(stream, Stream::Console | Stream::Terminal(_)) {
        // A shell needs it for job control. A terminal that has a session already keeps it.
        let _ = rustix::process::ioctl_tiocsctty(file.as_fd());
    }
    Ok(())
}

/// Makes descriptor `number` lead where `from` does, and stay open over exec.
fn put_at(from: BorrowedFd<'_>, number: i32) -> Result<(), Cause> {
    if from.as_raw_fd() == number {
        return Ok(rustix::io::fcntl_setfd(from, rustix::io::FdFlags::empty())?);
    }
    Ok(crate::sys::process::duplicate_to(from, number)?)
}
