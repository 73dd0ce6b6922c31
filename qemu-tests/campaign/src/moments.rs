//! This file chooses at which moments of a turn that was traced process 1 is to fault.
//!
//! In code that deals with the kernel and in code that keeps the state the k-th instruction is each
//! one, elsewhere one in some.

use crate::follow::Moment;
use crate::route::Way;
use crate::sweep::{Traced, Turn, Who};
use std::collections::HashMap;

/// Of a loop, so many rounds are taken as what is no loop is.
const ROUNDS: usize = 16;

/// Which moments are taken.
#[derive(Clone, Copy, Debug)]
pub struct Strides {
    /// One instruction in so many.
    pub instruction: usize,
    /// The same in code that deals with the kernel or the state.
    pub delicate: usize,
    /// One stop at a system call in so many, from a first that the seed chooses.
    pub call: usize,
    /// And so many instructions after each of these.
    pub around: u64,
    /// See [`Self::call`].
    pub seed: u64,
    /// The longest turn is not traced instruction by instruction, and misses are not judged.
    pub is_quick: bool,
}

/// What is known of process 1's instructions.
pub trait Places {
    /// Whether one is of the program, rather than of the kernel's page.
    fn is_own(&self, place: u64) -> bool;
    /// Whether it calls the kernel.
    fn is_call(&self, place: u64) -> bool;
    /// Whether it is of code that deals with the kernel or with the state.
    fn is_delicate(&mut self, place: u64) -> bool;
}

/// When the turn is to fault.
#[must_use]
pub fn moments(
    turn: Turn,
    who: Who,
    traced: &Traced,
    places: &mut impl Places,
    strides: &Strides,
) -> Vec<Way> {
    let route = &traced.instructions;
    let begin = match (turn, who) {
        (Turn::NextLife, Who::First) => Some(0),
        _ => route.executed,
    };
    let open = begin.map_or(0..0, |begin| begin..begin + traced.unprotected.len());
    let calls = traced.unprotected.iter();
    let open_stops = 2 * calls.filter(|place| places.is_call(**place)).count();
    let ways = route.ways(|place| places.is_own(place));
    let (mut chosen, mut passed) = (Vec::new(), [0_usize; 2]);
    let mut rounds: HashMap<u64, usize> = HashMap::new();
    for (index, (way, place)) in ways.into_iter().zip(&route.places).enumerate() {
        let round = rounds.entry(*place).or_insert(0);
        *round += 1;
        let is_thorough = *round <= ROUNDS && places.is_delicate(*place);
        let [seldom, often] = &mut passed;
        let (passed, stride) = match is_thorough {
            true => (often, strides.delicate),
            false => (seldom, strides.instruction),
        };
        if !open.contains(&index) && passed.is_multiple_of(stride) {
            chosen.push(way);
        }
        *passed += 1;
    }
    let stops = traced.calls.places.len();
    let executed = traced.calls.executed;
    let first = match (turn, who) {
        (Turn::NextLife, Who::First) => open_stops,
        _ => 0,
    };
    let before = (first..executed.unwrap_or(stops)).map(|stop| (stop, false));
    let behind = executed.map_or(0..0, |executed| open_stops..stops - executed);
    let all = before.chain(behind.map(|stop| (stop, true)));
    let offset = usize::try_from(strides.seed).unwrap_or(0) % strides.call;
    let some = all.skip(offset).step_by(strides.call);
    for (stop, is_behind_execution) in some {
        let Ok(stop) = u64::try_from(stop) else {
            continue;
        };
        // Who is about to make a call may sleep in it. Another program begins behind its execution.
        let is_made = stop.is_multiple_of(2) != is_behind_execution;
        let around = if is_made { strides.around } else { 0 };
        chosen.extend((0..=around).map(|steps| Way {
            is_behind_execution,
            anchor: None,
            rest: Moment::Call(stop),
            steps,
        }));
    }
    chosen
}
