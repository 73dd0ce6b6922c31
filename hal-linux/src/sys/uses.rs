//! This file reads a constant of the board's program.

use crate::Uses;

unsafe extern "Rust" {
    // SAFETY: `crate::init` defines it, of this very type, and nobody ever writes to it. A program
    // that uses it without `crate::init` is not linked.
    #[link_name = "sysmaster_uses"]
    safe static USES: Uses;
}

/// What the product of this program uses. All is linked as one, so the compiler knows the answer.
pub fn uses() -> Uses {
    USES
}
