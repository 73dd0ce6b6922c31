//! This file is why a step failed: an error number, whichever way it was learnt.

use init_core::event::Errno;
use rustix::io::Errno as Os;

/// An error number on its way to whoever tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cause(pub Errno);

impl Cause {
    /// What cannot be done because an operand is too long for our tables.
    pub const TOO_LONG: Self = Self(Errno(36));
    /// An operand that makes no sense.
    pub const INVALID: Self = Self(Errno(22));
}

impl From<Errno> for Cause {
    fn from(errno: Errno) -> Self {
        Self(errno)
    }
}

impl From<Os> for Cause {
    fn from(error: Os) -> Self {
        Self(crate::errno(error))
    }
}
