//! This file keeps what was measured: samples of each row for each contender, and what a contender
//! cannot do.

use crate::order::Answer;
use std::collections::BTreeMap;

/// What was measured, by row and contender.
#[derive(Clone, Debug, Default)]
pub struct Samples {
    values: BTreeMap<(String, String), Vec<f64>>,
    /// In the order in which they were said first, and how often.
    words: BTreeMap<(String, String), Vec<(String, usize)>>,
}

/// From so many samples on, a quarter of them can lie apart without saying much: the middle half is
/// their spread. Fewer have none but from the least to the largest.
pub const QUARTERS_FROM: usize = 8;

/// Samples in short.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// Half of the samples are below.
    pub median: f64,
    /// A quarter is below; of fewer samples than [`QUARTERS_FROM`] the least.
    pub low: f64,
    /// A quarter is above; of as few the largest.
    pub high: f64,
    /// The largest.
    pub max: f64,
    /// How many there are.
    pub count: usize,
}

impl Samples {
    /// Adds a sample.
    pub fn add(&mut self, row: &str, contender: &str, value: f64) {
        let key = (row.to_string(), contender.to_string());
        self.values.entry(key).or_default().push(value);
    }

    /// Says why there is no sample, or what is to be said beside them. What one round says does not
    /// make that of another unsaid.
    pub fn say(&mut self, row: &str, contender: &str, words: &str) {
        let key = (row.to_string(), contender.to_string());
        let said = self.words.entry(key).or_default();
        match said.iter_mut().find(|(known, _)| known == words) {
            Some((_, count)) => *count += 1,
            None => said.push((words.to_string(), 1)),
        }
    }

    /// The samples of a contender in a row, in short.
    #[must_use]
    pub fn summary(&self, row: &str, contender: &str) -> Option<Summary> {
        let key = (row.to_string(), contender.to_string());
        summarise(self.values.get(&key)?)
    }

    /// Everything that was measured or said: row, contender, value or words.
    pub fn all(&self) -> impl Iterator<Item = Answer> {
        let values = self.values.iter().flat_map(|((row, name), values)| {
            let answer = |value: &f64| Answer::Sample(row.clone(), name.clone(), *value);
            values.iter().map(answer)
        });
        let words = self.words.iter().flat_map(|((row, name), said)| {
            let answer = |it: &String| Answer::Words(row.clone(), name.clone(), it.clone());
            said.iter()
                .flat_map(move |(it, count)| std::iter::repeat_n(answer(it), *count))
        });
        values.chain(words)
    }

    /// What was said of a contender in a row; with counts where it was not always the same.
    #[must_use]
    pub fn words(&self, row: &str, contender: &str) -> Option<String> {
        let key = (row.to_string(), contender.to_string());
        let said = self.words.get(&key)?;
        if let [(words, _)] = said.as_slice() {
            return Some(words.clone());
        }
        let total: usize = said.iter().map(|(_, count)| count).sum();
        let parts = said.iter();
        let parts: Vec<String> = parts
            .map(|(words, count)| format!("{words} ({count} of {total})"))
            .collect();
        Some(parts.join(", "))
    }
}

fn summarise(values: &[f64]) -> Option<Summary> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let apart = match sorted.len() < QUARTERS_FROM {
        true => 0.0,
        false => 0.25,
    };
    Some(Summary {
        median: quantile(&sorted, 0.5)?,
        low: quantile(&sorted, apart)?,
        high: quantile(&sorted, 1.0 - apart)?,
        max: quantile(&sorted, 1.0)?,
        count: sorted.len(),
    })
}

/// The value below which a share of the sorted values lies, between two of them where it must be.
fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let place = share * last as f64;
    let (below, above) = (place.floor(), place.ceil());
    let (low, high) = (sorted.get(below as usize)?, sorted.get(above as usize)?);
    Some(low + (high - low) * (place - below))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_told_by_their_median_and_their_spread() {
        let mut samples = Samples::default();
        let told = |median, low, high, max, count| {
            Some(Summary {
                median,
                low,
                high,
                max,
                count,
            })
        };
        for value in [9.0, 1.0, 3.0, 5.0, 7.0] {
            samples.add("row", "one", value);
        }
        let few = told(5.0, 1.0, 9.0, 9.0, 5);
        assert_eq!(samples.summary("row", "one"), few);
        for value in [11.0, 13.0, 15.0, 17.0] {
            samples.add("row", "one", value);
        }
        let many = told(9.0, 5.0, 13.0, 17.0, 9);
        assert_eq!(samples.summary("row", "one"), many);
        assert_eq!(samples.summary("row", "other"), None);
    }

    #[test]
    fn what_rounds_disagree_about_is_told_with_counts_after_a_console_too() {
        let mut samples = Samples::default();
        for words in ["in control", "in control", "device down", "in control"] {
            samples.say("heal", "one", words);
        }
        samples.say("heal", "other", "device down");
        samples.say("heal", "other", "device down");
        let mut heard = Samples::default();
        for answer in samples.all() {
            if let Answer::Words(row, name, words) = answer {
                heard.say(&row, &name, &words);
            }
        }
        for it in [samples, heard] {
            let words = it.words("heal", "one");
            let wanted = "in control (3 of 4), device down (1 of 4)";
            assert_eq!(words.as_deref(), Some(wanted));
            assert_eq!(it.words("heal", "other").as_deref(), Some("device down"));
        }
    }

    #[test]
    fn between_two_samples_lies_their_mean() {
        let mut samples = Samples::default();
        samples.add("row", "one", 1.0);
        samples.add("row", "one", 2.0);
        let summary = samples.summary("row", "one").expect("two samples");
        assert!((summary.median - 1.5).abs() < 1e-9);
    }
}
