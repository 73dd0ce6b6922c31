//! This file tells the linker what a program without libc needs.

fn main() {
    // Checked as a program of the host by clippy, these are not linked.
    if std::env::var("TARGET").is_ok_and(|target| target.ends_with("-musl")) {
        for argument in [
            "-nostdlib",
            "--gc-sections",
            "-znoseparate-code",
            "-zmax-page-size=4096",
        ] {
            println!("cargo:rustc-link-arg-bins={argument}");
        }
    }
}
