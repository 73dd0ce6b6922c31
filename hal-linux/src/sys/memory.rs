//! This file is memcpy and its family, which the compiler calls and no libc brings.
//!
//! Every function is a plain loop over words where both ends are aligned alike, else over bytes.
//! The empty assembly in each loop keeps the compiler from recognising the loop and calling the
//! function that it stands in.

use core::arch::asm;

const WORD_BYTES: usize = size_of::<usize>();

/// Keeps a loop a loop.
#[inline(always)]
fn keep() {
    // SAFETY: no instruction is emitted.
    unsafe { asm!("", options(nostack, preserves_flags)) }
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
#[unsafe(no_mangle)]
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
#[unsafe(no_mangle)]
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
#[unsafe(no_mangle)]
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
#[unsafe(no_mangle)]
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
#[unsafe(no_mangle)]
unsafe extern "C" fn bcmp(left: *const u8, right: *const u8, byte_count: usize) -> i32 {
    // SAFETY: the same contract.
    unsafe { memcmp(left, right, byte_count) }
}

/// The length of a nul-terminated string.
///
/// # Safety
/// `text` leads to bytes that end with a nul.
#[unsafe(no_mangle)]
unsafe extern "C" fn strlen(text: *const u8) -> usize {
    let mut length = 0;
    // SAFETY: every byte up to the nul may be read, as the caller vouches.
    while unsafe { *text.wrapping_add(length) } != 0 {
        keep();
        length = length.wrapping_add(1);
    }
    length
}
