//! This room is the kernel's interface: numbers, structures, the trap and the calls with their
//! types. Nothing outside of it is unsafe, and nothing outside of it sees a bare capability.

mod calls;
mod channel;
pub mod layout;
mod line;
#[cfg(all(feature = "root", target_arch = "aarch64", target_os = "none"))]
pub(crate) mod log;
pub mod number;
pub(crate) mod raw;
mod shared;
#[cfg(all(feature = "root", target_arch = "aarch64", target_os = "none"))]
pub mod start;
#[cfg(all(target_arch = "aarch64", target_os = "none"))]
mod svc;
mod text;

pub use calls::{
    Calls, Entry, Error, FIRST_BADGE, Group, Memory, Notification, Patience, Thread, Waited,
};
pub use channel::{Asked, Channel, Handle, Lent, MESSAGE_BYTES, Received, Stack};
pub use line::Line;
pub use shared::{Reserved, Shared, shown};
#[cfg(all(target_arch = "aarch64", target_os = "none"))]
pub use svc::Svc;

pub(crate) use text::text;

use number::Number;

/// A kernel. On the board it is the one behind the trap; tests have others.
pub trait Kernel {
    /// Calls it. The result is the kernel's word, not yet judged.
    ///
    /// # Safety
    /// Every argument that the number's row takes as an address is one of memory that may be read
    /// or written as that row says, for as long as it says.
    unsafe fn call(&self, number: Number, arguments: [u64; 6]) -> u64;

    /// The counter that goes on at the same rate for ever.
    fn counter(&self) -> u64;

    /// How often it counts in a second; 0: it does not.
    fn frequency(&self) -> u64;
}
