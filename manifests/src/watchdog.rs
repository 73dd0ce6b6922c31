//! This file reads `[watchdog]`: what resets a machine that does not get on.

use crate::diagnostic::{Diagnostic, Id};
use crate::model::Watchdog;
use crate::schema::Section;
use crate::sections::Sections;

/// Reads the section; `None` if it names no device, or is wrong in a way that was told.
pub fn read(sections: &Sections, problems: &mut Vec<Diagnostic>) -> Option<Watchdog> {
    let section = sections.single(Section::Watchdog);
    if section.lacks("device") {
        return None;
    }
    let micros = section.duration("timeout")?;
    let seconds = u16::try_from(micros / 1_000_000).unwrap_or(0);
    if seconds == 0 || micros % 1_000_000 != 0 {
        let message = "a watchdog counts whole seconds, from 1 to 65535";
        let span = section.span_of("timeout");
        let problem = Diagnostic::new(Id::OutOfRange, span, message);
        problems.push(problem.help("write timeout = \"30s\", for one"));
        return None;
    }
    Some(Watchdog {
        device: section.word("device").to_string(),
        seconds,
        disarm: section.word("at-shutdown") == "disarmed",
    })
}
