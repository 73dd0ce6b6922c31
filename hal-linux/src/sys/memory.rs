//! This file is memcpy and its family, which the compiler calls and no libc brings.
//!
//! Every function is a plain loop over words where both ends are aligned alike, else over bytes.
//! The empty assembly in each loop keeps the compiler from recognising the loop and calling the
//! function that it stands in.

const WORD_BYTES: usize = size_of::<usize>();

/// Keeps a loop a loop.
#[inline(always)]
fn keep() {
    // An interpreter of the language knows no assembly, and recognises no loops.
    #[cfg(not(miri))]
    // SAFETY: no instruction is emitted.
    unsafe {
        core::arch::asm!("", options(nostack, preserves_flags))
    }
}

#[inline(always)]
fn aligned_alike(to: *const u8, from: *const u8, byte_count: usize) -> bool {
    (to.addr() | from.addr() | byte_count) & (WORD_BYTES - 1) == 0
}

/// Copies `count` items from the first to the last.
///
/// # Safety
/// Both stretches are valid for `count` items and aligned for `T`; where they overlap, `to` is not
/// above `from`.
#[inline(always)]
unsafe fn copy_up<T: Copy>(to: *mut T, from: *const T, count: usize) {
    let mut at = 0;
    while at != count {
        // SAFETY: the caller vouches for `count` items from here.
        let item = unsafe { *from.wrapping_add(at) };
        // SAFETY: the caller vouches for `count` items to there.
        unsafe { *to.wrapping_add(at) = item }
        keep();
        at = at.wrapping_add(1);
    }
}

/// Copies `count` items from the last to the first.
///
/// # Safety
/// As [`copy_up`], but where the stretches overlap, `to` is not below `from`.
#[inline(always)]
unsafe fn copy_down<T: Copy>(to: *mut T, from: *const T, count: usize) {
    let mut at = count;
    while at != 0 {
        at = at.wrapping_sub(1);
        // SAFETY: the caller vouches for `count` items from here.
        let item = unsafe { *from.wrapping_add(at) };
        // SAFETY: the caller vouches for `count` items to there.
        unsafe { *to.wrapping_add(at) = item }
        keep();
    }
}

/// # Safety
/// C's contract: both stretches are valid for `byte_count` bytes and do not overlap.
#[cfg_attr(not(test), unsafe(no_mangle))]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, byte_count: usize) -> *mut u8 {
    if aligned_alike(to, from, byte_count) {
        // SAFETY: aligned for words, and C's contract covers every word.
        unsafe {
            copy_up(
                to.cast::<usize>(),
                from.cast::<usize>(),
                byte_count / WORD_BYTES,
            )
        }
    } else {
        // SAFETY: C's contract.
        unsafe { copy_up(to, from, byte_count) }
    }
    to
}

/// # Safety
/// C's contract: both stretches are valid for `byte_count` bytes; they may overlap.
#[cfg_attr(not(test), unsafe(no_mangle))]
unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, byte_count: usize) -> *mut u8 {
    if to.addr() <= from.addr() {
        // SAFETY: C's contract; a copy to below goes up. memcpy goes up as well.
        return unsafe { memcpy(to, from, byte_count) };
    }
    // SAFETY: C's contract; a copy to above goes down.
    unsafe { copy_down(to, from, byte_count) }
    to
}

/// # Safety
/// C's contract: the stretch is valid for `byte_count` bytes.
#[cfg_attr(not(test), unsafe(no_mangle))]
unsafe extern "C" fn memset(to: *mut u8, value: i32, byte_count: usize) -> *mut u8 {
    let [byte, ..] = value.to_le_bytes();
    let word = usize::from_ne_bytes([byte; WORD_BYTES]);
    let words = aligned_alike(to, to, byte_count);
    let step = if words { WORD_BYTES } else { 1 };
    let mut at = 0;
    while at != byte_count {
        let place = to.wrapping_add(at);
        if words {
            // SAFETY: aligned, and a whole word of the stretch is left.
            unsafe { *place.cast::<usize>() = word }
        } else {
            // SAFETY: C's contract.
            unsafe { *place = byte }
        }
        keep();
        at = at.wrapping_add(step);
    }
    to
}

/// # Safety
/// C's contract: both stretches are valid for `byte_count` bytes.
#[cfg_attr(not(test), unsafe(no_mangle))]
unsafe extern "C" fn memcmp(left: *const u8, right: *const u8, byte_count: usize) -> i32 {
    let mut at = 0;
    while at != byte_count {
        // SAFETY: C's contract.
        let a = unsafe { *left.wrapping_add(at) };
        // SAFETY: C's contract.
        let b = unsafe { *right.wrapping_add(at) };
        if a != b {
            return i32::from(a).wrapping_sub(i32::from(b));
        }
        keep();
        at = at.wrapping_add(1);
    }
    0
}

/// # Safety
/// C's contract: both stretches are valid for `byte_count` bytes.
#[cfg_attr(not(test), unsafe(no_mangle))]
unsafe extern "C" fn bcmp(left: *const u8, right: *const u8, byte_count: usize) -> i32 {
    // SAFETY: the same contract.
    unsafe { memcmp(left, right, byte_count) }
}

/// The length of a nul-terminated string.
///
/// # Safety
/// `text` leads to bytes that end with a nul.
#[cfg_attr(not(test), unsafe(no_mangle))]
unsafe extern "C" fn strlen(text: *const u8) -> usize {
    let mut length = 0;
    // SAFETY: every byte up to the nul may be read, as the caller vouches.
    while unsafe { *text.wrapping_add(length) } != 0 {
        keep();
        length = length.wrapping_add(1);
    }
    length
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes of a stretch: some words, with what is in front of the first and behind the last.
    const BYTES_MAX: usize = 3 * WORD_BYTES;

    /// From one distance, and one length, to the next: an interpreter has less time.
    const STEP: usize = if cfg!(miri) { WORD_BYTES / 2 } else { 1 };

    /// Distances from a word's begin.
    fn skips() -> impl Iterator<Item = usize> {
        (0..WORD_BYTES).step_by(STEP)
    }

    /// Stretches of each length at each distance.
    fn stretches() -> impl Iterator<Item = (usize, usize)> {
        let lengths = || (0..=BYTES_MAX).step_by(STEP);
        skips().flat_map(move |skip| lengths().map(move |count| (skip, count)))
    }

    /// Bytes of which no two near each other are the same.
    fn bytes() -> Vec<u8> {
        (1..).take(2 * BYTES_MAX).collect()
    }

    #[test]
    fn bytes_are_copied_to_wherever_they_are_wanted_and_none_beside_them() {
        for (to_skip, count) in stretches() {
            for from_skip in skips() {
                let (from, mut to) = (bytes(), vec![0xee; 2 * BYTES_MAX]);
                let place = to[to_skip..to_skip + count].as_mut_ptr();
                let source = from[from_skip..from_skip + count].as_ptr();
                // SAFETY: both are so many bytes of two vectors.
                let answer = unsafe { memcpy(place, source, count) };
                assert_eq!(answer, place);
                let mut expected = vec![0xee; 2 * BYTES_MAX];
                expected[to_skip..to_skip + count]
                    .copy_from_slice(&from[from_skip..from_skip + count]);
                assert_eq!(to, expected, "{count} from {from_skip} to {to_skip}");
            }
        }
    }

    #[test]
    fn bytes_that_overlap_are_moved_up_and_down() {
        for (to, count) in stretches() {
            for from in skips() {
                let (mut moved, mut expected) = (bytes(), bytes());
                let begin = moved.as_mut_ptr();
                let (place, source) = (begin.wrapping_add(to), begin.wrapping_add(from));
                // SAFETY: both are so many bytes of the vector.
                let answer = unsafe { memmove(place, source, count) };
                assert_eq!(answer, place);
                expected.copy_within(from..from + count, to);
                assert_eq!(moved, expected, "{count} from {from} to {to}");
            }
        }
    }

    #[test]
    fn a_stretch_is_filled_and_nothing_beside_it() {
        for (skip, count) in stretches() {
            let (mut filled, mut expected) = (bytes(), bytes());
            let place = filled[skip..skip + count].as_mut_ptr();
            // SAFETY: it is so many bytes of the vector.
            let answer = unsafe { memset(place, 0x1_a5, count) };
            assert_eq!(answer, place);
            expected[skip..skip + count].fill(0xa5);
            assert_eq!(filled, expected, "{count} at {skip}");
        }
    }

    #[test]
    fn the_first_byte_that_differs_says_what_comes_first() {
        let (left, mut right) = ([1, 2, 200, 4], [1, 2, 200, 4]);
        let order = |right: &[u8; 4], count| {
            // SAFETY: both are at least so many bytes.
            unsafe { memcmp(left.as_ptr(), right.as_ptr(), count).signum() }
        };
        assert_eq!(order(&right, 4), 0);
        right[2] = 100;
        assert_eq!([2, 3].map(|count| order(&right, count)), [0, 1]);
        right[0] = 2;
        assert_eq!([0, 1].map(|count| order(&right, count)), [0, -1]);
        // SAFETY: both are so many bytes.
        assert!(unsafe { bcmp(left.as_ptr(), right.as_ptr(), 4) } != 0);
    }

    #[test]
    fn a_text_is_as_long_as_it_is_up_to_its_nul() {
        for text in [c"", c"a", c"/sbin/init"] {
            // SAFETY: a text ends with a nul.
            let length = unsafe { strlen(text.as_ptr().cast()) };
            assert_eq!(length, text.count_bytes());
        }
    }
}
