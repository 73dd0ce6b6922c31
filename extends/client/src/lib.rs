//! This crate is what a service tells its init, for authors of services: that it is ready, that it
//! gets on, that it stops, and lines for the log. One source runs on Linux and on the Harmony
//! microkernel; only where its [`Link`] comes from differs.
//!
//! - Linux: [`Descriptor`] is the descriptor of `ready = { on = "newline", fd = 3 }`. A service
//!   is asked to stop by SIGTERM; [`Service::heartbeat`] and [`Service::stopping`] say nothing, as
//!   init has no watchdog for services there; [`Service::log`] writes to descriptor 2.
//! - Harmony: [`Channel`] is the number in the first argument register, for `on = "letter"`. All
//!   are letters, and the answer to a heartbeat says when to stop.
//!
//! ```
//! use service_client::{Link, Order, Service};
//!
//! fn run(mut service: Service<impl Link>, mut work: impl FnMut()) {
//!     service.log(b"has begun");
//!     service.ready();
//!     while service.heartbeat() == Order::GoOn {
//!         work();
//!     }
//!     service.stopping();
//! }
//! ```
//!
//! A service that may control, on Harmony, asks by [`Channel::control`] what `sctl` asks.
//!
//! It guarantees: no allocation, no panic, and that a service without an init runs all the same.
#![no_std]
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

mod channel;
mod sys;

pub use channel::{Channel, Refused};
#[cfg(all(target_arch = "aarch64", target_os = "none"))]
pub use hal_harmony::abi::Svc;
#[cfg(target_os = "linux")]
pub use sys::Descriptor;

/// Names a service's main function on the Harmony microkernel: `fn(Channel<Svc>) -> u8`, which
/// gives the exit code.
#[cfg(all(target_arch = "aarch64", target_os = "none"))]
#[macro_export]
macro_rules! entry {
    ($main:path) => {
        #[unsafe(export_name = "service_main")]
        fn __service_main(channel: $crate::Channel<$crate::Svc>) -> u8 {
            let main: fn($crate::Channel<$crate::Svc>) -> u8 = $main;
            main(channel)
        }
    };
}

/// Whether to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Nothing is asked.
    GoOn,
    /// The service is to stop.
    Stop,
}

/// A way to the init.
pub trait Link {
    /// Tells that the service is ready. A second time says nothing new.
    fn ready(&mut self);

    /// Tells that the service gets on; what it is to do.
    fn heartbeat(&mut self) -> Order;

    /// Tells that the service is about to end by itself.
    fn stopping(&mut self);

    /// Has a line logged, without its newline. Long ones may be wrapped.
    fn log(&mut self, line: &[u8]);
}

/// A service with its way to the init.
#[derive(Debug)]
pub struct Service<L> {
    link: L,
    is_stopping: bool,
}

impl<L: Link> Service<L> {
    /// A service that has said nothing yet.
    pub const fn new(link: L) -> Self {
        Self {
            link,
            is_stopping: false,
        }
    }

    /// It is ready: what is ordered after it may start.
    pub fn ready(&mut self) {
        self.link.ready();
    }

    /// It gets on. To be called more often than the manifest's `watchdog` says, from where the work
    /// is done, and not from a thread that only does this. Once the answer was to stop it stays so,
    /// and nothing is told any more: the init waits for the end.
    pub fn heartbeat(&mut self) -> Order {
        if !self.is_stopping && self.link.heartbeat() == Order::Stop {
            self.is_stopping = true;
        }
        if self.is_stopping {
            Order::Stop
        } else {
            Order::GoOn
        }
    }

    /// It is about to end.
    pub fn stopping(&mut self) {
        self.link.stopping();
    }

    /// A line for the log.
    pub fn log(&mut self, line: &[u8]) {
        self.link.log(line);
    }
}
