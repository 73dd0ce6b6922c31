//! This file finds the indirect calls in the machine code of each processor.

use object::{ObjectSection, Relocation, RelocationFlags};
use std::collections::BTreeSet;

pub(super) fn fixed_width(data: &[u8], start: u64, is_indirect: impl Fn(u32) -> bool) -> Vec<u64> {
    let words = data
        .chunks_exact(4)
        .map(|w| u32::from_le_bytes([w[0], w[1], w[2], w[3]]));
    (start..)
        .step_by(4)
        .zip(words)
        .filter(|(_, word)| is_indirect(*word))
        .map(|(a, _)| a)
        .collect()
}

/// `blx register`, and `bx register` but for the return through lr.
pub(super) fn indirect_thumb(data: &[u8], start: u64) -> Vec<u64> {
    let halves = data
        .chunks_exact(2)
        .map(|half| u16::from_le_bytes([half[0], half[1]]));
    (start..)
        .step_by(2)
        .zip(halves)
        .filter(|(_, half)| half & 0xff07 == 0x4700 && half & 0xfff8 != 0x4770)
        .map(|(address, _)| address)
        .collect()
}

/// Where the second instruction of each direct call by a pair stands.
pub(super) fn pairs_of(section: &object::Section) -> BTreeSet<u64> {
    let pair = |(at, relocation): (u64, Relocation)| match relocation.flags() {
        RelocationFlags::Elf { r_type } if matches!(r_type.0, 18 | 19) => Some(at + 4),
        _ => None,
    };
    section.relocations().filter_map(pair).collect()
}

/// `jalr` and its short forms, but for returns through ra or t0 and for the pairs of direct calls.
pub(super) fn indirect_riscv(data: &[u8], start: u64, pairs: &BTreeSet<u64>) -> Vec<u64> {
    const RETURNS: [u32; 2] = [1, 5];
    let half = |at: usize| {
        Some(u32::from(u16::from_le_bytes([
            *data.get(at)?,
            *data.get(at + 1)?,
        ])))
    };
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(low) = half(at) {
        let address = start + at as u64;
        // Instructions whose lowest two bits are not both set are two bytes long.
        let wide = low & 3 == 3;
        let indirect = if wide {
            let word = low | half(at + 2).unwrap_or_default() << 16;
            let (to, from) = (word >> 7 & 31, word >> 15 & 31);
            let returns = to == 0 && RETURNS.contains(&from);
            word & 0x707f == 0x67 && !returns && !pairs.contains(&address)
        } else {
            let from = low >> 7 & 31;
            let call = low & 0xf07f == 0x9002 && from != 0;
            call || low & 0xf07f == 0x8002 && from != 0 && !RETURNS.contains(&from)
        };
        if indirect {
            found.push(address);
        }
        at += if wide { 4 } else { 2 };
    }
    found
}

/// A jump through a table with an index is a `match`, not a call.
pub(super) fn indirect_x86(data: &[u8], start: u64) -> Vec<u64> {
    let decoder = iced_x86::Decoder::with_ip(64, data, start, iced_x86::DecoderOptions::NONE);
    decoder
        .into_iter()
        .filter(|i| {
            let is_match = i.memory_index() != iced_x86::Register::None;
            i.is_call_near_indirect() || i.is_jmp_near_indirect() && !is_match
        })
        .map(|i| i.ip())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indirect_calls_of_riscv_code_are_told_from_returns_and_direct_ones() {
        let code: [&[u8]; 8] = [
            &[0x82, 0x80],             // ret
            &[0x02, 0x95],             // c.jalr a0
            &[0x02, 0x85],             // c.jr a0
            &[0x67, 0x80, 0x00, 0x00], // jalr x0, 0(ra), a return
            &[0xe7, 0x80, 0x07, 0x01], // jalr ra, 16(a5)
            &[0x97, 0x00, 0x00, 0x00], // auipc ra, 0
            &[0xe7, 0x80, 0x40, 0x00], // jalr ra, 4(ra), of the pair
            &[0x82, 0x82],             // jr t0, back from an outlined function
        ];
        let found = indirect_riscv(&code.concat(), 0x1000, &BTreeSet::from([0x1012]));
        assert_eq!(found, [0x1002, 0x1004, 0x100a]);
    }
}
