//! This program is the physical limit: as process 1 it starts N services with one clone and one
//! exec each, and starts each again when it has ended. It does nothing else that an init does.
#![no_std]
#![no_main]

use bench_programs::sys::call::{Vector, wait_for_child};
use bench_programs::sys::spawn::spawn;
use bench_programs::sys::start::Arguments;
use core::ffi::{CStr, c_char};
use core::sync::atomic::{AtomicI32, Ordering::Relaxed};

bench_programs::program!(run);

/// As many as the largest table of the benchmark.
const SERVICE_COUNT_MAX: usize = 1_000;

/// The services' numbers. The kernel brings it empty: to clear it would be work of the floor's.
static PIDS: [AtomicI32; SERVICE_COUNT_MAX] = [const { AtomicI32::new(0) }; SERVICE_COUNT_MAX];

/// Decimal digits of an index, and a nul.
type Digits = [u8; 5];

const PROGRAM: &CStr = c"/bench/probe";
const VERB: &CStr = c"stay";

/// `floor N`.
fn run(arguments: Arguments) -> u8 {
    let count = (arguments.number(1) as usize).min(SERVICE_COUNT_MAX);
    for (index, pid) in PIDS.iter().enumerate().take(count) {
        pid.store(start(index, arguments.environment()), Relaxed);
    }
    loop {
        let (ended, _) = wait_for_child();
        for (index, pid) in PIDS.iter().enumerate().take(count) {
            if pid.load(Relaxed) as isize == ended {
                pid.store(start(index, arguments.environment()), Relaxed);
            }
        }
    }
}

fn start(index: usize, environment: Vector) -> i32 {
    let mut digits: Digits = [b'0'; 5];
    let mut rest = index;
    for digit in digits.iter_mut().rev().skip(1) {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    if let Some(last) = digits.last_mut() {
        *last = 0;
    }
    let words: [*const c_char; 4] = [
        PROGRAM.as_ptr(),
        VERB.as_ptr(),
        digits.as_ptr().cast(),
        core::ptr::null(),
    ];
    // SAFETY: all are texts that end with nuls, up to a null; the environment is the kernel's.
    (unsafe { spawn(PROGRAM.as_ptr(), words.as_ptr(), environment) }) as i32
}
