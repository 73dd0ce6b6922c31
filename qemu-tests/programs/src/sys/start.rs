//! This file is a program's first instruction and its arguments.

use super::call::{Vector, exit};
use core::ffi::CStr;

unsafe extern "Rust" {
    /// The program, exported by [`crate::program!`].
    fn bench_main(arguments: Arguments) -> u8;
}

#[cfg(all(target_env = "musl", target_arch = "x86_64"))]
core::arch::global_asm!(
    ".globl _start",
    "_start:",
    "xor ebp, ebp",
    "mov rdi, rsp",
    "and rsp, -16",
    "call {enter}",
    "ud2",
    enter = sym enter,
);

#[cfg(all(target_env = "musl", target_arch = "aarch64"))]
core::arch::global_asm!(
    ".globl _start",
    "_start:",
    "mov x29, xzr",
    "mov x30, xzr",
    "mov x0, sp",
    "bl {enter}",
    "brk 1",
    enter = sym enter,
);

#[cfg(all(target_env = "musl", target_arch = "arm"))]
core::arch::global_asm!(
    ".arm",
    ".globl _start",
    ".type _start,%function",
    "_start:",
    "mov r0, sp",
    "bic sp, sp, #7",
    "bl {enter}",
    "udf #1",
    enter = sym enter,
);

#[cfg_attr(not(target_env = "musl"), expect(dead_code, reason = "only looked at"))]
extern "C" fn enter(stack: *const usize) -> ! {
    let arguments = Arguments {
        // SAFETY: at entry the stack leads to the argument count.
        count: unsafe { stack.read() },
        vector: stack.wrapping_add(1).cast(),
    };
    // SAFETY: `program!` defines it with this signature.
    exit(unsafe { bench_main(arguments) })
}

/// The program's arguments, as the kernel put them on the stack.
#[derive(Clone, Copy, Debug)]
pub struct Arguments {
    count: usize,
    vector: Vector,
}

impl Arguments {
    /// How many there are, the program's name included.
    pub fn count(self) -> usize {
        self.count
    }

    /// From the argument with that index on; past the last one, the null.
    pub fn from(self, index: usize) -> Vector {
        self.vector.wrapping_add(index.min(self.count))
    }

    /// The environment.
    pub fn environment(self) -> Vector {
        self.vector.wrapping_add(self.count + 1)
    }

    /// One argument.
    pub fn get(self, index: usize) -> Option<&'static CStr> {
        if index >= self.count {
            return None;
        }
        // SAFETY: the kernel put `count` pointers there.
        let pointer = unsafe { self.vector.wrapping_add(index).read() };
        // SAFETY: each leads to a text that ends with a nul and stays.
        Some(unsafe { CStr::from_ptr(pointer) })
    }

    /// An argument that is a decimal number; 0 if there is none.
    pub fn number(self, index: usize) -> u32 {
        self.get(index).map_or(0, |text| number(text.to_bytes()))
    }
}

/// The decimal digits at the end of a text as a number.
pub fn number(text: &[u8]) -> u32 {
    let mut value = 0_u32;
    for byte in text {
        value = match byte {
            b'0'..=b'9' => value.wrapping_mul(10).wrapping_add(u32::from(byte - b'0')),
            _ => 0,
        };
    }
    value
}

/// Makes a program of a function `fn(Arguments) -> u8`, the exit code.
#[macro_export]
macro_rules! program {
    ($main:path) => {
        #[unsafe(export_name = "bench_main")]
        fn __bench_main(arguments: $crate::sys::start::Arguments) -> u8 {
            let main: fn($crate::sys::start::Arguments) -> u8 = $main;
            main(arguments)
        }
    };
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    exit(99)
}
