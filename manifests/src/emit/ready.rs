//! This file writes down how it is seen that a unit is ready.

use super::program;
use crate::model::{Ready, Unit};
use std::collections::BTreeSet;

/// How a unit's description says it; what is looked for is named by its place among all.
pub fn place(unit: &Unit, probes: &BTreeSet<String>) -> String {
    match probe(unit) {
        Some(probe) => format!("Probe({})", probes.range(..probe).count()),
        None => sign(&unit.ready),
    }
}

/// All of it, for the number of a unit's definition.
pub fn words(unit: &Unit) -> String {
    let sign = match probe(unit) {
        Some(probe) => format!("Probe(&{probe})"),
        None => sign(&unit.ready),
    };
    format!("::init_core::unit::Readiness::{sign}")
}

/// What is looked for, if that is how.
pub fn probe(unit: &Unit) -> Option<String> {
    match &unit.ready {
        Ready::Exec | Ready::Exit | Ready::Newline(_) | Ready::Letter => None,
        Ready::Tcp(_) | Ready::Unix(_) | Ready::Path(_) => {
            Some(format!("::init_core::unit::Probe::{}", sign(&unit.ready)))
        }
    }
}

fn sign(ready: &Ready) -> String {
    match ready {
        Ready::Exec => String::from("Exec"),
        Ready::Exit => String::from("Exit"),
        Ready::Newline(fd) => format!("Newline({fd})"),
        Ready::Letter => String::from("Letter"),
        Ready::Tcp(port) => format!("Tcp({port})"),
        Ready::Unix(path) => format!("Unix({})", program::c_text(path)),
        Ready::Path(path) => format!("Path({})", program::c_text(path)),
    }
}
