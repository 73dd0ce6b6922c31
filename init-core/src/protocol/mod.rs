//! This room is the control protocol: messages, frames, and process 1's end of a connection.
//!
//! On a transport that keeps messages apart (Linux: a SEQPACKET socket) one message is one frame;
//! on a byte stream `stream` puts lengths between them; where only messages of one size go,
//! `letter` takes it to pieces. See `docs/sctl.md`.

mod codec;
mod frame;
pub mod letter;
mod message;
mod session;
mod stream;

#[cfg(test)]
mod tests;

pub use crate::wire::{Problem, Text, Value, Wire};
#[cfg(feature = "exchange")]
pub(crate) use frame::fnv1a;
pub use frame::with_counts;
pub use frame::{Buffer, Full, HEADER_BYTES, Reader, SCHEMA, Sender, VERSION, Writer, decode};
pub use message::{Change, Detail, MachineRecord, Malformed, Request, Response, UnitRecord};
#[cfg(feature = "exchange")]
pub use session::is_core_asked;
pub use session::{Intake, View, answer, image_asked, receive};
pub use stream::{Assembler, BadLength, PREFIX_BYTES, prefix};
