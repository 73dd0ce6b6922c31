//! This file hands out physical pages and lets the kernel read and write them.

use super::cpu::OFFSET;
use core::cell::UnsafeCell;

/// Bytes of a page.
pub const PAGE: u64 = 4_096;
/// The same, as lengths are counted.
pub const PAGE_BYTES: usize = 4_096;
/// The end of what is handed out. The mebibytes above it keep what is in them over a reset.
pub const END: u64 = 0x4000_0000 + (112 << 20);

unsafe extern "C" {
    static stub_image_end: u8;
    static stub_clock_stands_still: u64;
    static stub_power_off_resets: u64;
    static stub_core_deaths: u64;
    static stub_core_poisons: u64;
    static stub_core_damages: u64;
    static binary_procmgr_bin_start: u8;
    static binary_procmgr_bin_size: u64;
}

/// Pages that came back, and the first that never was handed out.
struct Free(UnsafeCell<(u64, u64)>);

// SAFETY: there is one processor, and the kernel is not interrupted.
unsafe impl Sync for Free {}

static FREE: Free = Free(UnsafeCell::new((0, 0)));

fn pointer(at: u64) -> *mut u8 {
    core::ptr::with_exposed_provenance_mut(usize::try_from(at + OFFSET).unwrap_or(0))
}

/// A page with that byte all over; `None`: there is none left.
pub fn take(fill: u8) -> Option<u64> {
    // SAFETY: see `Sync`; no other reference is alive.
    let (list, fresh) = unsafe { &mut *FREE.0.get() };
    if *fresh == 0 {
        let end = (&raw const stub_image_end).expose_provenance();
        *fresh = u64::try_from(end).ok()? - OFFSET;
    }
    let page = if *list != 0 {
        let page = *list;
        *list = word(page);
        page
    } else if *fresh < END {
        *fresh += PAGE;
        *fresh - PAGE
    } else {
        return None;
    };
    // SAFETY: a page that is nobody's, in memory that is mapped since boot.
    unsafe { pointer(page).write_bytes(fill, PAGE_BYTES) };
    Some(page)
}

/// Takes a page back.
pub fn give_back(page: u64) {
    // SAFETY: see `Sync`; no other reference is alive.
    let (list, _) = unsafe { &mut *FREE.0.get() };
    set_word(page, *list);
    *list = page;
}

/// Eight bytes of physical memory.
pub fn word(at: u64) -> u64 {
    // SAFETY: below 2 GiB all is mapped; callers look at tables and pages of theirs.
    unsafe { pointer(at).cast::<u64>().read_volatile() }
}

/// Changes eight bytes of physical memory.
pub fn set_word(at: u64, word: u64) {
    // SAFETY: as in `word`.
    unsafe { pointer(at).cast::<u64>().write_volatile(word) };
}

/// Copies out of physical memory.
pub fn read(at: u64, to: &mut [u8]) {
    // SAFETY: callers stay within one page of theirs.
    unsafe { to.as_mut_ptr().copy_from(pointer(at), to.len()) };
}

/// Copies into physical memory.
pub fn write(at: u64, from: &[u8]) {
    // SAFETY: callers stay within one page of theirs.
    unsafe { pointer(at).copy_from(from.as_ptr(), from.len()) };
}

/// The root image: where it lies, and its bytes.
pub fn root_image() -> (u64, u64) {
    let at = (&raw const binary_procmgr_bin_start).expose_provenance();
    // SAFETY: the object file that the kernel is linked with defines it.
    let bytes = unsafe { (&raw const binary_procmgr_bin_size).read_unaligned() };
    (u64::try_from(at).unwrap_or(0) - OFFSET, bytes)
}

/// The variant without a clock.
pub fn clock_stands_still() -> bool {
    // SAFETY: the linker script defines it.
    unsafe { stub_clock_stands_still != 0 }
}

/// The variant that is reset the first time that it is to be switched off.
pub fn power_off_resets() -> bool {
    // SAFETY: the linker script defines it.
    unsafe { stub_power_off_resets != 0 }
}

/// How often the process by the name of a core is ended, how often by what it is told, and how
/// often what it shares is damaged.
pub fn core_deaths() -> [u64; 3] {
    // SAFETY: the linker script defines it.
    let deaths = unsafe { stub_core_deaths };
    // SAFETY: as above.
    let poisons = unsafe { stub_core_poisons };
    // SAFETY: as above.
    let damages = unsafe { stub_core_damages };
    [deaths, poisons, damages]
}
