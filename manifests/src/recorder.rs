//! This file reads how much memory the flight recorder has.

use crate::board::{Abi, Board};
use crate::diagnostic::{Diagnostic, Id};
use crate::schema::Section;
use crate::sections::Sections;
use init_core::checkpoint::{ENTRY_COUNT_MIN, recorder_bytes_for};

/// The most that it may have: a recording is taken out in frames of 896 bytes.
const BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Bytes of the flight recorder of a product with so many units; `None`: it has none.
pub fn read(
    sections: &Sections,
    board: &Board,
    units: usize,
    problems: &mut Vec<Diagnostic>,
) -> Option<u32> {
    let fields = sections.single(Section::Healing);
    let bytes = fields.size("recorder")?;
    let span = fields.span_of("recorder");
    if board.abi != Abi::Linux {
        let message = "on this board process 1 records nothing";
        let problem = Diagnostic::new(Id::WrongBoard, span, message);
        problems.push(problem.help("leave `recorder` out"));
        return None;
    }
    let least = u64::try_from(recorder_bytes_for(units, ENTRY_COUNT_MIN)).unwrap_or(u64::MAX);
    if !(least..=BYTES_MAX).contains(&bytes) {
        let kib = least.div_ceil(1024);
        let message = format!("a flight recorder of {units} units has from {kib}KiB to 4MiB");
        let problem = Diagnostic::new(Id::OutOfRange, span, message);
        let help = "two states of all units, and 32 bytes for each event";
        problems.push(problem.help(help));
        return None;
    }
    // Whole words.
    u32::try_from(bytes / 4 * 4).ok()
}
