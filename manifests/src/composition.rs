//! This file checks how process 1 is put together: as one process, or with a core of its own; and
//! whether it can be exchanged.

use crate::board::{Abi, Board};
use crate::diagnostic::{Diagnostic, Id};
use crate::fields::{BUILT_IN, Fields};
use crate::schema::Section;
use crate::sections::Sections;

/// Microseconds that a core may always be silent: a slow machine needs some for a turn.
const CORE_TIMEOUT_US_MIN: u64 = 10_000;

/// How many microseconds a core may be silent that is a process of its own; `None`: it is not.
pub fn split(product: &Fields, board: &Board, problems: &mut Vec<Diagnostic>) -> Option<u64> {
    let micros = product.duration("core-timeout")?;
    if micros < CORE_TIMEOUT_US_MIN {
        let span = product.span_of("core-timeout");
        let message = "no core answers in less than 10ms at any time";
        let problem = Diagnostic::new(Id::OutOfRange, span, message);
        problems.push(problem.help("write core-timeout = \"2s\", for one"));
    }
    if product.word("composition") != "split" {
        return None;
    }
    if board.abi == Abi::Library {
        let span = product.span_of("composition");
        let message = "a library is a part of one process";
        let problem = Diagnostic::new(Id::WrongBoard, span, message);
        problems.push(problem.help("write composition = \"solo\""));
    }
    Some(micros)
}

/// Whether process 1 can be exchanged for another image.
pub fn hot_upgrade(sections: &Sections, board: &Board, problems: &mut Vec<Diagnostic>) -> bool {
    let product = sections.single(Section::Product);
    if !product.boolean("hot-upgrade") {
        never_upgraded(sections, problems);
        return false;
    }
    let span = product.span_of("hot-upgrade");
    if board.abi != Abi::Linux {
        let message = "on this board process 1 cannot be exchanged";
        let problem = Diagnostic::new(Id::WrongBoard, span, message);
        problems.push(problem.help("write hot-upgrade = false"));
    }
    true
}

/// What an upgrade does to a unit is said in vain. Once for each place, also of many units'
/// defaults.
fn never_upgraded(sections: &Sections, problems: &mut Vec<Diagnostic>) {
    let fields = sections.named.iter().map(|named| &named.fields);
    let mut spans: Vec<_> = fields
        .filter_map(|fields| fields.field("on-upgrade"))
        .map(|field| field.key_span)
        .filter(|span| span.file != BUILT_IN)
        .collect();
    spans.sort();
    spans.dedup();
    for span in spans {
        let message = "this product is never upgraded while it runs";
        let problem = Diagnostic::new(Id::NeverUpgraded, span, message);
        problems.push(problem.help("write hot-upgrade = true into [product], or leave this out"));
    }
}
