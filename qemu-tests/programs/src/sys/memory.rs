//! This file is what the compiler calls and no libc brings.
//!
//! Each is a loop over bytes, whose accesses are volatile so that the compiler does not make a call
//! of the function itself out of it; x86-64 has an instruction that is one.

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
#[cfg(target_arch = "x86_64")]
#[unsafe(no_mangle)]
unsafe extern "C" fn memset(to: *mut u8, byte: i32, count: usize) -> *mut u8 {
    // SAFETY: the caller vouches for `count` bytes.
    unsafe {
        core::arch::asm!("rep stosb", inout("rdi") to => _, inout("rcx") count => _,
            in("al") byte as u8, options(nostack, preserves_flags));
    }
    to
}

/// # Safety
/// C's contract.
#[cfg(not(target_arch = "x86_64"))]
#[unsafe(no_mangle)]
unsafe extern "C" fn memset(to: *mut u8, byte: i32, count: usize) -> *mut u8 {
    let mut at = 0;
    while at != count {
        // SAFETY: the caller vouches for `count` bytes.
        unsafe { to.wrapping_add(at).write_volatile(byte as u8) };
        at += 1;
    }
    to
}

/// # Safety
/// C's contract.
#[cfg(target_arch = "x86_64")]
#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, count: usize) -> *mut u8 {
    // SAFETY: the caller vouches for `count` bytes on both sides.
    unsafe {
        core::arch::asm!("rep movsb", inout("rdi") to => _, inout("rsi") from => _,
            inout("rcx") count => _, options(nostack, preserves_flags));
    }
    to
}

/// # Safety
/// C's contract.
#[cfg(not(target_arch = "x86_64"))]
#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, count: usize) -> *mut u8 {
    let mut at = 0;
    while at != count {
        // SAFETY: the caller vouches for `count` bytes there.
        let byte = unsafe { from.wrapping_add(at).read_volatile() };
        // SAFETY: and here.
        unsafe { to.wrapping_add(at).write_volatile(byte) };
        at += 1;
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
