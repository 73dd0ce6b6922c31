//! This file is how the program on a board answers over the console.

use crate::table::Case;
use anyhow::{Context, Result};
use std::time::Duration;

/// Before every answer; nobody else who writes to the console says so.
pub const MARK: &str = "<campaign> ";

/// After it.
pub const END: char = ';';

/// All services have begun, and injuries are waited for.
pub const READY: &str = "ready";

/// What is done to process 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Course {
    /// It dies at random moments.
    Deaths,
    /// The same on what seems to be an old kernel.
    OldCalls,
    /// It dies more often than its manifest allows.
    Ladder,
    /// It is followed instruction by instruction, which takes its time, and is upgraded.
    Sweep,
}

const COURSES: [(&str, Course); 4] = [
    ("deaths", Course::Deaths),
    ("old-calls", Course::OldCalls),
    ("ladder", Course::Ladder),
    ("sweep", Course::Sweep),
];

impl Course {
    /// By its word.
    ///
    /// # Errors
    /// It is none.
    pub fn of(word: &str) -> Result<Self> {
        let found = COURSES.iter().find(|(name, _)| *name == word);
        found
            .map(|(_, course)| *course)
            .with_context(|| format!("there is no course {word}"))
    }

    /// Its word.
    #[must_use]
    pub fn word(self) -> &'static str {
        let found = COURSES.iter().find(|(_, course)| *course == self);
        found.map_or("", |(name, _)| name)
    }
}

/// What a trace came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traced {
    /// Moments that were chosen.
    pub moments: usize,
    /// Instructions.
    pub instructions: usize,
    /// System calls.
    pub calls: usize,
}

impl std::fmt::Display for Traced {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {}", self.moments, self.instructions, self.calls)
    }
}

impl Traced {
    /// Reads what [`Display`](std::fmt::Display) writes.
    ///
    /// # Errors
    /// It is something else.
    pub fn read(text: &str) -> Result<Self> {
        let words: Vec<usize> = text
            .split(' ')
            .map(str::parse)
            .collect::<Result<_, _>>()
            .with_context(|| format!("the board answers {text:?}"))?;
        let [moments, instructions, calls] = words[..] else {
            anyhow::bail!("the board answers {text:?}");
        };
        Ok(Self {
            moments,
            instructions,
            calls,
        })
    }
}

/// Reads what came of an injury, and how many requests of clients have ended by then.
///
/// # Errors
/// It is no such answer.
pub fn read(text: &str) -> Result<(Case, u64)> {
    let no_answer = || format!("the board answers {text:?}");
    let (_, rest) = text.split_once(": ").with_context(no_answer)?;
    let (case, requests) = rest.split_once(", ").with_context(no_answer)?;
    let words: Vec<&str> = case.split(' ').collect();
    let [recovery, disturbed, exits_lost, hung] = words.as_slice() else {
        anyhow::bail!(no_answer());
    };
    let number = |word: &str| word.parse().with_context(no_answer);
    let recovery = match *recovery {
        "-" => None,
        word => Some(Duration::from_micros(number(word)?)),
    };
    let case = Case {
        recovery,
        disturbed: number(disturbed)?,
        exits_lost: number(exits_lost)?,
        hung: number(hung)?,
    };
    Ok((case, number(requests)?))
}

impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.recovery {
            Some(time) => write!(f, "{}", time.as_micros())?,
            None => write!(f, "-")?,
        }
        write!(f, " {} {} {}", self.disturbed, self.exits_lost, self.hung)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_traces_are_read_again() {
        for (word, course) in COURSES {
            assert_eq!((Course::of(word).ok(), course.word()), (Some(course), word));
        }
        Course::of("").expect_err("it is none");
        let traced = Traced {
            moments: 1,
            instructions: 2,
            calls: 3,
        };
        assert_eq!(Traced::read(&traced.to_string()).ok(), Some(traced));
        for text in ["", "1 2", "1 2 3 4", "1 2 x"] {
            Traced::read(text).expect_err(text);
        }
    }

    #[test]
    fn what_is_said_of_a_case_is_read_again() {
        for recovery in [None, Some(Duration::from_micros(1_234))] {
            let case = Case {
                recovery,
                disturbed: 1,
                exits_lost: 2,
                hung: 3,
            };
            let (read, requests) = read(&format!("ill 7: {case}, 99")).expect("it is an answer");
            assert_eq!((read.recovery, requests), (recovery, 99));
            let counts = (read.disturbed, read.exits_lost, read.hung);
            assert_eq!(counts, (1, 2, 3));
        }
        for text in [
            "",
            "ill 7",
            "error: a b",
            "ill 7: 1 2 3, 4",
            "ill 7: 1 2 3 x, 4",
        ] {
            read(text).expect_err(text);
        }
    }
}
