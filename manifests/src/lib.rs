//! This file is the door of the manifest language: compiler, diagnostics and the boards' data.
//!
//! A firmware's `build.rs` calls [`build`]; tools call [`compile::compile`] and look at what came
//! of it. Nothing here starts a program or changes a file but what [`build`] writes to `OUT_DIR`.
#![forbid(unsafe_code)]

pub mod board;
pub mod compile;
mod composition;
pub mod diagnostic;
mod door;
pub mod emit;
pub mod expand;
pub mod fields;
mod graph;
mod healing;
mod images;
mod links;
pub mod model;
mod mounts;
mod programs;
mod ram_disk;
mod read;
mod recorder;
pub mod reference;
mod rootfs;
pub mod schema;
mod sections;
mod setup;
pub mod source;
mod text;
pub mod tree;
mod units;
pub mod unused;
mod users;
mod value;
mod watchdog;

pub use door::{Failure, build, build_library, choose_board, house};
