//! This file writes what the flight recorder holds to standard output, for a replay elsewhere:
//! who recorded it, then the recorder's words as they are.
//!
//! Process 1 goes on meanwhile and waits for nobody: each frame is asked for alone. The end is
//! where the recording stood at the first one; what was overwritten since is the oldest of it.

use super::conversation::{Client, Outcome, Stream, Tool, UNEXPECTED};
use super::{DONE, FAILED};
use crate::limits::NAME_BYTES_MAX;
use crate::packed::packed;
use crate::protocol::{Buffer, Request, Response, SCHEMA, VERSION};
use crate::wire::Text;

/// How such a file begins.
pub const TITLE: [u8; 16] = *b"sysMaster record";

/// Rises whenever what follows changes its meaning.
pub const LAYOUT: u32 = 2;

/// Numbers behind the title, each in four bytes, least significant first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbers {
    /// [`LAYOUT`].
    pub layout: u32,
    /// The protocol's version.
    pub version: u32,
    /// The protocol's schema.
    pub schema: u32,
    /// Of the manifest that process 1 was compiled from.
    pub manifest: u32,
    /// Units of the product.
    pub units: u32,
    /// Events recorded in all; wraps.
    pub count: u32,
    /// The sum of the state after them.
    pub sum: u32,
    /// Words of the recorder, which are the last of the file.
    pub total: u32,
}

/// How many there are.
pub const NUMBER_COUNT: usize = 8;

/// Texts behind the numbers, each with its length before it in a byte: version of process 1,
/// product, board.
pub const TEXT_COUNT: usize = 3;

impl Numbers {
    /// In the order of the file.
    pub const fn list(self) -> [u32; NUMBER_COUNT] {
        [
            self.layout,
            self.version,
            self.schema,
            self.manifest,
            self.units,
            self.count,
            self.sum,
            self.total,
        ]
    }
}

impl<C: Client> Tool<'_, '_, C> {
    /// Writes the recording.
    #[inline(never)]
    pub(super) fn record(&mut self, buffer: &mut Buffer) -> Outcome<u8> {
        let mut texts = [[0; NAME_BYTES_MAX + 1]; TEXT_COUNT];
        let units = {
            let mut response = Response::Done;
            let machine = self.machine(buffer, &mut response)?;
            let names = [machine.version, machine.product, machine.board];
            for (place, name) in texts.iter_mut().zip(names) {
                put(place, name);
            }
            machine.units.into()
        };
        let (mut from, mut first) = (0, None);
        loop {
            let (numbers, words) = self.ask_for_words(from, units, buffer)?;
            if numbers.total == 0 {
                return Ok(self.complain_of_no_recorder());
            }
            let Numbers {
                total, manifest, ..
            } = *first.get_or_insert(numbers);
            if (numbers.total, numbers.manifest) != (total, manifest) || words.is_empty() {
                // Process 1 was upgraded meanwhile.
                return self.fail(UNEXPECTED);
            }
            let count = u32::try_from(words.len() / 4).unwrap_or(u32::MAX);
            if from == 0 {
                self.write_head(numbers, &texts);
            }
            self.write(words);
            from = from.saturating_add(count);
            if from >= total {
                return Ok(DONE);
            }
        }
    }

    /// As many words as fit a frame, from one of them on.
    fn ask_for_words<'b>(
        &mut self,
        from: u32,
        units: u32,
        buffer: &'b mut Buffer,
    ) -> Outcome<(Numbers, &'b [u8])> {
        let mut response = Response::Done;
        let request = Request::Recording { from };
        let Response::Recording {
            manifest,
            count,
            sum,
            total,
            words,
        } = *self.ask(&request, buffer, &mut response)?
        else {
            return self.fail(UNEXPECTED);
        };
        let numbers = Numbers {
            layout: LAYOUT,
            version: VERSION.into(),
            schema: SCHEMA,
            manifest,
            units,
            count,
            sum,
            total,
        };
        Ok((numbers, words.0))
    }

    fn complain_of_no_recorder(&mut self) -> u8 {
        self.complaint().say(packed!(
            "this process 1 records nothing: write recorder = \"16KiB\" into [healing]"
        ));
        self.complain();
        FAILED
    }

    fn write_head(&mut self, numbers: Numbers, texts: &[[u8; NAME_BYTES_MAX + 1]]) {
        self.write(&TITLE);
        for number in numbers.list() {
            self.write(&number.to_le_bytes());
        }
        for text in texts {
            let length = usize::from(text.first().copied().unwrap_or(0));
            self.write(text.get(..=length).unwrap_or_default());
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        self.is_written &= self.client.write(Stream::Output, bytes);
    }
}

/// A text with its length before it, cut where it is longer than any name.
fn put(place: &mut [u8; NAME_BYTES_MAX + 1], text: Text<'_>) {
    let length = text.0.len().min(NAME_BYTES_MAX);
    let text = text.0.get(..length).unwrap_or_default();
    let [first, rest @ ..] = place;
    *first = u8::try_from(length).unwrap_or(0);
    for (byte, from) in rest.iter_mut().zip(text) {
        *byte = *from;
    }
}
