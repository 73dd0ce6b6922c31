//! This file is the program's first instruction, and the end of a panic.
//!
//! The kernel enters with the stack pointer at the argument count. Nothing has run before: no
//! constructor, no relocation (the program is static and not position-independent).

use super::vector::{Vector, execute};
use core::ffi::CStr;
use core::panic::PanicInfo;
use init_core::event::Errno;

unsafe extern "Rust" {
    /// The board's main function, exported by [`crate::entry!`]; its result is the exit code.
    fn sysmaster_main(arguments: Arguments) -> u8;
}

unsafe extern "C" {
    /// Nothing defines this. A panic that the optimiser cannot rule out leaves a call to it, and
    /// the link fails: see docs/architecture.md, "No panic".
    fn a_panic_is_reachable() -> !;
}

#[cfg(target_arch = "x86_64")]
core::arch::global_asm!(
    ".section .text._start,\"ax\",@progbits",
    ".globl _start",
    ".type _start,@function",
    "_start:",
    "xor ebp, ebp",
    "mov rdi, rsp",
    "and rsp, -16",
    "call {enter}",
    "ud2",
    ".size _start, . - _start",
    enter = sym enter,
);

#[cfg(target_arch = "aarch64")]
core::arch::global_asm!(
    ".section .text._start,\"ax\",@progbits",
    ".globl _start",
    ".type _start,@function",
    "_start:",
    "mov x29, xzr",
    "mov x30, xzr",
    "mov x0, sp",
    "bl {enter}",
    "brk 1",
    ".size _start, . - _start",
    enter = sym enter,
);

#[cfg(target_arch = "arm")]
core::arch::global_asm!(
    ".section .text._start,\"ax\",%progbits",
    ".globl _start",
    ".type _start,%function",
    ".arm",
    "_start:",
    "mov r11, #0",
    "mov lr, #0",
    "mov r0, sp",
    "bic sp, sp, #7",
    "bl {enter}",
    "udf #1",
    ".size _start, . - _start",
    enter = sym enter,
);

#[cfg(target_arch = "riscv64")]
core::arch::global_asm!(
    ".section .text._start,\"ax\",@progbits",
    ".globl _start",
    ".type _start,@function",
    "_start:",
    "mv a0, sp",
    "andi sp, sp, -16",
    "call {enter}",
    "ebreak",
    ".size _start, . - _start",
    enter = sym enter,
);

/// First Rust code: hands the arguments to the board.
extern "C" fn enter(stack: *const usize) -> ! {
    // SAFETY: at entry the kernel's stack pointer leads to the argument count.
    let count = unsafe { stack.read() };
    let arguments = Arguments {
        first: stack.wrapping_add(1).cast(),
        count,
    };
    // SAFETY: `entry!` defines it with this signature.
    let code = unsafe { sysmaster_main(arguments) };
    super::process::exit(code)
}

unsafe extern "C" {
    // The bounds of what is zero at the start, named by the linker. They are addresses and nothing
    // else. There is no other memory that changes: the linker script asserts it.
    static __bss_start: u8;
    static _end: u8;
}

/// Clears all variables, and enters the program as the kernel did. The stack that this runs on is
/// one of the variables, so it uses none.
///
/// # Safety
/// `stack` is what the kernel left at the start; no variable is used any more.
pub(super) unsafe fn first_instruction(stack: *const usize) -> ! {
    let (from, to) = (&raw const __bss_start, &raw const _end);
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the bounds are the linker's; the caller vouches for the rest.
    unsafe {
        core::arch::asm!(
            "2: cmp rdi, rsi",
            "jae 3f",
            "mov byte ptr [rdi], 0",
            "inc rdi",
            "jmp 2b",
            "3: mov rsp, rdx",
            "jmp _start",
            in("rdi") from, in("rsi") to, in("rdx") stack, options(noreturn, nostack),
        )
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: as above.
    unsafe {
        core::arch::asm!(
            "2: cmp x0, x1",
            "b.hs 3f",
            "strb wzr, [x0], #1",
            "b 2b",
            "3: mov sp, x2",
            "b _start",
            in("x0") from, in("x1") to, in("x2") stack, options(noreturn, nostack),
        )
    }
    #[cfg(target_arch = "arm")]
    // SAFETY: as above. The entry is ARM code, whatever this is.
    unsafe {
        core::arch::asm!(
            "mov r3, #0",
            "2: cmp r0, r1",
            "bhs 3f",
            "strb r3, [r0]",
            "add r0, r0, #1",
            "b 2b",
            "3: mov sp, r2",
            "bx r12",
            in("r0") from, in("r1") to, in("r2") stack, in("r12") _start as *const u8,
            options(noreturn, nostack),
        )
    }
    #[cfg(target_arch = "riscv64")]
    // SAFETY: as above.
    unsafe {
        core::arch::asm!(
            "2: bgeu a0, a1, 3f",
            "sb zero, 0(a0)",
            "addi a0, a0, 1",
            "j 2b",
            "3: mv sp, a2",
            "j _start",
            in("a0") from, in("a1") to, in("a2") stack, options(noreturn, nostack),
        )
    }
}

#[cfg(target_arch = "arm")]
unsafe extern "C" {
    /// The first instruction.
    fn _start() -> !;
}

/// The program's arguments, as the kernel put them on the stack.
#[derive(Clone, Copy, Debug)]
pub struct Arguments {
    first: *const *const core::ffi::c_char,
    count: usize,
}

impl Arguments {
    /// Replaces this process by `program`, with the same arguments and environment. Returns only on
    /// failure.
    pub fn execute(self, program: &CStr) -> Errno {
        execute(program, self.vector(), self.environment())
    }

    /// What the kernel left on the stack, from the argument count on.
    pub(super) fn stack(self) -> *const usize {
        self.first.cast::<usize>().wrapping_sub(1)
    }

    /// The arguments as they are, to be handed to another program.
    pub fn vector(self) -> Vector {
        // SAFETY: the kernel ended its pointers with a null, and nothing moves or changes them.
        unsafe { Vector::at(self.first) }
    }

    /// The environment.
    pub fn environment(self) -> Vector {
        let first = self.first.wrapping_add(self.count).wrapping_add(1);
        // SAFETY: behind the arguments' null the kernel put the environment, with a null of its
        // own, and nothing moves or changes it.
        unsafe { Vector::at(first) }
    }

    /// The argument of that number; 0 is the program's own name.
    pub fn get(self, index: usize) -> Option<&'static [u8]> {
        if index >= self.count {
            return None;
        }
        // SAFETY: the kernel put `count` pointers there, and nothing moves them.
        let pointer = unsafe { self.first.wrapping_add(index).read() };
        if pointer.is_null() {
            return None;
        }
        // SAFETY: it leads to a nul-terminated string that stays for the program's life.
        Some(unsafe { CStr::from_ptr(pointer) }.to_bytes())
    }
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    // SAFETY: never executed: a program with this call cannot be linked.
    unsafe { a_panic_is_reachable() }
}
