//! This file is the code that is left when all else of a program is gone: it makes the calls that
//! it is given, then enters another program. It uses no memory but what it is given, and no stack,
//! and may lie anywhere.

use super::{Birth, NO_PROGRAM};
use init_core::event::Errno;
use linux_raw_sys::general as abi;
use rustix::fd::BorrowedFd;

/// What ends a process whose program cannot be put in its place after all.
const FAILED: u8 = 71;

/// A call that must be answered so.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Step {
    pub number: usize,
    pub arguments: [usize; 6],
    pub answer: usize,
}

/// What [`runner`] does.
#[repr(C)]
pub struct Way {
    pub first: *const Step,
    pub count: usize,
    pub stack: usize,
    pub birth: *const Birth,
    pub entry: usize,
}

unsafe extern "C" {
    /// Behind the last of [`runner`]'s instructions, which names it.
    #[link_name = "sysmaster_runner_end"]
    static RUNNER_END: u8;
}

/// More than it has on any machine.
const RUNNER_BYTES_MAX: usize = 256;

/// Whether a file has the instructions of [`runner`], which are at this place in memory, at that
/// offset: it may be another program's copy, should it have been kept for one, or none.
pub fn is_in(copy: BorrowedFd<'_>, offset: usize, place: usize) -> Result<(), Errno> {
    let bytes = (&raw const RUNNER_END).addr().wrapping_sub(place);
    let mut room = [0; RUNNER_BYTES_MAX];
    let found = room.get_mut(..bytes).ok_or(NO_PROGRAM)?;
    let offset = u64::try_from(offset).map_err(|_| NO_PROGRAM)?;
    let count = rustix::io::pread(copy, &mut *found, offset).map_err(crate::errno)?;
    let first = core::ptr::with_exposed_provenance(place);
    // SAFETY: they are instructions of this program, which nobody writes to.
    let own = unsafe { core::slice::from_raw_parts::<u8>(first, bytes) };
    match count == bytes && found == own {
        true => Ok(()),
        false => Err(NO_PROGRAM),
    }
}

/// Makes the calls, then enters the program; ends where one is answered otherwise.
#[cfg(target_arch = "x86_64")]
#[unsafe(naked)]
pub extern "C" fn runner(way: *const Way) -> ! {
    core::arch::naked_asm!(
        "mov r12, rdi",
        "mov r13, [r12]",
        "mov r14, [r12 + 8]",
        "2: test r14, r14",
        "jz 3f",
        "mov rax, [r13]",
        "mov rdi, [r13 + 8]",
        "mov rsi, [r13 + 16]",
        "mov rdx, [r13 + 24]",
        "mov r10, [r13 + 32]",
        "mov r8, [r13 + 40]",
        "mov r9, [r13 + 48]",
        "syscall",
        "cmp rax, [r13 + 56]",
        "jne 4f",
        "add r13, 64",
        "dec r14",
        "jmp 2b",
        "3: mov rsp, [r12 + 16]",
        "mov rdi, [r12 + 24]",
        "xor ebp, ebp",
        "call [r12 + 32]",
        "4: mov edi, {failed}",
        "mov eax, {end}",
        "syscall",
        "jmp 4b",
        ".globl sysmaster_runner_end",
        "sysmaster_runner_end:",
        failed = const FAILED,
        end = const abi::__NR_exit_group,
    )
}

/// As above.
#[cfg(target_arch = "aarch64")]
#[unsafe(naked)]
pub extern "C" fn runner(way: *const Way) -> ! {
    core::arch::naked_asm!(
        "mov x19, x0",
        "ldp x20, x21, [x19]",
        "2: cbz x21, 3f",
        "ldp x8, x0, [x20]",
        "ldp x1, x2, [x20, #16]",
        "ldp x3, x4, [x20, #32]",
        "ldp x5, x22, [x20, #48]",
        "svc 0",
        "cmp x0, x22",
        "b.ne 4f",
        "add x20, x20, #64",
        "sub x21, x21, #1",
        "b 2b",
        "3: ldp x1, x0, [x19, #16]",
        "ldr x2, [x19, #32]",
        "mov sp, x1",
        "mov x29, xzr",
        "blr x2",
        "4: mov x0, #{failed}",
        "mov x8, #{end}",
        "svc 0",
        "b 4b",
        ".globl sysmaster_runner_end",
        "sysmaster_runner_end:",
        failed = const FAILED,
        end = const abi::__NR_exit_group,
    )
}

/// As above.
#[cfg(target_arch = "arm")]
#[unsafe(naked)]
pub extern "C" fn runner(way: *const Way) -> ! {
    core::arch::naked_asm!(
        "mov r8, r0",
        "ldr r9, [r8]",
        "ldr r10, [r8, #4]",
        "2: cmp r10, #0",
        "beq 3f",
        "ldr r7, [r9]",
        "ldr r0, [r9, #4]",
        "ldr r1, [r9, #8]",
        "ldr r2, [r9, #12]",
        "ldr r3, [r9, #16]",
        "ldr r4, [r9, #20]",
        "ldr r5, [r9, #24]",
        "svc 0",
        "ldr r6, [r9, #28]",
        "cmp r0, r6",
        "bne 4f",
        "add r9, r9, #32",
        "sub r10, r10, #1",
        "b 2b",
        "3: ldr r1, [r8, #8]",
        "ldr r0, [r8, #12]",
        "ldr r2, [r8, #16]",
        "mov sp, r1",
        "blx r2",
        "4: mov r0, #{failed}",
        "mov r7, #{end}",
        "svc 0",
        "b 4b",
        ".globl sysmaster_runner_end",
        "sysmaster_runner_end:",
        failed = const FAILED,
        end = const abi::__NR_exit_group,
    )
}

/// As above.
#[cfg(target_arch = "riscv64")]
#[unsafe(naked)]
pub extern "C" fn runner(way: *const Way) -> ! {
    core::arch::naked_asm!(
        "mv s0, a0",
        "ld s1, 0(s0)",
        "ld s2, 8(s0)",
        "2: beqz s2, 3f",
        "ld a7, 0(s1)",
        "ld a0, 8(s1)",
        "ld a1, 16(s1)",
        "ld a2, 24(s1)",
        "ld a3, 32(s1)",
        "ld a4, 40(s1)",
        "ld a5, 48(s1)",
        "ecall",
        "ld t0, 56(s1)",
        "bne a0, t0, 4f",
        "addi s1, s1, 64",
        "addi s2, s2, -1",
        "j 2b",
        "3: ld sp, 16(s0)",
        "ld a0, 24(s0)",
        "ld t0, 32(s0)",
        "jalr t0",
        "4: li a0, {failed}",
        "li a7, {end}",
        "ecall",
        "j 4b",
        ".globl sysmaster_runner_end",
        "sysmaster_runner_end:",
        failed = const FAILED,
        end = const abi::__NR_exit_group,
    )
}
