//! This file compiles the product's manifest into the tables that `src/main.rs` includes.

fn main() {
    manifests::build();
}
