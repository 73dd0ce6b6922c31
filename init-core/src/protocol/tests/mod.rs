//! This room tests the protocol: its bytes, its decoders under attack, and a session's answers.

mod hostile;
mod letter;
mod schema;
mod session;
mod stream;

use super::*;
use crate::limits::FRAME_BYTES_MAX;
use std::vec::Vec;

fn frame<'m>(message: &impl Value<'m>) -> Vec<u8> {
    let mut buffer = [0; FRAME_BYTES_MAX];
    let mut writer = Writer::new(&mut buffer);
    writer.add(message).unwrap();
    let length = writer.length();
    buffer[..length].to_vec()
}
