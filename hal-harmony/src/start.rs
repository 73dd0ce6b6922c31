//! This file builds a process out of a program: memory, stack, quota, first thread.
//!
//! It gives a process nothing of ours but the channel. What it maps it charges to the process and
//! then forgets. A process begins with the channel's number in its first argument register, and
//! with its stack pointer at what an ELF program expects there: the number of its arguments, their
//! addresses, 0, and an empty environment.

use crate::abi::layout::{PAGE_BYTES, PMO_DATA, PMO_GUARD, READ, WRITE};
use crate::abi::{Calls, Entry, Error, Group, Kernel, Lent, Memory, text};
use crate::harmony::Config;
use crate::image::{Loadable, Segment};
use init_core::event::Errno;
use init_core::unit::{Arguments, Exec, LimitValue, Resource};

/// Bytes of a page, as addresses are counted.
const PAGE: u64 = 4_096;
const _: () = assert!(PAGE_BYTES == 4_096);

/// The end of every service's stack: above all programs.
const STACK_END: u64 = 1 << 38;

/// Unlimited, to the kernel.
const NO_QUOTA: u64 = u64::MAX;

/// As many zeros as are written at once: they lie in the image.
const ZERO_BYTES: u64 = 1_024;
static ZEROES: [u8; 1_024] = [0; 1_024];

/// What the program's process may use: its data limit, or its address space's.
pub fn quota(exec: &Exec) -> u64 {
    let of = |resource| {
        let limit = exec
            .context
            .limits
            .iter()
            .find(|limit| limit.resource == resource);
        limit.map(|limit| limit.soft)
    };
    match of(Resource::Data).or_else(|| of(Resource::AddressSpace)) {
        Some(LimitValue::Max(bytes)) => bytes,
        Some(LimitValue::Unlimited) | None => NO_QUOTA,
    }
}

/// What a process starts with.
#[derive(Debug)]
pub struct Given<'a> {
    pub program: &'a Loadable,
    pub arguments: Arguments,
    pub channel: Lent,
    pub priority: u32,
}

/// Gives the process its memory and starts it.
pub fn start<K: Kernel>(
    calls: &Calls<K>,
    config: &Config,
    group: &Group,
    given: &Given<'_>,
) -> Result<(), Error> {
    for segment in given.program.segments() {
        let memory = calls.memory(segment.length, PMO_DATA)?;
        let placed = place(calls, config, group, &memory, &segment);
        calls.release(memory);
        placed?;
    }
    let stack = STACK_END.saturating_sub(config.stack_bytes);
    let mut front = Front::EMPTY;
    front.fill(given.arguments).ok_or(TOO_MUCH)?;
    let memory = calls.memory(config.stack_bytes, PMO_DATA)?;
    let filled = zero(calls, &memory, 0, config.stack_bytes).and_then(|()| {
        let offset = config.stack_bytes.saturating_sub(front.length());
        calls.write(&memory, offset, front.bytes())
    });
    let mapped = filled.and_then(|()| calls.map(group, &memory, stack, READ | WRITE));
    let charged = mapped.and_then(|()| calls.charge(&memory, group));
    calls.release(memory);
    charged?;
    guard(calls, group, stack.saturating_sub(PAGE))?;
    let entry = Entry {
        pc: given.program.entry,
        stack: STACK_END.saturating_sub(front.length()),
        argument: u64::try_from(given.channel.number()).unwrap_or(0),
        priority: given.priority,
    };
    calls.start(group, entry).map(drop)
}

fn place<K: Kernel>(
    calls: &Calls<K>,
    config: &Config,
    group: &Group,
    memory: &Memory,
    segment: &Segment,
) -> Result<(), Error> {
    zero(calls, memory, 0, segment.lead)?;
    calls.write(memory, segment.lead, segment.data)?;
    let written = u64::try_from(segment.data.len()).unwrap_or(u64::MAX);
    zero(
        calls,
        memory,
        segment.lead.saturating_add(written),
        segment.length,
    )?;
    calls.map(group, memory, segment.page, segment.may)?;
    calls.charge(memory, group)?;
    if segment.may & crate::abi::layout::EXECUTE != 0 {
        calls.sync_code(memory, segment.length, config.window)?;
    }
    Ok(())
}

/// Memory from the kernel may hold what was there before.
fn zero<K: Kernel>(calls: &Calls<K>, memory: &Memory, from: u64, end: u64) -> Result<(), Error> {
    let mut at = from;
    while at < end {
        let length = ZERO_BYTES.min(end.saturating_sub(at));
        let length = usize::try_from(length).unwrap_or(0);
        calls.write(memory, at, ZEROES.get(..length).unwrap_or(&[]))?;
        at = at.saturating_add(ZERO_BYTES);
    }
    Ok(())
}

/// A page that nothing may touch, charged to the process.
fn guard<K: Kernel>(calls: &Calls<K>, group: &Group, at: u64) -> Result<(), Error> {
    let memory = calls.memory(PAGE, PMO_GUARD)?;
    let mapped = calls.map(group, &memory, at, READ);
    let charged = mapped.and_then(|()| calls.charge(&memory, group));
    calls.release(memory);
    charged
}

/// Bytes that a process's arguments may have with their addresses: a quarter of the least stack.
const FRONT_BYTES: usize = 1_024;

/// More arguments than that; Linux's number.
const TOO_MUCH: Error = Error::Kernel(Errno(7));

/// The end of a new stack: addresses first, then what they lead to, up to the very end.
struct Front {
    room: [u8; FRONT_BYTES],
    /// Where the stack pointer is.
    begin: usize,
}

impl Front {
    const EMPTY: Self = Self {
        room: [0; FRONT_BYTES],
        begin: FRONT_BYTES,
    };

    fn bytes(&self) -> &[u8] {
        self.room.get(self.begin..).unwrap_or_default()
    }

    fn length(&self) -> u64 {
        u64::try_from(self.bytes().len()).unwrap_or(0)
    }

    fn put(&mut self, at: usize, bytes: &[u8]) -> Option<()> {
        let room = self.room.get_mut(at..)?.get_mut(..bytes.len())?;
        for (to, from) in room.iter_mut().zip(bytes) {
            *to = *from;
        }
        Some(())
    }

    fn fill(&mut self, arguments: Arguments) -> Option<()> {
        let texts = || arguments.iter().map_while(text);
        let count = texts().fold(0_usize, |count, _| count.saturating_add(1));
        let bytes = texts().try_fold(0_usize, |sum, text| {
            sum.checked_add(text.to_bytes_with_nul().len())
        })?;
        let mut text_at = FRONT_BYTES.checked_sub(bytes)?;
        // The count, the addresses, 0, an empty environment's 0, and two zeros of the auxiliary
        // vector's end.
        let longs = count.checked_add(5)?.checked_mul(8)?;
        // A stack pointer is a multiple of 16.
        self.begin = text_at.checked_sub(longs)? & !15;
        let mut at = self.begin;
        self.put(at, &u64::try_from(count).ok()?.to_le_bytes())?;
        for text in texts() {
            at = at.checked_add(8)?;
            let left = u64::try_from(FRONT_BYTES.checked_sub(text_at)?).ok()?;
            self.put(at, &STACK_END.checked_sub(left)?.to_le_bytes())?;
            self.put(text_at, text.to_bytes_with_nul())?;
            text_at = text_at.checked_add(text.to_bytes_with_nul().len())?;
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_ends_with_count_addresses_and_texts() {
        static ARGUMENTS: [Option<&u8>; 3] = [Some(&b"/bin/a\0"[0]), Some(&b"-v\0"[0]), None];
        let mut front = Front::EMPTY;
        front.fill(&ARGUMENTS).unwrap();
        assert!(front.length().is_multiple_of(16));
        let bytes = front.bytes();
        let long = |index: usize| u64::from_le_bytes(*bytes.as_chunks().0.get(index).unwrap());
        assert_eq!(
            [long(0), long(3), long(4), long(5), long(6)],
            [2, 0, 0, 0, 0]
        );
        for (index, text) in [(1, &b"/bin/a\0"[..]), (2, b"-v\0")] {
            let at = usize::try_from(front.length() - (STACK_END - long(index))).unwrap();
            assert_eq!(&bytes[at..at + text.len()], text);
        }
    }

    #[test]
    fn arguments_that_do_not_fit_are_refused() {
        static LONG: [u8; 1_000] = {
            let mut text = [b'x'; 1_000];
            text[999] = 0;
            text
        };
        static ARGUMENTS: [Option<&u8>; 2] = [Some(&LONG[0]), None];
        let (mut long, mut none) = (Front::EMPTY, Front::EMPTY);
        assert!(long.fill(&ARGUMENTS).is_none());
        assert!(none.fill(&[None]).is_some());
    }
}
