//! This file is the door of the manifest language: compiler, diagnostics and the boards' data.
#![forbid(unsafe_code)]

pub mod board;
pub mod diagnostic;
pub mod fields;
pub mod model;
pub mod read;
pub mod rootfs;
pub mod schema;
pub mod sections;
pub mod source;
pub mod text;
pub mod tree;
pub mod users;
pub mod value;
