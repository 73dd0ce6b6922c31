//! This file is the last act that the machine is on its way to: a life leaves it beside the number
//! of lives, for whoever sees one after the other die.

use super::at;
use super::words::Words;
use crate::effect::FinalAction;

/// Bits of the number of incarnations.
const LIFE_BITS: u32 = 28;
pub(super) const LIFE: u32 = u32::MAX >> (u32::BITS - LIFE_BITS);

/// What is written for a last act: its number, and above that the same with all bits turned. None
/// is 0, and no bit that is lost or gained makes another of one.
pub(super) const fn code(act: FinalAction) -> u32 {
    let number = match act {
        FinalAction::PowerOff => 0,
        FinalAction::Reboot => 1,
        FinalAction::Halt => 2,
        FinalAction::Kexec => 3,
    };
    (number | (number ^ 3) << 2) << LIFE_BITS
}

/// The last act that the machine is on its way to, as the last incarnation found it. `None`: it was
/// on its way to none, or the word is damaged.
pub fn last_act(words: Words<'_>) -> Option<FinalAction> {
    let code = words.get(at::LIVES) >> LIFE_BITS;
    let number = code & 3;
    if code >> 2 != number ^ 3 {
        return None;
    }
    Some(match number {
        0 => FinalAction::PowerOff,
        1 => FinalAction::Reboot,
        2 => FinalAction::Halt,
        _ => FinalAction::Kexec,
    })
}
