//! This file defines the symbols that a compiled `core` names and expects from libc.
//!
//! Firmware aborts on panic, and a reachable panic does not link, so nothing unwinds. Where `core`
//! is compiled with the firmware, the linker drops these.

#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

#[cfg(target_arch = "arm")]
#[unsafe(no_mangle)]
extern "C" fn __aeabi_unwind_cpp_pr0() {}

#[cfg(target_arch = "arm")]
#[unsafe(no_mangle)]
extern "C" fn __aeabi_unwind_cpp_pr1() {}
