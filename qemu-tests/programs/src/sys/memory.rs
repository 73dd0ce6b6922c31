//! This file is what the compiler calls and no libc brings, by the processor's string instructions.

use core::arch::asm;

/// # Safety
/// C's contract: the text ends with a nul.
#[unsafe(no_mangle)]
unsafe extern "C" fn strlen(text: *const u8) -> usize {
    let mut length = 0;
    // SAFETY: the caller vouches for all bytes up to the nul.
    while unsafe { text.wrapping_add(length).read_volatile() } != 0 {
        length += 1;
    }
    length
}

/// # Safety
/// C's contract.
#[unsafe(no_mangle)]
unsafe extern "C" fn memset(to: *mut u8, byte: i32, count: usize) -> *mut u8 {
    // SAFETY: the caller vouches for `count` bytes.
    unsafe {
        asm!("rep stosb", inout("rdi") to => _, inout("rcx") count => _, in("al") byte as u8,
            options(nostack, preserves_flags));
    }
    to
}

/// # Safety
/// C's contract.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, count: usize) -> *mut u8 {
    // SAFETY: the caller vouches for `count` bytes on both sides.
    unsafe {
        asm!("rep movsb", inout("rdi") to => _, inout("rsi") from => _, inout("rcx") count => _,
            options(nostack, preserves_flags));
    }
    to
}

/// # Safety
/// C's contract.
#[unsafe(no_mangle)]
unsafe extern "C" fn bcmp(one: *const u8, other: *const u8, count: usize) -> i32 {
    let mut at = 0;
    while at != count {
        // SAFETY: the caller vouches for `count` bytes.
        let one = unsafe { one.wrapping_add(at).read_volatile() };
        // SAFETY: as above.
        let other = unsafe { other.wrapping_add(at).read_volatile() };
        if one != other {
            return 1;
        }
        at += 1;
    }
    0
}
