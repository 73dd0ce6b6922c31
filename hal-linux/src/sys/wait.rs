//! This file waits for a signal, and looks at children that ended without letting them go.

use super::shared::SharedWords;
use super::syscall::{result, syscall};
use init_core::checkpoint::words::{load, store};
use init_core::event::{Errno, ExitStatus};
use init_core::time::Duration;
use linux_raw_sys::general as abi;

/// `siginfo_t`, of which only words at the front are read.
#[repr(C, align(8))]
struct Info([u32; 32]);

const _: () = assert!(size_of::<Info>() == 128);

/// Words before the fields that depend on the kind: signal, error, code, and what aligns pointers.
const FIELDS_AT: usize = if size_of::<usize>() == 8 { 4 } else { 3 };

/// `SI_USER`: sent by kill.
const SENT: u32 = 0;

impl Info {
    const fn new() -> Self {
        Self([0; 32])
    }

    fn word(&self, index: usize) -> u32 {
        self.0.get(index).copied().unwrap_or(0)
    }

    fn code(&self) -> u32 {
        self.word(2)
    }

    /// The sender's number, or the child's.
    fn pid(&self) -> u32 {
        self.word(FIELDS_AT)
    }

    /// A child's exit code or signal.
    fn status(&self) -> u32 {
        self.word(FIELDS_AT.wrapping_add(2))
    }
}

/// Seconds and nanoseconds, 64 bits each on every machine.
#[repr(C)]
struct Time64 {
    seconds: i64,
    nanos: i64,
}

#[cfg(target_arch = "arm")]
const SIGTIMEDWAIT: u32 = abi::__NR_rt_sigtimedwait_time64;
#[cfg(not(target_arch = "arm"))]
const SIGTIMEDWAIT: u32 = abi::__NR_rt_sigtimedwait;

/// Waits for one of the signals, all of which are blocked, at most so long; `None`: without end.
/// Returns its number and who sent it by `kill`, 0 for all others; nothing if none came.
pub fn signal(limit: Option<Duration>) -> Option<(u8, u32)> {
    let mut info = Info::new();
    let number = wait(!0, &mut info, limit.map(Duration::parts));
    let number = u8::try_from(number.ok()?).ok()?;
    let sender = if info.code() == SENT { info.pid() } else { 0 };
    Some((number, sender))
}

/// Waits until a child has ended or changed, at most so long: also one of which that was not looked
/// at before. Other signals stay where they are.
pub fn child(limit: Duration) {
    let child = 1 << (abi::SIGCHLD - 1);
    let _ = wait(child, &mut Info::new(), Some(limit.parts()));
}

fn wait(set: u64, info: &mut Info, parts: Option<(u32, u32)>) -> Result<usize, Errno> {
    match wait_short(set, info, parts) {
        Some(answer) => answer,
        None => wait_long(set, info, parts),
    }
}

fn wait_long(set: u64, info: &mut Info, parts: Option<(u32, u32)>) -> Result<usize, Errno> {
    let time = parts.map(|(seconds, us)| Time64 {
        seconds: seconds.into(),
        nanos: us.wrapping_mul(1_000).into(),
    });
    let time = time.as_ref().map_or(core::ptr::null(), core::ptr::from_ref);
    timed_wait(SIGTIMEDWAIT, (set, info), time.expose_provenance())
}

/// With 32-bit fields first, see `clock.rs`; `None`: there is no such call.
#[cfg(target_arch = "arm")]
fn wait_short(
    set: u64,
    info: &mut Info,
    parts: Option<(u32, u32)>,
) -> Option<Result<usize, Errno>> {
    let time = parts.map(|(seconds, us)| {
        let seconds = i32::try_from(seconds).unwrap_or(i32::MAX);
        [seconds, i32::try_from(us.wrapping_mul(1_000)).unwrap_or(0)]
    });
    let time = time.as_ref().map_or(core::ptr::null(), core::ptr::from_ref);
    let answer = timed_wait(
        abi::__NR_rt_sigtimedwait,
        (set, info),
        time.expose_provenance(),
    );
    let is_there = |error: &Errno| u32::from(error.0) != linux_raw_sys::errno::ENOSYS;
    answer.as_ref().err().is_none_or(is_there).then_some(answer)
}

#[cfg(not(target_arch = "arm"))]
fn wait_short(_: u64, _: &mut Info, _: Option<(u32, u32)>) -> Option<Result<usize, Errno>> {
    None
}

fn timed_wait(number: u32, (set, info): (u64, &mut Info), time: usize) -> Result<usize, Errno> {
    let set = (&raw const set).expose_provenance();
    let info = (&raw mut *info).expose_provenance();
    // SAFETY: the pointers lead to a set of the size that is given, to room for a siginfo, and to
    // a time of the layout that this call reads (or nowhere, which means no limit).
    result(unsafe { syscall(number, [set, info, time, 8]) })
}

/// A child that ended.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    /// Its number, which nobody else can have until it is [`reap`]ed.
    pub pid: u32,
    /// Its exit code, or the number of the signal that ended it.
    pub status: u8,
    /// Whether a signal ended it.
    pub by_signal: bool,
}

const WEXITED: usize = 4;
const WNOHANG: usize = 1;
const WNOWAIT: usize = 0x0100_0000;
const P_ALL: usize = 0;
const P_PID: usize = 1;
/// `CLD_EXITED` of `asm-generic/siginfo.h`.
pub(super) const EXITED: u32 = 1;
/// `CLD_DUMPED` of the same.
pub(super) const DUMPED: u32 = 3;
/// `CLD_STOPPED` of the same.
const STOPPED: u32 = 5;

/// A child that ended and is still there; `None`: all that are left still run.
///
/// # Errors
/// ECHILD: none is left.
pub fn ended() -> Result<Option<Ended>, Errno> {
    let mut info = Info::new();
    let pointer = (&raw mut info).expose_provenance();
    let arguments = [P_ALL, 0, pointer, WEXITED | WNOHANG | WNOWAIT, 0];
    // SAFETY: the pointer leads to room for a siginfo; null stands for "no resource usage wanted".
    result(unsafe { syscall(abi::__NR_waitid, arguments) })?;
    let ended = Ended {
        pid: info.pid(),
        status: u8::try_from(info.status() & 0xff).unwrap_or(0),
        by_signal: info.code() != EXITED,
    };
    Ok((ended.pid != 0).then_some(ended))
}

/// Lets a child go that ended, the one of this number or, where that is 0, any, and has the kernel
/// write how into the words; `false`: all that are left still run, and the words say so too.
///
/// # Errors
/// ECHILD: none is left.
pub fn take(words: SharedWords, pid: u32) -> Result<bool, Errno> {
    if size_of_val(words) < size_of::<Info>() {
        return Err(Errno(0));
    }
    let pointer = words.as_ptr().expose_provenance();
    let which = if pid == 0 { P_ALL } else { P_PID };
    let number = usize::try_from(pid).unwrap_or(0);
    let arguments = [which, number, pointer, WEXITED | WNOHANG, 0];
    // SAFETY: the pointer leads to room for a siginfo that may be written at any time; null stands
    // for "no resource usage wanted".
    result(unsafe { syscall(abi::__NR_waitid, arguments) })?;
    Ok(taken(words).is_some())
}

/// What [`take`] took and nobody has [`forget`]-ed: whose exit, and how.
pub fn taken(words: SharedWords) -> Option<(u32, ExitStatus)> {
    let word = |index: usize| words.get(index).map_or(0, load);
    let pid = word(FIELDS_AT);
    let number = u8::try_from(word(FIELDS_AT.wrapping_add(2)) & 0xff).unwrap_or(0);
    let status = match word(2) {
        EXITED => ExitStatus::Code(number),
        code => ExitStatus::Signal {
            number,
            core_dumped: code == DUMPED,
        },
    };
    (pid != 0).then_some((pid, status))
}

/// From here on nobody was taken.
pub fn forget(words: SharedWords) {
    if let Some(pid) = words.get(FIELDS_AT) {
        store(pid, 0);
    }
}

/// Lets a child go that ended.
pub fn reap(pid: u32) {
    let pid = usize::try_from(pid).unwrap_or(0);
    // SAFETY: null stands for "neither siginfo nor resource usage wanted".
    unsafe { syscall(abi::__NR_waitid, [P_PID, pid, 0, WEXITED | WNOHANG, 0]) };
}

/// Whether a process is a child of this one, be it that it has ended.
pub fn is_child(pid: u32) -> bool {
    let pid = usize::try_from(pid).unwrap_or(0);
    let options = WEXITED | WNOHANG | WNOWAIT;
    // SAFETY: null stands for "neither siginfo nor resource usage wanted".
    result(unsafe { syscall(abi::__NR_waitid, [P_PID, pid, 0, options, 0]) }).is_ok()
}

/// How a child is, of which [`take`] says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Apart {
    /// It runs, or will.
    Runs,
    /// Somebody has stopped it.
    Stopped,
    /// It ended, and was let go.
    Ended(ExitStatus),
    /// There is no such child.
    Unknown,
}

const WSTOPPED: usize = 2;
/// `__WCLONE` of `linux/wait.h`: children whose end is told by no `SIGCHLD`, and no others.
const WCLONE: usize = 0x8000_0000;

/// Looks at a child that was made by [`super::process::fork_apart`], and lets it go if it ended.
/// Any other is unknown: a number may be damaged.
pub fn apart(pid: u32) -> Apart {
    look_apart(P_PID, pid)
}

/// Looks at all such children, and lets one go that ended. Unknown: there is none.
pub fn all_apart() -> Apart {
    look_apart(P_ALL, 0)
}

#[inline(never)]
fn look_apart(which: usize, pid: u32) -> Apart {
    let mut info = Info::new();
    let pointer = (&raw mut info).expose_provenance();
    let number = usize::try_from(pid).unwrap_or(0);
    let options = WEXITED | WSTOPPED | WNOHANG | WCLONE;
    // SAFETY: the pointer leads to room for a siginfo; null stands for "no resource usage wanted".
    let answer = result(unsafe { syscall(abi::__NR_waitid, [which, number, pointer, options, 0]) });
    let number = u8::try_from(info.status() & 0xff).unwrap_or(0);
    match (answer, info.code()) {
        (Err(_), _) => Apart::Unknown,
        (Ok(_), _) if info.pid() == 0 => Apart::Runs,
        (Ok(_), STOPPED) => Apart::Stopped,
        (Ok(_), EXITED) => Apart::Ended(ExitStatus::Code(number)),
        (Ok(_), code) => Apart::Ended(ExitStatus::Signal {
            number,
            core_dumped: code == DUMPED,
        }),
    }
}

/// Lets SIGCHLD have its usual effect: where the parent ignored it, children that end vanish, and
/// nobody learns how.
pub fn keep_children() {
    // `struct sigaction` is at most this large; zeroes mean: default, no flags, empty mask.
    let action = [0_u64; 4];
    let action = (&raw const action).expose_provenance();
    let sigchld = usize::try_from(abi::SIGCHLD).unwrap_or(0);
    // SAFETY: the pointer leads to zeroes for a whole sigaction, which names no handler; the old
    // one is not asked for.
    unsafe { syscall(abi::__NR_rt_sigaction, [sigchld, action, 0, 8]) };
}
