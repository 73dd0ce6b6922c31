//! This file compiles `product.toml` and tells cargo how process 1 is linked.

fn main() {
    manifests::build();
}
