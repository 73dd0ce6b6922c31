//! This file is where received messages wait until the root task looks at them: a queue that one
//! thread fills and another empties, without a lock.
//!
//! What is only told is dropped and counted when a quarter of the queue is its sender's already,
//! so that nobody's flood drowns what others say, or when two thirds are full. The last third is
//! kept for calls, which cannot be more than there are handles, and for the one mark that may be on
//! its way. So these are never dropped.

use crate::abi::{Asked, Handle, MESSAGE_BYTES};
use core::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, Ordering};

/// Handles: calls that can wait for their answer at once, and one to receive by. Services call one
/// at a time, and each call is answered in the turn that takes it out.
pub const HANDLE_COUNT: usize = 8;

/// Handles that are spared for a core of its own.
pub const CORE_HANDLE_COUNT: usize = 2;

/// Messages that can wait. A service that says more in one turn of init is talking too much.
const LETTER_COUNT_MAX: u32 = 24;

/// Of them, those that are only told.
const TOLD_COUNT_MAX: u32 = 15;

/// Of those, one sender's.
const TOLD_BY_ONE_MAX: usize = 6;

const PLACES: usize = 24;
const _: () = assert!(PLACES == 16 + HANDLE_COUNT);

const LONGS: usize = MESSAGE_BYTES / 8;
const _: () = assert!(MESSAGE_BYTES.is_multiple_of(8));

/// A message as it came.
#[derive(Debug)]
pub struct Letter {
    /// Who sent it, as the kernel says.
    pub pid: i32,
    /// The call that waits for an answer, if it is one.
    pub asked: Option<Asked>,
    /// What was sent, zeros behind it.
    pub sheet: [u8; MESSAGE_BYTES],
}

/// A place of the queue.
#[derive(Debug)]
struct Place {
    pid: AtomicI32,
    /// The handle of a call; [`NO_HANDLE`] for what is only told.
    handle: AtomicI32,
    longs: [AtomicU64; LONGS],
}

const NO_HANDLE: i32 = -1;

/// The queue, and the handles that are free.
#[derive(Debug)]
pub struct Post {
    places: [Place; PLACES],
    /// Letters ever put in, and ever taken out; they wrap together.
    put: AtomicU32,
    taken: AtomicU32,
    dropped: AtomicU32,
    /// Who decides, where that is a process of its own; 0: nobody. Its calls have a place of their
    /// own, in which there is the handle of one.
    core_pid: AtomicI32,
    core_handle: AtomicI32,
    /// What its next call is received by, whoever else calls. Two: it may call again before the
    /// handle of the call that was answered is back.
    core_spares: [AtomicI32; CORE_HANDLE_COUNT],
    /// What came from it and was no call, or one too many.
    core_noise: AtomicU32,
    /// Handles by which nobody is waited for; [`NO_HANDLE`]: none in this place.
    handles: [AtomicI32; HANDLE_COUNT],
}

impl Place {
    const fn new() -> Self {
        Self {
            pid: AtomicI32::new(0),
            handle: AtomicI32::new(NO_HANDLE),
            longs: [const { AtomicU64::new(0) }; LONGS],
        }
    }
}

impl Post {
    /// Nothing waits, and there are no handles yet.
    pub const fn new() -> Self {
        Self {
            places: [const { Place::new() }; PLACES],
            put: AtomicU32::new(0),
            taken: AtomicU32::new(0),
            dropped: AtomicU32::new(0),
            core_pid: AtomicI32::new(0),
            core_handle: AtomicI32::new(NO_HANDLE),
            core_spares: [const { AtomicI32::new(NO_HANDLE) }; CORE_HANDLE_COUNT],
            core_noise: AtomicU32::new(0),
            handles: [const { AtomicI32::new(NO_HANDLE) }; HANDLE_COUNT],
        }
    }

    /// Puts a handle back that nobody waits by.
    pub fn give(&self, handle: Handle) {
        put_handle(&self.handles, handle);
    }

    /// Takes a handle; `None`: by all of them somebody waits.
    pub fn take_handle(&self) -> Option<Handle> {
        take_handle(&self.handles)
    }

    fn waiting(&self) -> u32 {
        let put = self.put.load(Ordering::Acquire);
        put.wrapping_sub(self.taken.load(Ordering::Acquire))
    }

    /// About: what is being taken out meanwhile may be counted.
    fn waiting_of(&self, pid: i32) -> usize {
        let taken = self.taken.load(Ordering::Acquire);
        let waiting = (0..self.waiting()).filter_map(|at| self.place(taken.wrapping_add(at)));
        let its = waiting.filter(|place| place.pid.load(Ordering::Relaxed) == pid);
        its.fold(0, |count: usize, _| count.saturating_add(1))
    }

    fn place(&self, count: u32) -> Option<&Place> {
        let index = count.checked_rem(LETTER_COUNT_MAX)?;
        self.places.get(usize::try_from(index).ok()?)
    }

    /// Puts in what was told; `false`: it was dropped.
    pub fn put_told(&self, pid: i32, sheet: &[u8; MESSAGE_BYTES]) -> bool {
        if self.waiting() >= TOLD_COUNT_MAX || self.waiting_of(pid) >= TOLD_BY_ONE_MAX {
            self.count_dropped();
            return false;
        }
        self.put(pid, NO_HANDLE, sheet);
        true
    }

    /// Puts in a mark, of which no other is on its way.
    pub fn put_mark(&self, pid: i32, sheet: &[u8; MESSAGE_BYTES]) {
        self.put(pid, NO_HANDLE, sheet);
    }

    /// Puts in a call.
    pub fn put_asked(&self, asked: Asked, sheet: &[u8; MESSAGE_BYTES]) {
        let (handle, pid) = asked.into_numbers();
        self.put(pid, handle, sheet);
    }

    /// Says who the core is, from now on.
    pub fn expect_core(&self, pid: i32) {
        self.core_pid.store(pid, Ordering::Release);
    }

    /// Whether that is the core, of which nothing is put with what services say.
    pub fn is_core(&self, pid: i32) -> bool {
        pid == self.core_pid.load(Ordering::Acquire)
    }

    /// Puts in the core's call; the handle for the next message. It makes one call at a time:
    /// another one is not put in, and its handle comes back.
    pub fn put_core(&self, asked: Asked) -> Handle {
        let is_free = self.core_handle.load(Ordering::Acquire) == NO_HANDLE;
        let spare = is_free.then(|| take_handle(&self.core_spares)).flatten();
        let Some(spare) = spare else {
            self.count_noise();
            return asked.forget();
        };
        let (handle, _) = asked.into_numbers();
        self.core_handle.store(handle, Ordering::Release);
        spare
    }

    /// Puts a handle back that is spared for the core's next call.
    pub fn give_core(&self, handle: Handle) {
        put_handle(&self.core_spares, handle);
    }

    /// Takes the core's call out.
    pub fn take_core(&self) -> Option<Asked> {
        let handle = self.core_handle.swap(NO_HANDLE, Ordering::Acquire);
        let pid = self.core_pid.load(Ordering::Acquire);
        (handle != NO_HANDLE).then(|| Asked::from_numbers(handle, pid))
    }

    /// Counts what the core said that is no call.
    pub fn count_noise(&self) {
        self.core_noise.fetch_add(1, Ordering::Relaxed);
    }

    /// How much of that there was since this was last asked.
    pub fn take_noise(&self) -> u32 {
        self.core_noise.swap(0, Ordering::Relaxed)
    }

    /// Counts one that was not put in.
    pub fn count_dropped(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }

    /// How many were dropped since this was last asked.
    pub fn take_dropped(&self) -> u32 {
        self.dropped.swap(0, Ordering::Relaxed)
    }

    /// There is room: see the head of the file.
    fn put(&self, pid: i32, handle: i32, sheet: &[u8; MESSAGE_BYTES]) {
        let count = self.put.load(Ordering::Relaxed);
        let Some(place) = self.place(count) else {
            return;
        };
        place.pid.store(pid, Ordering::Relaxed);
        place.handle.store(handle, Ordering::Relaxed);
        for (long, bytes) in place.longs.iter().zip(sheet.as_chunks::<8>().0) {
            long.store(u64::from_le_bytes(*bytes), Ordering::Relaxed);
        }
        self.put.store(count.wrapping_add(1), Ordering::Release);
    }

    /// Takes the oldest out.
    pub fn take(&self) -> Option<Letter> {
        if self.waiting() == 0 {
            return None;
        }
        let count = self.taken.load(Ordering::Relaxed);
        let place = self.place(count)?;
        let mut sheet = [0; MESSAGE_BYTES];
        for (bytes, long) in sheet.as_chunks_mut::<8>().0.iter_mut().zip(&place.longs) {
            *bytes = long.load(Ordering::Relaxed).to_le_bytes();
        }
        let pid = place.pid.load(Ordering::Relaxed);
        let handle = place.handle.load(Ordering::Relaxed);
        self.taken.store(count.wrapping_add(1), Ordering::Release);
        Some(Letter {
            pid,
            asked: (handle != NO_HANDLE).then(|| Asked::from_numbers(handle, pid)),
            sheet,
        })
    }
}

fn put_handle(places: &[AtomicI32], handle: Handle) {
    let number = handle.into_number();
    for place in places {
        let free = place.compare_exchange(NO_HANDLE, number, Ordering::Release, Ordering::Relaxed);
        if free.is_ok() {
            return;
        }
    }
}

fn take_handle(places: &[AtomicI32]) -> Option<Handle> {
    places.iter().find_map(|place| {
        let number = place.swap(NO_HANDLE, Ordering::Acquire);
        (number != NO_HANDLE).then(|| Handle::from_number(number))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sheet(number: u8) -> [u8; MESSAGE_BYTES] {
        let mut sheet = [number; MESSAGE_BYTES];
        sheet[63] = 1;
        sheet
    }

    #[test]
    fn letters_come_out_as_they_went_in_whatever_was_before() {
        let post = Post::new();
        let mut number = 0_u8;
        for length in 0..200_u32 {
            let length = length % TOLD_COUNT_MAX;
            for step in 0..length {
                let letter = number.wrapping_add(u8::try_from(step).unwrap());
                assert!(post.put_told(i32::from(letter), &sheet(letter)));
            }
            for _ in 0..length {
                let letter = post.take().unwrap();
                assert_eq!((letter.pid, letter.sheet), (number.into(), sheet(number)));
                assert!(letter.asked.is_none());
                number = number.wrapping_add(1);
            }
            assert!(post.take().is_none());
        }
    }

    #[test]
    fn what_is_told_is_dropped_and_counted_before_calls_lack_room() {
        let post = Post::new();
        for number in 0..100 {
            let is_put = post.put_told(number, &sheet(0));
            assert_eq!(is_put, number < 15, "{number}");
        }
        assert_eq!((post.take_dropped(), post.take_dropped()), (85, 0));
        post.put_mark(1, &sheet(1));
        for handle in 0..8 {
            post.put_asked(Asked::from_numbers(handle, 200), &sheet(2));
        }
        let letters = core::iter::from_fn(|| post.take());
        let asked = letters.filter_map(|letter| letter.asked);
        let numbers = asked.map(Asked::into_numbers);
        assert!(numbers.eq((0..8).map(|handle| (handle, 200))));
    }

    #[test]
    fn nobodys_flood_drowns_what_others_say() {
        let post = Post::new();
        let put = |pid| (0..100).filter(|_| post.put_told(pid, &sheet(0))).count();
        assert_eq!([put(200), put(201), put(202)], [6, 6, 3]);
        for _ in 0..6 {
            assert_eq!(post.take().unwrap().pid, 200);
        }
        assert_eq!([put(201), put(203)], [0, 6]);
    }

    #[test]
    fn a_handle_is_taken_once() {
        let post = Post::new();
        assert!(post.take_handle().is_none());
        for number in 0..8 {
            post.give(Handle::from_number(number));
        }
        let mut taken = [false; 8];
        while let Some(handle) = post.take_handle() {
            let index = usize::try_from(handle.into_number()).unwrap();
            assert!(!core::mem::replace(&mut taken[index], true));
        }
        assert_eq!(taken, [true; 8]);
    }

    #[test]
    fn a_core_has_one_call_and_no_handle_is_lost() {
        let post = Post::new();
        post.expect_core(200);
        for number in [50, 51] {
            post.give_core(Handle::from_number(number));
        }
        for round in 0..100 {
            let next = post.put_core(Asked::from_numbers(7, 200));
            // Another thread of its own calls, too: nobody answers that.
            let again = post.put_core(Asked::from_numbers(next.into_number(), 200));
            let asked = post.take_core().unwrap();
            assert!(post.take_core().is_none(), "{round}");
            // Before the first handle is back, the core has called again.
            let third = post.put_core(Asked::from_numbers(again.into_number(), 200));
            post.give_core(asked.forget());
            let asked = post.take_core().unwrap();
            post.give_core(asked.forget());
            let mut left = [
                take_handle(&post.core_spares),
                take_handle(&post.core_spares),
            ]
            .map(|handle| handle.unwrap().into_number());
            left.sort_unstable();
            let mut all = [left[0], left[1], third.into_number()];
            all.sort_unstable();
            assert_eq!(all, [7, 50, 51], "{round}");
            post.give_core(Handle::from_number(50));
            post.give_core(Handle::from_number(51));
        }
    }
}
