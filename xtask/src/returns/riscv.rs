//! This file reads 64-bit RISC-V code, short instructions included, for what it does with the way
//! back (ra, x1) and with the second one, which functions made by the compiler use (t0, x5).
//! Encodings: The RISC-V Instruction Set Manual, volume I, chapters 24 and 26.

use super::code::{Instruction, Step, signed};

/// The register that a call leaves the way back in.
pub(super) const LINK: u32 = 1;
/// The other one.
pub(super) const SECOND_LINK: u32 = 5;

pub(super) fn code(data: &[u8], start: u64, found: &mut Vec<Instruction>) {
    let half = |at: usize| {
        Some(u32::from(u16::from_le_bytes([
            *data.get(at)?,
            *data.get(at + 1)?,
        ])))
    };
    // What the instruction before put into a register, as the first half of a far call.
    let mut upper = None;
    let mut at = 0;
    while let Some(low) = half(at) {
        let address = start + at as u64;
        // Instructions whose lowest two bits are not both set are two bytes long.
        let (step, bytes) = match half(at + 2) {
            Some(high) if low & 3 == 3 => {
                let word = low | high << 16;
                let step = wide(word, address, upper);
                let place = address.wrapping_add_signed(signed(word & 0xffff_f000, 32));
                upper = (word & 0x7f == 0x17).then_some((word >> 7 & 31, place));
                (step, 4)
            }
            _ => {
                upper = None;
                (short(low, address), 2)
            }
        };
        found.push(Instruction {
            address,
            bytes,
            step,
            may_be_skipped: false,
        });
        at += if bytes == 4 { 4 } else { 2 };
    }
}

fn wide(word: u32, at: u64, upper: Option<(u32, u64)>) -> Step {
    let (to, from) = (word >> 7 & 31, word >> 15 & 31);
    let bit = |from: u32, to: u32| (word >> from & 1) << to;
    match word & 0x7f {
        0x6f => {
            let bits = bit(31, 20) | word & 0xf_f000 | bit(20, 11) | (word >> 21 & 0x3ff) << 1;
            jump(to, Some(at.wrapping_add_signed(signed(bits, 21))))
        }
        0x67 => {
            let place = upper.filter(|(register, _)| *register == from);
            let far = signed(word >> 20, 12);
            let place = place.map(|(_, place)| place.wrapping_add_signed(far));
            match (to, place) {
                (0, None) => Step::Through(from),
                _ => jump(to, place),
            }
        }
        0x63 => {
            let bits = bit(31, 12) | bit(7, 11) | (word >> 25 & 63) << 5 | (word >> 8 & 15) << 1;
            Step::Branch(at.wrapping_add_signed(signed(bits, 13)))
        }
        // `ebreak`; `ecall` goes on.
        0x73 if word == 0x0010_0073 => Step::End,
        // By whatever register: large frames are not reached from sp alone.
        0x03 if word >> 12 & 7 == 3 && to == LINK => Step::Load,
        0x23 if word >> 12 & 7 == 3 && word >> 20 & 31 == LINK => Step::Save,
        // `mv`.
        0x13 if word & 0xfff0_7000 == 0 => Step::copy(to, from, LINK),
        _ => Step::Plain,
    }
}

fn short(half: u32, at: u64) -> Step {
    let (to, from) = (half >> 7 & 31, half >> 2 & 31);
    let bit = |from: u32, to: u32| (half >> from & 1) << to;
    match (half & 3, half >> 13) {
        (0, 0) if half == 0 => Step::End,
        (1, 5) => {
            let bits = bit(12, 11) | bit(11, 4) | (half >> 9 & 3) << 8 | bit(8, 10);
            let bits = bits | bit(7, 6) | bit(6, 7) | (half >> 3 & 7) << 1 | bit(2, 5);
            Step::Jump(at.wrapping_add_signed(signed(bits, 12)))
        }
        (1, 6 | 7) => {
            let bits = bit(12, 8) | (half >> 10 & 3) << 3 | (half >> 5 & 3) << 6;
            let bits = bits | (half >> 3 & 3) << 1 | bit(2, 5);
            Step::Branch(at.wrapping_add_signed(signed(bits, 9)))
        }
        (2, 3) if to == LINK => Step::Load,
        (2, 7) if from == LINK => Step::Save,
        (2, 4) => match (half >> 12 & 1, to, from) {
            (1, 0, 0) => Step::End,
            (1, _, 0) => Step::Call(None),
            (0, register, 0) => Step::Through(register),
            (0, to, from) => Step::copy(to, from, LINK),
            _ => Step::Plain,
        },
        _ => Step::Plain,
    }
}

/// A jump that leaves the way back in this register.
fn jump(link: u32, place: Option<u64>) -> Step {
    match (link, place) {
        (0, Some(place)) => Step::Jump(place),
        (link, Some(place)) if link == SECOND_LINK => Step::Visit(place),
        _ => Step::Call(place),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Step::{Branch, Call, CopyFrom, CopyTo, End, Jump, Load, Plain, Save, Through, Visit};

    #[test]
    fn instructions_are_read() {
        let both: [(&[u8], Step); 32] = [
            (&[0x13, 0x00, 0x00, 0x00], Plain),              // begin: nop
            (&[0xef, 0x00, 0x00, 0x06], Call(Some(0x1064))), // jal ra, end
            (&[0xef, 0xf2, 0x9f, 0xff], Visit(0x1000)),      // jal t0, begin
            (&[0x6f, 0x00, 0x80, 0x05], Jump(0x1064)),       // j end
            (&[0x63, 0x0a, 0x05, 0x04], Branch(0x1064)),     // beqz a0, end
            (&[0xe3, 0x16, 0x55, 0xfe], Branch(0x1000)),     // bne a0, t0, begin
            (&[0x67, 0x80, 0x00, 0x00], Through(1)),         // ret
            (&[0x67, 0x80, 0x02, 0x00], Through(5)),         // jr t0
            (&[0xe7, 0x80, 0x07, 0x00], Call(None)),         // jalr a5
            (&[0x23, 0x3c, 0x16, 0x06], Save),               // sd ra, 120(a2)
            (&[0x83, 0x30, 0x81, 0x00], Load),               // ld ra, 8(sp)
            (&[0x13, 0x83, 0x00, 0x00], CopyTo(6)),          // mv t1, ra
            (&[0x93, 0x00, 0x03, 0x00], CopyFrom(6)),        // mv ra, t1
            (&[0x73, 0x00, 0x10, 0x00], End),                // ebreak
            (&[0x73, 0x00, 0x00, 0x00], Plain),              // ecall
            (&[0x97, 0x10, 0x00, 0x00], Plain),              // auipc ra, 1
            (&[0xe7, 0x80, 0xc0, 0xff], Call(Some(0x2038))), // jalr ra, -4(ra)
            (&[0x17, 0x03, 0x00, 0x00], Plain),              // auipc t1, 0
            (&[0x67, 0x00, 0x83, 0x00], Jump(0x104c)),       // jr 8(t1)
            (&[0x21, 0xa8], Jump(0x1064)),                   // c.j end
            (&[0x4d, 0xbf], Jump(0x1000)),                   // c.j begin
            (&[0x11, 0xc9], Branch(0x1064)),                 // c.beqz a0, end
            (&[0x5d, 0xf5], Branch(0x1000)),                 // c.bnez a0, begin
            (&[0x82, 0x80], Through(1)),                     // c.jr ra
            (&[0x82, 0x82], Through(5)),                     // c.jr t0
            (&[0x02, 0x95], Call(None)),                     // c.jalr a0
            (&[0x06, 0xe4], Save),                           // c.sdsp ra, 8(sp)
            (&[0xa2, 0x60], Load),                           // c.ldsp ra, 8(sp)
            (&[0x06, 0x83], CopyTo(6)),                      // c.mv t1, ra
            (&[0x02, 0x90], End),                            // c.ebreak
            (&[0x01, 0x00], Plain),                          // c.nop
            (&[0x01, 0x00], Plain),                          // end: c.nop
        ];
        let bytes: Vec<u8> = both.iter().flat_map(|(bytes, _)| bytes.to_vec()).collect();
        let mut found = Vec::new();
        code(&bytes, 0x1000, &mut found);
        let mut address = 0x1000;
        for (instruction, (bytes, step)) in found.iter().zip(&both) {
            assert_eq!((instruction.address, instruction.step), (address, *step));
            address += bytes.len() as u64;
        }
        assert_eq!((found.len(), address), (both.len(), 0x1066));
    }
}
