//! This file takes everything from a process that only decides: rights, signals, and all system
//! calls but reading, writing and ending.

#[cfg(feature = "freestanding")]
use super::image;
use super::process::{self, duplicate_to};
#[cfg(feature = "freestanding")]
use super::shared::SharedWords;
use super::syscall::{result, syscall};
use super::{fd, signals};
use crate::sys::kernel::Kernel;
use init_core::event::Errno;
use linux_raw_sys::general as abi;
use linux_raw_sys::prctl;
use rustix::fd::BorrowedFd;

/// The descriptor that such a process reads from, and the one that it writes to.
pub const READ: u16 = 0;
/// See [`READ`].
pub const WRITE: u16 = 1;

/// The end at [`READ`]. Never closed.
pub const fn incoming() -> BorrowedFd<'static> {
    // SAFETY: such a process has it from [`keep_only`] on; elsewhere it leads somewhere, too.
    unsafe { BorrowedFd::borrow_raw(0) }
}

/// The end at [`WRITE`]. Never closed.
pub const fn outgoing() -> BorrowedFd<'static> {
    // SAFETY: as above.
    unsafe { BorrowedFd::borrow_raw(1) }
}

/// How far descriptors are closed one by one that this program inherited and did not make.
const INHERITED_MAX: u16 = 4_096;

/// `_LINUX_CAPABILITY_VERSION_3` of `linux/capability.h`.
const CAPABILITY_VERSION: u32 = 0x2008_0522;

/// `SECCOMP_MODE_STRICT` of `linux/seccomp.h`: read, write, exit and sigreturn, and nothing else.
const STRICT: usize = 1;

/// `SECCOMP_MODE_FILTER` of `linux/seccomp.h`: what a program of the kernel's small machine allows.
const FILTER: usize = 2;

/// `struct sock_filter` of `linux/filter.h`.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct Instruction {
    code: u16,
    if_true: u8,
    if_false: u8,
    value: u32,
}

/// `struct sock_fprog` of the same file.
#[repr(C)]
pub(super) struct Instructions {
    count: u16,
    first: *const Instruction,
}

/// How many of them there are.
const CALL_COUNT: usize = 8;

/// A filter as it is given to the kernel.
#[cfg(all(feature = "freestanding", feature = "exchange"))]
pub(super) type Filter = [Instruction; CALL_COUNT];

/// What a core may call, to be kept where the caller wants it.
#[cfg(all(feature = "freestanding", feature = "exchange"))]
pub(super) fn filter() -> Filter {
    CALLS
}

/// The call that puts a process under such a filter for ever; it is answered by 0.
#[cfg(all(feature = "freestanding", feature = "exchange"))]
pub(super) fn filter_call(filter: &Filter) -> (Instructions, [usize; 2]) {
    let program = Instructions {
        count: u16::try_from(CALL_COUNT).unwrap_or(0),
        first: filter.as_ptr(),
    };
    let option = usize::try_from(prctl::PR_SET_SECCOMP).unwrap_or(0);
    (program, [option, FILTER])
}

const _: () = assert!(size_of::<Instruction>() == 8);
const _: () = assert!(size_of::<Instructions>() == 2 * size_of::<usize>());

/// `AUDIT_ARCH_..` of `linux/audit.h`: by whose numbers the call is made.
const OWN_CALLS: u32 = if cfg!(target_arch = "x86_64") {
    0xc000_003e
} else if cfg!(target_arch = "aarch64") {
    0xc000_00b7
} else if cfg!(target_arch = "arm") {
    0x4000_0028
} else if cfg!(target_arch = "riscv64") {
    0xc000_00f3
} else {
    panic!("by whose numbers does this processor make calls?")
};

/// Where `struct seccomp_data` has the call's number, and by whose numbers it is.
const NUMBER_AT: u32 = 0;
const NUMBERS_AT: u32 = 4;

/// `SECCOMP_RET_ALLOW`; `SECCOMP_RET_KILL_PROCESS`, which older kernels take for the end of the
/// thread: the same here. Either way the status says `SIGSYS`, and nobody else gives that.
const ALLOW: u32 = 0x7fff_0000;
const END: u32 = 0x8000_0000;

/// As narrow as [`STRICT`], which ends a process by a `SIGKILL` like any other.
static CALLS: [Instruction; CALL_COUNT] = [
    load(NUMBERS_AT),
    skip_unless(OWN_CALLS, 4),
    load(NUMBER_AT),
    skip_if(abi::__NR_read, 3),
    skip_if(abi::__NR_write, 2),
    skip_if(abi::__NR_exit_group, 1),
    verdict(END),
    verdict(ALLOW),
];

/// `BPF_LD | BPF_W | BPF_ABS`.
const fn load(at: u32) -> Instruction {
    instruction(0x20, at, (0, 0))
}

/// `BPF_JMP | BPF_JEQ | BPF_K`.
const fn skip_if(value: u32, count: u8) -> Instruction {
    instruction(0x15, value, (count, 0))
}

const fn skip_unless(value: u32, count: u8) -> Instruction {
    instruction(0x15, value, (0, count))
}

/// `BPF_RET | BPF_K`.
const fn verdict(value: u32) -> Instruction {
    instruction(0x06, value, (0, 0))
}

const fn instruction(code: u16, value: u32, (if_true, if_false): (u8, u8)) -> Instruction {
    Instruction {
        code,
        if_true,
        if_false,
        value,
    }
}

/// What such a process could not give up, as bits.
pub mod kept {
    /// Programs that it would execute may gain rights.
    pub const PRIVILEGES: u32 = 1;
    /// Capabilities.
    pub const CAPABILITIES: u32 = 2;
    /// System calls: this kernel has no filter for them.
    pub const CALLS: u32 = 4;
}

/// Leaves this process two descriptors, at [`READ`] and [`WRITE`]. For a child.
///
/// # Errors
/// One of them is none.
pub fn keep_only(read: u16, write: u16, kernel: Kernel) -> Result<(), Errno> {
    // Both are 3 or above: the standard ones lead somewhere.
    duplicate_to(read, READ)?;
    duplicate_to(write, WRITE)?;
    process::close_from(2, None, fd::highest().max(INHERITED_MAX), kernel);
    Ok(())
}

/// Where [`keep_image`] leaves the image.
#[cfg(feature = "exchange")]
const IMAGE: u16 = 2;

/// As [`keep_only`], and leaves it an image, whose number there is returned; without ends, nothing
/// else.
///
/// # Errors
/// One of them is none.
#[cfg(feature = "exchange")]
pub fn keep_image(image: u16, ends: Option<(u16, u16)>, kernel: Kernel) -> Result<u16, Errno> {
    duplicate_to(image, IMAGE)?;
    let from = ends.unwrap_or((IMAGE, IMAGE));
    duplicate_to(from.0, READ)?;
    duplicate_to(from.1, WRITE)?;
    let highest = fd::highest().max(INHERITED_MAX);
    process::close_from(3, None, highest, kernel);
    Ok(IMAGE)
}

/// Sizes of a page of the machines that we know, the smallest first.
#[cfg(feature = "freestanding")]
const PAGES: [usize; 3] = [4_096, 16_384, 65_536];

/// More than is in use of the stack below [`keep_memory`].
#[cfg(feature = "freestanding")]
const FRAMES_BYTES: usize = 65_536;

/// Leaves this process its program, its stack and these words, and no other memory: nothing that
/// its parent ever mapped, be it in a life that was followed by one in place. For a child, which
/// must not use anything else again.
#[cfg(feature = "freestanding")]
pub fn keep_memory(kept: &[SharedWords]) {
    // What a handler returns by may be a mapping of the kernel's among others.
    let _before = signals::block_all();
    let stack = (&raw const kept).addr().wrapping_sub(FRAMES_BYTES);
    let begin = |words: &SharedWords| words.as_ptr().addr();
    let (_, mut from) = image::bounds();
    loop {
        let above = kept.iter().filter(|words| begin(words) > from);
        let next = above.min_by_key(|words| begin(words));
        unmap_between(from, next.map_or(stack, begin));
        let Some(next) = next else { return };
        from = next.as_ptr_range().end.addr();
    }
}

/// Unmaps the pages between these addresses, whatever is there. What is no multiple of a page's
/// size the kernel refuses.
#[cfg(feature = "freestanding")]
fn unmap_between(begin: usize, end: usize) {
    for page in PAGES {
        let mask = page.wrapping_sub(1);
        let begin = begin.wrapping_add(mask) & !mask;
        let bytes = (end & !mask).saturating_sub(begin);
        let first = core::ptr::with_exposed_provenance_mut(begin);
        // SAFETY: the caller of `keep_memory` vouches that nobody uses what is there.
        if bytes == 0 || unsafe { rustix::mm::munmap(first, bytes) }.is_ok() {
            return;
        }
    }
}

/// Gives up all that a process that decides does not need; what could not be given up. No signal
/// reaches it any more but those that nobody can block, and its own faults, which end it.
pub fn enter(name: &'static core::ffi::CStr) -> u32 {
    let mut kept = give_up_rights(name);
    if filter_calls().is_err() {
        kept |= kept::CALLS;
    }
    kept
}

/// As [`enter`], but that any call may still be made.
pub fn give_up_rights(name: &'static core::ffi::CStr) -> u32 {
    let _before = signals::block_all();
    let name = name.as_ptr().expose_provenance();
    // SAFETY: the name is a nul-terminated string.
    let _ = unsafe { set(prctl::PR_SET_NAME, name) };
    let mut kept = 0;
    // SAFETY: there is no pointer.
    if unsafe { set(prctl::PR_SET_NO_NEW_PRIVS, 1) }.is_err() {
        kept |= kept::PRIVILEGES;
    }
    if drop_capabilities().is_err() {
        kept |= kept::CAPABILITIES;
    }
    kept
}

/// From here on a call that is not allowed ends this process: by `SIGSYS` where the kernel has
/// filters.
fn filter_calls() -> Result<(), Errno> {
    let program = Instructions {
        count: u16::try_from(CALLS.len()).unwrap_or(0),
        first: CALLS.as_ptr(),
    };
    let program = (&raw const program).expose_provenance();
    // SAFETY: the pointer leads to a program of as many instructions as it says.
    let filtered = unsafe { set_both(prctl::PR_SET_SECCOMP, [FILTER, program]) };
    // SAFETY: there is no pointer.
    filtered.or_else(|_| unsafe { set(prctl::PR_SET_SECCOMP, STRICT) })
}

fn drop_capabilities() -> Result<(), Errno> {
    // Of this process; then effective, permitted and inheritable ones, in two halves.
    let header = [CAPABILITY_VERSION, 0];
    let none = [0_u32; 6];
    let [header, none] = [header.as_ptr(), none.as_ptr()].map(|it| it.expose_provenance());
    // SAFETY: the pointers lead to a header and to as many sets as its version has.
    result(unsafe { syscall(abi::__NR_capset, [header, none]) }).map(|_| ())
}

/// # Safety
/// The argument is what the option wants.
unsafe fn set(option: u32, argument: usize) -> Result<(), Errno> {
    // SAFETY: the caller vouches for the argument.
    unsafe { set_both(option, [argument, 0]) }
}

/// # Safety
/// The arguments are what the option wants.
unsafe fn set_both(option: u32, [first, second]: [usize; 2]) -> Result<(), Errno> {
    let option = usize::try_from(option).unwrap_or(0);
    // SAFETY: the caller vouches for the arguments.
    result(unsafe { syscall(abi::__NR_prctl, [option, first, second, 0, 0]) }).map(|_| ())
}
