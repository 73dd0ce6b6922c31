//! This file gives every call that the HAL makes a type. What the kernel would choke on is refused
//! here, before the trap; what one must never ask for has no function.
//!
//! **Who keeps a notification keeps it alone.** When the kernel frees a process, it breaks every
//! notification which that process holds, for all who hold it; if exits are told by it, the next
//! exit stops the machine. So the one thing that is given to another process is a channel, which
//! is not broken by that: a [`Notification`] is of its own type, without a number that shows, a
//! copy or a way into a [`Group`].
//!
//! ```compile_fail,E0599
//! fn give<K: hal_harmony::abi::Kernel>(
//!     calls: &hal_harmony::abi::Calls<K>,
//!     group: &hal_harmony::abi::Group,
//!     exits: hal_harmony::abi::Notification,
//! ) {
//!     calls.transfer(group, &[exits]);
//! }
//! ```
//!
//! ```compile_fail,E0308
//! fn map<K: hal_harmony::abi::Kernel>(
//!     calls: &hal_harmony::abi::Calls<K>,
//!     group: &hal_harmony::abi::Group,
//!     exits: hal_harmony::abi::Notification,
//! ) {
//!     let _ = calls.map(group, &exits, 0x1000, 3);
//! }
//! ```
//!
//! **A process that was freed is not named again.** [`Calls::free`] takes the [`Group`]; only one
//! that is not free yet comes back.
//!
//! ```compile_fail,E0382
//! fn twice<K: hal_harmony::abi::Kernel>(
//!     calls: &hal_harmony::abi::Calls<K>,
//!     group: hal_harmony::abi::Group,
//! ) {
//!     let _ = calls.free(group);
//!     calls.kill(&group);
//! }
//! ```
//!
//! **A number is one of the table.** The kernel does not check its range.
//!
//! ```compile_fail,E0423
//! let _ = hal_harmony::abi::number::Number(255);
//! ```
//!
//! ```
//! assert_eq!(hal_harmony::abi::number::Number::KILL_GROUP.get(), 86);
//! ```

use super::Kernel;
use super::layout::{
    CLOCK_MONOTONIC, CapGroupArgs, EXECUTE, OWN_GROUP, PAGE_BYTES, RingPage, SYNC_INSTRUCTIONS,
    THREAD_USER, ThreadArgs, Timespec, WRITE,
};
use super::number::Number;
use init_core::event::Errno;

/// A notification of our own.
#[derive(Debug)]
pub struct Notification(i32);

/// A memory object.
#[derive(Debug)]
pub struct Memory(i32);

/// A process that the kernel has not freed.
#[derive(Debug)]
pub struct Group {
    capability: i32,
    badge: i32,
}

impl Group {
    pub(super) fn capability(&self) -> i32 {
        self.capability
    }

    /// What the kernel marks its messages with: its badge.
    pub fn pid(&self) -> i32 {
        self.badge
    }
}

impl Notification {
    pub(super) fn capability(&self) -> i32 {
        self.0
    }
}

/// A thread of another process; nothing can be asked of it.
#[derive(Debug)]
pub struct Thread(pub(super) ());

/// What the kernel answered, or what it was not asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The kernel's own number: Linux's, or 199 to 203.
    Kernel(Errno),
    /// Not asked: not a whole number of pages, or none.
    Unaligned,
    /// Not asked: writable and executable at once, or neither readable.
    Permissions,
    /// Not asked: a priority above 255, or a badge that is not a service's.
    Range,
}

impl Error {
    /// Number that this is shown as.
    pub fn errno(self) -> Errno {
        match self {
            Self::Kernel(errno) => errno,
            Self::Unaligned | Self::Permissions | Self::Range => Errno(22),
        }
    }
}

/// What waiting came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waited {
    /// It was notified.
    Notified,
    /// There was nothing, or time ran out.
    Nothing,
}

/// How long to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// Not at all.
    None,
    /// So many microseconds.
    Us(u64),
    /// Without end.
    Endless,
}

/// The first badge and pid of services.
pub const FIRST_BADGE: i32 = 200;

const AGAIN: u16 = 11;
const TIMED_OUT: u16 = 110;

/// The calls.
#[derive(Clone, Debug)]
pub struct Calls<K> {
    kernel: K,
}

/// The low half of a result is C's `int`; negative is an error number.
pub(super) fn judge(result: u64) -> Result<i32, Error> {
    let [a, b, c, d, ..] = result.to_le_bytes();
    let value = i32::from_le_bytes([a, b, c, d]);
    if value >= 0 {
        return Ok(value);
    }
    let number = u16::try_from(value.unsigned_abs()).unwrap_or(u16::MAX);
    Err(Error::Kernel(Errno(number)))
}

pub(super) fn word(capability: i32) -> u64 {
    // Capabilities are never negative; a word that is no capability is refused by the kernel.
    u64::try_from(capability).unwrap_or(u64::MAX)
}

pub(super) fn bytes(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

pub(super) fn address<T: ?Sized>(of: &T) -> u64 {
    bytes(core::ptr::from_ref(of).addr())
}

fn is_paged(number: u64) -> bool {
    number.is_multiple_of(bytes(PAGE_BYTES))
}

impl<K: Kernel> Calls<K> {
    /// The calls of this kernel.
    pub const fn new(kernel: K) -> Self {
        Self { kernel }
    }

    /// The kernel itself.
    pub const fn kernel(&self) -> &K {
        &self.kernel
    }

    pub(super) fn plain(&self, number: Number, arguments: [u64; 6]) -> Result<i32, Error> {
        // SAFETY: only calls without addresses, or with addresses of memory that the public
        // function borrows until the call has returned, come here; the kernel keeps none of them.
        judge(unsafe { self.kernel.call(number, arguments) })
    }

    /// Writes to the console.
    pub fn print(&self, text: &[u8]) {
        let arguments = [bytes(text.as_ptr().addr()), bytes(text.len()), 0, 0, 0, 0];
        let _ = self.plain(Number::PUTSTR, arguments);
    }

    /// Makes a notification.
    ///
    /// # Errors
    /// The kernel's.
    pub fn notification(&self) -> Result<Notification, Error> {
        self.plain(Number::CREATE_NOTIFC, [0; 6]).map(Notification)
    }

    /// Has exits told by this notification and in this ring, for ever: both are given away.
    /// Once, by the root task only.
    ///
    /// # Errors
    /// The kernel's.
    pub fn tell_exits(&self, by: &Notification, ring: &'static RingPage) -> Result<(), Error> {
        let arguments = [word(by.0), address(ring), 0, 0, 0, 0];
        // The kernel keeps the address: the page is static, and all of it is atomic.
        self.plain(Number::REGISTER_RECYCLE, arguments).map(drop)
    }

    /// Waits for the notification.
    ///
    /// # Errors
    /// The kernel's, but for "nothing".
    pub fn wait(&self, notification: &Notification, patience: Patience) -> Result<Waited, Error> {
        let (us, block) = match patience {
            Patience::None => (None, 0),
            Patience::Us(us) => (Some(us), 1),
            Patience::Endless => (None, 1),
        };
        let span = us.map(timespec);
        let at = span.as_ref().map_or(0, address);
        match self.plain(Number::WAIT, [word(notification.0), block, at, 0, 0, 0]) {
            Ok(_) => Ok(Waited::Notified),
            Err(Error::Kernel(Errno(AGAIN | TIMED_OUT))) => Ok(Waited::Nothing),
            Err(error) => Err(error),
        }
    }

    /// Lets others of our priority run.
    pub fn give_way(&self) {
        let _ = self.plain(Number::YIELD, [0; 6]);
    }

    /// Microseconds of the kernel's clock.
    pub fn clock_us(&self) -> u64 {
        let mut time = Timespec::default();
        let at = bytes(core::ptr::from_mut(&mut time).expose_provenance());
        // SAFETY: the kernel writes one time there; it is ours alone until the call returns.
        let _ = unsafe {
            self.kernel
                .call(Number::CLOCK_GETTIME, [CLOCK_MONOTONIC, at, 0, 0, 0, 0])
        };
        let seconds = u64::try_from(time.seconds).unwrap_or(0);
        let nanoseconds = u64::try_from(time.nanoseconds).unwrap_or(0);
        seconds
            .saturating_mul(1_000_000)
            .saturating_add(nanoseconds / 1_000)
    }

    /// Makes a memory object of whole pages.
    ///
    /// # Errors
    /// [`Error::Unaligned`], or the kernel's.
    pub fn memory(&self, length: u64, kind: u64) -> Result<Memory, Error> {
        if length == 0 || !is_paged(length) {
            return Err(Error::Unaligned);
        }
        let arguments = [length, kind, 0, 0, 0, 0];
        self.plain(Number::CREATE_PMO, arguments).map(Memory)
    }

    /// Makes a memory object of the machine's own memory.
    pub(super) fn device(&self, physical: u64, length: u64) -> Result<Memory, Error> {
        let arguments = [physical, length, 0, 0, 0, 0];
        self.plain(Number::CREATE_DEVICE_PMO, arguments).map(Memory)
    }

    /// Writes into a memory object.
    ///
    /// # Errors
    /// The kernel's.
    pub fn write(&self, memory: &Memory, offset: u64, data: &[u8]) -> Result<(), Error> {
        let (at, length) = (bytes(data.as_ptr().addr()), bytes(data.len()));
        let arguments = [word(memory.0), offset, at, length, 0, 0];
        self.plain(Number::WRITE_PMO, arguments).map(drop)
    }

    /// Maps a memory object into another process, never writable and executable at once.
    ///
    /// # Errors
    /// [`Error::Unaligned`] (the kernel would say that it had worked), [`Error::Permissions`], or
    /// the kernel's.
    pub fn map(&self, group: &Group, memory: &Memory, at: u64, may: u64) -> Result<(), Error> {
        self.map_into(group.capability, memory, at, may)
    }

    pub(super) fn map_own(&self, memory: &Memory, at: u64, may: u64) -> Result<(), Error> {
        self.map_into(OWN_GROUP, memory, at, may)
    }

    fn map_into(&self, group: i32, memory: &Memory, at: u64, may: u64) -> Result<(), Error> {
        if at == 0 || !is_paged(at) {
            return Err(Error::Unaligned);
        }
        if may > 7 || may & WRITE != 0 && may & EXECUTE != 0 {
            return Err(Error::Permissions);
        }
        let arguments = [word(group), word(memory.0), at, may, u64::MAX, 0];
        self.plain(Number::MAP_PMO, arguments).map(drop)
    }

    /// Makes instructions that were written as data visible to every processor: maps them for a
    /// moment at `window`, an address at which nothing of ours lies.
    ///
    /// # Errors
    /// As [`Self::map`].
    pub fn sync_code(&self, memory: &Memory, length: u64, window: u64) -> Result<(), Error> {
        self.map_own(memory, window, super::layout::READ)?;
        let arguments = [window, length, SYNC_INSTRUCTIONS, 0, 0, 0];
        let synced = self.plain(Number::CACHE_FLUSH, arguments);
        let own = [word(OWN_GROUP), word(memory.0), window, 0, 0, 0];
        let unmapped = self.plain(Number::UNMAP_PMO, own);
        synced.and(unmapped).map(drop)
    }

    /// Charges a memory object to the process, so that its quota holds it.
    ///
    /// # Errors
    /// The kernel's; -12 when that is more than the quota.
    pub fn charge(&self, memory: &Memory, group: &Group) -> Result<(), Error> {
        let arguments = [word(memory.0), word(group.capability), 0, 0, 0, 0];
        self.plain(Number::TRANSFER_PMO_OWNER, arguments).map(drop)
    }

    /// Gives up our own capability of a memory object; the process keeps its own.
    pub fn release(&self, memory: Memory) {
        let _ = self.plain(Number::REVOKE_CAP, [word(memory.0), 0, 0, 0, 0, 0]);
    }

    /// Makes a process without a thread. Its badge is its pid too.
    ///
    /// # Errors
    /// [`Error::Range`] for a badge that is not a service's, or the kernel's.
    pub fn group(&self, badge: i32, name: &[u8], heap_bytes: u64) -> Result<Group, Error> {
        if badge < FIRST_BADGE {
            return Err(Error::Range);
        }
        let args = CapGroupArgs {
            badge,
            name: bytes(name.as_ptr().addr()),
            name_bytes: bytes(name.len()),
            pcid: 0,
            pid: badge,
            puuid: 0,
            heap_bytes,
        };
        let arguments = [address(&args), 0, 0, 0, 0, 0];
        self.plain(Number::CREATE_CAP_GROUP, arguments)
            .map(|capability| Group { capability, badge })
    }

    /// Starts the process: one thread, of its own memory and nothing of ours.
    ///
    /// # Errors
    /// [`Error::Range`] for a priority above 255, or the kernel's.
    pub fn start(&self, group: &Group, entry: Entry) -> Result<Thread, Error> {
        if entry.priority > 255 {
            return Err(Error::Range);
        }
        let args = ThreadArgs {
            cap_group: group.capability,
            stack: entry.stack,
            pc: entry.pc,
            argument: entry.argument,
            tls: 0,
            priority: entry.priority,
            kind: THREAD_USER,
        };
        let arguments = [address(&args), 0, 0, 0, 0, 0];
        self.plain(Number::CREATE_THREAD, arguments)
            .map(|_| Thread(()))
    }

    /// Ends a process. Its exit is told later, with a code that hides who ended it.
    pub fn kill(&self, group: &Group) {
        let _ = self.plain(Number::KILL_GROUP, [word(group.capability), 0, 0, 0, 0, 0]);
    }

    /// Frees what an ended process held.
    ///
    /// # Errors
    /// The process, when its threads are not gone yet: to be tried again.
    pub fn free(&self, group: Group) -> Result<(), Group> {
        match self.plain(
            Number::CAP_GROUP_RECYCLE,
            [word(group.capability), 0, 0, 0, 0, 0],
        ) {
            Err(Error::Kernel(Errno(AGAIN))) => Err(group),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Switches the power off. Returns on boards that cannot.
    pub fn power_off(&self) {
        let _ = self.plain(Number::POWEROFF, [0; 6]);
    }
}

/// Where a process begins.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Its first instruction.
    pub pc: u64,
    /// Its first stack pointer.
    pub stack: u64,
    /// What it finds in its first argument register.
    pub argument: u64,
    /// 0 to 255, the larger wins.
    pub priority: u32,
}

/// A relative time; what is longer than the kernel can count is endless for all who wait.
fn timespec(us: u64) -> Timespec {
    let nanoseconds = (us % 1_000_000).saturating_mul(1_000);
    Timespec {
        seconds: i64::try_from(us / 1_000_000).unwrap_or(i64::MAX),
        nanoseconds: i64::try_from(nanoseconds).unwrap_or(0),
    }
}
