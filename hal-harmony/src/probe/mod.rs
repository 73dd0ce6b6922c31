//! This room walks the conformance table over a kernel and writes what it answers: one line a row,
//! `name expected got`. It is for a root task of its own; it shares nothing with the HAL but the
//! numbers, the structures and the trap.

mod rows;

pub use rows::{ROWS, Row};

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Which.
    pub row: Row,
    /// What it is called in transcripts.
    pub name: &'static str,
    /// Cannot be judged where the kernel's clock stands still.
    pub needs_clock: bool,
    /// What the real kernel answered.
    pub expected: &'static [i64],
}

const fn entry(row: Row, name: &'static str, needs_clock: bool, expected: &'static [i64]) -> Entry {
    Entry {
        row,
        name,
        needs_clock,
        expected,
    }
}
