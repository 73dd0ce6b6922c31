//! This file holds the structures and numbers of `include/sysmaster.h`, and what they mean to the
//! core. Every bit pattern of what comes in is valid; what it says is checked.

use crate::sys::told::{Named, ToldEvent};
use core::ffi::{c_char, c_void};
use core::mem::offset_of;
use init_core::event::{ControlRequest, Errno, Event, ExitStatus, MachineRequest};
use init_core::ident::{Child, ClientId, Generation, Role, UnitId};

/// `struct sysmaster_child`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct TheChild {
    pub unit: u16,
    pub generation: u16,
    pub role: u32,
}

/// `struct sysmaster_effect`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct AskedEffect {
    pub kind: u32,
    pub child: TheChild,
    pub number: u32,
    pub client: u32,
    pub text_bytes: u32,
    pub text: *const c_char,
}

/// `struct sysmaster_unit`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct UnitInfo {
    pub kind: u32,
    pub name_bytes: u32,
    pub name: *const c_char,
    pub program: *const c_char,
    pub arguments: *const c_void,
    pub stop_program: *const c_char,
    pub stop_arguments: *const c_void,
}

/// `struct sysmaster_state`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct UnitState {
    pub state: u32,
    pub pid: u32,
    pub restarts: u32,
}

const _: () = assert!(size_of::<TheChild>() == 8);
const _: () = assert!(offset_of!(AskedEffect, text_bytes) == 20);
const _: () = assert!(offset_of!(AskedEffect, text) == 24);
const _: () = assert!(offset_of!(UnitInfo, name) == 8);
const _: () = assert!(size_of::<UnitState>() == 12);

/// Kinds of effects.
pub mod effect {
    pub const NONE: u32 = 0;
    pub const SPAWN: u32 = 1;
    pub const SIGNAL: u32 = 2;
    pub const SIGNAL_ALL: u32 = 3;
    pub const REPLY: u32 = 4;
    pub const HANG_UP: u32 = 5;
    pub const SAY: u32 = 6;
    pub const FINISH: u32 = 7;
}

impl AskedEffect {
    pub const NONE: Self = Self {
        kind: effect::NONE,
        child: TheChild {
            unit: 0,
            generation: 0,
            role: 0,
        },
        number: 0,
        client: 0,
        text_bytes: 0,
        text: core::ptr::null(),
    };
}

impl UnitInfo {
    pub const NONE: Self = Self {
        kind: 0,
        name_bytes: 0,
        name: core::ptr::null(),
        program: core::ptr::null(),
        arguments: core::ptr::null(),
        stop_program: core::ptr::null(),
        stop_arguments: core::ptr::null(),
    };
}

impl UnitState {
    pub const NONE: Self = Self {
        state: 0,
        pid: 0,
        restarts: 0,
    };
}

impl From<Child> for TheChild {
    fn from(child: Child) -> Self {
        Self {
            unit: child.unit.0,
            generation: child.generation.0,
            role: match child.role {
                Role::Main => 0,
                Role::Stop => 1,
                Role::Probe => 2,
            },
        }
    }
}

impl TheChild {
    fn child(self) -> Option<Child> {
        Some(Child {
            unit: UnitId(self.unit),
            generation: Generation(self.generation),
            role: match self.role {
                0 => Role::Main,
                1 => Role::Stop,
                2 => Role::Probe,
                _ => return None,
            },
        })
    }
}

/// A client as one number: its slot, and which of those that had it.
pub fn client_number(client: ClientId) -> u32 {
    u32::from(client.slot) | u32::from(client.generation) << 8
}

fn client(number: u32) -> Option<ClientId> {
    let [slot, low, high, none] = number.to_le_bytes();
    let is_one = none == 0 && usize::from(slot) < init_core::limits::CLIENT_COUNT_MAX;
    is_one.then_some(ClientId {
        slot,
        generation: u16::from_le_bytes([low, high]),
    })
}

/// What an event tells of one of so many units; `None`: nothing that is.
pub fn event(told: &ToldEvent, unit_count: usize) -> Option<Event> {
    let Named {
        child,
        unit,
        number,
        client: who,
    } = told.named();
    let is_unit = |unit: u16| usize::from(unit) < unit_count;
    let child = child.filter(|child| is_unit(child.unit));
    let child = child.and_then(TheChild::child);
    let client = who.and_then(client);
    let exited = |status| {
        let child = child?;
        Some(Event::Exited { child, status })
    };
    let control = |request: fn(UnitId) -> ControlRequest| {
        let unit = UnitId(unit.filter(|unit| is_unit(*unit))?);
        Some(Event::Control {
            client: client?,
            request: request(unit),
        })
    };
    match told.kind {
        0 => Some(Event::Tick),
        1 => child
            .zip(number)
            .map(|(child, pid)| Event::Spawned { child, pid }),
        2 => child
            .zip(u16::try_from(number?).ok())
            .map(|(child, number)| Event::SpawnFailed {
                child,
                error: Errno(number),
            }),
        3 => child.map(Event::Ready),
        4 => child.map(Event::Heartbeat),
        5 => exited(ExitStatus::Code(u8::try_from(number?).ok()?)),
        6 => exited(ExitStatus::Signal {
            number: u8::try_from(number?).ok()?,
            core_dumped: false,
        }),
        7 => Some(Event::OrphanExited),
        8 => Some(Event::NoChildLeft),
        9 => machine_request(number?).map(Event::Machine),
        10 => control(ControlRequest::Start),
        11 => control(ControlRequest::Stop),
        12 => control(ControlRequest::Restart),
        13 => client.map(Event::ClientGone),
        _ => None,
    }
}

fn machine_request(number: u32) -> Option<MachineRequest> {
    Some(match number {
        0 => MachineRequest::PowerOff,
        1 => MachineRequest::Reboot,
        2 => MachineRequest::Halt,
        3 => MachineRequest::Rescue,
        _ => return None,
    })
}
