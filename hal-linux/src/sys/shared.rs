//! This file holds memory with special rules: statics that are lent once, words shared with
//! children and with the program's next life.

use super::fd::{self, Fd};
use super::syscall::{result, syscall};
use crate::region::SPLIT;
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU32, Ordering};
use init_core::event::Errno;
use linux_raw_sys::{general as abi, net};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd};
use rustix::fs::SeekFrom;
use rustix::mm::{MapFlags, ProtFlags, mmap, mmap_anonymous};

/// A static that is lent out once, mutably, for the program's life. The flag comes first: the end
/// of a large value may never be touched.
#[derive(Debug)]
#[repr(C)]
pub struct Once<T> {
    taken: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: the value is reached through `take` only, by one borrower.
unsafe impl<T: Send> Sync for Once<T> {}

impl<T> Once<T> {
    /// Holds a value.
    pub const fn new(value: T) -> Self {
        Self {
            value: UnsafeCell::new(value),
            taken: AtomicBool::new(false),
        }
    }

    /// Lends the value to the first caller; `None` for everyone after.
    #[expect(clippy::mut_from_ref, reason = "the flag makes the borrow unique")]
    pub fn take(&'static self) -> Option<&'static mut T> {
        if self.taken.swap(true, Ordering::Acquire) {
            return None;
        }
        // SAFETY: the flag was clear, so this is the only borrow there ever is.
        Some(unsafe { &mut *self.value.get() })
    }
}

/// A place for something that lasts: empty until it is set.
#[derive(Debug)]
pub(crate) struct Lasting<T: 'static>(AtomicPtr<T>);

impl<T: Sync> Lasting<T> {
    pub(crate) const fn empty() -> Self {
        Self(AtomicPtr::new(core::ptr::null_mut()))
    }

    pub(crate) fn set(&self, value: &'static T) {
        let pointer = core::ptr::from_ref(value).cast_mut();
        self.0.store(pointer, Ordering::Release);
    }

    pub(crate) fn get(&self) -> Option<&'static T> {
        // SAFETY: null, or made of a reference that lasts; nobody ever writes through it.
        unsafe { self.0.load(Ordering::Acquire).cast_const().as_ref() }
    }
}

/// Words that children write and heirs find, for the program's life.
pub type SharedWords = &'static [AtomicU32];

/// Bytes of such words.
pub type SharedBytes = &'static [AtomicU8];

/// The descriptor of the words' file.
pub const WORDS_FD: u16 = 3;

/// Zeroed words in a file in memory under [`WORDS_FD`], so that the program's next life can have
/// the same; shared with every child made from now on.
///
/// # Errors
/// What the kernel answers, which may not have such files.
pub fn lasting_words(count: usize) -> Result<SharedWords, Errno> {
    let (file, words) = file_of_words(count)?;
    put(file)?;
    Ok(words)
}

/// What parts of a file begin at multiples of: of every machine's page size, so that each part can
/// be mapped and given up alone.
const PART_BYTES: usize = 65_536;

/// As [`lasting_words`], in two parts that lie on pages of their own.
///
/// # Errors
/// As those of [`lasting_words`].
pub fn lasting_parts(first: usize, second: usize) -> Result<(SharedWords, SharedWords), Errno> {
    let (file, first, second) = file_of_parts(first, second)?;
    put(file)?;
    Ok((first, second))
}

/// The parts that the life before left, if they are that large.
pub fn inherited_parts(first: usize, second: usize) -> Option<(SharedWords, SharedWords)> {
    if !is_inherited(bytes_of_parts(first, second)) {
        return None;
    }
    let second = map_left(PRESENT, second, offset_behind(first));
    Some((map_left(PRESENT, first, 0), second))
}

/// The parts of words that were found as a whole.
pub fn parts_of(words: SharedWords, first: usize) -> Option<(SharedWords, SharedWords)> {
    let second = begin_of_second(first);
    Some((words.get(..first)?, words.get(second..)?))
}

/// Zeroed words in two parts, in a file in memory that is to become the one under [`WORDS_FD`].
///
/// # Errors
/// What the kernel answers, for lack of memory.
pub fn file_of_parts(first: usize, second: usize) -> Result<(Fd, SharedWords, SharedWords), Errno> {
    let file = file_of(bytes_of_parts(first, second))?;
    let own = map(file.as_fd(), first, 0)?;
    let others = map(file.as_fd(), second, offset_behind(first))?;
    Ok((file, own, others))
}

/// The word of the file that the second part begins with.
pub fn begin_of_second(first: usize) -> usize {
    let bytes = usize::try_from(offset_behind(first)).unwrap_or(0);
    bytes.checked_div(size_of::<AtomicU32>()).unwrap_or(0)
}

fn offset_behind(first: usize) -> u64 {
    let bytes = bytes_of(first).checked_next_multiple_of(PART_BYTES);
    bytes
        .and_then(|bytes| u64::try_from(bytes).ok())
        .unwrap_or(0)
}

fn bytes_of_parts(first: usize, second: usize) -> usize {
    let offset = usize::try_from(offset_behind(first)).unwrap_or(0);
    offset.saturating_add(bytes_of(second))
}

/// Two runs of words as one, and how many are the first's; where the second does not follow the
/// first, that one alone.
#[cfg(feature = "freestanding")]
pub fn joined(first: SharedWords, second: SharedWords) -> (SharedWords, usize) {
    let count = first.len();
    if !core::ptr::eq(first.as_ptr_range().end, second.as_ptr()) {
        return (first, count);
    }
    let all = count.saturating_add(second.len());
    // SAFETY: both are of one mapping, which is never unmapped while they are used.
    let all = unsafe { core::slice::from_raw_parts(first.as_ptr(), all) };
    (all, count)
}

/// The second part of a copy of words in two parts.
///
/// # Errors
/// What the kernel answers, for lack of memory.
#[cfg(all(feature = "freestanding", feature = "exchange"))]
pub fn second_part(copy: &Fd, first: usize, second: usize) -> Result<SharedWords, Errno> {
    map(copy.as_fd(), second, offset_behind(first))
}

/// Gives words up. For a child, which must never use them again.
pub fn unmap(words: SharedWords) {
    let pointer = words.as_ptr().cast_mut().cast();
    // SAFETY: they are a mapping of their own, and nobody in this process uses them any more.
    let _ = unsafe { rustix::mm::munmap(pointer, size_of_val(words)) };
}

/// Gives up so many words, which were found as a whole and begin with these.
pub fn unmap_all(first: SharedWords, count: usize) {
    let pointer = first.as_ptr().cast_mut().cast();
    // SAFETY: they are a mapping of their own, and nobody in this process uses them any more.
    let _ = unsafe { rustix::mm::munmap(pointer, bytes_of(count)) };
}

/// Zeroed words, shared with every child made from now on.
///
/// # Errors
/// What the kernel answers, for lack of memory.
pub fn new_words(count: usize) -> Result<SharedWords, Errno> {
    let bytes = bytes_of(count);
    // SAFETY: an anonymous mapping at an address of the kernel's choice touches no memory in use.
    let address =
        unsafe { mmap_anonymous(core::ptr::null_mut(), bytes, READ_WRITE, MapFlags::SHARED) };
    Ok(words_at(address.map_err(crate::errno)?, count))
}

/// The words that the life before left, all of them.
pub fn found_words() -> Option<SharedWords> {
    let stat = rustix::fs::fstat(Fd::WORDS).ok()?;
    let bytes = usize::try_from(stat.st_size).ok()?;
    let count = bytes.checked_div(size_of::<AtomicU32>())?;
    let is_ours = count > 0 && fd::is_size_sealed(Fd::WORDS);
    // Between two parts there is nothing, and shall be nothing.
    let flags = if SPLIT { MapFlags::SHARED } else { PRESENT };
    is_ours.then(|| map_left(flags, count, 0))
}

fn is_inherited(bytes: usize) -> bool {
    let size = rustix::fs::fstat(Fd::WORDS).map_or(0, |stat| stat.st_size);
    usize::try_from(size) == Ok(bytes) && fd::is_size_sealed(Fd::WORDS)
}

/// Zeroed words in a file in memory that is to become the one under [`WORDS_FD`].
///
/// # Errors
/// What the kernel answers, for lack of memory.
pub fn file_of_words(count: usize) -> Result<(Fd, SharedWords), Errno> {
    let file = sized_file(count)?;
    let words = map(file.as_fd(), count, 0)?;
    Ok((file, words))
}

/// A file in memory for so many words.
///
/// # Errors
/// What the kernel answers, for lack of memory.
pub fn sized_file(count: usize) -> Result<Fd, Errno> {
    file_of(bytes_of(count))
}

fn file_of(bytes: usize) -> Result<Fd, Errno> {
    let file = fd::memory_file(c"state")?;
    let bytes = u64::try_from(bytes).unwrap_or(0);
    rustix::fs::ftruncate(&file, bytes).map_err(crate::errno)?;
    fd::seal_size(&file)?;
    Ok(file)
}

/// Writes words to a file, from its word of that number on, which is behind what was written before
/// unless there are two parts.
///
/// # Errors
/// What the kernel answers, for lack of memory.
pub fn write_words(file: &Fd, begin: usize, words: SharedWords) -> Result<(), Errno> {
    if SPLIT {
        let begin = u64::try_from(bytes_before(begin)).unwrap_or(0);
        rustix::fs::seek(file, SeekFrom::Start(begin)).map_err(crate::errno)?;
    }
    let mut done = 0;
    while done < size_of_val(words) {
        let from = words.as_ptr().expose_provenance().wrapping_add(done);
        let left = size_of_val(words).wrapping_sub(done);
        // SAFETY: the kernel reads as many bytes as the words have from there on.
        let answer = unsafe { syscall(abi::__NR_write, [file.number().into(), from, left]) };
        match result(answer)? {
            0 => return Err(Errno(0)),
            count => done = done.wrapping_add(count),
        }
    }
    Ok(())
}

/// Reads words that were written to a file so, from its word of that number on. What cannot be read
/// stays as it is.
#[cfg(all(feature = "freestanding", feature = "exchange"))]
pub fn read_words(file: &Fd, begin: usize, words: SharedWords) {
    let begin = u64::try_from(bytes_before(begin)).unwrap_or(0);
    if rustix::fs::seek(file, SeekFrom::Start(begin)).is_ok() {
        let _ = read_into(file.as_fd(), words);
    }
}

/// Puts a file under [`WORDS_FD`], where it is taken for one that can be mapped.
fn put(file: Fd) -> Result<(), Errno> {
    if file.number() == WORDS_FD {
        file.leak();
        return Ok(());
    }
    super::process::duplicate_to(file.number(), WORDS_FD)
}

const READ_WRITE: ProtFlags = ProtFlags::READ.union(ProtFlags::WRITE);

fn bytes_of(count: usize) -> usize {
    bytes_before(count.max(1))
}

fn bytes_before(count: usize) -> usize {
    count.saturating_mul(size_of::<AtomicU32>())
}

/// Every page is there from now on, so that no write can fail for lack of memory.
const PRESENT: MapFlags = MapFlags::SHARED.union(MapFlags::POPULATE);

fn map(file: BorrowedFd<'_>, count: usize, offset: u64) -> Result<SharedWords, Errno> {
    map_by(PRESENT, file, count, offset)
}

/// Maps what the life before left, whose services run: for lack of memory it waits, and boots no
/// others beside them.
fn map_left(flags: MapFlags, count: usize, offset: u64) -> SharedWords {
    loop {
        if let Ok(words) = map_by(flags, Fd::WORDS, count, offset) {
            return words;
        }
        crate::heal::wait_for_memory();
    }
}

fn map_by(
    flags: MapFlags,
    file: BorrowedFd<'_>,
    count: usize,
    offset: u64,
) -> Result<SharedWords, Errno> {
    let bytes = bytes_of(count);
    // SAFETY: a mapping at an address of the kernel's choice touches no memory in use.
    let address = unsafe {
        mmap(
            core::ptr::null_mut(),
            bytes,
            READ_WRITE,
            flags,
            file,
            offset,
        )
    };
    Ok(words_at(address.map_err(crate::errno)?, count))
}

fn words_at(address: *mut core::ffi::c_void, count: usize) -> SharedWords {
    let first = address.cast::<AtomicU32>().cast_const();
    // SAFETY: a mapping of that size, page-aligned, never unmapped, of no file or of one that
    // cannot shrink; every bit pattern is a valid AtomicU32.
    unsafe { core::slice::from_raw_parts(first, count) }
}

/// Reads from a descriptor into words; how many bytes. The kernel writes them, so that whoever
/// finds the words later finds all that was taken.
pub fn read_into(fd: BorrowedFd<'_>, words: SharedWords) -> Result<usize, Errno> {
    let number = usize::try_from(fd.as_raw_fd()).unwrap_or(usize::MAX);
    let pointer = words.as_ptr().expose_provenance();
    // SAFETY: the words are as many bytes, and may be written at any time.
    result(unsafe { syscall(abi::__NR_read, [number, pointer, size_of_val(words)]) })
}

/// The bytes of words that nobody uses as words.
pub fn bytes(words: SharedWords) -> SharedBytes {
    let first = words.as_ptr().cast::<AtomicU8>();
    // SAFETY: as many bytes as the words have, which may be written at any time as these may; a
    // byte has no alignment, and every bit pattern is a valid one.
    unsafe { core::slice::from_raw_parts(first, size_of_val(words)) }
}

/// Writes bytes to a descriptor, or sends them to a socket without waiting; how many it took.
///
/// # Errors
/// EAGAIN, EINTR: none, for now. Others: what became of the other end.
pub fn write_from(fd: &Fd, bytes: SharedBytes, is_socket: bool) -> Result<usize, Errno> {
    let pointer = bytes.as_ptr().expose_provenance();
    let number = match is_socket {
        true => abi::__NR_sendto,
        false => abi::__NR_write,
    };
    let flags = usize::try_from(net::MSG_DONTWAIT | net::MSG_NOSIGNAL).unwrap_or(0);
    let arguments = [fd.number().into(), pointer, bytes.len(), flags, 0];
    // SAFETY: the kernel reads as many bytes; a write knows no flags, and null stands for "no
    // address", of whatever length.
    result(unsafe { syscall(number, arguments) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_static_is_lent_once() {
        static PLACE: Once<[u32; 2]> = Once::new([1, 2]);
        let lent = PLACE.take().expect("nobody has it");
        lent[1] = 7;
        assert!(PLACE.take().is_none());
        assert_eq!(*lent, [1, 7]);
    }

    #[test]
    fn the_bytes_of_words_are_all_of_theirs() {
        static WORDS: [AtomicU32; 2] = [const { AtomicU32::new(0) }; 2];
        let bytes = bytes(&WORDS);
        assert_eq!(bytes.len(), 8);
        bytes[7].store(9, Ordering::Relaxed);
        let [first, second] = [0, 1].map(|at: usize| WORDS[at].load(Ordering::Relaxed));
        assert_eq!((first, second.to_ne_bytes()), (0, [0, 0, 0, 9]));
    }

    #[test]
    fn what_lasts_is_what_was_set_last() {
        static FIRST: u32 = 1;
        let place = Lasting::empty();
        assert_eq!(place.get(), None);
        place.set(&FIRST);
        place.set(Box::leak(Box::new(2)));
        assert_eq!(place.get(), Some(&2));
    }
}
