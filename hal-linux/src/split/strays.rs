//! This file ends cores whose number nobody knows any more, because the word that had it was
//! damaged. Two cores would write to the same words.

use super::line;
use super::trouble::{LOOK, LOOK_MAX};
use crate::heal;
use crate::sys::process;
use crate::sys::wait::{self, Apart};
use init_core::unit::Signal;

/// Looks at a core that goes on: half a second, which it needs on the busiest of machines.
const LOOK_COUNT_MAX: u32 = 33;

/// Looks before it is searched for: most find that the keeper's end of a pipe is closed, and end.
const LOOK_COUNT_MIN: u32 = 8;

/// A process's number is below this: `PID_MAX_LIMIT` of `linux/threads.h`. A look costs some 200 ns
/// for each, and those of most machines are below 32 768.
const NUMBER_MAX: u32 = if size_of::<usize>() == 8 {
    4 << 20
} else {
    32 << 10
};

/// Numbers that are tried at each look, so that all are in the end.
const NUMBERS_PER_LOOK: u32 = NUMBER_MAX.div_ceil(LOOK_COUNT_MAX - LOOK_COUNT_MIN);

/// Numbers after which the search is no endless loop: some ms on a slow processor.
const NUMBERS_PER_PROGRESS: u32 = 4_096;

const _: () = assert!(LOOK_COUNT_MIN < LOOK_COUNT_MAX && NUMBERS_PER_PROGRESS < NUMBER_MAX);

/// Waits until no core is left, searching for one that does not end by itself. One that cannot be
/// ended is not waited for without end.
pub(super) fn see_off() {
    let (mut look, mut tried) = (LOOK, 0);
    for count in 0..LOOK_COUNT_MAX {
        match wait::all_apart() {
            Apart::Unknown => return,
            Apart::Ended(_) => {}
            Apart::Runs | Apart::Stopped => {
                if count >= LOOK_COUNT_MIN {
                    tried = kill_from(tried);
                }
                line::pause(look);
                look = look.doubled().min(LOOK_MAX);
            }
        }
    }
}

/// Kills the first core whose number is not below this, if it is among the next so many; where to
/// go on. No process of a unit is apart, nor is anybody who is not our child.
fn kill_from(number: u32) -> u32 {
    let end = number.saturating_add(NUMBERS_PER_LOOK).min(NUMBER_MAX);
    for number in number..end {
        if number.is_multiple_of(NUMBERS_PER_PROGRESS) {
            heal::made_progress();
        }
        if matches!(wait::apart(number), Apart::Runs | Apart::Stopped) {
            let _ = process::signal(number, Signal::KILL.0);
            return number;
        }
    }
    end
}
