//! This file is the service of the campaign: a program that writes down when it starts, as whom,
//! and with which code it is about to end.
//!
//! A line is one `write` to a file that is only appended to, so lines of many witnesses never mix.
//! One that is stopped while it writes may leave the beginning of a line, where a page of the file
//! ends. So each begins a new line, and says where it ends.
//! It must not use anything of process 1: what it says is held against what process 1 says.

use crate::random::Random;
use anyhow::{Context, Result};
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

/// Shortest life of a witness that ends by itself; the longest is this and [`LIFE_SPAN_MS`].
const LIFE_MS_MIN: usize = 20;

/// At 50 services, 10 of which end: about 40 exits a second.
const LIFE_SPAN_MS: usize = 480;

/// What a service is in the campaign for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Runs for ever: its process must never change.
    Steady,
    /// Ends by itself at random moments, with a code that it told before.
    Ending,
    /// Is started and stopped by requests.
    Asked,
}

impl Role {
    /// Of each five services three are steady, one ends and one is asked.
    #[must_use]
    pub fn of(index: usize) -> Self {
        match index % 5 {
            3 => Self::Ending,
            4 => Self::Asked,
            _ => Self::Steady,
        }
    }
}

/// Ends a line.
const END: char = '.';

/// One line of the witnesses' file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// A service's program runs; its process as its own namespace numbers it.
    Begins {
        /// Its index.
        unit: usize,
        /// The process.
        pid: u32,
    },
    /// It ends now, with this code.
    Ends {
        /// Its index.
        unit: usize,
        /// The process.
        pid: u32,
        /// The code.
        code: u8,
    },
}

impl Line {
    /// Whether a witness wrote the line to its end.
    #[must_use]
    pub fn is_whole(line: &str) -> bool {
        line.ends_with(END)
    }

    /// Reads a line; `None` when no witness writes such a line.
    #[must_use]
    pub fn read(line: &str) -> Option<Self> {
        let line = line.strip_suffix(END)?;
        let mut words = line.split(' ');
        let verb = words.next()?;
        let (unit, pid) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        let line = match verb {
            "begins" => Self::Begins { unit, pid },
            "ends" => Self::Ends {
                unit,
                pid,
                code: words.next()?.parse().ok()?,
            },
            _ => return None,
        };
        words.next().is_none().then_some(line)
    }
}

/// Is the witness of a service until its time has come; the code to end with.
///
/// # Errors
/// The file cannot be written: the campaign then misses a start and says so.
pub fn run(unit: usize, seed: u64, file: &Path) -> Result<u8> {
    let mut file = File::options()
        .append(true)
        .create(true)
        .open(file)
        .with_context(|| format!("cannot append to {}", file.display()))?;
    let pid = std::process::id();
    let mut say = |line: String| file.write_all(line.as_bytes());
    say(format!("\nbegins {unit} {pid}{END}\n"))?;
    if Role::of(unit) != Role::Ending {
        loop {
            std::thread::sleep(Duration::from_secs(1_000_000));
        }
    }
    // Each life of each service has its own length and code, and the same seed gives them again.
    let mut random = Random::new(seed ^ (u64::from(pid) << 20) ^ u64::try_from(unit)?);
    let life = LIFE_MS_MIN + random.below(LIFE_SPAN_MS);
    let code = u8::try_from(1 + random.below(255))?;
    std::thread::sleep(Duration::from_millis(u64::try_from(life)?));
    say(format!("\nends {unit} {pid} {code}{END}\n"))?;
    Ok(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_witness_writes_is_not_read() {
        let (unit, pid) = (3, 41);
        assert_eq!(Line::read("begins 3 41."), Some(Line::Begins { unit, pid }));
        let ends = Line::Ends { unit, pid, code: 7 };
        assert_eq!(Line::read("ends 3 41 7."), Some(ends));
        for line in [
            "",
            "begins.",
            "begins 3.",
            "begins 3 41",
            "begins 3 41 5.",
            "ends 3 41.",
            "ends 3 41 256.",
        ] {
            assert_eq!(Line::read(line), None, "{line:?}");
        }
    }
}
