//! This file says of a test that it cannot look here, and why: to whoever reads its output, and to
//! `cargo xtask test`, which tells it in its last lines. Cargo shows no output of a test that
//! passes.

use std::io::Write;

/// Names the file that each such test is noted in.
const NOTES: &str = "SYSMASTER_SKIPPED";

/// The test that calls this looks at nothing.
///
/// # Panics
/// It cannot be noted where the caller of all tests reads it.
pub fn skip(why: &str) {
    eprintln!("SKIPPED: {why}");
    let Some(notes) = std::env::var_os(NOTES) else {
        return;
    };
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    // One write for each line: others append at the same time.
    let note = format!("{test}: {why}\n");
    let file = std::fs::File::options()
        .append(true)
        .create(true)
        .open(notes);
    let noted = file.and_then(|mut file| file.write_all(note.as_bytes()));
    noted.expect("the file can be appended to");
}
