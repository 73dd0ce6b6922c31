//! This file compiles the product's manifest into the tables that `src/lib.rs` includes.

fn main() {
    manifests::build_library();
}
