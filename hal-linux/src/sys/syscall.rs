//! This file is the system call instruction of each machine, with up to five arguments. Registers
//! of arguments that a call does not have are left as they are.
//!
//! Results are as the kernel gives them: from -4095 to -1 an error number, negated.

use core::mem::MaybeUninit;
use init_core::event::Errno;

/// The kernel's answer as a result.
pub(super) fn result(value: isize) -> Result<usize, Errno> {
    // No call that is made here answers with a number that large.
    usize::try_from(value).map_err(|_| {
        let [low, high, ..] = value.wrapping_neg().to_le_bytes();
        Errno(u16::from_le_bytes([low, high]))
    })
}

/// The number of a process that a call answered with: it has no more bits.
pub(super) fn pid(answer: usize) -> u32 {
    u32::try_from(answer & 0xffff_ffff).unwrap_or(0)
}

/// One system call.
///
/// # Safety
/// The call's own rules: every pointer among the arguments must be what the kernel expects there,
/// and they must be all that it looks at.
pub(super) unsafe fn syscall<const COUNT: usize>(number: u32, arguments: [usize; COUNT]) -> isize {
    const { assert!(COUNT <= 5) };
    let register = |index: usize| match arguments.get(index) {
        Some(argument) => MaybeUninit::new(*argument),
        None => MaybeUninit::uninit(),
    };
    let registers = [
        register(0),
        register(1),
        register(2),
        register(3),
        register(4),
    ];
    // SAFETY: the caller vouches for what the kernel looks at.
    unsafe { instruction(number, registers) }
}

/// The instruction.
///
/// # Safety
/// As for [`syscall`].
#[cfg(target_arch = "x86_64")]
unsafe fn instruction(number: u32, a: [MaybeUninit<usize>; 5]) -> isize {
    let value: isize;
    // SAFETY: the kernel's calling convention; rcx and r11 are clobbered by the instruction. The
    // arguments are the caller's responsibility.
    unsafe {
        core::arch::asm!(
            "syscall",
            inlateout("rax") number as isize => value,
            in("rdi") a[0], in("rsi") a[1], in("rdx") a[2], in("r10") a[3], in("r8") a[4],
            lateout("rcx") _, lateout("r11") _,
            options(nostack),
        );
    }
    value
}

/// The instruction.
///
/// # Safety
/// As for [`syscall`].
#[cfg(target_arch = "aarch64")]
unsafe fn instruction(number: u32, a: [MaybeUninit<usize>; 5]) -> isize {
    let value: isize;
    // SAFETY: the kernel's calling convention; no register but x0 changes. The arguments are the
    // caller's responsibility.
    unsafe {
        core::arch::asm!(
            "svc 0",
            in("x8") number,
            inlateout("x0") a[0] => value,
            in("x1") a[1], in("x2") a[2], in("x3") a[3], in("x4") a[4],
            options(nostack),
        );
    }
    value
}

/// The instruction.
///
/// # Safety
/// As for [`syscall`].
#[cfg(target_arch = "arm")]
unsafe fn instruction(number: u32, a: [MaybeUninit<usize>; 5]) -> isize {
    let value: isize;
    // SAFETY: the kernel's calling convention (EABI); no register but r0 changes. r7 has the number
    // and is put back: Thumb code keeps its frame there. The arguments are the caller's
    // responsibility.
    unsafe {
        core::arch::asm!(
            "mov {frame}, r7",
            "mov r7, {number}",
            "svc 0",
            "mov r7, {frame}",
            number = in(reg) number,
            frame = out(reg) _,
            inlateout("r0") a[0] => value,
            in("r1") a[1], in("r2") a[2], in("r3") a[3], in("r4") a[4],
            options(nostack),
        );
    }
    value
}

/// The instruction.
///
/// # Safety
/// As for [`syscall`].
#[cfg(target_arch = "riscv64")]
unsafe fn instruction(number: u32, a: [MaybeUninit<usize>; 5]) -> isize {
    let value: isize;
    // SAFETY: the kernel's calling convention; no register but a0 changes. The arguments are the
    // caller's responsibility.
    unsafe {
        core::arch::asm!(
            "ecall",
            in("a7") number,
            inlateout("a0") a[0] => value,
            in("a1") a[1], in("a2") a[2], in("a3") a[3], in("a4") a[4],
            options(nostack),
        );
    }
    value
}
