//! This file starts a program as cheaply as Linux can: one clone that shares memory and holds the
//! parent until the child executes, and one exec.

use super::call::Vector;
use core::ffi::c_char;
use linux_raw_sys::general as abi;

/// What the child's two calls need: nothing, since the parent's memory is there. The kernel wants a
/// stack pointer all the same.
static STACK: [u64; 8] = [0; 8];

const FLAGS: usize = (abi::CLONE_VM | abi::CLONE_VFORK | abi::SIGCHLD) as usize;

/// Starts a program; the child's number.
///
/// # Safety
/// Arguments and environment are strings that end with nuls, up to a null.
#[cfg(target_arch = "x86_64")]
pub unsafe fn spawn(program: *const c_char, arguments: Vector, environment: Vector) -> isize {
    let value: isize;
    // SAFETY: the child uses registers only: it never comes out of this code. Its parent stands
    // still until then, so nothing changes under it.
    unsafe {
        core::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "mov rdi, r12",
            "mov rsi, r13",
            "mov rdx, r14",
            "mov eax, {exec}",
            "syscall",
            "mov edi, 127",
            "mov eax, {exit}",
            "syscall",
            "ud2",
            "2:",
            exec = const abi::__NR_execve,
            exit = const abi::__NR_exit_group,
            inlateout("rax") abi::__NR_clone as isize => value,
            in("rdi") FLAGS,
            in("rsi") (&raw const STACK) as usize + size_of_val(&STACK),
            in("rdx") 0, in("r10") 0, in("r8") 0,
            in("r12") program, in("r13") arguments, in("r14") environment,
            lateout("rcx") _, lateout("r11") _,
        );
    }
    value
}

/// Starts a program; the child's number.
///
/// # Safety
/// Arguments and environment are strings that end with nuls, up to a null.
#[cfg(target_arch = "aarch64")]
pub unsafe fn spawn(program: *const c_char, arguments: Vector, environment: Vector) -> isize {
    let value: isize;
    // SAFETY: as for x86-64.
    unsafe {
        core::arch::asm!(
            "svc 0",
            "cbnz x0, 2f",
            "mov x0, x9",
            "mov x1, x10",
            "mov x2, x11",
            "mov x8, #{exec}",
            "svc 0",
            "mov x0, #127",
            "mov x8, #{exit}",
            "svc 0",
            "brk 1",
            "2:",
            exec = const abi::__NR_execve,
            exit = const abi::__NR_exit_group,
            in("x8") abi::__NR_clone,
            inlateout("x0") FLAGS => value,
            in("x1") (&raw const STACK) as usize + size_of_val(&STACK),
            in("x2") 0, in("x3") 0, in("x4") 0,
            in("x9") program, in("x10") arguments, in("x11") environment,
        );
    }
    value
}

/// Starts a program; the child's number.
///
/// # Safety
/// Arguments and environment are strings that end with nuls, up to a null.
#[cfg(target_arch = "arm")]
pub unsafe fn spawn(program: *const c_char, arguments: Vector, environment: Vector) -> isize {
    let value: isize;
    // SAFETY: as for x86-64. The number's register may be the frame's, so the parent puts it
    // back; the other registers are named, because any could be that one.
    unsafe {
        core::arch::asm!(
            "mov r12, r7",
            "mov r7, #{clone}",
            "svc 0",
            "cmp r0, #0",
            "bne 2f",
            "mov r0, r5",
            "mov r1, r8",
            "mov r2, r10",
            "mov r7, #{exec}",
            "svc 0",
            "mov r0, #127",
            "mov r7, #{exit}",
            "svc 0",
            "udf #1",
            "2:",
            "mov r7, r12",
            clone = const abi::__NR_clone,
            exec = const abi::__NR_execve,
            exit = const abi::__NR_exit_group,
            in("r5") program, in("r8") arguments, in("r10") environment,
            out("r12") _,
            inlateout("r0") FLAGS => value,
            in("r1") (&raw const STACK) as usize + size_of_val(&STACK),
            in("r2") 0, in("r3") 0, in("r4") 0,
        );
    }
    value
}
