//! This file is what is handed to a referee in a board, and what it answers on the console.
//!
//! An answer is a line that begins with a mark: others write to the same console. The last one says
//! how many there were, so that none is lost unseen.

use crate::contender::Contender;
use crate::extent::Extent;
use crate::samples::Samples;
use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The order's name in the benchmark's folder.
pub const FILE: &str = "order.toml";

/// Begins every line of the referee.
pub const MARK: &str = "referee> ";

/// Parts of a line.
const BETWEEN: char = '\t';

/// What is to be done.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// How much.
    pub extent: Extent,
    /// By whom.
    pub contenders: Vec<Contender>,
}

impl Order {
    /// Reads it.
    ///
    /// # Errors
    /// There is none, or it is none.
    pub fn read(folder: &Path) -> Result<Self> {
        let file = folder.join(FILE);
        let text = std::fs::read_to_string(&file)
            .with_context(|| format!("cannot read {}", file.display()))?;
        toml::from_str(&text).with_context(|| format!("in {}", file.display()))
    }

    /// Writes it.
    ///
    /// # Errors
    /// There is no room.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let file = folder.join(FILE);
        std::fs::write(&file, toml::to_string(self)?)
            .with_context(|| format!("cannot write {}", file.display()))
    }
}

/// What a referee says.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// How far it is.
    Progress(String),
    /// A sample: row, contender, value.
    Sample(String, String, f64),
    /// Words in place of a sample: row, contender, words.
    Words(String, String, String),
    /// Something went wrong; it goes on.
    Failure(String),
    /// It has nothing more to say; that many lines came before.
    End(usize),
}

impl Answer {
    /// The line.
    #[must_use]
    pub fn line(&self) -> String {
        let parts = match self {
            Self::Progress(words) => vec!["progress", words],
            Self::Sample(row, contender, value) => {
                return format!(
                    "{MARK}sample{BETWEEN}{row}{BETWEEN}{contender}{BETWEEN}{value:e}\n"
                );
            }
            Self::Words(row, contender, words) => vec!["words", row, contender, words],
            Self::Failure(words) => vec!["failure", words],
            Self::End(count) => return format!("{MARK}end{BETWEEN}{count}\n"),
        };
        let parts: Vec<String> = parts
            .iter()
            .map(|part| part.replace([BETWEEN, '\n', '\r'], " "))
            .collect();
        format!("{MARK}{}\n", parts.join(&BETWEEN.to_string()))
    }

    /// Reads a line, whose mark may stand behind what another wrote.
    ///
    /// # Errors
    /// It is none of a referee's.
    pub fn read(line: &str) -> Result<Self> {
        let (_, said) = line.split_once(MARK).context("no mark")?;
        let parts: Vec<&str> = said.trim_end().split(BETWEEN).collect();
        let text = |part: &str| part.to_string();
        Ok(match parts.as_slice() {
            ["progress", words] => Self::Progress(text(words)),
            ["sample", row, contender, value] => {
                Self::Sample(text(row), text(contender), value.parse()?)
            }
            ["words", row, contender, words] => {
                Self::Words(text(row), text(contender), text(words))
            }
            ["failure", words] => Self::Failure(text(words)),
            ["end", count] => Self::End(count.parse()?),
            _ => bail!("a referee does not say {said:?}"),
        })
    }
}

/// The answers as they come.
#[derive(Debug, Default)]
pub struct Answers {
    /// What was measured.
    pub samples: Samples,
    /// What went wrong.
    pub failures: Vec<String>,
    count: usize,
}

impl Answers {
    /// Takes one in; whether it was the last.
    ///
    /// # Errors
    /// Some were lost.
    pub fn take(&mut self, answer: Answer) -> Result<bool> {
        match answer {
            Answer::Progress(_) => {}
            Answer::Sample(row, contender, value) => self.samples.add(&row, &contender, value),
            Answer::Words(row, contender, words) => self.samples.say(&row, &contender, &words),
            Answer::Failure(words) => self.failures.push(words),
            Answer::End(count) => {
                let heard = self.count;
                ensure!(heard == count, "of {count} lines {heard} were heard");
                return Ok(true);
            }
        }
        self.count += 1;
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<Answer> {
        let text = |words: &str| words.to_string();
        vec![
            Answer::Progress(text("round 1")),
            Answer::Sample(text("boot.10"), text("one"), 1.25),
            Answer::Words(text("list"), text("one"), text("no such command")),
            Answer::Failure(text("one: it ended")),
            Answer::End(4),
        ]
    }

    #[test]
    fn every_answer_is_read_as_it_was_said_behind_another_s_words_too() {
        for answer in all() {
            let line = format!("[    1.0] kernel: {}", answer.line());
            assert_eq!(Answer::read(&line).expect("it is one"), answer);
        }
        assert!(Answer::read("referee> applause").is_err());
    }

    #[test]
    fn a_line_that_got_lost_is_missed_at_the_end() {
        let mut answers = Answers::default();
        let mut whole = Answers::default();
        for answer in all() {
            let is_end = matches!(answer, Answer::End(_));
            assert_eq!(whole.take(answer.clone()).expect("none is lost"), is_end);
            if is_end {
                assert!(answers.take(answer).is_err());
            } else if !matches!(answer, Answer::Words(..)) {
                assert!(!answers.take(answer).expect("it is one"));
            }
        }
    }

    #[test]
    fn an_order_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let contender = Contender {
            name: "one".to_string(),
            process_1: vec!["/one".to_string(), "one".to_string()],
            ..Contender::default()
        };
        let order = Order {
            extent: Extent::quick(),
            contenders: vec![contender],
        };
        order.write(folder.path()).expect("room");
        let read = Order::read(folder.path()).expect("it was written");
        assert_eq!(format!("{read:?}"), format!("{order:?}"));
    }
}
