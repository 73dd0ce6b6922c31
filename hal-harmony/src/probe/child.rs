//! This file is the program of the probe's processes: it makes the calls that it finds in a page
//! and leaves each result there. It is machine code, so that the simulator, the stub and the real
//! kernel run the same; it needs no stack.

use crate::abi::number::Number;

/// Where the program lies in its process.
pub const CODE_AT: u64 = 0x40_0000;
/// Where its steps lie.
pub const STEPS_AT: u64 = 0x50_0000;

/// The program: for ever, load the number from the step; load six arguments; call; leave the
/// result in the step's last word; go to the next. A number of 0x1000 writes to address 16, one of
/// 0x2000 spins.
pub const CODE: [u32; 16] = [
    0xaa00_03f3, //       mov  x19, x0
    0xf940_0268, // next: ldr  x8, [x19]
    0xd34c_fd09, //       lsr  x9, x8, #12
    0xb500_0109, //       cbnz x9, other
    0xa940_8660, //       ldp  x0, x1, [x19, #8]
    0xa941_8e62, //       ldp  x2, x3, [x19, #24]
    0xa942_9664, //       ldp  x4, x5, [x19, #40]
    0xd400_0001, //       svc  #0
    0xf900_1e60, //       str  x0, [x19, #56]
    0x9101_0273, //       add  x19, x19, #64
    0x17ff_fff7, //       b    next
    0xd100_0529, // other: sub x9, x9, #1
    0xb400_0049, //       cbz  x9, fault
    0x1400_0000, // spin: b    spin
    0xd280_0209, // fault: mov x9, #16
    0xf900_0129, //       str  x9, [x9]
];

/// Bytes of a step.
pub const STEP_BYTES: usize = 64;
/// What a step's result is before the call has returned.
pub const NOT_YET: i64 = 0x7fff_ffff;

/// One call of a process.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    number: u64,
    words: [i64; 6],
}

impl Step {
    /// Writes where nothing is.
    pub const FAULT: Self = Self::new(0x1000);
    /// Spins for ever.
    pub const SPIN: Self = Self::new(0x2000);

    const fn new(number: u64) -> Self {
        Self {
            number,
            words: [0; 6],
        }
    }

    /// Makes a call.
    pub fn call(number: Number, words: &[i64]) -> Self {
        let mut step = Self::new(number.get());
        for (to, from) in step.words.iter_mut().zip(words) {
            *to = *from;
        }
        step
    }

    /// Ends the process.
    pub fn exit(code: i64) -> Self {
        Self::call(Number::EXIT_GROUP, &[code])
    }

    /// As it lies in the page.
    pub fn bytes(&self) -> [u8; STEP_BYTES] {
        let mut bytes = [0; STEP_BYTES];
        let (chunks, _) = bytes.as_chunks_mut::<8>();
        let number = i64::from_le_bytes(self.number.to_le_bytes());
        let words = core::iter::once(number).chain(self.words);
        for (to, from) in chunks.iter_mut().zip(words.chain([NOT_YET])) {
            *to = from.to_le_bytes();
        }
        bytes
    }
}
