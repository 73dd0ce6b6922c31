//! This file kills process 1 more often than its manifest allows, over several boots, and expects
//! the manifest's steps in their order.

use crate::faults::address_in;
use crate::inject::{FAULTS, Injury, injure, patch};
use crate::machine::{End, Machine};
use crate::skip::skip;
use std::path::Path;

/// Names process 1 of `escalating.toml`, built by `cargo xtask test`.
const PROGRAM: &str = "SYSMASTER_ESCALATING_INIT";
const SYMBOLS: &str = "SYSMASTER_ESCALATING_SYMBOLS";

/// Deaths that `escalating.toml` allows.
const DEATHS: u32 = 3;

/// Boots with a folder that outlives the machine; `None` where nobody built the program.
fn boot(kept: &Path) -> Option<Machine> {
    let program = std::env::var_os(PROGRAM)?;
    let kept = kept.to_str().expect("temporary folders have plain names");
    let mount = format!("mount --bind {kept} /mnt && exec \"$@\"");
    let first = ["sh", "-c", &mount, "sh"];
    let mut machine = Machine::boot_copy(&first, Some(Path::new(&program)), "idle")?;
    machine.wait_for("boot: idle reached");
    Some(machine)
}

/// Takes all steps of a boot: the rescue target, then the one that is wanted, which ends it.
fn die_out(machine: &mut Machine, wanted: &str) {
    die_out_by(machine, wanted, |machine| {
        injure(machine.pid(), Injury::Counter(0));
    });
}

/// The same, the last time of something else.
fn die_out_by(machine: &mut Machine, wanted: &str, last: fn(&Machine)) {
    for step in ["to the rescue target", wanted] {
        for _ in 0..DEATHS {
            injure(machine.pid(), Injury::Counter(0));
            machine.wait_for("goes on where it was");
        }
        match step == wanted {
            true => last(machine),
            false => injure(machine.pid(), Injury::Counter(0)),
        }
        machine.wait_for("process 1 died of SIG");
        let said = machine.wait_for("process 1 dies again and again: ");
        assert!(said.ends_with(step), "{}", machine.console());
        if step != wanted {
            machine.wait_for("goes on where it was");
            machine.wait_for("sleeper: stopped");
        }
    }
    assert_eq!(machine.end(), End::Reboot, "{}", machine.console());
}

#[test]
fn who_dies_too_often_goes_to_rescue_then_starts_anew_then_from_the_other_slot() {
    let kept = folder();
    let record = kept.path().join("deaths");
    let (anew, other) = (
        "the machine starts anew",
        "the machine starts anew from its other slot",
    );
    let boots = [(None, anew), (Some(1), other), (Some(2), other)];
    for (starts, wanted) in boots {
        let Some(mut machine) = boot(kept.path()) else {
            return skip(&format!("{PROGRAM} names no process 1"));
        };
        if let Some(starts) = starts {
            let told = machine.told(&format!("started anew, {starts} in a row: "));
            assert!(told.contains("process 1 died of SIGSEGV at 0x0"), "{told}");
        }
        die_out(&mut machine, wanted);
        let text = std::fs::read_to_string(&record);
        let text = text.unwrap_or_else(|error| panic!("{error}:\n{}", machine.console()));
        let begin = format!("restarts: {} ", starts.unwrap_or(0) + 1);
        assert!(text.starts_with(&begin), "{text}:\n{}", machine.console());
    }
    // What is no record counts nothing.
    std::fs::write(&record, "restarts: none").expect("there is room");
    let mut machine = boot(kept.path()).expect("it is there");
    die_out(&mut machine, anew);
    // Whoever looks for a record in a boot as short as this one may find its own, at its end.
    let console = machine.console();
    let (before, _) = console.split_once(anew).expect("it was said");
    assert!(!before.contains("in a row"), "{console}");
}

/// A folder in memory, where there is such a place: a disk that others keep busy may take longer
/// than a record is waited for.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
    folder.expect("a folder can be made")
}

/// A client's request, with an instruction that is none where it is looked at.
fn of_a_request(machine: &Machine) {
    let symbols = std::env::var_os(SYMBOLS).expect("its file is named beside the program's");
    let frame = address_in(symbols, &["6driver", "5frame"]).expect("the driver decodes frames");
    // By then it has given back what only a start needs, and our fault would go with it.
    assert!(machine.sctl(&["list"]).status.success());
    patch(machine.pid(), frame, FAULTS);
    // It goes with the machine.
    let _ = machine.sctl(&["list"]);
}

#[test]
fn the_next_boot_tells_what_process_1_was_about_when_it_died_too_often() {
    let kept = folder();
    let Some(mut machine) = boot(kept.path()) else {
        return skip(&format!("{PROGRAM} names no process 1"));
    };
    die_out_by(&mut machine, "the machine starts anew", of_a_request);
    let mut machine = boot(kept.path()).expect("it is there");
    let told = machine.told("started anew, 1 in a row: process 1 died of SIGILL at ");
    let about = ", as it took in a client's request";
    assert!(told.ends_with(about), "{told}");
}

#[test]
fn a_record_that_cannot_be_written_is_told_and_the_machine_starts_anew() {
    let kept = folder();
    std::fs::create_dir(kept.path().join("deaths")).expect("there is room");
    let Some(mut machine) = boot(kept.path()) else {
        return skip(&format!("{PROGRAM} names no process 1"));
    };
    die_out(&mut machine, "the machine starts anew");
    let told = "no record in /mnt/deaths: Is a directory";
    assert!(machine.console().contains(told), "{}", machine.console());
}
