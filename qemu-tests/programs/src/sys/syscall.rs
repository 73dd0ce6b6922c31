//! This file is the system call instruction of each processor; the kernel's answer is handed on.

/// One system call.
///
/// # Safety
/// Every pointer among the arguments is what the kernel expects there.
#[cfg(target_arch = "x86_64")]
pub(super) unsafe fn syscall(number: u32, a: [usize; 5]) -> isize {
    let value: isize;
    // SAFETY: the kernel's calling convention; rcx and r11 are clobbered by the instruction.
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

/// One system call.
///
/// # Safety
/// Every pointer among the arguments is what the kernel expects there.
#[cfg(target_arch = "aarch64")]
pub(super) unsafe fn syscall(number: u32, a: [usize; 5]) -> isize {
    let value: isize;
    // SAFETY: the kernel's calling convention; only x0 changes.
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

/// One system call.
///
/// # Safety
/// Every pointer among the arguments is what the kernel expects there.
#[cfg(target_arch = "arm")]
pub(super) unsafe fn syscall(number: u32, a: [usize; 5]) -> isize {
    let value: isize;
    // SAFETY: the kernel's calling convention; only r0 changes. The number's register may be the
    // frame's, so it is put back.
    unsafe {
        core::arch::asm!(
            "mov {kept}, r7",
            "mov r7, {number}",
            "svc 0",
            "mov r7, {kept}",
            number = in(reg) number,
            kept = out(reg) _,
            inlateout("r0") a[0] => value,
            in("r1") a[1], in("r2") a[2], in("r3") a[3], in("r4") a[4],
            options(nostack),
        );
    }
    value
}
