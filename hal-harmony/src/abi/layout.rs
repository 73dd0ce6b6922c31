//! This file holds the structures that the kernel reads and writes, with their sizes and offsets
//! held by the compiler. All are those of a 64-bit little-endian machine.

use core::mem::offset_of;
use core::sync::atomic::{AtomicI32, AtomicU64};

/// Bytes of a page: maps, segments and stacks are made of these.
pub const PAGE_BYTES: usize = 4_096;

/// What a new process is.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct CapGroupArgs {
    /// Who it is, for the kernel and for what the exit ring tells.
    pub badge: i32,
    /// Address of its name.
    pub name: u64,
    /// Bytes of its name.
    pub name_bytes: u64,
    /// Its address-space number; 0: the kernel chooses.
    pub pcid: u64,
    /// What its messages are marked with.
    pub pid: i32,
    /// Address of its identity; 0: none.
    pub puuid: u64,
    /// What it may use, in bytes; all ones: unlimited.
    pub heap_bytes: u64,
}

const _: () = assert!(size_of::<CapGroupArgs>() == 56);
const _: () = assert!(offset_of!(CapGroupArgs, name) == 8);
const _: () = assert!(offset_of!(CapGroupArgs, name_bytes) == 16);
const _: () = assert!(offset_of!(CapGroupArgs, pcid) == 24);
const _: () = assert!(offset_of!(CapGroupArgs, pid) == 32);
const _: () = assert!(offset_of!(CapGroupArgs, puuid) == 40);
const _: () = assert!(offset_of!(CapGroupArgs, heap_bytes) == 48);

/// What a new thread is.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct ThreadArgs {
    /// The process that it belongs to.
    pub cap_group: i32,
    /// Its first stack pointer.
    pub stack: u64,
    /// Its first instruction.
    pub pc: u64,
    /// What it finds in its first argument register.
    pub argument: u64,
    /// Its thread pointer.
    pub tls: u64,
    /// 0 to 255, the larger wins.
    pub priority: u32,
    /// See [`THREAD_USER`].
    pub kind: u32,
}

/// An ordinary thread.
pub const THREAD_USER: u32 = 2;

const _: () = assert!(size_of::<ThreadArgs>() == 48);
const _: () = assert!(offset_of!(ThreadArgs, stack) == 8);
const _: () = assert!(offset_of!(ThreadArgs, pc) == 16);
const _: () = assert!(offset_of!(ThreadArgs, argument) == 24);
const _: () = assert!(offset_of!(ThreadArgs, tls) == 32);
const _: () = assert!(offset_of!(ThreadArgs, priority) == 40);
const _: () = assert!(offset_of!(ThreadArgs, kind) == 44);

/// A span or a time of the kernel's clock.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Timespec {
    /// Seconds.
    pub seconds: i64,
    /// And nanoseconds, below a thousand million.
    pub nanoseconds: i64,
}

const _: () = assert!(size_of::<Timespec>() == 16);

/// Who sent a message; written by the kernel.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Source {
    /// The process's pid.
    pub pid: u32,
    /// The thread's own capability.
    pub tid: u32,
    /// See [`SOURCE_NOTIFY`] and [`SOURCE_CALL`].
    pub kind: u16,
}

/// Sent without waiting.
pub const SOURCE_NOTIFY: u16 = 1;
/// The sender waits for a reply.
pub const SOURCE_CALL: u16 = 2;

const _: () = assert!(size_of::<Source>() == 12);
const _: () = assert!(offset_of!(Source, tid) == 4);
const _: () = assert!(offset_of!(Source, kind) == 8);

/// Bytes in front of the exit ring's slots.
pub const RING_HEADER_BYTES: usize = 32;
/// Bytes of an exit message: badge, exit code, nothing.
pub const EXIT_BYTES: usize = 12;
/// 32-bit words for slots in the ring's page.
pub const RING_WORDS: usize = (PAGE_BYTES - RING_HEADER_BYTES) / 4;
/// Slots that one page has room for.
pub const RING_SLOT_COUNT_MAX: usize = (PAGE_BYTES - RING_HEADER_BYTES) / EXIT_BYTES;

/// Where the kernel writes exits: exactly one page, because it must be resident as a whole.
/// Offsets count bytes from the page's start.
#[derive(Debug)]
#[repr(C, align(4096))]
pub struct RingPage {
    /// Bytes in use, header included.
    pub size: AtomicU64,
    /// Offset of the next message that we read.
    pub consumer: AtomicU64,
    /// Offset of the next message that the kernel writes.
    pub producer: AtomicU64,
    /// Bytes of a message.
    pub message_bytes: AtomicU64,
    /// The slots.
    pub words: [AtomicI32; RING_WORDS],
}

const _: () = assert!(size_of::<RingPage>() == PAGE_BYTES);
const _: () = assert!(align_of::<RingPage>() == PAGE_BYTES);
const _: () = assert!(offset_of!(RingPage, consumer) == 8);
const _: () = assert!(offset_of!(RingPage, producer) == 16);
const _: () = assert!(offset_of!(RingPage, message_bytes) == 24);
const _: () = assert!(offset_of!(RingPage, words) == RING_HEADER_BYTES);

/// A memory object that is filled when it is made.
pub const PMO_DATA: u64 = 1;
/// A memory object that nothing may touch.
pub const PMO_GUARD: u64 = 10;

/// May be read.
pub const READ: u64 = 1;
/// May be written.
pub const WRITE: u64 = 2;
/// May be executed.
pub const EXECUTE: u64 = 4;

/// The cache operation that makes new instructions visible.
pub const SYNC_INSTRUCTIONS: u64 = 4;
/// The clock that never goes back.
pub const CLOCK_MONOTONIC: u64 = 1;
/// Our own process.
pub const OWN_GROUP: i32 = 0;
