//! This crate is the decisions of an init as a static library: `init-core` and the tables of one
//! product behind the functions of `include/sysmaster.h`.
//!
//! It guarantees: no allocation, no clock, no system call, and no panic: one that could be reached
//! does not link. What it asks for, the image that it is linked into performs.
#![no_std]
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

mod abi;
mod machine;
mod post;
mod sys;

mod product {
    //! The compiled manifest.
    #![allow(dead_code, reason = "whoever performs things has tables of its own")]
    init_core::include_manifest!();
}

use abi::{AskedEffect, UnitInfo, UnitState};
use core::mem::MaybeUninit;
use init_core::time::Instant;
use machine::Machine;
use sys::Once;
use sys::told::ToldEvent;

/// Raised whenever a structure, a number or a function of the header changes its meaning.
const ABI: u32 = 1;

/// `SYSMASTER_OK`, `SYSMASTER_NOTHING` and `SYSMASTER_BAD`.
const OK: u32 = 0;
const NOTHING: u32 = 1;
const BAD: u32 = 2;
/// `SYSMASTER_FULL`.
const FULL: u32 = 3;

static STORAGE: Once<init_core::Storage<{ product::UNIT_COUNT }>> =
    Once::new(init_core::Storage::new());
static MACHINE: Once<Option<Machine>> = Once::new(None);

/// The version of this interface.
#[unsafe(no_mangle)]
pub extern "C" fn sysmaster_abi() -> u32 {
    ABI
}

/// The product's only core; null from the second call on.
#[unsafe(no_mangle)]
pub extern "C" fn sysmaster_create() -> Option<&'static mut Machine> {
    let storage = STORAGE.take()?;
    let machine = MACHINE.take()?;
    Some(machine.insert(Machine::new(storage.core(&product::MANIFEST))))
}

/// Begins: the machine is to come up.
#[unsafe(no_mangle)]
pub extern "C" fn sysmaster_boot(machine: Option<&mut Machine>, now_us: u64) -> u32 {
    let Some(machine) = machine else { return BAD };
    machine.boot(Instant::from_us(now_us));
    OK
}

/// Takes in what happened.
#[unsafe(no_mangle)]
pub extern "C" fn sysmaster_step(
    machine: Option<&mut Machine>,
    event: Option<&ToldEvent>,
    now_us: u64,
) -> u32 {
    let (Some(machine), Some(event)) = (machine, event) else {
        return BAD;
    };
    match abi::event(event, product::MANIFEST.units.len()) {
        Some(event) => machine.step(event, Instant::from_us(now_us)),
        None => return BAD,
    }
    OK
}

/// Leaves what happened for [`sysmaster_step_posted`]. Nothing else may be called by an interrupt.
#[unsafe(no_mangle)]
pub extern "C" fn sysmaster_post(event: Option<&ToldEvent>) -> u32 {
    let units = product::MANIFEST.units.len();
    match event.and_then(|event| abi::event(event, units)) {
        Some(event) if post::put(event) => OK,
        Some(_) => FULL,
        None => BAD,
    }
}

/// Takes in what was left first.
#[unsafe(no_mangle)]
pub extern "C" fn sysmaster_step_posted(machine: Option<&mut Machine>, now_us: u64) -> u32 {
    let Some(machine) = machine else { return BAD };
    let Some(event) = post::take() else {
        return NOTHING;
    };
    machine.step(event, Instant::from_us(now_us));
    OK
}

/// The next thing to be done.
#[unsafe(no_mangle)]
pub extern "C" fn sysmaster_next_effect(
    machine: Option<&mut Machine>,
    now_us: u64,
    effect: Option<&mut MaybeUninit<AskedEffect>>,
) -> u32 {
    let (Some(machine), Some(effect)) = (machine, effect) else {
        return BAD;
    };
    let next = machine.next_effect(Instant::from_us(now_us));
    let is_there = next.is_some();
    effect.write(next.unwrap_or(AskedEffect::NONE));
    if is_there { OK } else { NOTHING }
}

/// When to step with a tick although nothing happened; all ones: never.
#[unsafe(no_mangle)]
pub extern "C" fn sysmaster_next_deadline(machine: Option<&Machine>) -> u64 {
    let until = machine.and_then(Machine::next_deadline);
    until.map_or(u64::MAX, Instant::as_us)
}

/// How many units the product has.
#[unsafe(no_mangle)]
pub extern "C" fn sysmaster_unit_count(_machine: Option<&Machine>) -> u32 {
    u32::try_from(product::MANIFEST.units.len()).unwrap_or(0)
}

/// What a unit is.
#[unsafe(no_mangle)]
pub extern "C" fn sysmaster_unit(
    machine: Option<&Machine>,
    unit: u16,
    info: Option<&mut MaybeUninit<UnitInfo>>,
) -> u32 {
    let (Some(machine), Some(info)) = (machine, info) else {
        return BAD;
    };
    let found = machine.unit(unit);
    let is_there = found.is_some();
    info.write(found.unwrap_or(UnitInfo::NONE));
    if is_there { OK } else { NOTHING }
}

/// Where a unit stands.
#[unsafe(no_mangle)]
pub extern "C" fn sysmaster_state(
    machine: Option<&Machine>,
    unit: u16,
    state: Option<&mut MaybeUninit<UnitState>>,
) -> u32 {
    let (Some(machine), Some(state)) = (machine, state) else {
        return BAD;
    };
    let found = machine.state(unit);
    let is_there = found.is_some();
    state.write(found.unwrap_or(UnitState::NONE));
    if is_there { OK } else { NOTHING }
}
