//! This file finds where 64-bit ARM code comes out of what no stop may interrupt: from a load that
//! claims a word to the store that succeeds only if nothing came between. Who is stopped after each
//! instruction would try that for ever.

/// Instructions between them, at most: more than any compiler emits.
const LENGTH_MAX: u64 = 16;

/// What an instruction does, as far as it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Claims,
    Stores,
    /// It may go on so many bytes further, or before.
    Branches(i64),
    Other,
}

/// By the architecture's encoding: classes "load/store exclusive" and branches.
fn kind(code: u32) -> Kind {
    let offset = |begin: u32, bits: u32| {
        let value = i64::from(code >> begin & ((1 << bits) - 1));
        let sign = 1_i64 << (bits - 1);
        ((value ^ sign) - sign) * 4
    };
    match code {
        _ if code & 0x3fc0_0000 == 0x0840_0000 => Kind::Claims,
        _ if code & 0x3fc0_0000 == 0x0800_0000 => Kind::Stores,
        // b.cond, then cbz and cbnz.
        _ if code & 0xff00_0010 == 0x5400_0000 || code & 0x7e00_0000 == 0x3400_0000 => {
            Kind::Branches(offset(5, 19))
        }
        // tbz and tbnz.
        _ if code & 0x7e00_0000 == 0x3600_0000 => Kind::Branches(offset(5, 14)),
        // b
        _ if code & 0xfc00_0000 == 0x1400_0000 => Kind::Branches(offset(0, 26)),
        _ => Kind::Other,
    }
}

/// Where the process, which stands at `place`, comes out of such instructions; none, where it is at
/// no such. `code` reads what is at a place.
pub(crate) fn exits(place: u64, code: impl Fn(u64) -> Option<u32>) -> Vec<u64> {
    if code(place).map(kind) != Some(Kind::Claims) {
        return Vec::new();
    }
    let mut exits = Vec::new();
    for count in 1..=LENGTH_MAX {
        let at = place + 4 * count;
        match code(at).map(kind) {
            Some(Kind::Stores) => {
                exits.push(at + 4);
                exits.retain(|exit| !(place..=at).contains(exit));
                return exits;
            }
            Some(Kind::Branches(offset)) => exits.extend(at.checked_add_signed(offset)),
            Some(Kind::Claims | Kind::Other) => {}
            None => break,
        }
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LDAXR: u32 = 0x885f_fd09; // ldaxr w9, [x8]
    const STLXR: u32 = 0x880a_fd0b; // stlxr w10, w11, [x8]
    const CMP: u32 = 0x6b0c_013f; // cmp w9, w12
    const BNE: u32 = 0x5400_0081; // b.ne 16 bytes on
    const CBNZ_BACK: u32 = 0x35ff_ff8a; // cbnz w10, 16 bytes back
    const NOP: u32 = 0xd503_201f;

    fn exits_of(words: &[u32], index: usize) -> Vec<u64> {
        let code = |place: u64| {
            let at = usize::try_from((place - 0x1000) / 4).ok()?;
            words.get(at).copied()
        };
        exits(0x1000 + 4 * index as u64, code)
    }

    #[test]
    fn a_claim_ends_behind_its_store_or_where_it_is_given_up() {
        let swap = [LDAXR, CMP, BNE, STLXR, CBNZ_BACK, NOP, NOP];
        assert_eq!(exits_of(&swap, 0), [0x1018, 0x1010]);
        let add = [LDAXR, NOP, STLXR, CBNZ_BACK];
        assert_eq!(exits_of(&add, 0), [0x100c]);
    }

    #[test]
    fn what_claims_nothing_or_never_stores_has_no_such_end() {
        let words = [NOP, LDAXR, CMP, NOP];
        for index in 0..words.len() {
            assert!(exits_of(&words, index).is_empty(), "{index}");
        }
        assert!(exits_of(&[LDAXR; 20], 0).is_empty());
    }

    #[test]
    fn branches_lead_where_the_architecture_says() {
        let table = [
            (BNE, Kind::Branches(16)),
            (CBNZ_BACK, Kind::Branches(-16)),
            (0x1400_0003, Kind::Branches(12)),
            (0x17ff_ffff, Kind::Branches(-4)),
            (0x3707_ffe0, Kind::Branches(-4)),
            (LDAXR, Kind::Claims),
            (0xc85f_7c20, Kind::Claims),
            (STLXR, Kind::Stores),
            (0xd65f_03c0, Kind::Other),
            // Loads and stores in order claim nothing.
            (0x88df_fd09, Kind::Other),
            (0x889f_fd09, Kind::Other),
        ];
        for (code, wanted) in table {
            assert_eq!(kind(code), wanted, "{code:#x}");
        }
    }
}
