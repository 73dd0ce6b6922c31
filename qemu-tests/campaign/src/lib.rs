//! This crate makes a running process 1 fault for real, again and again, and counts what its
//! services and clients notice.
//!
//! It runs beside process 1: on the machine that holds process 1's namespaces, or as a static
//! program within a board's machine, where `main.rs` is both the services and who injures. It knows
//! of process 1 what the kernel shows and what the control socket answers.
#![deny(unsafe_code)]

pub mod answer;
pub mod client;
#[cfg(any(target_arch = "aarch64", test))]
mod exclusive;
mod faults;
mod follow;
pub mod inject;
pub mod load;
pub mod machine;
pub mod moments;
pub mod random;
mod record;
mod registers;
mod rest;
mod route;
pub mod sweep;
#[expect(unsafe_code, reason = "calls that no crate that we use has")]
mod sys;
pub mod table;
pub mod trial;
pub mod witness;

pub use follow::Moment;
pub use record::Record;
pub use route::{Route, Way};
pub use sys::be_on_an_old_kernel;
