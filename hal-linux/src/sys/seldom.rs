//! This file gives back what the boot needed of the program's own file and nothing needs soon.
//!
//! The linker script puts such code into a mapping of its own. Who needs it again finds it where it
//! was: the kernel takes it from the file, as it did the first time.

use rustix::mm::{Advice, madvise};

unsafe extern "C" {
    // The bounds of that code, from the linker script. They are addresses and nothing else.
    static sometimes_begin: u8;
    static seldom_end: u8;
}

/// The largest page of the machines that we know: ranges begin with a page. In front of the code
/// lies a hole as large.
const PAGE_BYTES_MAX: usize = 0x1_0000;

/// Takes those pages out of this process's memory.
#[inline(never)]
pub fn give_back() {
    let begin = (&raw const sometimes_begin).cast_mut();
    let begin = begin.map_addr(|begin| begin & !(PAGE_BYTES_MAX - 1));
    let end = (&raw const seldom_end).addr();
    let bytes = end.saturating_sub(begin.addr());
    // SAFETY: whatever is mapped there is code of a file that nobody may write to, so that the
    // kernel finds it again. No other mapping shares a page with it.
    let _ = unsafe { madvise(begin.cast(), bytes, Advice::LinuxDontNeed) };
}
