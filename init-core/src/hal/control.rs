//! This file defines the way to control clients.

use crate::ident::ClientId;

/// Answers control clients. Requests arrive as events; a HAL accepts, checks the peer's identity
/// (root only) and frames.
pub trait ControlPort {
    /// The frame that the client sent; empty when the client is gone. Decoded by
    /// `crate::protocol`.
    fn frame(&self, client: ClientId) -> &[u8];

    /// Sends one frame, at most [`crate::limits::FRAME_BYTES_MAX`] bytes. Never blocks: a client
    /// that does not read is disconnected.
    fn reply(&mut self, client: ClientId, frame: &[u8]);

    /// Disconnects.
    fn close(&mut self, client: ClientId);
}
