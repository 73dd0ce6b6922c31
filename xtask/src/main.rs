//! This file is the entry of `cargo xtask`.

#[allow(dead_code)]
mod stack;

fn main() {}
