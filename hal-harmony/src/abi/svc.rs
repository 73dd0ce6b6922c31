//! This file is the trap into the real kernel, and the two registers that it lets programs read.

use super::Kernel;
use super::number::Number;
use core::arch::asm;

/// The kernel that this program runs on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Svc;

impl Kernel for Svc {
    unsafe fn call(&self, number: Number, arguments: [u64; 6]) -> u64 {
        let [a0, a1, a2, a3, a4, a5] = arguments;
        let result: u64;
        // SAFETY: the number is of the profile; the caller vouches for addresses.
        unsafe {
            asm!(
                "svc 0",
                in("x8") number.get(),
                inlateout("x0") a0 => result,
                inlateout("x1") a1 => _,
                inlateout("x2") a2 => _,
                inlateout("x3") a3 => _,
                inlateout("x4") a4 => _,
                inlateout("x5") a5 => _,
                out("x6") _,
                out("x7") _,
                options(nostack),
            );
        }
        result
    }

    fn counter(&self) -> u64 {
        let count: u64;
        // SAFETY: this kernel lets programs read the counter; the barrier keeps it in order.
        unsafe { asm!("isb", "mrs {}, cntvct_el0", out(reg) count, options(nomem, nostack)) };
        count
    }

    fn frequency(&self) -> u64 {
        let frequency: u64;
        // SAFETY: this kernel lets programs read the frequency.
        unsafe { asm!("mrs {}, cntfrq_el0", out(reg) frequency, options(nomem, nostack)) };
        frequency
    }
}
