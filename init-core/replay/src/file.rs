//! This file reads what `sctl record` writes. Whatever is wrong with it is told with its place.

use init_core::checkpoint::words::Words;
use init_core::protocol::{SCHEMA, VERSION};
use init_core::tool::recording::{LAYOUT, NUMBER_COUNT, Numbers, TEXT_COUNT, TITLE};
use std::fmt::{Display, Formatter, Result as Formatted};
use std::sync::atomic::AtomicU32;

/// A recording that was taken out of a device.
#[derive(Debug)]
pub struct File {
    /// What it says of itself.
    pub numbers: Numbers,
    /// Version of process 1, product, board.
    pub texts: [String; TEXT_COUNT],
    /// The recorder's words.
    pub words: Vec<AtomicU32>,
    /// Where they begin, in bytes.
    pub begin: usize,
}

/// Why a file is no recording, or not one for this program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bad {
    /// It does not begin as one does.
    Foreign,
    /// It is of another layout or protocol: ours, its.
    OtherVersion {
        /// What differs.
        what: &'static str,
        /// This program's.
        ours: u32,
        /// The file's.
        theirs: u32,
    },
    /// It ends before its end: bytes that there are, and that there should be, as far as is known.
    Short(usize, usize),
    /// Something follows its end, which is this byte.
    Long(usize),
    /// A text is none; the byte where it begins.
    NoText(usize),
}

impl Display for Bad {
    fn fmt(&self, out: &mut Formatter<'_>) -> Formatted {
        match self {
            Self::Foreign => write!(
                out,
                "byte 0: this is no recording; `sctl record > FILE` on a device makes one"
            ),
            Self::OtherVersion { what, ours, theirs } => write!(
                out,
                "recorded by a process 1 of another version: its {what} is {theirs}, of this tree \
                 {ours}; use the source that the device's program was built from"
            ),
            Self::Short(has, needs) => write!(
                out,
                "byte {has}: the recording ends here, and should have at least {needs} bytes"
            ),
            Self::Long(end) => write!(out, "byte {end}: something follows the recording's end"),
            Self::NoText(begin) => write!(out, "byte {begin}: this is no text in UTF-8"),
        }
    }
}

impl std::error::Error for Bad {}

/// What has not been read.
struct Rest<'f> {
    bytes: &'f [u8],
    at: usize,
}

impl<'f> Rest<'f> {
    fn take(&mut self, count: usize) -> Result<&'f [u8], Bad> {
        let end = self.at.saturating_add(count);
        let Some(taken) = self.bytes.get(self.at..end) else {
            return Err(Bad::Short(self.bytes.len(), end));
        };
        self.at = end;
        Ok(taken)
    }

    fn number(&mut self) -> Result<u32, Bad> {
        let bytes = self.take(4)?;
        Ok(bytes
            .first_chunk()
            .map_or(0, |four| u32::from_le_bytes(*four)))
    }

    fn text(&mut self) -> Result<String, Bad> {
        let length = self.take(1)?.first().copied().unwrap_or(0);
        let begin = self.at;
        let bytes = self.take(length.into())?;
        String::from_utf8(bytes.to_vec()).map_err(|_| Bad::NoText(begin))
    }
}

impl File {
    /// Reads one.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, Bad> {
        let mut rest = Rest { bytes, at: 0 };
        let is_cut = bytes.len() < TITLE.len() && TITLE.starts_with(bytes);
        if !is_cut && !bytes.starts_with(&TITLE) {
            return Err(Bad::Foreign);
        }
        rest.take(TITLE.len())?;
        let layout = rest.number()?;
        // What follows has a meaning only in this layout.
        if layout != LAYOUT {
            return Err(Bad::OtherVersion {
                what: "layout",
                ours: LAYOUT,
                theirs: layout,
            });
        }
        let mut list = [layout; NUMBER_COUNT];
        for number in list.iter_mut().skip(1) {
            *number = rest.number()?;
        }
        let [layout, version, schema, manifest, units, count, sum, total] = list;
        for (what, ours, theirs) in [
            ("protocol", u32::from(VERSION), version),
            ("protocol's schema", SCHEMA, schema),
        ] {
            if ours != theirs {
                return Err(Bad::OtherVersion { what, ours, theirs });
            }
        }
        let texts = [rest.text()?, rest.text()?, rest.text()?];
        let begin = rest.at;
        let words = usize::try_from(total).unwrap_or(usize::MAX);
        let words = rest.take(words.saturating_mul(4))?;
        if rest.at < bytes.len() {
            return Err(Bad::Long(rest.at));
        }
        let words = words.as_chunks().0.iter();
        Ok(Self {
            numbers: Numbers {
                layout,
                version,
                schema,
                manifest,
                units,
                count,
                sum,
                total,
            },
            texts,
            words: words
                .map(|four| AtomicU32::new(u32::from_le_bytes(*four)))
                .collect(),
            begin,
        })
    }

    /// The recorder's words.
    pub fn words(&self) -> Words<'_> {
        Words::new(&self.words)
    }

    /// The byte where a word of the recorder lies.
    pub fn byte_of(&self, word: usize) -> usize {
        self.begin.saturating_add(word.saturating_mul(4))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file as `sctl record` writes it, with so many words.
    fn file(words: u32) -> Vec<u8> {
        let numbers = Numbers {
            layout: LAYOUT,
            version: VERSION.into(),
            schema: SCHEMA,
            manifest: 7,
            units: 3,
            count: 1,
            sum: 2,
            total: words,
        };
        let mut bytes = TITLE.to_vec();
        bytes.extend(
            numbers
                .list()
                .iter()
                .flat_map(|number| number.to_le_bytes()),
        );
        for text in ["0.1.0", "gateway", "virt-aarch64"] {
            bytes.push(u8::try_from(text.len()).unwrap());
            bytes.extend(text.bytes());
        }
        bytes.extend((0..words).flat_map(u32::to_le_bytes));
        bytes
    }

    #[test]
    fn what_was_written_is_read() {
        let bytes = file(5);
        let file = File::parse(&bytes).unwrap();
        assert_eq!((file.numbers.manifest, file.numbers.total), (7, 5));
        assert_eq!(file.texts, ["0.1.0", "gateway", "virt-aarch64"]);
        let words: Vec<u32> = (0..6).map(|index| file.words().get(index)).collect();
        assert_eq!(words, [0, 1, 2, 3, 4, 0]);
        assert_eq!(file.byte_of(5), bytes.len());
    }

    #[test]
    fn every_part_of_a_file_is_told_to_be_cut() {
        let bytes = file(5);
        for length in 0..bytes.len() {
            match File::parse(&bytes[..length]) {
                Err(Bad::Short(has, needs)) => assert!(has == length && needs > length),
                other => panic!("{length}: {other:?}"),
            }
        }
        let long = [&bytes[..], &[0]].concat();
        assert_eq!(File::parse(&long).unwrap_err(), Bad::Long(bytes.len()));
    }

    #[test]
    fn what_is_no_recording_of_ours_is_told_by_its_first_difference() {
        assert_eq!(File::parse(b"\x7fELF").unwrap_err(), Bad::Foreign);
        assert_eq!(File::parse(&[0; 600]).unwrap_err(), Bad::Foreign);
        for (at, what) in [(16, "layout"), (20, "protocol"), (24, "protocol's schema")] {
            let mut bytes = file(5);
            bytes[at] ^= 1;
            match File::parse(&bytes) {
                Err(Bad::OtherVersion { what: it, .. }) => assert_eq!(it, what),
                other => panic!("{at}: {other:?}"),
            }
        }
        // The product's name, and a number of words that no file has.
        let mut bytes = file(5);
        bytes[55] = 0xff;
        assert_eq!(File::parse(&bytes).unwrap_err(), Bad::NoText(55));
        bytes[44..48].copy_from_slice(&u32::MAX.to_le_bytes());
        bytes[55] = b'g';
        assert!(matches!(File::parse(&bytes), Err(Bad::Short(..))));
    }
}
