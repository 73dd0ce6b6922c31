//! This file keeps what a region held after each commit of a step: where process 1 died, its heir
//! found one of these.

use init_core::checkpoint::words::Words;
use std::cell::RefCell;

/// The words of a region at one moment.
pub type Snapshot = Vec<u32>;

#[derive(Default)]
struct Tape {
    taken: Vec<Snapshot>,
    is_stopped: bool,
}

thread_local! {
    static TAPE: RefCell<Tape> = RefCell::default();
}

/// Begins with what a region holds now.
pub fn begin(region: Words<'_>) {
    TAPE.with_borrow_mut(|tape| {
        tape.taken.clear();
        tape.is_stopped = false;
    });
    note(region);
}

/// Notes what was committed.
pub fn note(region: Words<'_>) {
    TAPE.with_borrow_mut(|tape| {
        if !tape.is_stopped {
            tape.taken.push(read(region));
        }
    });
}

/// What is committed from now on did not happen.
pub fn stop() {
    TAPE.with_borrow_mut(|tape| tape.is_stopped = true);
}

/// The first snapshot that is as wanted becomes what the region holds; whether there is one.
pub fn go_back(region: Words<'_>, is_wanted: impl Fn(Words<'_>) -> bool) -> bool {
    let mut taken = TAPE.with_borrow_mut(|tape| std::mem::take(&mut tape.taken));
    let found = taken.iter().position(|snapshot| {
        write(region, snapshot);
        is_wanted(region)
    });
    TAPE.with_borrow_mut(|tape| {
        tape.taken = found.map(|at| taken.swap_remove(at)).into_iter().collect();
    });
    found.is_some()
}

/// What a region holds.
pub fn read(region: Words<'_>) -> Snapshot {
    (0..region.len()).map(|index| region.get(index)).collect()
}

/// Makes a region hold what it held.
pub fn write(region: Words<'_>, snapshot: &Snapshot) {
    for (index, word) in snapshot.iter().enumerate() {
        region.set(index, *word);
    }
}
