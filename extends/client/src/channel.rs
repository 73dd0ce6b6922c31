//! This file is the way to an init that has no descriptors: letters on the channel that it lends.

use crate::{Link, Order};
use hal_harmony::abi::{Kernel, Line};
use init_core::protocol::letter::{CONTENT_BYTES_MAX, Letter};

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
