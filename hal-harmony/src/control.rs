//! This file answers control clients: there are none yet, so that nobody has to be answered.

use crate::abi::Kernel;
use crate::harmony::Harmony;
use init_core::hal::ControlPort;
use init_core::ident::ClientId;

impl<K: Kernel> ControlPort for Harmony<K> {
    fn frame(&self, _client: ClientId) -> &[u8] {
        &[]
    }

    fn reply(&mut self, _client: ClientId, _frame: &[u8]) {}

    fn close(&mut self, _client: ClientId) {}
}
