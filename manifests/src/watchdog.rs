//! This file reads `[watchdog]`: what resets a machine that does not get on.

use crate::diagnostic::{Diagnostic, Id};
use crate::fields::Fields;
use crate::model::Watchdog;
use crate::schema::Section;
use crate::sections::Sections;

/// Reads the section; `None` if it names no device, or is wrong in a way that was told.
pub fn read(sections: &Sections, problems: &mut Vec<Diagnostic>) -> Option<Watchdog> {
    let section = sections.single(Section::Watchdog);
    if section.lacks("device") {
        return None;
    }
    let seconds = seconds(section, "timeout", problems)?;
    let warning_seconds = match section.lacks("pretimeout") {
        true => 0,
        false => seconds_of_warning(section, seconds, problems)?,
    };
    Some(Watchdog {
        device: section.word("device").to_string(),
        seconds,
        warning_seconds,
        disarm: section.word("at-shutdown") == "disarmed",
    })
}

/// A time in whole seconds; `None` if it is none, which was told.
fn seconds(section: &Fields, key: &str, problems: &mut Vec<Diagnostic>) -> Option<u16> {
    let micros = section.duration(key)?;
    let seconds = u16::try_from(micros / 1_000_000).unwrap_or(0);
    if seconds == 0 || micros % 1_000_000 != 0 {
        let message = "a watchdog counts whole seconds, from 1 to 65535";
        let problem = Diagnostic::new(Id::OutOfRange, section.span_of(key), message);
        problems.push(problem.help(format!("write {key} = \"2s\", for one")));
        return None;
    }
    Some(seconds)
}

/// How long before the reset it warns. It is fed three times in its timeout, and must not warn of
/// a machine that is well.
fn seconds_of_warning(
    section: &Fields,
    timeout: u16,
    problems: &mut Vec<Diagnostic>,
) -> Option<u16> {
    let warning = seconds(section, "pretimeout", problems)?;
    let most = timeout / 2;
    if warning > most {
        let message = "it is fed after a third of its timeout, and may warn in the second half";
        let span = section.span_of("pretimeout");
        let problem = Diagnostic::new(Id::OutOfRange, span, message);
        problems.push(problem.help(match most {
            0 => String::from("write a timeout of 2 s at least"),
            most => format!("write pretimeout = \"{most}s\", or less"),
        }));
        return None;
    }
    Some(warning)
}
