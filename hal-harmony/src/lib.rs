//! This crate does on OpenHarmony's own microkernel what `init-core` asks for: the public oh-tee
//! ABI, as its root task.
//!
//! It guarantees: no allocation, no panic, no capability of ours in another process but the
//! channel by which it speaks, and no call of which the kernel is known to die. Decisions are not
//! made here.
#![no_std]
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

pub mod abi;
mod children;
mod clock;
mod console;
mod control;
mod courier;
mod disk;
mod events;
mod exits;
#[cfg(any(test, all(feature = "root", target_os = "none")))]
mod frames;
mod harmony;
mod image;
mod lasting;
mod letters;
mod post;
mod power;
pub mod probe;
#[cfg(all(feature = "root", target_arch = "aarch64", target_os = "none"))]
mod root;
mod split;
mod start;

/// Whether the core is a process of its own, and the root task its keeper.
pub(crate) const SPLIT: bool = cfg!(feature = "split");

/// Whether programs of services lie in a RAM disk, and not in the image.
pub(crate) const RAM_DISK: bool = cfg!(feature = "ram-disk");

pub use clock::Mode;
pub use console::Console;
pub use harmony::{Config, Harmony, Storage};
pub use image::Malformed;
pub use init_core::unit::Image;
#[cfg(all(feature = "root", target_arch = "aarch64", target_os = "none"))]
pub use root::{WINDOW, core, keep, probe as walk, run};
pub use split::{CoreEnd, Keeper, SHARED_AT, decide, shared_words};

/// Names the board's main function: `fn() -> !`.
#[cfg(all(feature = "root", target_arch = "aarch64", target_os = "none"))]
#[macro_export]
macro_rules! entry {
    ($main:path) => {
        #[unsafe(export_name = "sysmaster_root")]
        fn __sysmaster_root(_argument: u64) -> ! {
            let main: fn() -> ! = $main;
            main()
        }
    };
}

/// Makes the root task of a board from the tables in the module `product`, which has them from
/// `init_core::include_manifest!()`, and a [`Config`].
#[cfg(all(feature = "root", target_arch = "aarch64", target_os = "none"))]
#[macro_export]
macro_rules! init {
    ($product:ident, $config:expr) => {
        static CORE: $crate::abi::start::Once<::init_core::Storage<{ $product::UNIT_COUNT }>> =
            $crate::abi::start::Once::new(::init_core::Storage::new());
        static SYSTEM: $crate::abi::start::Once<
            $crate::Storage<$crate::abi::Svc, { 2 * $product::UNIT_COUNT }>,
        > = $crate::abi::start::Once::new($crate::Storage::new());

        fn run() -> ! {
            $crate::run(&$product::MANIFEST, $config, &CORE, &SYSTEM)
        }

        $crate::entry!(run);
    };
}

/// Makes the root task of a board that is the keeper of a core, from the tables in the module
/// `product`, a [`Config`] and the program that [`core!`] makes.
#[cfg(all(feature = "root", target_arch = "aarch64", target_os = "none"))]
#[macro_export]
macro_rules! keep {
    ($product:ident, $config:expr, $core:expr) => {
        static SYSTEM: $crate::abi::start::Once<
            $crate::Storage<$crate::abi::Svc, { 2 * $product::UNIT_COUNT + 1 }>,
        > = $crate::abi::start::Once::new($crate::Storage::new());

        static PROGRAM: $crate::Image = $crate::Image {
            path: c"init-core",
            file: $core,
        };

        fn run() -> ! {
            $crate::keep(&$product::MANIFEST, $config, &PROGRAM, &SYSTEM)
        }

        $crate::entry!(run);
    };
}
