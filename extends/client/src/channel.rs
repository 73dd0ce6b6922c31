//! This file is the way to an init that has no descriptors: letters on the channel that it lends.

use crate::{Link, Order};
use hal_harmony::abi::{Kernel, Line};
use init_core::protocol::letter::{CONTENT_BYTES_MAX, Letter, Piece};

/// The channel whose number a service finds in its first argument register.
#[derive(Debug)]
pub struct Channel<K> {
    line: Line<K>,
}

impl<K: Kernel> Channel<K> {
    /// The channel of this number.
    pub const fn new(kernel: K, number: i32) -> Self {
        Self {
            line: Line::new(kernel, number),
        }
    }
}

/// A request that came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The manifest does not let this service control, or too many do at once.
    ByInit,
    /// The answer is longer than the room for it.
    TooLong,
}

impl<K: Kernel> Channel<K> {
    /// Asks what `sctl` asks: sends a frame of `init_core::protocol` and fetches the answer's; how
    /// many bytes it has. `pause` is called while there is none: a request such as a stop takes its
    /// time. Only for a service of which the manifest says `controls = true`.
    ///
    /// # Errors
    /// See [`Refused`].
    pub fn control(
        &self,
        frame: &[u8],
        answer: &mut [u8],
        mut pause: impl FnMut(),
    ) -> Result<usize, Refused> {
        let mut begin = 0;
        while let Some(piece) = Piece::of(frame, begin) {
            begin = piece.end();
            let answer = self.line.ask(&Letter::Request(piece).sheet());
            match answer.as_ref().map(Letter::read) {
                Some(Ok(Letter::GoOn | Letter::NotYet)) => {}
                Some(_) | None => return Err(Refused::ByInit),
            }
        }
        let mut length = 0_usize;
        loop {
            let begin = u16::try_from(length).map_err(|_| Refused::TooLong)?;
            let sheet = self.line.ask(&Letter::Fetch(begin).sheet());
            match sheet.as_ref().map(Letter::read) {
                Some(Ok(Letter::NotYet)) => pause(),
                Some(Ok(Letter::Response(piece))) if piece.begin == begin => {
                    let room = answer.get_mut(length..).unwrap_or_default();
                    let room = room
                        .get_mut(..piece.content.len())
                        .ok_or(Refused::TooLong)?;
                    room.copy_from_slice(piece.content);
                    length = length.saturating_add(piece.content.len());
                    if piece.is_last() {
                        return Ok(length);
                    }
                }
                Some(_) | None => return Err(Refused::ByInit),
            }
        }
    }
}

impl<K: Kernel> Link for Channel<K> {
    /// By a call, for which there is always room.
    fn ready(&mut self) {
        let _ = self.line.ask(&Letter::Ready.sheet());
    }

    /// An init that does not answer as it should asks for nothing.
    fn heartbeat(&mut self) -> Order {
        let answer = self.line.ask(&Letter::Heartbeat.sheet());
        match answer.as_ref().map(Letter::read) {
            Some(Ok(Letter::Stop)) => Order::Stop,
            Some(_) | None => Order::GoOn,
        }
    }

    fn stopping(&mut self) {
        let _ = self.line.tell(&Letter::Stopping.sheet());
    }

    /// A letter each 56 bytes; what comes too fast for the init is lost, which it tells.
    fn log(&mut self, line: &[u8]) {
        for part in line.chunks(CONTENT_BYTES_MAX) {
            let _ = self.line.tell(&Letter::Log(part).sheet());
        }
    }
}
