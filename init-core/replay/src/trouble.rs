//! This file says why a recording is not performed to its end.

use std::fmt::{Display, Formatter, Result};

/// What is wrong, and at which step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// An entry cannot be read although ones before it can; where its words begin.
    Damaged {
        /// Its number.
        number: u32,
        /// Its first word.
        word: usize,
    },
    /// There is no state from which all that is there follows.
    NoBeginning,
    /// After a step the state is another than the one that was recorded; where a whole state was,
    /// what differs.
    Differs {
        /// The step that came to something else; `None`: the very beginning.
        step: Option<u32>,
        /// Whose state, as recorded and as reached.
        what: Option<(String, String, String)>,
    },
    /// The core asked for something, and the device did not answer that.
    OtherAnswer {
        /// The entry that should be the answer.
        number: u32,
        /// What was asked for.
        asked: String,
        /// What there is.
        found: String,
    },
    /// The device answered what nobody had asked for.
    NotAsked {
        /// The answer.
        number: u32,
        /// Its words.
        found: String,
    },
    /// A life found a state that the one before never had.
    NoSuchState {
        /// The entry of the life.
        number: u32,
    },
}

impl Display for Trouble {
    fn fmt(&self, out: &mut Formatter<'_>) -> Result {
        match self {
            Self::Damaged { number, word } => {
                write!(
                    out,
                    "step {number}: its entry is damaged (word {word} of the recorder)"
                )
            }
            Self::NoBeginning => write!(
                out,
                "there is no state from which these events follow: process 1 had no rest for more \
                 events than there is room for"
            ),
            Self::Differs { step, what } => {
                match step {
                    Some(step) => write!(out, "step {step}: it comes to another state")?,
                    None => write!(out, "the state before the first step is not at rest")?,
                }
                match what {
                    Some((whose, recorded, reached)) => write!(
                        out,
                        " than was recorded\n  {whose}\n  recorded: {recorded}\n  \
                         reached:  {reached}"
                    ),
                    None => write!(out, " than was recorded"),
                }
            }
            Self::OtherAnswer {
                number,
                asked,
                found,
            } => write!(
                out,
                "step {number}: the core asks to {asked}, and what was recorded is no answer to \
                 that: {found}"
            ),
            Self::NotAsked { number, found } => write!(
                out,
                "step {number}: the core has not asked for what was recorded: {found}"
            ),
            Self::NoSuchState { number } => write!(
                out,
                "step {number}: the life before this one had no such state at any moment of its \
                 last step"
            ),
        }
    }
}
