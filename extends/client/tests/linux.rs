//! This file runs the service as a process of Linux, with a pipe where the manifest says that its
//! readiness goes.

#![cfg(target_os = "linux")]

use std::process::{Command, Output};

/// Runs the service with a redirection of the shell's; its standard output is what it redirects.
fn output(redirection: &str) -> Output {
    let program = env!("CARGO_BIN_EXE_pump");
    let line = format!("exec \"$0\" {redirection}");
    Command::new("sh")
        .args(["-c", &line])
        .arg(program)
        .output()
        .expect("there is a shell")
}

#[test]
fn readiness_is_a_newline_on_the_descriptor_and_the_log_is_on_the_second() {
    let output = output("3>&1 >/dev/null");
    assert_eq!(output.stdout, b"\n");
    let log = String::from_utf8(output.stderr).expect("words");
    assert_eq!(log, "begins\nhas done what it can\n");
    assert_eq!(output.status.code(), Some(3));
}

#[test]
fn a_service_without_an_init_runs_all_the_same() {
    let output = output("3>&- >/dev/null");
    assert_eq!(output.status.code(), Some(3));
    let full = self::output("3>/dev/full >/dev/null");
    assert_eq!(full.status.code(), Some(3));
}
