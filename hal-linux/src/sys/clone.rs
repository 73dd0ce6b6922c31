//! This file is the system call that makes a child on a stack of its own, for each machine.
//!
//! The child never sees what called it: its first and last function is `pool::enter`.

use super::pool::{CloneArguments, Place, enter};
use linux_raw_sys::general as abi;

/// Makes a child that shares this process's memory; the kernel's answer.
///
/// # Safety
/// The arguments name a stack that nobody else uses as long as the child does, and the place stays
/// as it is as long.
#[cfg(target_arch = "x86_64")]
pub(super) unsafe fn clone3(arguments: &CloneArguments, place: *const Place) -> isize {
    let value: isize;
    // SAFETY: the kernel's calling convention; rcx and r11 are clobbered by the instruction. The
    // child leaves this code at once for a function that never returns.
    unsafe {
        core::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r12",
            "call {enter}",
            "ud2",
            "2:",
            enter = sym enter,
            inlateout("rax") abi::__NR_clone3 as isize => value,
            in("rdi") arguments, in("rsi") size_of::<CloneArguments>(), in("r12") place,
            lateout("rcx") _, lateout("r11") _,
        );
    }
    value
}

/// Makes a child that shares this process's memory; the kernel's answer.
///
/// # Safety
/// The arguments name a stack that nobody else uses as long as the child does, and the place stays
/// as it is as long.
#[cfg(target_arch = "aarch64")]
pub(super) unsafe fn clone3(arguments: &CloneArguments, place: *const Place) -> isize {
    let value: isize;
    // SAFETY: the kernel's calling convention; no register but x0 changes. The child leaves this
    // code at once for a function that never returns.
    unsafe {
        core::arch::asm!(
            "svc 0",
            "cbnz x0, 2f",
            "mov x29, xzr",
            "mov x0, x20",
            "bl {enter}",
            "brk 1",
            "2:",
            enter = sym enter,
            in("x8") abi::__NR_clone3,
            inlateout("x0") arguments => value,
            in("x1") size_of::<CloneArguments>(), in("x20") place,
            // The branch of the child, as the compiler sees it.
            lateout("x30") _,
        );
    }
    value
}

/// Makes a child that shares this process's memory; the kernel's answer.
///
/// # Safety
/// The arguments name a stack that nobody else uses as long as the child does, and the place stays
/// as it is as long.
#[cfg(target_arch = "arm")]
pub(super) unsafe fn clone3(arguments: &CloneArguments, place: *const Place) -> isize {
    let value: isize;
    // SAFETY: the kernel's calling convention (EABI); no register but r0 changes. r7 has the number
    // and is put back: Thumb code keeps its frame there. The child leaves this code at once for a
    // function that never returns.
    unsafe {
        core::arch::asm!(
            "mov {frame}, r7",
            "mov r7, {number}",
            "svc 0",
            "mov r7, {frame}",
            "cmp r0, #0",
            "bne 2f",
            "mov r0, {place}",
            "bl {enter}",
            "udf #1",
            "2:",
            enter = sym enter,
            number = in(reg) abi::__NR_clone3,
            place = in(reg) place,
            frame = out(reg) _,
            inlateout("r0") arguments => value,
            in("r1") size_of::<CloneArguments>(),
            lateout("lr") _,
        );
    }
    value
}

/// Makes a child that shares this process's memory; the kernel's answer.
///
/// # Safety
/// The arguments name a stack that nobody else uses as long as the child does, and the place stays
/// as it is as long.
#[cfg(target_arch = "riscv64")]
pub(super) unsafe fn clone3(arguments: &CloneArguments, place: *const Place) -> isize {
    let value: isize;
    // SAFETY: the kernel's calling convention; no register but a0 changes. The child leaves this
    // code at once for a function that never returns.
    unsafe {
        core::arch::asm!(
            "ecall",
            "bnez a0, 2f",
            "mv a0, s2",
            "call {enter}",
            "ebreak",
            "2:",
            enter = sym enter,
            in("a7") abi::__NR_clone3,
            inlateout("a0") arguments => value,
            in("a1") size_of::<CloneArguments>(), in("s2") place,
            lateout("ra") _,
        );
    }
    value
}
