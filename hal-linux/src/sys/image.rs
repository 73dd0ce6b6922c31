//! This file keeps a copy of the running program where nothing can damage it, and executes it.
//!
//! The copy is made from this process's own memory, so neither `/proc` nor the file that the
//! program was started from is needed, and it is what runs even if that file was exchanged.

use super::fd::{FCNTL, Fd};
use super::process::duplicate_to;
use super::start::{Arguments, first_instruction};
use super::syscall::{result, syscall};
use crate::heal;
use core::ffi::{CStr, c_char};
use core::mem::offset_of;
use core::sync::atomic::{AtomicPtr, Ordering};
use init_core::event::Errno;
use linux_raw_sys::general as abi;

/// The copy's descriptor.
pub const DESCRIPTOR: u16 = heal::COPY;

/// What the kernel left on the stack at the start: the argument count, and what follows it.
static START: AtomicPtr<usize> = AtomicPtr::new(core::ptr::null_mut());

/// The front of the program's file, as far as it is read.
#[repr(C)]
struct Header {
    identity: [u8; 16],
    kind: u16,
    machine: u16,
    version: u32,
    entry: usize,
    segments_at: usize,
    sections_at: usize,
    flags: u32,
    header_bytes: u16,
    segment_bytes: u16,
    segment_count: u16,
}

/// One part of the program's file and where it is in memory.
#[cfg(target_pointer_width = "64")]
#[repr(C)]
struct Segment {
    kind: u32,
    flags: u32,
    offset: usize,
    address: usize,
    physical: usize,
    file_bytes: usize,
}

/// One part of the program's file and where it is in memory.
#[cfg(target_pointer_width = "32")]
#[repr(C)]
struct Segment {
    kind: u32,
    offset: usize,
    address: usize,
    physical: usize,
    file_bytes: usize,
}

/// A segment that is in memory.
const LOAD: u32 = 1;

unsafe extern "C" {
    /// The front of the program's file in memory; the linker names it.
    static __ehdr_start: Header;
    /// Its end in memory.
    static _end: u8;
}

/// Where the kernel put the arguments of this program; they are handed on with each execution.
pub fn remember(arguments: Arguments) {
    START.store(arguments.stack().cast_mut(), Ordering::Relaxed);
}

/// Puts the copy at [`DESCRIPTOR`] and seals it.
///
/// `handed_over`: the descriptor may have come from the life before.
///
/// # Errors
/// What the kernel answers where it refuses programs in memory (`vm.memfd_noexec` is 2), or has
/// no room. Then there is still the file that the program was started from.
pub fn keep(handed_over: bool) -> Result<(), Errno> {
    if handed_over {
        name_program();
        if is_sealed() {
            return Ok(());
        }
    }
    let made = make()?;
    let kept = fill(made).and_then(|()| seal(made));
    let number = u16::try_from(made).unwrap_or(u16::MAX);
    let kept = kept.and_then(|()| match number {
        DESCRIPTOR => Ok(()),
        _ => duplicate_to(number, DESCRIPTOR),
    });
    if kept.is_err() || number != DESCRIPTOR {
        // SAFETY: there is no pointer; nobody knows the number.
        unsafe { syscall(abi::__NR_close, [made]) };
    }
    kept
}

/// The kernel names a program after its file, and the copy has none.
fn name_program() {
    let option = usize::try_from(linux_raw_sys::prctl::PR_SET_NAME).unwrap_or(0);
    let name = NAME.as_ptr().expose_provenance();
    // SAFETY: the name is a nul-terminated string.
    unsafe { syscall(abi::__NR_prctl, [option, name, 0, 0, 0]) };
}

/// Whether [`DESCRIPTOR`] is a file in memory that nobody can change.
fn is_sealed() -> bool {
    let command = usize::try_from(abi::F_GET_SEALS).unwrap_or(0);
    // SAFETY: there is no pointer.
    let answer = unsafe { syscall(FCNTL, [usize::from(DESCRIPTOR), command]) };
    let seals = usize::try_from(SEALS).unwrap_or(0);
    result(answer).is_ok_and(|found| found & seals == seals)
}

const SEALS: u32 = abi::F_SEAL_SEAL | abi::F_SEAL_SHRINK | abi::F_SEAL_GROW | abi::F_SEAL_WRITE;

/// An empty file in memory for a program.
///
/// # Errors
/// What the kernel answers.
pub fn file() -> Result<Fd, Errno> {
    let number = u16::try_from(make()?).ok();
    number.and_then(Fd::adopt).ok_or(Errno(24))
}

/// An empty file in memory. Kernels before 6.3 do not know the flag for what they allow anyway.
fn make() -> Result<usize, Errno> {
    let name = c"init".as_ptr().expose_provenance();
    let flags = abi::MFD_ALLOW_SEALING | abi::MFD_CLOEXEC;
    let make = |flags: u32| {
        let flags = usize::try_from(flags).unwrap_or(0);
        // SAFETY: the name is a nul-terminated string.
        result(unsafe { syscall(abi::__NR_memfd_create, [name, flags]) })
    };
    make(flags | abi::MFD_EXEC).or_else(|_| make(flags))
}

/// Writes each part of the program to where it is in its file.
fn fill(file: usize) -> Result<(), Errno> {
    let header = &raw const __ehdr_start;
    // SAFETY: the first segment begins with the header, and nobody ever writes to it.
    let Header {
        segments_at: at,
        segment_count: count,
        ..
    } = unsafe { header.read() };
    let first = header.cast::<u8>().wrapping_add(at).cast::<Segment>();
    for index in 0..usize::from(count) {
        // The sizes differ by the last fields, which are not read.
        let place = first
            .cast::<u8>()
            .wrapping_add(index.wrapping_mul(SEGMENT_BYTES));
        // SAFETY: the table of segments follows the header, aligned, in the same segment.
        let segment = unsafe { place.cast::<Segment>().read() };
        if segment.kind == LOAD {
            write(file, &segment)?;
        }
    }
    Ok(())
}

const SEGMENT_BYTES: usize = if size_of::<usize>() == 8 { 56 } else { 32 };
const _: () = assert!(size_of::<Segment>() <= SEGMENT_BYTES);
const _: () =
    assert!(offset_of!(Header, segment_count) == if size_of::<usize>() == 8 { 56 } else { 44 });

/// Writes one part.
fn write(file: usize, segment: &Segment) -> Result<(), Errno> {
    let mut done = 0;
    while done < segment.file_bytes {
        let from = segment.address.wrapping_add(done);
        let left = segment.file_bytes.wrapping_sub(done);
        // SAFETY: the kernel reads what the program was loaded from, and it cannot change.
        let count =
            result(unsafe { write_at(file, from, left, segment.offset.wrapping_add(done)) })?;
        if count == 0 {
            return Err(Errno(0));
        }
        done = done.wrapping_add(count);
    }
    Ok(())
}

/// # Safety
/// As many bytes can be read from there.
#[cfg(target_pointer_width = "64")]
unsafe fn write_at(file: usize, from: usize, bytes: usize, at: usize) -> isize {
    // SAFETY: the caller vouches for the bytes.
    unsafe { syscall(abi::__NR_pwrite64, [file, from, bytes, at]) }
}

/// By two calls: the one for both has an argument more than we can give here.
///
/// # Safety
/// As many bytes can be read from there.
#[cfg(target_pointer_width = "32")]
unsafe fn write_at(file: usize, from: usize, bytes: usize, at: usize) -> isize {
    // SAFETY: there is no pointer.
    unsafe { syscall(abi::__NR_lseek, [file, at, 0]) };
    // SAFETY: the caller vouches for the bytes.
    unsafe { syscall(abi::__NR_write, [file, from, bytes]) }
}

/// Where the program begins and ends in memory.
pub(super) fn bounds() -> (usize, usize) {
    let (begin, end) = (&raw const __ehdr_start, &raw const _end);
    (begin.addr(), end.addr())
}

/// Where in the program's file an address of its code is; `None`: nowhere.
#[cfg(feature = "exchange")]
pub(super) fn offset_of(address: usize) -> Option<usize> {
    let header = &raw const __ehdr_start;
    // SAFETY: the first segment begins with the header, and nobody ever writes to it.
    let Header {
        segments_at: at,
        segment_count: count,
        ..
    } = unsafe { header.read() };
    let first = header.cast::<u8>().wrapping_add(at);
    (0..usize::from(count)).find_map(|index| {
        let place = first.wrapping_add(index.wrapping_mul(SEGMENT_BYTES));
        // SAFETY: the table of segments follows the header, aligned, in the same segment.
        let segment = unsafe { place.cast::<Segment>().read() };
        let within = address.checked_sub(segment.address)?;
        (segment.kind == LOAD && within < segment.file_bytes)
            .then(|| segment.offset.wrapping_add(within))
    })
}

/// From here on nobody can change it.
///
/// # Errors
/// It is no such file, or somebody can write to it by a mapping.
pub fn seal_file(file: &Fd) -> Result<(), Errno> {
    seal(file.number().into())
}

/// The beginning of the program's own file: what kind of program it is and for which processor.
pub fn own_identity() -> Identity {
    // SAFETY: the first segment begins with the header, and nobody ever writes to it.
    unsafe { (&raw const __ehdr_start).cast::<Identity>().read() }
}

/// Magic number, width of words, order of bytes; kind and processor.
pub type Identity = [u8; 20];

/// The path that the kernel started this program as.
pub fn own_path() -> Option<&'static CStr> {
    let start = START.load(Ordering::Relaxed).cast_const();
    if start.is_null() {
        return None;
    }
    // SAFETY: behind the count the kernel put its pointers, and a null.
    let first = unsafe { start.wrapping_add(1).cast::<*const c_char>().read() };
    // SAFETY: what is not null leads to a nul-terminated string that stays.
    (!first.is_null()).then(|| unsafe { CStr::from_ptr(first) })
}

/// Becomes an image on trial: under its own name for that, with nothing else. Returns only on
/// failure.
pub fn execute_on_trial(image: &Fd) -> Errno {
    let arguments = [TRIAL.as_ptr().expose_provenance(), 0];
    let (first, none) = (&raw const arguments[0], &raw const arguments[1]);
    execute_file(image.number().into(), first, none)
}

/// What an image on trial is called.
pub const TRIAL: &CStr = c"sysmaster-on-trial";

/// From here on nobody can change it.
fn seal(file: usize) -> Result<(), Errno> {
    let command = usize::try_from(abi::F_ADD_SEALS).unwrap_or(0);
    let seals = usize::try_from(SEALS).unwrap_or(0);
    // SAFETY: there is no pointer.
    result(unsafe { syscall(FCNTL, [file, command, seals]) }).map(|_| ())
}

/// From where the program can be executed.
#[derive(Clone, Copy, Debug)]
pub enum Source {
    /// The copy.
    Copy,
    /// What the kernel knows as this program's file.
    Own,
    /// Its first argument: the path that the kernel itself started.
    Path,
    /// An image that stood its trial, by its descriptor.
    File(u16),
}

/// Replaces this process by its program. Returns only on failure. `bare`: without the arguments and
/// the environment, which may be what is damaged.
pub fn execute(source: Source, bare: bool) -> Errno {
    let start = START.load(Ordering::Relaxed).cast_const();
    let count = if start.is_null() {
        0
    } else {
        // SAFETY: the kernel put the count there, and nothing moves or changes it.
        unsafe { start.read() }
    };
    let own = start.wrapping_add(1);
    // SAFETY: the kernel's first argument is behind the count; there is at least a null.
    let name = if count == 0 { 0 } else { unsafe { own.read() } };
    let only_name = [NAME.as_ptr().expose_provenance(), 0];
    let (arguments, environment) = if bare || count == 0 {
        (&raw const only_name[0], &raw const only_name[1])
    } else {
        (own, own.wrapping_add(count).wrapping_add(1))
    };
    let here = usize::MAX.wrapping_sub(99); // AT_FDCWD is -100.
    let empty = c"".as_ptr().expose_provenance();
    let file = c"/proc/self/exe".as_ptr().expose_provenance();
    let (folder, path, flags) = match source {
        Source::Copy => (usize::from(DESCRIPTOR), empty, abi::AT_EMPTY_PATH),
        Source::File(number) => (usize::from(number), empty, abi::AT_EMPTY_PATH),
        Source::Own => (here, file, 0),
        Source::Path => (here, name, 0),
    };
    let flags = usize::try_from(flags).unwrap_or(0);
    let arguments = arguments.expose_provenance();
    let environment = environment.expose_provenance();
    // SAFETY: the path and the strings are the kernel's own or constants; the vectors end with a
    // null. Where they are damaged the kernel says EFAULT.
    let answer = unsafe {
        syscall(
            abi::__NR_execveat,
            [folder, path, arguments, environment, flags],
        )
    };
    result(answer).err().unwrap_or(Errno(0))
}

fn execute_file(file: usize, arguments: *const usize, environment: *const usize) -> Errno {
    let path = c"".as_ptr().expose_provenance();
    let arguments = arguments.expose_provenance();
    let environment = environment.expose_provenance();
    let flags = usize::try_from(abi::AT_EMPTY_PATH).unwrap_or(0);
    // SAFETY: the path is a constant; the vectors lead to constants and end with a null.
    let answer = unsafe {
        syscall(
            abi::__NR_execveat,
            [file, path, arguments, environment, flags],
        )
    };
    result(answer).err().unwrap_or(Errno(0))
}

const NAME: &CStr = c"init";

/// Begins again without the kernel: the memory as it was at the start, then the first instruction.
/// Descriptors and mappings stay.
pub fn restart() -> ! {
    // SAFETY: nothing that lives in memory is used any more.
    unsafe { first_instruction(START.load(Ordering::Relaxed).cast_const()) }
}
