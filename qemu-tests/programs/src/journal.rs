//! This file writes the journal of a run: fixed records, each appended by one call of write.

use crate::sys::call;
use core::ffi::CStr;

/// The journal, as every program of a run sees it.
const FILE: &CStr = c"/bench/journal";

/// What happened. `xtask/src/bench/journal.rs` has the same numbers.
#[derive(Clone, Copy, Debug)]
#[repr(u32)]
pub enum Kind {
    /// The program that becomes process 1 is about to be executed.
    Machine = 1,
    /// A service's first instruction; the value is the number of its process.
    Begin = 2,
    /// A service's last but one.
    End = 3,
    /// A program that was timed has ended; the value is its nanoseconds.
    Timed = 4,
    /// A program that was timed ended with another exit code than 0; the value is the code.
    Refused = 5,
    /// Something begins whose end is seen from outside.
    Request = 6,
    /// The last orphan is gone; the value is how many there were.
    Reaped = 7,
}

/// One record.
#[repr(C)]
struct Record {
    time_ns: u64,
    kind: u32,
    index: u32,
    value: u64,
}

const _: () = assert!(size_of::<Record>() == 24);

/// Appends one record. A journal that cannot be written shows as a record that is missing.
pub fn write(kind: Kind, time_ns: u64, index: u32, value: u64) {
    let record = Record {
        time_ns,
        kind: kind as u32,
        index,
        value,
    };
    let file = call::open_append(FILE);
    call::write(file, (&raw const record).cast(), size_of::<Record>());
    call::close(file);
}
