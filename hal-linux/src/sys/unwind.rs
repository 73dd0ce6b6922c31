//! This file defines the symbols that a compiled `core` names and expects from libc.
//!
//! Firmware aborts on panic, and a reachable panic does not link, so nothing unwinds. Where `core`
//! is compiled with the firmware, the linker drops these.
//!
//! On aarch64 the compiler's helpers for atomics ask what the CPU can do; told nothing, they use the
//! instructions that every CPU has.

#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

#[cfg(target_arch = "arm")]
#[unsafe(no_mangle)]
extern "C" fn __aeabi_unwind_cpp_pr0() {}

#[cfg(target_arch = "arm")]
#[unsafe(no_mangle)]
extern "C" fn __aeabi_unwind_cpp_pr1() {}

/// Whatever is asked, the answer is "nothing is known".
#[cfg(target_arch = "aarch64")]
#[unsafe(no_mangle)]
extern "C" fn getauxval(_question: usize) -> usize {
    0
}
