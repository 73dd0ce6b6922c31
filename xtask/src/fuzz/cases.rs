//! This file makes damaged inputs from good ones; the same seed gives the same damage.

use heal_campaign::random::Random;

/// Most changes to one input.
const CHANGES_MAX: usize = 6;

/// Longest stretch that is moved or repeated.
const STRETCH_BYTES_MAX: usize = 64;

/// Longest input: twice what the largest frame has.
const INPUT_BYTES_MAX: usize = 64 * 1_024;

/// Bytes at which readers of lengths, texts and words go wrong.
const ODD_BYTES: [u8; 16] = [
    0x00, 0x01, 0x7f, 0x80, 0xff, 0xfe, 0xc0, 0xf8, b'"', b'\'', b'\\', b'=', b'[', b'\n', b' ',
    b'{',
];

fn byte(random: &mut Random) -> u8 {
    match random.below(2) {
        0 => ODD_BYTES[random.below(ODD_BYTES.len())],
        _ => u8::try_from(random.below(256)).unwrap_or(0),
    }
}

/// A stretch of `bytes`, possibly empty.
fn stretch(random: &mut Random, bytes: &[u8]) -> std::ops::Range<usize> {
    let begin = random.below(bytes.len() + 1);
    let end = begin + random.below(STRETCH_BYTES_MAX);
    begin..end.min(bytes.len())
}

/// One of `corpus`, changed in a few places.
pub fn case(corpus: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut bytes = corpus
        .get(random.below(corpus.len()))
        .cloned()
        .unwrap_or_default();
    for _ in 0..=random.below(CHANGES_MAX) {
        change(&mut bytes, corpus, random);
    }
    bytes.truncate(INPUT_BYTES_MAX);
    bytes
}

fn change(bytes: &mut Vec<u8>, corpus: &[Vec<u8>], random: &mut Random) {
    let at = random.below(bytes.len() + 1);
    let byte = byte(random);
    match random.below(8) {
        0 => bytes.insert(at, byte),
        1 => bytes.truncate(at),
        2 => drop(bytes.drain(stretch(random, bytes))),
        3 => {
            let again = bytes[stretch(random, bytes)].to_vec();
            bytes.splice(at..at, again);
        }
        4 => {
            let other = &corpus[random.below(corpus.len())];
            let part = other[stretch(random, other)].to_vec();
            bytes.splice(at..at, part);
        }
        5 => {
            if let Some(place) = bytes.get_mut(at) {
                *place ^= 1 << random.below(8);
            }
        }
        6 => bytes.extend(std::iter::repeat_n(byte, random.below(STRETCH_BYTES_MAX))),
        _ => {
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_case_and_others_differ() {
        let corpus = [b"first seed".to_vec(), b"second".to_vec()];
        let make = |seed| case(&corpus, &mut Random::new(seed));
        assert_eq!(make(7), make(7));
        let mut all: Vec<_> = (0..100).map(make).collect();
        all.sort();
        all.dedup();
        assert!(all.len() > 80, "{} different cases of 100", all.len());
    }
}
