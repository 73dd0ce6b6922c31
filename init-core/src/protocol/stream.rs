//! This file frames messages on a byte stream: two bytes of length, least significant first, then
//! the frame. Linux does not need it (a SEQPACKET socket keeps messages apart); a serial line does.
//!
//! It never reads beyond the frame that it is in, and holds one frame at most.

use super::frame::HEADER_BYTES;
use crate::limits::FRAME_BYTES_MAX;

/// Bytes before each frame.
pub const PREFIX_BYTES: usize = 2;

/// The two bytes that go before a frame; `None` when no receiver would take it.
pub fn prefix(frame: &[u8]) -> Option<[u8; PREFIX_BYTES]> {
    let length = u16::try_from(frame.len()).ok()?;
    is_possible(frame.len()).then_some(length.to_le_bytes())
}

fn is_possible(frame_bytes: usize) -> bool {
    (HEADER_BYTES..=FRAME_BYTES_MAX).contains(&frame_bytes)
}

/// A length that no frame has. The stream cannot be trusted any more: hang up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadLength(pub u16);

/// Puts frames together from whatever pieces a stream gives.
#[derive(Debug)]
pub struct Assembler {
    prefix: [u8; PREFIX_BYTES],
    frame: [u8; FRAME_BYTES_MAX],
    /// Bytes received of prefix and frame together.
    received: usize,
}

impl Default for Assembler {
    fn default() -> Self {
        Self::new()
    }
}

impl Assembler {
    /// At the start of a frame.
    pub const fn new() -> Self {
        Self {
            prefix: [0; PREFIX_BYTES],
            frame: [0; FRAME_BYTES_MAX],
            received: 0,
        }
    }

    /// Where the next bytes of the stream go: up to the end of the prefix or of the frame, never
    /// beyond, and never empty before [`Self::add`] has returned the frame.
    pub fn room(&mut self) -> &mut [u8] {
        let length = self.length();
        match self.received.checked_sub(PREFIX_BYTES) {
            None => self.prefix.get_mut(self.received..),
            Some(from) => self.frame.get_mut(from..length),
        }
        .unwrap_or_default()
    }

    /// Tells how many bytes were put into [`Self::room`]. Returns the frame when it is complete;
    /// the next call of [`Self::room`] belongs to the next frame.
    pub fn add(&mut self, count: usize) -> Result<Option<&[u8]>, BadLength> {
        let count = count.min(self.room().len());
        self.received = self.received.saturating_add(count);
        let Some(have) = self.received.checked_sub(PREFIX_BYTES) else {
            return Ok(None);
        };
        let length = self.length();
        if !is_possible(length) {
            return Err(BadLength(u16::from_le_bytes(self.prefix)));
        }
        if have < length {
            return Ok(None);
        }
        self.received = 0;
        Ok(self.frame.get(..length))
    }

    fn length(&self) -> usize {
        usize::from(u16::from_le_bytes(self.prefix))
    }
}
