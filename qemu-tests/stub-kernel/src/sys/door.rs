//! This file is what the assembly calls.

use super::boot::Frame;
use super::cpu::{self, Console};
use crate::kernel::Kernel;
use core::cell::UnsafeCell;
use core::fmt::Write;

struct Only(UnsafeCell<Option<Kernel>>);

// SAFETY: there is one processor, and the kernel is not interrupted.
unsafe impl Sync for Only {}

static KERNEL: Only = Only(UnsafeCell::new(None));

#[unsafe(no_mangle)]
extern "C" fn stub_main() -> *const Frame {
    let mut kernel = Kernel::new();
    let frame = kernel.begin();
    // SAFETY: see `Sync`; nobody else looks yet.
    unsafe { *KERNEL.0.get() = Some(kernel) };
    frame
}

/// `interrupt`: 0 a program's own trap, 1 an interrupt.
#[unsafe(no_mangle)]
extern "C" fn stub_trap(interrupt: u64) -> *const Frame {
    // SAFETY: see `Sync`; no other reference is alive.
    let kernel = unsafe { &mut *KERNEL.0.get() };
    match kernel {
        Some(kernel) if interrupt == 0 => kernel.trap(),
        Some(kernel) => kernel.interrupt(),
        None => panic!("a trap before the start"),
    }
}

#[unsafe(no_mangle)]
extern "C" fn stub_own_fault(_: u64, cause: u64, pc: u64, address: u64) -> ! {
    panic!("the stub itself faults: cause {cause:#x} at {pc:#x}, address {address:#x}");
}

#[panic_handler]
fn dies(why: &core::panic::PanicInfo<'_>) -> ! {
    let _ = writeln!(Console, "\nstub: the kernel dies: {}", why.message());
    cpu::power_off()
}
