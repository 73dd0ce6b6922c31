//! This file puts messages into frames and takes them out again.
//!
//! A frame is eight bytes that never change their meaning (magic, version, hash of the schema),
//! then messages in postcard's wire format. Whoever reads checks the eight bytes first, so programs
//! of different versions part with a clear error. Any bytes may come in; none can panic or read
//! beyond the frame.

use super::message::Malformed;
use crate::limits::FRAME_BYTES_MAX;
use crate::wire::{Problem, Value, Wire};

/// The first two bytes of every frame, for ever.
const MAGIC: [u8; 2] = *b"sM";

/// Bytes before the message.
pub const HEADER_BYTES: usize = 8;

/// Rises when a message changes its meaning without changing its shape.
pub const VERSION: u16 = 1;

/// Changes whenever a message changes its shape.
pub const SCHEMA: u32 = fnv1a(include_bytes!("schema.txt"));

const _: () = assert!(HEADER_BYTES * 4 < FRAME_BYTES_MAX);

/// Where a frame is built.
pub type Buffer = [u8; FRAME_BYTES_MAX];

pub(crate) const fn fnv1a(bytes: &[u8]) -> u32 {
    let (mut hash, mut rest) = (0x811c_9dc5_u32, bytes);
    while let [byte, tail @ ..] = rest {
        // Lossless; `u32::from` is not const yet.
        hash = (hash ^ u32::from_le_bytes([*byte, 0, 0, 0])).wrapping_mul(0x0100_0193);
        rest = tail;
    }
    hash
}

/// A hash of another one and of counts, one after the other.
#[must_use]
pub const fn with_counts(hash: u32, counts: &[usize]) -> u32 {
    let (mut hash, mut rest) = (hash, counts);
    while let [count, others @ ..] = rest {
        let [a, b, c, d, ..] = count.to_le_bytes();
        hash = fnv1a(&[a, b, c, d]) ^ hash.wrapping_mul(0x0100_0193);
        rest = others;
    }
    hash
}

/// Version and schema of a frame's sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sender {
    /// Its [`VERSION`].
    pub version: u16,
    /// Its [`SCHEMA`].
    pub schema: u32,
}

impl Sender {
    /// This program.
    pub const SELF: Self = Self {
        version: VERSION,
        schema: SCHEMA,
    };

    /// The sender of a frame; `None` when it is no frame of ours.
    pub fn of(frame: &[u8]) -> Option<Self> {
        let [m0, m1, v0, v1, s0, s1, s2, s3] = *frame.first_chunk::<HEADER_BYTES>()?;
        ([m0, m1] == MAGIC).then_some(Self {
            version: u16::from_le_bytes([v0, v1]),
            schema: u32::from_le_bytes([s0, s1, s2, s3]),
        })
    }

    fn header(self) -> [u8; HEADER_BYTES] {
        let ([m0, m1], [v0, v1]) = (MAGIC, self.version.to_le_bytes());
        let [s0, s1, s2, s3] = self.schema.to_le_bytes();
        [m0, m1, v0, v1, s0, s1, s2, s3]
    }
}

/// Puts messages into a frame, one after the other.
#[derive(Debug)]
pub struct Writer<'b> {
    buffer: &'b mut Buffer,
    length: usize,
}

/// The message does not fit into what is left of the frame; the frame is as it was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl<'b> Writer<'b> {
    /// An empty frame.
    pub fn new(buffer: &'b mut Buffer) -> Self {
        if let Some(header) = buffer.first_chunk_mut() {
            *header = Sender::SELF.header();
        }
        Self {
            buffer,
            length: HEADER_BYTES,
        }
    }

    /// Adds a message.
    pub fn add<'m>(&mut self, message: &impl Value<'m>) -> Result<(), Full> {
        let mut wire = Wire::writing(self.buffer.get_mut(self.length..).unwrap_or_default());
        let mut message = *message;
        message.pass(&mut wire);
        match wire.end() {
            (_, left, None) => {
                self.length = FRAME_BYTES_MAX.saturating_sub(left);
                Ok(())
            }
            (.., Some(_)) => Err(Full),
        }
    }

    /// Bytes of the frame.
    pub fn length(&self) -> usize {
        self.length
    }
}

/// Takes messages out of a frame, one after the other.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'f> {
    rest: &'f [u8],
    frame_bytes: usize,
}

impl<'f> Reader<'f> {
    /// Checks the frame's header.
    pub fn new(frame: &'f [u8]) -> Result<Self, Malformed> {
        let refuse = |problem| Err(Malformed { problem, offset: 0 });
        let rest = match (Sender::of(frame), frame.get(HEADER_BYTES..)) {
            _ if frame.len() > FRAME_BYTES_MAX => return refuse(Problem::TooLong),
            (Some(Sender::SELF), Some(rest)) => rest,
            (Some(_), _) => return refuse(Problem::OtherVersion),
            (None, _) => return refuse(Problem::NotOurs),
        };
        Ok(Self {
            rest,
            frame_bytes: frame.len(),
        })
    }

    /// Takes the next message out.
    pub fn take<T: Value<'f>>(&mut self) -> Result<T, Malformed> {
        let mut message = T::EMPTY;
        self.read(&mut message)?;
        Ok(message)
    }

    /// Takes the next message out into this place. (A large message is not moved about.)
    pub fn read<T: Value<'f>>(&mut self, place: &mut T) -> Result<(), Malformed> {
        let mut wire = Wire::reading(self.rest);
        *place = T::EMPTY;
        place.pass(&mut wire);
        let (rest, _, problem) = wire.end();
        self.rest = rest;
        match problem {
            Some(problem) => Err(self.malformed(problem)),
            None => Ok(()),
        }
    }

    /// Whether nothing is left.
    pub fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// An error if anything is left.
    pub fn end(&self) -> Result<(), Malformed> {
        match self.is_at_end() {
            true => Ok(()),
            false => Err(self.malformed(Problem::TooLong)),
        }
    }

    #[inline(never)]
    fn malformed(&self, problem: Problem) -> Malformed {
        let offset = self.frame_bytes.wrapping_sub(self.rest.len());
        Malformed {
            problem,
            offset: u16::try_from(offset).unwrap_or(u16::MAX),
        }
    }
}

/// A frame that holds one message and nothing else.
pub fn decode<'f, T: Value<'f>>(frame: &'f [u8]) -> Result<T, Malformed> {
    let mut message = T::EMPTY;
    decode_into(frame, &mut message)?;
    Ok(message)
}

/// As [`decode`]; the message is left in this place, and not moved about.
pub fn decode_into<'f, T: Value<'f>>(frame: &'f [u8], place: &mut T) -> Result<(), Malformed> {
    let mut reader = Reader::new(frame)?;
    reader.read(place)?;
    reader.end()
}
