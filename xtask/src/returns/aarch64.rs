//! This file reads 64-bit ARM code for what it does with the way back (x30).
//! Encodings: Arm Architecture Reference Manual for A-profile, chapter C4.

use super::code::{Step, signed};

/// The register that a call leaves the way back in.
pub(super) const LINK: u32 = 30;
const STACK: u32 = 31;

pub(super) fn word(word: u32, at: u64) -> Step {
    let field = |low: u32, bits: u32| word >> low & ((1 << bits) - 1);
    let far = |low, bits| at.wrapping_add_signed(signed(field(low, bits) << 2, bits + 2));
    let register = field(5, 5);
    match word {
        _ if word >> 26 == 0b10_0101 => Step::Call(Some(far(0, 26))),
        _ if word >> 26 == 0b00_0101 => Step::Jump(far(0, 26)),
        _ if word & 0xffff_fc1f == 0xd63f_0000 => Step::Call(None),
        _ if word & 0xffff_fc1f == 0xd61f_0000 => Step::Through(register),
        _ if word & 0xffff_fc1f == 0xd65f_0000 => Step::Through(register),
        // `b.cond`, `cbz`, `cbnz`; `tbz`, `tbnz`.
        _ if word >> 24 == 0x54 || word & 0x7e00_0000 == 0x3400_0000 => Step::Branch(far(5, 19)),
        _ if word & 0x7e00_0000 == 0x3600_0000 => Step::Branch(far(5, 14)),
        // `udf`, `brk`.
        _ if word >> 16 == 0 || word & 0xffe0_001f == 0xd420_0000 => Step::End,
        _ if word & 0xffe0_ffe0 == 0xaa00_03e0 => Step::copy(field(0, 5), field(16, 5), LINK),
        _ => memory(word),
    }
}

/// Loads and stores of one register or two.
fn memory(word: u32) -> Step {
    let [first, base, second] = [0, 5, 10].map(|low| word >> low & 31);
    // With an offset, and with one that changes the base, before or after.
    let is_pair = word & 0xfe00_0000 == 0xa800_0000 && word >> 23 & 3 != 0;
    let is_scaled = word & 0xff80_0000 == 0xf900_0000;
    let is_unscaled = word & 0xffa0_0000 == 0xf800_0000 && word >> 10 & 3 != 2;
    let is_link = first == LINK || is_pair && second == LINK;
    if base != STACK || !is_link || !(is_pair || is_scaled || is_unscaled) {
        return Step::Plain;
    }
    match word >> 22 & 1 {
        0 => Step::Save,
        _ => Step::Load,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Step::{Branch, Call, CopyFrom, CopyTo, End, Jump, Load, Plain, Save, Through};

    #[test]
    fn code_is_read() {
        let code = [
            (0xd503_201f, Plain),              // begin: nop
            (0x9400_0005, Call(Some(0x1018))), // bl end
            (0x17ff_fffe, Jump(0x1000)),       // b begin
            (0xb400_0060, Branch(0x1018)),     // cbz x0, end
            (0x54ff_ff81, Branch(0x1000)),     // b.ne begin
            (0x3718_0020, Branch(0x1018)),     // tbnz w0, #3, end
            (0xa9bf_7bfd, Save),               // end: stp x29, x30, [sp, #-16]!
            (0xa901_4ffe, Save),               // stp x30, x19, [sp, #16]
            (0xf81f_0ffe, Save),               // str x30, [sp, #-16]!
            (0xa8c1_7bfd, Load),               // ldp x29, x30, [sp], #16
            (0xf841_07fe, Load),               // ldr x30, [sp], #16
            (0xf900_07fe, Save),               // str x30, [sp, #8]
            (0xf940_001e, Plain),              // ldr x30, [x0]
            (0xd63f_0040, Call(None)),         // blr x2
            (0xd65f_03c0, Through(30)),        // ret
            (0xd65f_0200, Through(16)),        // ret x16
            (0xd61f_0100, Through(8)),         // br x8
            (0xaa1e_03f0, CopyTo(16)),         // mov x16, x30
            (0xaa10_03fe, CopyFrom(16)),       // mov x30, x16
            (0xaa1f_03fe, CopyFrom(31)),       // mov x30, xzr
            (0xd420_0020, End),                // brk #1
            (0x0000_0000, End),                // udf #0
            (0xd400_0001, Plain),              // svc #0
            (0xf980_03e0, Plain),              // prfm pldl1keep, [sp]
        ];
        for (address, (bits, step)) in (0x1000..).step_by(4).zip(code) {
            assert_eq!(word(bits, address), step, "{bits:#x}");
        }
    }
}
