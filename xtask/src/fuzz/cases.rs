//! This file makes damaged inputs from good ones; the same seed gives the same damage.

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

/// Numbers that look random (xorshift64*).
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    /// Neighbouring seeds give unrelated numbers.
    pub fn new(seed: u64) -> Self {
        let mut random = Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        for _ in 0..4 {
            random.below(1);
        }
        random
    }

    /// A number below `end`, or 0.
    pub fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(number).unwrap_or(0) % end.max(1)
    }

    fn byte(&mut self) -> u8 {
        match self.below(2) {
            0 => ODD_BYTES[self.below(ODD_BYTES.len())],
            _ => u8::try_from(self.below(256)).unwrap_or(0),
        }
    }

    /// A stretch of `bytes`, possibly empty.
    fn stretch(&mut self, bytes: &[u8]) -> std::ops::Range<usize> {
        let begin = self.below(bytes.len() + 1);
        let end = begin + self.below(STRETCH_BYTES_MAX);
        begin..end.min(bytes.len())
    }
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
    let byte = random.byte();
    match random.below(8) {
        0 => bytes.insert(at, byte),
        1 => bytes.truncate(at),
        2 => drop(bytes.drain(random.stretch(bytes))),
        3 => {
            let again = bytes[random.stretch(bytes)].to_vec();
            bytes.splice(at..at, again);
        }
        4 => {
            let other = &corpus[random.below(corpus.len())];
            let part = other[random.stretch(other)].to_vec();
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
