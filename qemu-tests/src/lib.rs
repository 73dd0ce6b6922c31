//! This file names the rooms of the test bench: packages, kernels, images, QEMU and its scenarios.
//!
//! Everything here runs on the developer's machine. Downloads lie below one cache folder that the
//! caller chooses, and a second run needs no network.

#![forbid(unsafe_code)]

pub mod console;
pub mod debian;
pub mod expect;
pub mod image;
pub mod keeper;
pub mod kernel;
pub mod machine;
pub mod peers;
pub mod progress;
pub mod report;
pub mod run;
pub mod scenarios;
pub mod session;
mod wildcard;
