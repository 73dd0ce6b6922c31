//! This file finds what somebody may have meant: the most similar of many names.

use crate::limits::NAME_BYTES_MAX;

/// Remembers the name that is most similar to a word.
#[derive(Debug)]
pub struct Similar<'w> {
    word: &'w [u8],
    /// The name, and zeros behind it.
    name: [u8; NAME_BYTES_MAX],
    distance: usize,
}

impl<'w> Similar<'w> {
    /// Nothing found yet. Names that differ in more than a third of the word do not count.
    pub fn new(word: &'w [u8]) -> Self {
        let limit = (word.len() / 3).saturating_add(1);
        Self {
            word,
            name: [0; NAME_BYTES_MAX],
            distance: limit.saturating_add(1),
        }
    }

    /// Looks at a name.
    pub fn look_at(&mut self, name: &[u8]) {
        if let Some(distance) = distance(self.word, name)
            && distance < self.distance
        {
            self.distance = distance;
            self.name = [0; NAME_BYTES_MAX];
            for (to, from) in self.name.iter_mut().zip(name) {
                *to = *from;
            }
        }
    }

    /// The most similar name of those looked at; the first of several.
    pub fn found(&self) -> Option<&[u8]> {
        let name = self.name.split(|byte| *byte == 0).next()?;
        (!name.is_empty()).then_some(name)
    }
}

/// How many bytes must be put in, taken out or changed to make one of the other. `None` when one is
/// longer than a name can be.
fn distance(from: &[u8], to: &[u8]) -> Option<usize> {
    if from.len() > NAME_BYTES_MAX {
        return None;
    }
    // `row[i]` is the distance between the first `i` bytes of `to` and what was seen of `from`.
    let mut row = [0_usize; NAME_BYTES_MAX + 1];
    let row = row.get_mut(..=to.len())?;
    let mut count = 0_usize;
    for cell in row.iter_mut() {
        *cell = count;
        count = count.wrapping_add(1);
    }
    let mut done = 0_usize;
    for &byte in from {
        let mut diagonal = done;
        done = done.wrapping_add(1);
        let mut left = done;
        let (first, cells) = row.split_first_mut()?;
        *first = left;
        for (cell, &other) in cells.iter_mut().zip(to) {
            let change = diagonal.wrapping_add(usize::from(byte != other));
            diagonal = *cell;
            left = change.min(left.min(diagonal).wrapping_add(1));
            *cell = left;
        }
    }
    row.last().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_those_of_levenshtein() {
        let table = [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("broker", "broker", 0),
            ("borker", "broker", 2),
            ("kitten", "sitting", 3),
            ("flaw", "lawn", 2),
        ];
        for (from, to, expected) in table {
            assert_eq!(
                distance(from.as_bytes(), to.as_bytes()),
                Some(expected),
                "{from} {to}"
            );
        }
        let longest = [b'x'; NAME_BYTES_MAX];
        assert_eq!(distance(&longest, b""), Some(NAME_BYTES_MAX));
        assert_eq!(distance(&[b'x'; NAME_BYTES_MAX + 1], b""), None);
        assert_eq!(distance(b"", &[b'x'; NAME_BYTES_MAX + 1]), None);
    }

    #[test]
    fn the_nearest_name_is_found_and_far_ones_are_not() {
        let names = ["broker", "getty@ttyAMA0", "data", "date"];
        let table = [
            ("borker", Some("broker")),
            ("brokr", Some("broker")),
            ("dat", Some("data")),
            ("getty@ttyAMA1", Some("getty@ttyAMA0")),
            ("network", None),
            ("", None),
        ];
        for (word, expected) in table {
            let mut similar = Similar::new(word.as_bytes());
            names
                .iter()
                .for_each(|name| similar.look_at(name.as_bytes()));
            assert_eq!(similar.found(), expected.map(str::as_bytes), "{word}");
        }
    }
}
