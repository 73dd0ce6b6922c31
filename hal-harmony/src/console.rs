//! This file is the console: the kernel's own, to which a line is written by one call.

use crate::abi::{Calls, Kernel};
use core::convert::Infallible;
use init_core::report::{LINE_BYTES_MAX, Line};

/// The kernel's console.
#[derive(Clone, Debug)]
pub struct Console<K> {
    calls: Calls<K>,
}

impl<K: Kernel> Console<K> {
    pub(crate) const fn new(calls: Calls<K>) -> Self {
        Self { calls }
    }

    /// A line of `who`'s.
    pub(crate) fn say(&mut self, who: &str, words: &dyn Fn(&mut Line<'_>)) {
        let mut room = [0; LINE_BYTES_MAX];
        let mut line = Line::new(&mut room);
        line.text(who).text(": ");
        words(&mut line);
        self.calls.print(line.end());
    }
}

impl<K> embedded_io::ErrorType for Console<K> {
    type Error = Infallible;
}

impl<K: Kernel> embedded_io::Write for Console<K> {
    /// Takes one whole line. The kernel copies it to its device before it returns.
    fn write(&mut self, line: &[u8]) -> Result<usize, Infallible> {
        self.calls.print(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}
