//! This crate does on Linux what `init-core` asks for: it is process 1's hands and ears.
//!
//! It guarantees: no libc, no allocation, no panic, and no call of process 1 that waits for a file
//! system, a console or a peer: whatever may wait is done by a child. Decisions are not made here.
#![cfg_attr(not(test), no_std)]
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unwrap_used
    )
)]

mod bytes;
#[cfg_attr(
    not(feature = "freestanding"),
    expect(dead_code, reason = "a test cannot be executed")
)]
mod carried;
mod cause;
mod child;
mod children;
mod console;
mod control;
mod devices;
#[cfg(feature = "freestanding")]
mod early;
mod epitaph;
mod escalation;
mod events;
#[cfg(all(feature = "freestanding", feature = "exchange"))]
mod exchange;
mod handed;
mod heal;
mod heir;
mod intake;
#[cfg(feature = "freestanding")]
mod keeper;
mod left;
mod lines;
mod linux;
mod platform;
mod power;
mod probe;
mod ready;
mod region;
mod sctl;
mod setup;
mod split;
mod start;
mod storm;
#[allow(
    clippy::as_conversions,
    reason = "the system call's own register widths"
)]
pub mod sys;
#[cfg(feature = "freestanding")]
mod trial;
#[cfg(feature = "freestanding")]
mod upgrade;
mod uses;
mod watchdog;

#[cfg(feature = "freestanding")]
pub use early::early;
#[cfg(all(feature = "freestanding", feature = "exchange"))]
pub use exchange::{Mark, be_core};
#[cfg(feature = "freestanding")]
pub use keeper::keep;
pub use left::Left;
pub use linux::{Buffers, Linux, Storage};
pub use sctl::sctl;
pub use split::{CoreEnd, Decide};
#[cfg(feature = "freestanding")]
pub use start::{Memory, run};
pub use start::{Role, begin, begin_split, role};
#[cfg(feature = "freestanding")]
pub use sys::start::Arguments;
pub use uses::Uses;

/// Names the board's main function: `fn(hal_linux::Arguments) -> u8`, the exit code.
#[cfg(feature = "freestanding")]
#[macro_export]
macro_rules! entry {
    ($main:path) => {
        #[unsafe(export_name = "sysmaster_main")]
        fn __sysmaster_main(arguments: $crate::Arguments) -> u8 {
            let main: fn($crate::Arguments) -> u8 = $main;
            main(arguments)
        }
    };
}

/// Makes the program of a board from the tables in the module `product`, which has them from
/// `init_core::include_manifest!()`: process 1, and its control tool when it is started by others.
/// `first`, if given, is a `fn(hal_linux::Arguments)` that is called before all else, so it must
/// neither wait nor take long.
#[cfg(feature = "freestanding")]
#[macro_export]
macro_rules! init {
    ($product:ident $(, first = $first:path)?) => {
        static MEMORY: $crate::sys::shared::Once<$crate::Memory<{ $product::UNIT_COUNT }>> =
            $crate::sys::shared::Once::new($crate::Memory::new());

        #[unsafe(export_name = "sysmaster_uses")]
        static USES: $crate::Uses = $crate::Uses::of(&$product::MANIFEST);

        fn run(arguments: $crate::Arguments) -> u8 {
            $($first(arguments);)?
            $crate::run(&$product::MANIFEST, &MEMORY, arguments)
        }

        $crate::entry!(run);
        $crate::core_alone!($product);
    };
}

/// Names the first function of a core that is exchanged alone, where that can be.
#[cfg(all(feature = "freestanding", feature = "exchange"))]
#[doc(hidden)]
#[macro_export]
macro_rules! core_alone {
    ($product:ident) => {
        #[unsafe(export_name = "sysmaster_core")]
        static CORE: $crate::Mark = $crate::Mark::new($product::TABLES, begin_core);

        extern "C" fn begin_core(birth: &'static $crate::sys::load::Birth) -> ! {
            $crate::be_core(&$product::MANIFEST, &MEMORY, birth)
        }
    };
}

#[cfg(all(feature = "freestanding", not(feature = "exchange")))]
#[doc(hidden)]
#[macro_export]
macro_rules! core_alone {
    ($product:ident) => {};
}

/// rustix's error as the core's.
pub(crate) fn errno(error: rustix::io::Errno) -> init_core::event::Errno {
    let [low, high, ..] = error.raw_os_error().to_le_bytes();
    init_core::event::Errno(u16::from_le_bytes([low, high]))
}
