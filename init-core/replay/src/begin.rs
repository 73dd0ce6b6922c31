//! This file looks for the earliest moment of a recording from which all that follows is there.

use crate::port::Source;
use crate::trouble::Trouble;
use init_core::checkpoint::recording::State;

/// Where to begin.
pub enum Beginning {
    /// Nothing had happened.
    Blank,
    /// This was the state.
    State(State),
}

/// The first entry from which on all are there. The place of the oldest is that of the one that is
/// being written.
pub fn first_readable(source: &Source<'_>) -> Result<u32, Trouble> {
    let (recording, end) = (&source.recording, source.end);
    let room = recording.capacity().saturating_sub(1).min(end);
    let oldest = end.wrapping_sub(room);
    let numbers = (0..room).map(|index| oldest.wrapping_add(index));
    let is_there = |number: &u32| recording.entry(*number).is_some();
    // The oldest may have been overwritten while the others were taken out.
    let gone = numbers.clone().take_while(|number| !is_there(number));
    let first = gone.last().map_or(oldest, |last| last.wrapping_add(1));
    let mut rest = numbers.skip_while(|number| *number != first);
    match rest.find(|number| !is_there(number)) {
        Some(number) => Err(Trouble::Damaged {
            number,
            word: recording.place_of(number),
        }),
        None => Ok(first),
    }
}

/// The earliest that can be begun with.
pub fn beginning(source: &Source<'_>, first: u32) -> Option<Beginning> {
    if first == 0 && source.end < source.recording.capacity() {
        return Some(Beginning::Blank);
    }
    state_from(source, first).map(Beginning::State)
}

/// The earliest state that is not before an entry.
pub fn state_from(source: &Source<'_>, first: u32) -> Option<State> {
    let left = |number: u32| source.end.wrapping_sub(number);
    let states = source.recording.states();
    let usable = states.filter(|state| left(state.number) <= left(first));
    usable.max_by_key(|state| left(state.number))
}
