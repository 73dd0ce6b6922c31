//! This file checks how process 1 is put together: as one process, or with a core of its own.

use crate::diagnostic::{Diagnostic, Id};
use crate::fields::Fields;

/// Microseconds that a core may always be silent: a slow machine needs some for a turn.
const CORE_TIMEOUT_US_MIN: u64 = 10_000;

/// How many microseconds a core may be silent that is a process of its own; `None`: it is not.
pub fn split(product: &Fields, problems: &mut Vec<Diagnostic>) -> Option<u64> {
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
    Some(micros)
}
