//! This file is the processor and the machine around it: clock, timer, interrupts, power, console.

use core::arch::asm;
use core::fmt;

/// Where the lower half's physical memory is seen by the kernel.
pub const OFFSET: u64 = 0xffff_0000_0000_0000;

/// The console of QEMU's `virt` machine: a PL011.
const CONSOLE: u64 = 0x0900_0000;
const CONSOLE_FLAGS: u64 = CONSOLE + 0x18;
const RECEIVE_EMPTY: u32 = 1 << 4;

/// Its interrupt controller: a GICv3's distributor, and the only processor's redistributor.
const DISTRIBUTOR: u64 = 0x0800_0000;
const REDISTRIBUTOR: u64 = 0x080a_0000;
const PRIVATE: u64 = REDISTRIBUTOR + 0x1_0000;

/// The virtual timer's interrupt.
const TIMER: u32 = 27;

macro_rules! read {
    ($register:literal) => {{
        let value: u64;
        // SAFETY: reading this register changes nothing.
        unsafe { asm!(concat!("mrs {}, ", $register), out(reg) value, options(nomem, nostack)) };
        value
    }};
}

macro_rules! write {
    ($register:literal, $value:expr) => {{
        let value: u64 = $value;
        // SAFETY: the kernel runs alone, in the upper half, and knows what this register does.
        unsafe { asm!(concat!("msr ", $register, ", {}"), in(reg) value, options(nostack)) };
    }};
}

fn device(at: u64) -> *mut u32 {
    core::ptr::with_exposed_provenance_mut(usize::try_from(at + OFFSET).unwrap_or(0))
}

fn put(at: u64, word: u32) {
    // SAFETY: all addresses are those of this machine's devices, mapped since boot.
    unsafe { device(at).write_volatile(word) };
}

fn get(at: u64) -> u32 {
    // SAFETY: as in `put`.
    unsafe { device(at).read_volatile() }
}

/// Writes to the console.
pub fn print(text: &[u8]) {
    for byte in text {
        put(CONSOLE, (*byte).into());
    }
}

/// A byte that was typed, or 0.
pub fn typed() -> u8 {
    if get(CONSOLE_FLAGS) & RECEIVE_EMPTY != 0 {
        return 0;
    }
    let [byte, ..] = get(CONSOLE).to_le_bytes();
    byte
}

/// The console, for words of the stub's own.
pub struct Console;

impl fmt::Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        print(text.as_bytes());
        Ok(())
    }
}

/// The counter's ticks since it began.
pub fn ticks() -> u64 {
    // SAFETY: keeps the reading in order, nothing else.
    unsafe { asm!("isb", options(nomem, nostack)) };
    read!("cntvct_el0")
}

/// Ticks in a second.
pub fn frequency() -> u64 {
    read!("cntfrq_el0").max(1)
}

/// Lets the timer interrupt at this tick.
pub fn interrupt_at(tick: u64) {
    write!("cntv_cval_el0", tick);
    write!("cntv_ctl_el0", 1);
}

/// Takes the interrupt that there is.
pub fn acknowledge() {
    let number = read!("S3_0_C12_C12_0");
    write!("S3_0_C12_C12_1", number);
}

/// Sleeps until there is an interrupt, without taking it.
pub fn sleep() {
    // SAFETY: interrupts are masked here; a pending one only ends the sleep.
    unsafe { asm!("dsb sy", "wfi", options(nostack)) };
}

/// Makes the timer's interrupt reach the processor.
pub fn listen() {
    put(DISTRIBUTOR, 0x12);
    put(REDISTRIBUTOR + 0x14, 0);
    while get(REDISTRIBUTOR + 0x14) & 4 != 0 {}
    put(PRIVATE + 0x80, u32::MAX);
    put(PRIVATE + 0x100, 1 << TIMER);
    write!("S3_0_C12_C12_5", 1);
    write!("S3_0_C4_C6_0", 0xff);
    write!("S3_0_C12_C12_7", 1);
}

/// Why a program trapped, and the address that it had to do with.
pub fn cause() -> (u64, u64) {
    (read!("esr_el1"), read!("far_el1"))
}

/// Lets the lower half be what this table says.
pub fn switch(table: u64) {
    write!("ttbr0_el1", table);
    forget_translations();
}

/// After tables were changed.
pub fn forget_translations() {
    // SAFETY: only makes the processor look tables up again.
    unsafe { asm!("dsb sy", "tlbi vmalle1", "dsb sy", "isb", options(nostack)) };
}

/// Makes instructions that were written as data visible. An emulator needs nothing more.
pub fn forget_instructions() {
    // SAFETY: only makes the processor fetch instructions again.
    unsafe { asm!("dsb sy", "ic iallu", "dsb sy", "isb", options(nostack)) };
}

fn firmware(function: u64) {
    // SAFETY: PSCI: QEMU switches off or resets, and does not come back.
    unsafe { asm!("hvc #0", inlateout("x0") function => _, options(nostack)) };
}

/// Switches the machine off.
pub fn power_off() -> ! {
    firmware(0x8400_0008);
    loop {
        sleep();
    }
}

/// Starts the machine again. Memory that no file is loaded into keeps what is in it.
pub fn reset() -> ! {
    firmware(0x8400_0009);
    loop {
        sleep();
    }
}
