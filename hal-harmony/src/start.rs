//! This file builds a process out of a program: memory, stack, quota, first thread.
//!
//! It gives a process nothing of ours: no capability of root's is transferred. What it maps it
//! charges to the process and then forgets.

use crate::abi::layout::{PAGE_BYTES, PMO_DATA, PMO_GUARD, READ, WRITE};
use crate::abi::{Calls, Entry, Error, Group, Kernel, Memory};
use crate::harmony::Config;
use crate::image::{Loadable, Segment};
use init_core::unit::{Exec, LimitValue, Resource};

/// Bytes of a page, as addresses are counted.
const PAGE: u64 = 4_096;
const _: () = assert!(PAGE_BYTES == 4_096);

/// The end of every service's stack: above all programs.
const STACK_END: u64 = 1 << 38;

/// Unlimited, to the kernel.
const NO_QUOTA: u64 = u64::MAX;

static ZEROES: [u8; PAGE_BYTES] = [0; PAGE_BYTES];

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

/// Gives the process its memory and starts it.
pub fn start<K: Kernel>(
    calls: &Calls<K>,
    config: &Config,
    group: &Group,
    program: &Loadable,
    priority: u32,
) -> Result<(), Error> {
    for segment in program.segments() {
        let memory = calls.memory(segment.length, PMO_DATA)?;
        let placed = place(calls, config, group, &memory, &segment);
        calls.release(memory);
        placed?;
    }
    let stack = STACK_END.saturating_sub(config.stack_bytes);
    region(
        calls,
        group,
        stack,
        config.stack_bytes,
        PMO_DATA,
        READ | WRITE,
    )?;
    region(
        calls,
        group,
        stack.saturating_sub(PAGE),
        PAGE,
        PMO_GUARD,
        READ,
    )?;
    let entry = Entry {
        pc: program.entry,
        stack: STACK_END,
        argument: 0,
        priority,
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
        let length = PAGE.min(end.saturating_sub(at));
        let length = usize::try_from(length).unwrap_or(0);
        calls.write(memory, at, ZEROES.get(..length).unwrap_or(&[]))?;
        at = at.saturating_add(PAGE);
    }
    Ok(())
}

/// Memory at an address, charged to the process.
fn region<K: Kernel>(
    calls: &Calls<K>,
    group: &Group,
    at: u64,
    length: u64,
    kind: u64,
    may: u64,
) -> Result<(), Error> {
    let memory = calls.memory(length, kind)?;
    let zeroed = match kind {
        PMO_DATA => zero(calls, &memory, 0, length),
        _ => Ok(()),
    };
    let mapped = zeroed.and_then(|()| calls.map(group, &memory, at, may));
    let charged = mapped.and_then(|()| calls.charge(&memory, group));
    calls.release(memory);
    charged
}
