//! This file defines the machine's last act.

use crate::effect::FinalAction;
use crate::time::Instant;

/// Ends everything.
pub trait Power {
    /// Detaches swap and file systems and writes caches back, all in a child and at most until
    /// `deadline`; then performs the action regardless. Returns only if the system cannot do it.
    fn finish(&mut self, action: FinalAction, deadline: Instant);
}
