//! This file compiles the manifest whose recordings are performed again.

fn main() {
    manifests::build();
}
