//! This file is the entry of `cargo xtask`.

fn main() {}
