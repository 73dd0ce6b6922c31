//! This room holds all unsafe code of these programs, for x86-64 and both ARMs.

pub mod call;
#[cfg(target_env = "musl")]
mod memory;
pub mod socket;
pub mod spawn;
pub mod start;
mod syscall;
