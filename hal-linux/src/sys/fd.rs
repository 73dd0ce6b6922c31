//! This file makes descriptors: the calls that return one, and the type that owns it.
//!
//! rustix's own owned descriptor asserts at run time that it is not -1, which is a reachable panic
//! where the compiler cannot see it; here a descriptor is 16 bits wide and cannot be.

use super::shared::WORDS_FD;
use super::syscall::{result, syscall};
use core::ffi::CStr;
use core::sync::atomic::{AtomicU16, Ordering};
use init_core::event::Errno;
use linux_raw_sys::general as abi;
use rustix::fd::{AsFd, AsRawFd, BorrowedFd};

/// The highest number that a descriptor of this program ever had.
static HIGHEST: AtomicU16 = AtomicU16::new(0);

/// No descriptor of ours ever had a higher number.
pub fn highest() -> u16 {
    HIGHEST.load(Ordering::Relaxed)
}

/// EMFILE.
const TOO_MANY: Errno = Errno(24);

/// A descriptor of ours, closed when dropped.
#[derive(Debug)]
pub struct Fd(u16);

impl Fd {
    /// Descriptor 0, to read from, wherever it leads. Never closed.
    pub(super) const INPUT: BorrowedFd<'static> = {
        // SAFETY: `Left::find` sees to it that descriptor 0 is open; nothing of ours closes it.
        unsafe { BorrowedFd::borrow_raw(0) }
    };

    /// Descriptor 1, to write to, wherever it leads. Never closed.
    pub const OUTPUT: BorrowedFd<'static> = {
        // SAFETY: `Left::find` sees to it that descriptor 1 is open; nothing of ours closes it.
        unsafe { BorrowedFd::borrow_raw(1) }
    };

    /// Descriptor 2, for the control tool's complaints. Never closed.
    pub const ERRORS: BorrowedFd<'static> = {
        // SAFETY: nothing of ours closes it; where the caller left it closed, calls say EBADF.
        unsafe { BorrowedFd::borrow_raw(2) }
    };

    /// The file of the words that outlive the program, where there is one. Never closed.
    pub const WORDS: BorrowedFd<'static> = {
        // SAFETY: nothing of ours closes it; where there is none, calls say EBADF.
        unsafe { BorrowedFd::borrow_raw(3) }
    };

    /// Takes over a descriptor that the life before had, and nobody has now. `None`: there is none
    /// of that number, or it is one that always has an owner.
    pub fn adopt(number: u16) -> Option<Self> {
        if number <= WORDS_FD || close_on_exec(number).is_err() {
            return None;
        }
        HIGHEST.fetch_max(number, Ordering::Relaxed);
        Some(Self(number))
    }

    /// The descriptor's number.
    pub fn number(&self) -> u16 {
        self.0
    }

    /// Takes over the answer of a call that makes a descriptor.
    pub(super) fn from_answer(answer: isize) -> Result<Self, Errno> {
        let number = result(answer)?;
        match u16::try_from(number) {
            Ok(number) => {
                HIGHEST.fetch_max(number, Ordering::Relaxed);
                Ok(Self(number))
            }
            Err(_) => {
                // Beyond what process 1 ever has: give it back.
                // SAFETY: there is no pointer; the kernel just gave it to us.
                unsafe { syscall(abi::__NR_close, [number]) };
                Err(TOO_MANY)
            }
        }
    }

    /// Leaves the descriptor open for the program's life.
    pub fn leak(self) {
        core::mem::forget(self);
    }
}

impl AsFd for Fd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: it is open as long as this value lives.
        unsafe { BorrowedFd::borrow_raw(i32::from(self.0)) }
    }
}

impl Drop for Fd {
    #[inline(never)]
    fn drop(&mut self) {
        // SAFETY: there is no pointer; nobody uses the descriptor after its owner.
        unsafe { syscall(abi::__NR_close, [usize::from(self.0)]) };
    }
}

fn word(value: u32) -> usize {
    usize::try_from(value).unwrap_or(0)
}

/// Opens a file, always closed on exec. `mode` matters with `O_CREAT`.
///
/// # Errors
/// What openat answers.
pub fn open(path: &CStr, flags: u32, mode: u32) -> Result<Fd, Errno> {
    open_at(path, flags | abi::O_CLOEXEC, mode)
}

/// What kind of file a descriptor leads to, as the kernel tells in its mode; 0: to none.
pub fn kind(fd: BorrowedFd<'_>) -> u32 {
    rustix::fs::fstat(fd).map_or(0, |stat| stat.st_mode & abi::S_IFMT)
}

/// Opens a file that the next program gets, too. For a child.
///
/// # Errors
/// What openat answers.
pub fn open_inherited(path: &CStr, flags: u32) -> Result<Fd, Errno> {
    open_at(path, flags, 0)
}

fn open_at(path: &CStr, flags: u32, mode: u32) -> Result<Fd, Errno> {
    let here = usize::MAX.wrapping_sub(99); // AT_FDCWD is -100.
    let pointer = path.as_ptr().expose_provenance();
    let arguments = [here, pointer, word(flags), word(mode), 0];
    // SAFETY: the pointer leads to a nul-terminated string.
    Fd::from_answer(unsafe { syscall(abi::__NR_openat, arguments) })
}

/// Opens a file to read it.
///
/// # Errors
/// What openat answers.
pub fn open_to_read(path: &CStr) -> Result<Fd, Errno> {
    open(path, abi::O_RDONLY, 0)
}

/// Opens an existing file to write to it.
///
/// # Errors
/// What openat answers.
pub fn open_to_write(path: &CStr) -> Result<Fd, Errno> {
    open(path, abi::O_WRONLY | abi::O_NOCTTY, 0)
}

/// A socket, closed on exec, not blocking.
///
/// # Errors
/// What socket answers.
pub fn socket(family: u32, kind: u32) -> Result<Fd, Errno> {
    let kind = kind | abi::O_CLOEXEC | abi::O_NONBLOCK;
    // SAFETY: there is no pointer.
    Fd::from_answer(unsafe { syscall(abi::__NR_socket, [word(family), word(kind), 0]) })
}

/// Accepts a connection, closed on exec, not blocking. The peer's address is not asked for.
///
/// # Errors
/// EAGAIN: nobody waits; EMFILE and what else accept4 answers.
pub fn accept(listener: &Fd) -> Result<Fd, Errno> {
    let flags = abi::O_CLOEXEC | abi::O_NONBLOCK;
    let arguments = [usize::from(listener.0), 0, 0, word(flags), 0];
    // SAFETY: null stands for "no address wanted".
    Fd::from_answer(unsafe { syscall(abi::__NR_accept4, arguments) })
}

/// An epoll descriptor.
///
/// # Errors
/// EMFILE, ENOMEM.
pub fn epoll() -> Result<Fd, Errno> {
    // SAFETY: there is no pointer.
    let answer = unsafe { syscall(abi::__NR_epoll_create1, [word(abi::O_CLOEXEC)]) };
    Fd::from_answer(answer)
}

/// `struct epoll_event` of `linux/eventpoll.h`, where the kernel says of which descriptor it tells.
#[repr(C)]
#[cfg_attr(target_arch = "x86_64", repr(packed))]
#[derive(Clone, Copy, Debug)]
pub struct Told {
    events: u32,
    /// Written as well: what is zero as a whole is made so with one call.
    #[cfg(not(target_arch = "x86_64"))]
    padding: u32,
    /// What the descriptor is watched with.
    pub token: u64,
}

const _: () = assert!(size_of::<Told>() == if cfg!(target_arch = "x86_64") { 12 } else { 16 });

impl Told {
    /// As if it were told of this one.
    pub const fn of(token: u64) -> Self {
        Self::new(0, token)
    }

    const fn new(events: u32, token: u64) -> Self {
        Self {
            events,
            #[cfg(not(target_arch = "x86_64"))]
            padding: 0,
            token,
        }
    }
}

/// What is to be done with a descriptor.
#[derive(Clone, Copy, Debug)]
pub enum Watch {
    /// Watch it.
    Add,
    /// Watch it no more.
    End,
    /// Watch it for something else.
    Change,
}

/// There is something to be read.
pub const INPUT: u32 = abi::EPOLLIN;
/// There is room for something to be written: told once each time. Who says that there is and then
/// takes nothing is not heard again before something has changed.
pub const ROOM: u32 = abi::EPOLLOUT | abi::EPOLLET;
/// The other end says nothing any more.
pub const HANG_UP: u32 = abi::EPOLLRDHUP;

/// Watches a descriptor for events, which are told with the token.
///
/// # Errors
/// EEXIST, ENOENT: it is watched already, or is not. ENOMEM, ENOSPC.
pub fn watch(
    epoll: &Fd,
    what: Watch,
    fd: BorrowedFd<'_>,
    (events, token): (u32, u64),
) -> Result<(), Errno> {
    let told = Told::new(events, token);
    let operation = match what {
        Watch::Add => abi::EPOLL_CTL_ADD,
        Watch::End => abi::EPOLL_CTL_DEL,
        Watch::Change => abi::EPOLL_CTL_MOD,
    };
    let number = usize::try_from(fd.as_raw_fd()).unwrap_or(usize::MAX);
    let pointer = (&raw const told).expose_provenance();
    let arguments = [epoll.number().into(), word(operation), number, pointer];
    // SAFETY: the pointer leads to what is told.
    result(unsafe { syscall(abi::__NR_epoll_ctl, arguments) })?;
    Ok(())
}

/// Sleeps until something that is watched has something, at most so long; `None`: without end. How
/// many places it has filled; none also when it fails.
pub fn epoll_wait(epoll: &Fd, places: &mut [Told], limit_ms: Option<u16>) -> usize {
    let limit = limit_ms.map_or(usize::MAX, usize::from);
    let first = places.as_mut_ptr().expose_provenance();
    let arguments = [epoll.number().into(), first, places.len(), limit, 0];
    // SAFETY: the pointer leads to so many places; null stands for "no signal mask".
    result(unsafe { syscall(abi::__NR_epoll_pwait, arguments) }).unwrap_or(0)
}

/// An empty file in memory, which is no program. Kernels before 6.3 do not know the flag for that.
///
/// # Errors
/// ENOSYS, EMFILE, ENOMEM.
pub fn memory_file(name: &CStr) -> Result<Fd, Errno> {
    let pointer = name.as_ptr().expose_provenance();
    let make = |flags: u32| {
        let flags = word(abi::MFD_CLOEXEC | flags);
        // SAFETY: the pointer leads to a nul-terminated string.
        Fd::from_answer(unsafe { syscall(abi::__NR_memfd_create, [pointer, flags]) })
    };
    make(abi::MFD_NOEXEC_SEAL).or_else(|_| make(abi::MFD_ALLOW_SEALING))
}

const SIZE_SEALS: u32 = abi::F_SEAL_SEAL | abi::F_SEAL_SHRINK | abi::F_SEAL_GROW;

/// Fixes the size of a file in memory for ever, so that a mapping of it cannot lose its ground.
///
/// # Errors
/// EINVAL: no file in memory, or no such seals.
pub fn seal_size(file: &Fd) -> Result<(), Errno> {
    let arguments = [
        usize::from(file.0),
        word(abi::F_ADD_SEALS),
        word(SIZE_SEALS),
        0,
        0,
    ];
    // SAFETY: there is no pointer.
    result(unsafe { syscall(FCNTL, arguments) }).map(|_| ())
}

/// Whether [`seal_size`] was done to a file, which can be written all the same: one of ours, then.
pub fn is_size_sealed(file: BorrowedFd<'_>) -> bool {
    use rustix::fd::AsRawFd;
    let number = usize::try_from(file.as_raw_fd()).unwrap_or(usize::MAX);
    // SAFETY: there is no pointer.
    let answer = unsafe { syscall(FCNTL, [number, word(abi::F_GET_SEALS)]) };
    let asked = word(SIZE_SEALS | abi::F_SEAL_WRITE | abi::F_SEAL_FUTURE_WRITE);
    result(answer).is_ok_and(|seals| seals & asked == word(SIZE_SEALS))
}

/// An inotify descriptor; reading from it waits.
///
/// # Errors
/// EMFILE, ENOMEM.
pub fn inotify() -> Result<Fd, Errno> {
    // SAFETY: there is no pointer.
    let answer = unsafe { syscall(abi::__NR_inotify_init1, [word(abi::O_CLOEXEC)]) };
    Fd::from_answer(answer)
}

/// A pipe, closed on exec: the end to read from, which does not wait, and the end to write to,
/// which waits for room if it is `written`.
///
/// # Errors
/// EMFILE, ENFILE.
pub fn pipe(written: bool) -> Result<(Fd, Fd), Errno> {
    let mut ends = [0_i32; 2];
    let pointer = (&raw mut ends).expose_provenance();
    let flags = word(abi::O_CLOEXEC | abi::O_NONBLOCK);
    // SAFETY: the pointer leads to room for two descriptors.
    result(unsafe { syscall(abi::__NR_pipe2, [pointer, flags]) })?;
    let [read_end, write_end] =
        ends.map(|number| Fd::from_answer(isize::try_from(number).unwrap_or(-1)));
    let (read_end, write_end) = (read_end?, write_end?);
    if written {
        rustix::fs::fcntl_setfl(&write_end, rustix::fs::OFlags::empty()).map_err(crate::errno)?;
    }
    Ok((read_end, write_end))
}

/// Another descriptor for the same open file, closed on exec, 3 or above.
///
/// # Errors
/// EBADF, EMFILE.
pub fn duplicate(of: BorrowedFd<'_>) -> Result<Fd, Errno> {
    use rustix::fd::AsRawFd;
    let number = usize::try_from(of.as_raw_fd()).unwrap_or(usize::MAX);
    let command = word(abi::F_DUPFD_CLOEXEC);
    // SAFETY: there is no pointer.
    Fd::from_answer(unsafe { syscall(FCNTL, [number, command, 3]) })
}

/// Lets the next program have the descriptor. For a child.
///
/// # Errors
/// EBADF.
pub fn keep_over_exec(number: u16) -> Result<(), Errno> {
    set_flags(number, 0)
}

/// Keeps the descriptor from the next program.
///
/// # Errors
/// EBADF.
pub fn close_on_exec(number: u16) -> Result<(), Errno> {
    set_flags(number, abi::FD_CLOEXEC)
}

fn set_flags(number: u16, flags: u32) -> Result<(), Errno> {
    let arguments = [usize::from(number), word(abi::F_SETFD), word(flags), 0, 0];
    // SAFETY: there is no pointer.
    result(unsafe { syscall(FCNTL, arguments) }).map(|_| ())
}

#[cfg(target_arch = "arm")]
pub(super) const FCNTL: u32 = abi::__NR_fcntl64;
#[cfg(not(target_arch = "arm"))]
pub(super) const FCNTL: u32 = abi::__NR_fcntl;

/// A descriptor that reads the blocked signals of a set.
///
/// # Errors
/// EMFILE, ENOMEM.
pub(super) fn signals(set: u64, flags: usize) -> Result<Fd, Errno> {
    let pointer = (&raw const set).expose_provenance();
    // SAFETY: the pointer leads to a set of the size that is given; -1 asks for a new descriptor.
    let answer = unsafe { syscall(abi::__NR_signalfd4, [usize::MAX, pointer, 8, flags]) };
    Fd::from_answer(answer)
}
