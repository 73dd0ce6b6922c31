//! This file reads 32-bit ARM code, Thumb and not, for what it does with the way back (lr, r14).
//! Encodings: Arm Architecture Reference Manual ARMv7-A, chapters A5 and A6.

use super::code::{Instruction, Step, signed};

/// The register that a call leaves the way back in.
pub(super) const LINK: u32 = 14;
const STACK: u32 = 13;
const COUNTER: u32 = 15;

/// The instructions of a run of Thumb code.
pub(super) fn thumb(data: &[u8], start: u64, found: &mut Vec<Instruction>) {
    let mut halves = data
        .chunks_exact(2)
        .map(|half| u32::from(u16::from_le_bytes([half[0], half[1]])));
    let mut address = start;
    // How many of those that follow an `it` hang on its condition.
    let mut conditional = 0_u32;
    while let Some(first) = halves.next() {
        let second = if first >> 11 >= 0b11101 {
            halves.next()
        } else {
            None
        };
        let (step, bytes) = match second {
            Some(second) => (wide(first, second, address), 4),
            None => (narrow(first, address), 2),
        };
        found.push(Instruction {
            address,
            bytes,
            step,
            may_be_skipped: conditional > 0,
        });
        conditional = match first & 0xff00 == 0xbf00 && first & 15 != 0 {
            true => 4 - (first & 15).trailing_zeros(),
            false => conditional.saturating_sub(1),
        };
        address += bytes;
    }
}

fn narrow(half: u32, at: u64) -> Step {
    let low = |bits: u32| half & ((1 << bits) - 1);
    match half {
        _ if half & 0xff00 == 0xb500 => Step::Save,
        _ if half & 0xff00 == 0xbd00 => Step::ReturnByStack,
        _ if half & 0xff87 == 0x4700 => Step::Through(half >> 3 & 15),
        _ if half & 0xff87 == 0x4780 => Step::Call(None),
        _ if half & 0xff87 == 0x4487 => Step::Table,
        _ if half & 0xff00 == 0x4600 => copy(half >> 4 & 8 | half & 7, half >> 3 & 15),
        _ if half & 0xff00 == 0xde00 || half & 0xff00 == 0xbe00 => Step::End,
        // `svc`.
        _ if half & 0xff00 == 0xdf00 => Step::Plain,
        _ if half & 0xf000 == 0xd000 => Step::Branch(to(at, signed(low(8) << 1, 9))),
        _ if half & 0xf800 == 0xe000 => Step::Jump(to(at, signed(low(11) << 1, 12))),
        _ if half & 0xf500 == 0xb100 => {
            let far = (half >> 9 & 1) << 6 | (half >> 3 & 31) << 1;
            Step::Branch(to(at, far.into()))
        }
        _ => Step::Plain,
    }
}

fn wide(first: u32, second: u32, at: u64) -> Step {
    let base = first & 15;
    let (register, other) = (second >> 12, second >> 8 & 15);
    let is_load = first & 0x10 != 0;
    if first & 0xf800 == 0xf000 && second & 0x8000 != 0 {
        return wide_jump(first, second, at);
    }
    if first & 0xfff0 == 0xe8d0 && second & 0xffe0 == 0xf000 {
        return Step::Table;
    }
    // Many registers, those of two kinds of exception apart.
    if first & 0xfe40 == 0xe800 && matches!(first >> 7 & 3, 1 | 2) {
        return many(base, is_load, second);
    }
    // One register: with an offset of 12 bits, or of 8 bits, or (a load of pc) by a table.
    if first & 0xff60 == 0xf840 {
        let by_index = first & 0x80 == 0 && second & 0x0800 == 0 && base != COUNTER;
        return match one(base, is_load, register) {
            Step::Save | Step::Load | Step::ReturnByStack if by_index => Step::Plain,
            step => step,
        };
    }
    // Two registers.
    if first & 0xfe40 == 0xe840 && first & 0x0120 != 0 {
        let step = one(base, is_load, register);
        return match step {
            Step::Plain => one(base, is_load, other),
            step => step,
        };
    }
    if first == 0xea4f && second & 0xf0f0 == 0 {
        return copy(other, second & 15);
    }
    Step::Plain
}

/// `b`, `bl`, `blx` and `udf`, of four bytes.
fn wide_jump(first: u32, second: u32, at: u64) -> Step {
    let sign = first >> 10 & 1;
    let (one, two) = (second >> 13 & 1, second >> 11 & 1);
    let far = {
        let (one, two) = (!(one ^ sign) & 1, !(two ^ sign) & 1);
        let bits = sign << 24 | one << 23 | two << 22 | (first & 0x3ff) << 12;
        signed(bits | (second & 0x7ff) << 1, 25)
    };
    match second & 0xd000 {
        0xd000 => Step::Call(Some(to(at, far))),
        // To code that is not Thumb, which begins at a multiple of four.
        0xc000 => Step::Call(Some(to(at & !3, far & !3))),
        0x9000 => Step::Jump(to(at, far)),
        _ if first & 0xfff0 == 0xf7f0 && second & 0xf000 == 0xa000 => Step::End,
        // The last two conditions are other instructions: barriers, hints, special registers.
        _ if first >> 7 & 7 == 7 => Step::Plain,
        _ => {
            let bits = sign << 20 | two << 19 | one << 18 | (first & 0x3f) << 12;
            Step::Branch(to(at, signed(bits | (second & 0x7ff) << 1, 21)))
        }
    }
}

/// Where a jump leads: Thumb counts from the instruction after the next.
fn to(at: u64, far: i64) -> u64 {
    at.wrapping_add(4).wrapping_add_signed(far)
}

/// An instruction of 32 bits, and whether it hangs on a condition.
pub(super) fn word(word: u32, at: u64) -> (Step, bool) {
    let far = || {
        at.wrapping_add(8)
            .wrapping_add_signed(signed((word & 0xff_ffff) << 2, 26))
    };
    if word >> 28 == 15 {
        let step = match word & 0x0e00_0000 == 0x0a00_0000 {
            true => Step::Call(Some(far().wrapping_add(u64::from(word >> 24 & 1) << 1))),
            false => Step::Plain,
        };
        return (step, false);
    }
    let (base, register) = (word >> 16 & 15, word >> 12 & 15);
    let is_load = word & 0x0010_0000 != 0;
    let step = match word & 0x0fff_ffff {
        bits if bits & 0x0f00_0000 == 0x0b00_0000 => Step::Call(Some(far())),
        bits if bits & 0x0f00_0000 == 0x0a00_0000 => Step::Jump(far()),
        bits if bits & 0x0fff_fff0 == 0x012f_ff30 => Step::Call(None),
        bits if bits & 0x0fff_fff0 == 0x012f_ff10 => Step::Through(bits & 15),
        bits if bits & 0x0fef_0ff0 == 0x01a0_0000 => copy(register, bits & 15),
        bits if bits & 0x0ff0_00f0 == 0x07f0_00f0 => Step::End,
        bits if bits & 0x0e00_0000 == 0x0800_0000 => many(base, is_load, bits),
        bits if bits & 0x0e40_0000 == 0x0400_0000 => one(base, is_load, register),
        // By an index.
        bits if bits & 0x0e50_f010 == 0x0610_f000 => Step::Table,
        // `add pc` and `sub pc`.
        bits if bits & 0x0de0_f000 == 0x0080_f000 => Step::Table,
        bits if bits & 0x0de0_f000 == 0x0040_f000 => Step::Table,
        _ => Step::Plain,
    };
    (step, word >> 28 != 14)
}

fn many(base: u32, is_load: bool, registers: u32) -> Step {
    let has = |register: u32| registers >> register & 1 == 1;
    match (base == STACK, is_load) {
        (true, true) if has(COUNTER) => Step::ReturnByStack,
        (true, true) if has(LINK) => Step::Load,
        (true, false) if has(LINK) => Step::Save,
        (false, true) if has(COUNTER) => Step::Table,
        _ => Step::Plain,
    }
}

fn one(base: u32, is_load: bool, register: u32) -> Step {
    match (base == STACK, is_load) {
        (true, true) if register == COUNTER => Step::ReturnByStack,
        (false, true) if register == COUNTER => Step::Table,
        (true, true) if register == LINK => Step::Load,
        (true, false) if register == LINK => Step::Save,
        _ => Step::Plain,
    }
}

fn copy(to: u32, from: u32) -> Step {
    match (to, from) {
        (COUNTER, _) => Step::Through(from),
        _ => Step::copy(to, from, LINK),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Step::{Branch, Call, CopyFrom, CopyTo, End, Jump, Load, Plain, ReturnByStack, Save};
    use Step::{Table, Through};

    #[test]
    fn thumb_code_is_read() {
        let code: [(&[u8], Step); 31] = [
            (&[0x10, 0xb5], Save),                           // push {r4, lr}
            (&[0x10, 0xbd], ReturnByStack),                  // pop {r4, pc}
            (&[0xff, 0xf7, 0xfc, 0xff], Call(Some(0x1000))), // bl begin
            (&[0x00, 0xf0, 0x28, 0xf8], Call(Some(0x105c))), // bl end
            (&[0x00, 0xf0, 0x26, 0xe8], Call(Some(0x105c))), // blx end
            (&[0x70, 0x47], Through(14)),                    // bx lr
            (&[0x18, 0x47], Through(3)),                     // bx r3
            (&[0x98, 0x47], Call(None)),                     // blx r3
            (&[0xf3, 0xe7], Jump(0x1000)),                   // b begin
            (&[0x00, 0xf0, 0x20, 0xb8], Jump(0x105c)),       // b.w end
            (&[0x1e, 0xd0], Branch(0x105c)),                 // beq end
            (&[0x3f, 0xf4, 0xef, 0xaf], Branch(0x1000)),     // beq.w begin
            (&[0xd8, 0xb1], Branch(0x105c)),                 // cbz r0, end
            (&[0x08, 0xbf], Plain),                          // it eq
            (&[0x70, 0x47], Through(14)),                    // bxeq lr
            (&[0x4d, 0xf8, 0x08, 0xed], Save),               // str lr, [sp, #-8]!
            (&[0x5d, 0xf8, 0x08, 0xeb], Load),               // ldr lr, [sp], #8
            (&[0x73, 0x46], CopyTo(3)),                      // mov r3, lr
            (&[0x9e, 0x46], CopyFrom(3)),                    // mov lr, r3
            (&[0x2d, 0xe9, 0x10, 0x41], Save),               // push.w {r4, r8, lr}
            (&[0xbd, 0xe8, 0x10, 0x81], ReturnByStack),      // pop.w {r4, r8, pc}
            (&[0xdf, 0xe8, 0x00, 0xf0], Table),              // tbb [pc, r0]
            (&[0x6d, 0xe9, 0x02, 0x7e], Save),               // strd r7, lr, [sp, #-8]!
            (&[0x5d, 0xf8, 0x04, 0xfb], ReturnByStack),      // ldr pc, [sp], #4
            (&[0x00, 0xde], End),                            // udf #0
            (&[0x00, 0xdf], Plain),                          // svc 0
            (&[0x5d, 0xf8, 0x01, 0x00], Plain),              // ldr.w r0, [sp, r1]
            (&[0xcd, 0xf8, 0x04, 0xe0], Save),               // str.w lr, [sp, #4]
            (&[0xbf, 0xf3, 0x5b, 0x8f], Plain),              // dmb ish
            (&[0xd0, 0xf8, 0x00, 0xe0], Plain),              // ldr.w lr, [r0]
            (&[0x00, 0xbf], Plain),                          // end: nop
        ];
        let bytes: Vec<u8> = code.iter().flat_map(|(bytes, _)| bytes.to_vec()).collect();
        let mut found = Vec::new();
        thumb(&bytes, 0x1000, &mut found);
        let mut address = 0x1000;
        for (instruction, (bytes, step)) in found.iter().zip(&code) {
            assert_eq!((instruction.address, instruction.step), (address, *step));
            assert_eq!(
                instruction.may_be_skipped,
                address == 0x1026,
                "{address:#x}"
            );
            address += bytes.len() as u64;
        }
        assert_eq!((found.len(), address), (code.len(), 0x105e));
    }

    #[test]
    fn wide_code_is_read() {
        let code = [
            (0xe92d_4010, Save),               // push {r4, lr}
            (0xe8bd_8010, ReturnByStack),      // pop {r4, pc}
            (0xe8bd_4010, Load),               // pop {r4, lr}
            (0xeb00_0003, Call(Some(0x1020))), // bl
            (0xebff_fffa, Call(Some(0x1000))), // bl
            (0xfb00_0003, Call(Some(0x102a))), // blx, to Thumb code
            (0xe12f_ff1e, Through(14)),        // bx lr
            (0xe12f_ff32, Call(None)),         // blx r2
            (0xeaff_fff6, Jump(0x1000)),       // b
            (0xe52d_e008, Save),               // str lr, [sp, #-8]!
            (0xe49d_e008, Load),               // ldr lr, [sp], #8
            (0xe49d_f004, ReturnByStack),      // pop {pc}
            (0xe1a0_300e, CopyTo(3)),          // mov r3, lr
            (0xe1a0_e003, CopyFrom(3)),        // mov lr, r3
            (0xe1a0_f00e, Through(14)),        // mov pc, lr
            (0xe79f_f100, Table),              // ldr pc, [pc, r0, lsl #2]
            (0xe08f_f000, Table),              // add pc, pc, r0
            (0xe7f0_00f1, End),                // udf #1
            (0xef00_0000, Plain),              // svc 0
            (0xe320_f000, Plain),              // nop
        ];
        for (address, (bits, step)) in (0x1000..).step_by(4).zip(code) {
            assert_eq!(word(bits, address), (step, false), "{bits:#x}");
        }
        assert_eq!(word(0x112f_ff1e, 0), (Through(14), true));
        assert_eq!(word(0x0bff_fffc, 0x1008), (Call(Some(0x1000)), true));
    }
}
