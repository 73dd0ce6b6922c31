//! This file is the first instruction and the end of a service on the Harmony microkernel.

use crate::Channel;
use core::panic::PanicInfo;
use hal_harmony::abi::{Line, Svc};

unsafe extern "Rust" {
    /// The service's main function, exported by [`crate::entry!`].
    safe fn service_main(channel: Channel<Svc>) -> u8;
}

// The kernel enters with the channel's number in x0.
core::arch::global_asm!(
    ".section .text._start,\"ax\",@progbits",
    ".globl _start",
    ".type _start,@function",
    "_start:",
    "mov x29, xzr",
    "mov x30, xzr",
    "b {enter}",
    ".size _start, . - _start",
    enter = sym enter,
);

extern "C" fn enter(number: u64) -> ! {
    let number = i32::try_from(number).unwrap_or(NO_CHANNEL);
    end(service_main(Channel::new(Svc, number)))
}

/// No capability: sending to it is refused.
const NO_CHANNEL: i32 = -1;

/// What a Rust program's panic ends with everywhere.
const PANICKED: u8 = 101;

fn end(code: u8) -> ! {
    let line = Line::new(Svc, NO_CHANNEL);
    loop {
        line.exit(code);
    }
}

// An undefined instruction, with which panics end elsewhere, stops the whole machine here.
#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    end(PANICKED)
}
