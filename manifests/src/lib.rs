//! This file is the door of the manifest language: compiler, diagnostics and the boards' data.
#![forbid(unsafe_code)]

pub mod board;
