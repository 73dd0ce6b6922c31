//! This file packs what belongs to no unit: the machine's phase, counters, and waiting clients.

use super::pack::{action_number, action_of, flag};
use super::words::Sheet;
use crate::ident::{ClientId, UnitId};
use crate::limits::CLIENT_COUNT_MAX;
use crate::supervisor::{Core, Goal, Waiter};
use crate::system::Phase;
use crate::time::{Duration, Instant};
use crate::unit::LogLevel;

/// The boot is not over.
const NEVER: u64 = u64::MAX;

const _: () = assert!(17 + 2 * CLIENT_COUNT_MAX <= super::MACHINE_WORDS);

pub(super) fn pack(core: &Core<'_>, sheet: &mut Sheet) {
    let system = &core.system;
    let level = match system.log_level {
        None => 0,
        Some(LogLevel::Quiet) => 1,
        Some(LogLevel::Normal) => 2,
        Some(LogLevel::Debug) => 3,
    };
    let flags = u8::from(system.rescued) | (u8::from(system.killed) << 1);
    sheet.put(u32::from_le_bytes([
        phase_number(system.phase),
        level,
        flags,
        0,
    ]));
    sheet.put(system.target.0.into());
    sheet.put(action_number(system.action));
    sheet.put_long(system.booted_at.as_us());
    sheet.put_long(system.boot_took.map_or(NEVER, Duration::as_us));
    sheet.put_long(system.begun.as_us());
    sheet.put_long(system.total.as_us());
    sheet.put_long(system.patience.as_us());
    // What is counted for people wraps rather than costs a word more.
    sheet.put(core.orphan_count);
    for waiter in core.waiters {
        let (goal, unit, generation) = match waiter {
            None => (0, 0, 0),
            Some(waiter) => {
                let goal = match waiter.goal {
                    Goal::Up => 1,
                    Goal::Down => 2,
                };
                (goal, waiter.unit.0, waiter.client.generation)
            }
        };
        sheet.put(goal);
        sheet.put_pair(unit, generation);
    }
}

/// `None`: nothing was booted, or no such record was ever written.
pub(super) fn unpack(core: &mut Core<'_>, sheet: &mut Sheet) -> Option<()> {
    let [phase, level, flags, _] = sheet.take().to_le_bytes();
    let system = &mut core.system;
    system.phase = phase_of(phase)?;
    system.log_level = match level {
        0 => None,
        1 => Some(LogLevel::Quiet),
        2 => Some(LogLevel::Normal),
        3 => Some(LogLevel::Debug),
        _ => return None,
    };
    system.rescued = flag(flags & 1)?;
    system.killed = flag(flags >> 1)?;
    system.target = UnitId(u16::try_from(sheet.take()).ok()?);
    system.action = action_of(sheet.take())?;
    system.booted_at = Instant::from_us(sheet.take_long());
    let took = sheet.take_long();
    system.boot_took = (took != NEVER).then_some(Duration::from_us(took));
    system.begun = Instant::from_us(sheet.take_long());
    system.total = Instant::from_us(sheet.take_long());
    system.patience = Instant::from_us(sheet.take_long());
    core.orphan_count = sheet.take();
    for (slot, place) in (0_u8..).zip(core.waiters.iter_mut()) {
        let goal = sheet.take();
        let (unit, generation) = sheet.take_pair();
        *place = match goal {
            0 => None,
            1 | 2 => Some(Waiter {
                client: ClientId { slot, generation },
                unit: UnitId(unit),
                goal: if goal == 1 { Goal::Up } else { Goal::Down },
            }),
            _ => return None,
        };
    }
    Some(())
}

fn phase_number(phase: Phase) -> u8 {
    match phase {
        Phase::Off => 0,
        Phase::Booting => 1,
        Phase::Up => 2,
        Phase::Stopping => 3,
        Phase::Leftovers => 4,
        Phase::Final => 5,
    }
}

fn phase_of(number: u8) -> Option<Phase> {
    Some(match number {
        1 => Phase::Booting,
        2 => Phase::Up,
        3 => Phase::Stopping,
        4 => Phase::Leftovers,
        5 => Phase::Final,
        _ => return None,
    })
}
