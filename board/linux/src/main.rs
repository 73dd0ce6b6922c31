//! This file is a stand-in until hal-linux has a HAL: a process 1 that says so and powers off.
//!
//! It exists so that building, measuring and booting can be shown on every board.
#![no_std]
#![no_main]

use core::arch::{asm, global_asm};
use core::panic::PanicInfo;
use hal_linux as _;

/// Numbers of write, reboot and exit_group.
#[cfg(target_arch = "aarch64")]
const NUMBERS: [usize; 3] = [64, 142, 94];
/// See above.
#[cfg(target_arch = "arm")]
const NUMBERS: [usize; 3] = [4, 88, 248];
/// See above.
#[cfg(target_arch = "x86_64")]
const NUMBERS: [usize; 3] = [1, 169, 231];

/// The two magic numbers and the order to power off, as reboot(2) wants them.
const POWER_OFF: [usize; 3] = [0xfee1_dead, 672_274_793, 0x4321_fedc];

unsafe extern "C" {
    /// Nobody defines it: a panic that can be reached does not link.
    fn a_panic_is_reachable() -> !;
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    // SAFETY: a program that contains this call is never linked.
    unsafe { a_panic_is_reachable() }
}

#[cfg(target_arch = "aarch64")]
global_asm!(
    ".globl _start",
    ".type _start, %function",
    "_start: mov x0, sp",
    "bl entry"
);
#[cfg(target_arch = "arm")]
global_asm!(
    ".globl _start",
    ".type _start, %function",
    "_start: mov r0, sp",
    "bl entry"
);
#[cfg(target_arch = "x86_64")]
global_asm!(
    ".globl _start",
    ".type _start, %function",
    "_start: mov rdi, rsp",
    "call entry"
);

#[unsafe(no_mangle)]
extern "C" fn entry(argument_count: &usize) -> ! {
    let text = b"init: nothing to do yet, powering off\n";
    let [write, reboot, exit] = NUMBERS;
    call(write, [1, text.as_ptr().addr(), text.len()]);
    call(reboot, POWER_OFF);
    let code = planted_panic(*argument_count);
    loop {
        call(exit, [code, 0, 0]);
    }
}

/// A panic that the optimiser cannot remove: the build must fail.
#[cfg(feature = "planted-panic")]
fn planted_panic(index: usize) -> usize {
    usize::from(b"abc"[index])
}

#[cfg(not(feature = "planted-panic"))]
fn planted_panic(_: usize) -> usize {
    0
}

fn call(number: usize, [a, b, c]: [usize; 3]) {
    // SAFETY: the three calls above write no memory of ours.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        asm!("svc 0", in("x8") number, inlateout("x0") a => _, in("x1") b, in("x2") c);
    }
    // SAFETY: as above.
    #[cfg(target_arch = "arm")]
    unsafe {
        asm!("svc 0", in("r7") number, inlateout("r0") a => _, in("r1") b, in("r2") c);
    }
    // SAFETY: as above; the kernel changes rcx and r11.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        asm!("syscall", inlateout("rax") number => _, in("rdi") a, in("rsi") b, in("rdx") c,
            lateout("rcx") _, lateout("r11") _);
    }
}
