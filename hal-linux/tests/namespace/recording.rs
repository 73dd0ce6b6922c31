//! This file takes a recording out of a running process 1, after services and process 1 itself have
//! died, and expects it to come to the same state when it is performed again on the host.

use crate::inject::{Injury, injure};
use crate::machine::{End, Machine};
use crate::skip::skip;
#[cfg(target_arch = "x86_64")]
use crate::split::core;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Name process 1 of `recording.toml`, its symbols, and what performs its recordings; `cargo xtask
/// test` builds them.
const PROGRAM: &str = "SYSMASTER_RECORDING_INIT";
const SYMBOLS: &str = "SYSMASTER_RECORDING_SYMBOLS";
const REPLAY: &str = "SYSMASTER_RECORDING_REPLAY";

/// The same with a core of its own, of `split-recording.toml`.
#[cfg(target_arch = "x86_64")]
const SPLIT: [&str; 2] = [
    "SYSMASTER_SPLIT_RECORDING_INIT",
    "SYSMASTER_SPLIT_RECORDING_REPLAY",
];

/// Bytes before the recorder's words: title, numbers, and three texts that are as long as they are.
const NUMBERS: usize = 16 + 8 * 4;

fn boot(target: &str) -> Option<Machine> {
    boot_program(PROGRAM, target)
}

fn boot_program(program: &str, target: &str) -> Option<Machine> {
    let Some(file) = std::env::var_os(program).map(PathBuf::from) else {
        skip(&format!(
            "{program} names no process 1; `cargo xtask test` builds and names one"
        ));
        return None;
    };
    let mut machine = Machine::boot_copy(&[], Some(&file), target)?;
    machine.wait_for(&format!("boot: {target}"));
    Some(machine)
}

/// What process 1 has recorded.
fn record(machine: &Machine) -> Vec<u8> {
    let output = machine.sctl(&["record"]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    output.stdout
}

fn replay(folder: &Path, recording: &[u8], words: &[&str]) -> Output {
    replay_by(REPLAY, folder, recording, words)
}

fn replay_by(program: &str, folder: &Path, recording: &[u8], words: &[&str]) -> Output {
    let file = folder.join("recording");
    std::fs::write(&file, recording).expect("there is room");
    let program = std::env::var_os(program).expect("it is built beside the program");
    let mut command = Command::new(program);
    let output = command.arg(file).args(words).output();
    output.expect("it was built for this machine")
}

/// Each service of `target.holding` has come to its last program.
#[cfg(target_arch = "x86_64")]
fn all_sleep(machine: &Machine) {
    machine.inside("until [ $(pgrep -c -f '^sleep 3141') = 5 ]; do sleep 0.01; done");
}

/// It is performed to its end, and came to the same; what was printed.
fn comes_to_the_same(machine: &Machine, folder: &Path) -> String {
    comes_to_the_same_by(REPLAY, machine, folder)
}

fn comes_to_the_same_by(program: &str, machine: &Machine, folder: &Path) -> String {
    let output = replay_by(program, folder, &record(machine), &[]);
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{printed}{errors}\n{}",
        machine.console()
    );
    assert!(
        printed.ends_with("whole states met: the same state\n"),
        "{printed}"
    );
    printed
}

#[cfg(target_arch = "x86_64")]
#[test]
fn what_services_and_process_1_went_through_happens_again_on_the_host() {
    happens_again([PROGRAM, REPLAY], Machine::pid);
}

#[cfg(target_arch = "x86_64")]
#[test]
fn what_services_and_a_core_went_through_happens_again_on_the_host() {
    happens_again(SPLIT, core);
}

#[cfg(target_arch = "x86_64")]
#[test]
fn what_services_and_a_keeper_went_through_happens_again_on_the_host() {
    happens_again(SPLIT, Machine::pid);
}

#[cfg(target_arch = "x86_64")]
fn happens_again([program, performs]: [&str; 2], decides: fn(&Machine) -> u32) {
    let Some(mut machine) = boot_program(program, "holding") else {
        return;
    };
    // They may say so before or after the machine says that it is up.
    while machine.console().matches(": runs").count() < 5 {
        machine.wait_for(": runs");
    }
    let folder = tempfile::tempdir().expect("a folder can be made");
    for round in 1..=3 {
        all_sleep(&machine);
        machine.inside("pkill -9 -f '^sleep 3141'");
        for _ in 1..=5 {
            machine.wait_for(": runs");
        }
        injure(decides(&machine), Injury::Counter(0));
        machine.wait_for("goes on where it was");
        assert!(machine.sctl(&["stop", "held@1"]).status.success());
        assert!(
            machine
                .sctl(&["start", "--no-wait", "held@1"])
                .status
                .success()
        );
        machine.wait_for("held 1: runs");
        let printed = comes_to_the_same_by(performs, &machine, folder.path());
        let lives = printed.matches("this life goes on: Fault").count();
        assert_eq!(lives, round, "{printed}");
        let asked = printed.matches("asks: stop held@1").count();
        assert_eq!(asked, round, "{printed}");
        assert_eq!(
            printed.matches("ended by signal 9").count(),
            5 * round,
            "{printed}"
        );
    }
    // What is asked by request is a life as well.
    assert!(machine.sctl(&["reexec"]).status.success());
    let printed = comes_to_the_same_by(performs, &machine, folder.path());
    assert!(printed.contains("this life goes on: Again"), "{printed}");
    let about = replay_by(
        performs,
        folder.path(),
        &record(&machine),
        &["--unit", "held@3", "--from", "40"],
    );
    let about = String::from_utf8_lossy(&about.stdout);
    let begins = |text: &str| about.lines().any(|line| line.contains(text));
    assert!(begins("held@3 (start 4): says that it is ready"), "{about}");
    assert!(!begins("asks: stop held@1"), "{about}");
    let mut numbers = about
        .lines()
        .filter_map(|line| line.get(..8)?.trim().parse().ok());
    assert!(numbers.all(|step: u32| step >= 40), "{about}");
    machine.signal(15);
    assert_eq!(machine.end(), End::Off, "{}", machine.console());
}

/// A start, the end of a service, and a request, each with what process 1 does for it when it dies.
#[cfg(target_arch = "x86_64")]
#[test]
fn the_next_life_says_where_process_1_died_and_of_which_units_event() {
    use crate::faults::address_in;
    use crate::inject::trap;
    let Some(mut machine) = boot("holding") else {
        return;
    };
    all_sleep(&machine);
    // By then it has given back what only a start needs, and our fault would go with it.
    assert!(machine.sctl(&["list"]).status.success());
    let symbols = std::env::var_os(SYMBOLS).expect("its file is named beside the program's");
    let pid = machine.pid().to_string();
    let mut kill = Command::new("nsenter");
    kill.args(["--target", &pid, "--mount", "--pid", "--", "pkill"]);
    kill.args(["-9", "-f", "^sleep 31412"]);
    let list = machine.tool(&["list"]);
    // Its probe is made by fork; whoever asked has an answer all the same.
    let start = machine.tool(&["start", "--no-wait", "never-there"]);
    let table: [(&[&str], Command, &str); 3] = [
        (&["10fork_noted"], start, "started never-there"),
        (&["11child_event"], kill, "took in the end of held@2"),
        (&["6driver", "5frame"], list, "took in a client's request"),
    ];
    for (function, mut cause, about) in table {
        let place = address_in(symbols.clone(), function).expect("the program has it");
        trap(machine.pid(), place, 1, || {
            let output = cause
                .output()
                .expect("nsenter starts: it is part of util-linux");
            assert!(output.status.success(), "{output:?}");
        });
        let told = machine.wait_for(&format!("process 1 died of SIGILL at {place:#x}, "));
        assert!(told.ends_with(&format!(", as it {about}")), "{told}");
        machine.wait_for("goes on where it was");
        // By its answer all is done that was begun.
        assert!(machine.sctl(&["list"]).status.success());
    }
    // That end is not lost: its next life starts the service again.
    all_sleep(&machine);
    let folder = tempfile::tempdir().expect("a folder can be made");
    let printed = comes_to_the_same(&machine, folder.path());
    // The end that process 1 died of was recorded before that, and again by its next life.
    let ends = printed
        .matches("held@2 (start 1): ended by signal 9")
        .count();
    assert_eq!(ends, 2, "{printed}");
}

#[test]
fn a_recording_that_is_none_or_was_changed_is_told_with_its_place() {
    let Some(machine) = boot("crash") else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder can be made");
    let whole = record(&machine);
    let says = |file: &[u8]| {
        let output = replay(folder.path(), file, &["--quiet"]);
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let told = |file: &[u8], words: &str| {
        let said = says(file);
        assert!(said.contains(words), "{words}: {said}");
    };
    told(b"#!/bin/sh\n", "byte 0: this is no recording");
    told(&whole[..100], "byte 100: the recording ends here");
    told(
        &[&whole[..], b"x"].concat(),
        &format!("byte {}: something follows", whole.len()),
    );
    let changed = |at: usize| {
        let mut file = whole.clone();
        file[at] ^= 1;
        file
    };
    let layout = whole[16] ^ 1;
    told(&changed(16), &format!("its layout is {layout},"));
    told(&changed(28), "compiled from another manifest of recording");
    told(&changed(NUMBERS + 1 + 5 + 1), "recorded by product ");
    // The state of the end is another than the file says.
    told(&changed(40), "it comes to another state");
}
