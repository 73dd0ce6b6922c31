//! This file tests the keeper at a terminal: its command is in front, and gets what is typed.

use super::kept::{BOTH, Place, command};
use std::io::{Read, Write};
use std::process::{Command, Stdio};

/// Runs a line of the shell at a terminal of its own, which `script` makes, and types when it is
/// ready. What the terminal showed, and the exit code.
fn at_terminal(line: &str, types: &str) -> (String, Option<i32>) {
    let options = ["--quiet", "--return", "--command", line, "/dev/null"];
    // Whoever runs this in the background may ignore Ctrl-C, and a shell then traps it in vain.
    let mut script = Command::new("env")
        .args(["--default-signal=INT", "script"])
        .args(options)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("script starts: it is part of bsdutils");
    let mut input = script.stdin.take().expect("it was piped");
    let mut reader = script.stdout.take().expect("it was piped");
    let mut shown = String::new();
    let mut typed = false;
    let mut bytes = [0; 512];
    while let Ok(count @ 1..) = reader.read(&mut bytes) {
        shown.push_str(&String::from_utf8_lossy(&bytes[..count]));
        if shown.contains("ready") && !typed {
            input.write_all(types.as_bytes()).expect("it reads");
            typed = true;
        }
    }
    (shown, script.wait().expect("it is our child").code())
}

/// The line that runs the keeper with a script of the shell, which has no `'`.
fn line(place: Place, script: &str) -> Option<String> {
    let command = command(place, &["--", "sh", "-c"])?;
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
    Some(format!("{} '{script}'", words.join(" ")))
}

#[test]
fn the_command_reads_from_the_terminal_and_gets_ctrl_c() {
    for place in BOTH {
        let Some(reads) = line(place, "echo ready; read word; echo \"<$word>\"") else {
            return;
        };
        let (shown, code) = at_terminal(&reads, "hello\n");
        assert!(shown.contains("<hello>"), "{place:?}: {shown}");
        assert_eq!(code, Some(0), "{shown}");
        let script = "trap \"echo interrupted; exit 5\" INT; echo ready; \
                      while :; do sleep 0.05; done";
        let (shown, code) = at_terminal(&line(place, script).unwrap_or_default(), "\u{3}");
        assert!(shown.contains("interrupted"), "{place:?}: {shown}");
        assert_eq!(code, Some(5), "{shown}");
    }
}

#[test]
fn the_terminal_is_given_back_in_the_end() {
    let Some(kept) = line(Place::Subreaper, "true") else {
        return;
    };
    let (shown, code) = at_terminal(
        &format!("{kept}; echo ready; read word; echo \"<$word>\""),
        "hello\n",
    );
    assert!(shown.contains("<hello>"), "{shown}");
    assert_eq!(code, Some(0), "{shown}");
}

#[test]
fn a_keeper_in_the_background_leaves_the_terminal_alone() {
    let Some(kept) = line(Place::Subreaper, "sleep 30") else {
        return;
    };
    // With job control (-m) the keeper has a group of its own, behind.
    let script = format!("set -m; {kept} & echo ready; read word; echo \"<$word>\"; kill $!");
    let (shown, _) = at_terminal(&script, "hello\n");
    assert!(shown.contains("<hello>"), "{shown}");
}
