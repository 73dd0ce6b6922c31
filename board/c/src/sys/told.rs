//! This file is `struct sysmaster_event`, of which C sets what the kind names: nothing else need be
//! set, and nothing else is looked at.

use crate::abi::TheChild;
use core::mem::{MaybeUninit, offset_of};

/// What happened, as C tells it.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct ToldEvent {
    pub kind: u32,
    unit: MaybeUninit<u16>,
    generation: MaybeUninit<u16>,
    role: MaybeUninit<u32>,
    number: MaybeUninit<u32>,
    client: MaybeUninit<u32>,
}

const _: () = assert!(size_of::<ToldEvent>() == 20);
const _: () = assert!(offset_of!(ToldEvent, generation) == 6);
const _: () = assert!(offset_of!(ToldEvent, role) == 8);
const _: () = assert!(offset_of!(ToldEvent, number) == 12);
const _: () = assert!(offset_of!(ToldEvent, client) == 16);

/// The members that an event's kind names.
#[derive(Clone, Copy, Debug, Default)]
pub struct Named {
    pub child: Option<TheChild>,
    pub unit: Option<u16>,
    pub number: Option<u32>,
    pub client: Option<u32>,
}

impl ToldEvent {
    /// What its kind names, as the header has it.
    pub fn named(&self) -> Named {
        let (child, unit, number, client) = match self.kind {
            1 | 2 | 5 | 6 => (true, false, true, false),
            3 | 4 => (true, false, false, false),
            9 => (false, false, true, false),
            10..=12 => (false, true, false, true),
            13 => (false, false, false, true),
            _ => (false, false, false, false),
        };
        let half = |is_set: bool, member: &MaybeUninit<u16>| {
            // SAFETY: the header asks C to set what the kind names.
            is_set.then(|| unsafe { member.assume_init() })
        };
        let word = |is_set: bool, member: &MaybeUninit<u32>| {
            // SAFETY: as above.
            is_set.then(|| unsafe { member.assume_init() })
        };
        let whole = half(child, &self.unit).zip(half(child, &self.generation));
        let whole = whole.zip(word(child, &self.role));
        Named {
            child: whole.map(|((unit, generation), role)| TheChild {
                unit,
                generation,
                role,
            }),
            unit: half(unit, &self.unit),
            number: word(number, &self.number),
            client: word(client, &self.client),
        }
    }
}
