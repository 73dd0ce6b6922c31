//! This file defines processes: start, signal, and nothing else.

use crate::event::Errno;
use crate::ident::Child;
use crate::unit::{KillScope, Program, Readiness, Signal};

/// Starts and signals processes. It owns the table of which process serves which [`Child`].
pub trait Process {
    /// Starts a process that runs the program (for [`crate::ident::Role::Probe`]: that waits for
    /// the readiness condition and exits with 0). Never blocks, whatever the file system does.
    /// `confirm`: report the program's execution with [`crate::event::Event::Ready`].
    /// A child that exists already was asked for by an incarnation of process 1 that died before it
    /// could note that: the answer is its number, and nothing is started.
    /// `Ok(pid)`: exactly one `Exited` will come. `Err`: none will.
    fn spawn(
        &mut self,
        child: Child,
        program: Program,
        ready: Readiness,
        confirm: bool,
    ) -> Result<u32, Errno>;

    /// Sends a signal. A process that is gone already, or a stale `Child`, is silently ignored:
    /// its exit is on the way.
    fn signal(&mut self, child: Child, signal: Signal, scope: KillScope);

    /// Sends a signal to every process but this one. `NoChildLeft` follows when none is left.
    fn signal_all(&mut self, signal: Signal);
}
