//! This file sends process 1 every signal there is, from inside and from outside, one by one and
//! in floods: none may end, stop or delay it but those that ask it to go down.

use crate::boot;
use crate::machine::{End, Machine};

/// Asks for the machine to go down or to be rescued, by custom.
const REQUESTS: [u8; 9] = [2, 10, 12, 15, 35, 37, 38, 39, 40];

/// What a processor or the program itself raises when something is wrong.
const FAULTS: [(u8, &str); 7] = [
    (4, "SIGILL"),
    (5, "SIGTRAP"),
    (6, "SIGABRT"),
    (7, "SIGBUS"),
    (8, "SIGFPE"),
    (11, "SIGSEGV"),
    (31, "SIGSYS"),
];

const KILL: u8 = 9;
const STOP: u8 = 19;

fn is_alive_and_listens(machine: &Machine, after: &str) {
    let list = machine.sctl(&["list"]);
    let words = String::from_utf8_lossy(&list.stderr).into_owned();
    assert!(list.status.success(), "after {after}: {words}");
}

#[test]
fn every_signal_sent_from_inside_that_asks_for_nothing_changes_nothing() {
    let mut machine = boot!("idle");
    machine.wait_for("boot: idle reached");
    for number in (1..=64).filter(|number| !REQUESTS.contains(number)) {
        machine.inside(&format!("kill -{number} 1"));
    }
    is_alive_and_listens(&machine, "every signal");
    machine.signal(15);
    assert_eq!(machine.end(), End::Off, "{}", machine.console());
    assert_eq!(machine.console().matches("begins").count(), 1);
}

#[test]
fn every_signal_sent_from_outside_that_asks_for_nothing_changes_nothing() {
    let mut machine = boot!("idle");
    machine.wait_for("boot: idle reached");
    // An ancestor's SIGKILL and SIGSTOP are the kernel's own, and cannot be refused.
    let harmless = |number: &u8| !REQUESTS.contains(number) && ![KILL, STOP].contains(number);
    for number in (1..=64).filter(harmless) {
        machine.signal(number);
    }
    is_alive_and_listens(&machine, "every signal");
    machine.signal(15);
    assert_eq!(machine.end(), End::Off, "{}", machine.console());
    assert_eq!(machine.console().matches("begins").count(), 1);
}

#[test]
fn a_fault_signal_that_somebody_sent_is_told_with_its_sender_and_ignored() {
    for (number, name) in FAULTS {
        let mut machine = boot!("idle");
        machine.wait_for("boot: idle reached");
        let sender = machine.inside(&format!("echo $$; kill -{number} 1"));
        let line = machine.wait_for(&format!("ignored {name}"));
        let wanted = format!("ignored {name}, sent by process {sender} as user 0");
        assert!(line.contains(&wanted), "{wanted:?}: {line}");
        is_alive_and_listens(&machine, name);
    }
}

#[test]
fn a_fault_signal_from_outside_is_told_and_ignored() {
    let mut machine = boot!("idle");
    machine.wait_for("boot: idle reached");
    machine.signal(11);
    machine.wait_for("ignored SIGSEGV, sent from outside");
    is_alive_and_listens(&machine, "SIGSEGV");
}

#[test]
fn floods_of_signals_are_counted_and_keep_nobody_from_being_served() {
    let mut machine = boot!("idle");
    machine.wait_for("boot: idle reached");
    // Everything but requests, 100 000 signals; realtime ones fill the queue of root.
    machine.inside(
        "perl -e '@s = grep { !/^(2|9|10|12|15|19|35|37|38|39|40)$/ } 1..64; \
         for $i (1..2000) { kill $_, 1 for @s }'",
    );
    is_alive_and_listens(&machine, "a flood");
    machine.inside("perl -e 'select(undef, undef, undef, 1.1); kill 11, 1'");
    machine.wait_for("signals before");
    let told = machine.console().matches("ignored SIG").count();
    assert!(
        told < 100,
        "{told} lines for a flood:\n{}",
        machine.console()
    );
    machine.signal(15);
    assert_eq!(machine.end(), End::Off, "{}", machine.console());
}

#[test]
fn a_flood_that_goes_on_delays_neither_exits_nor_power_off() {
    let mut machine = boot!("signal-flood");
    machine.wait_for("boot: signal-flood reached");
    // Four processes keep every standard signal pending; exits and requests are seen all the same.
    for _ in 0..5 {
        assert!(machine.sctl(&["restart", "sleeper"]).status.success());
    }
    machine.signal(15);
    machine.wait_for("power-off: begins");
    assert_eq!(machine.end(), End::Off, "{}", machine.console());
}

#[test]
fn signals_that_process_1_was_told_to_ignore_are_taken_all_the_same() {
    let Some(mut machine) = Machine::boot_by(&["env", "--ignore-signal"], "crash") else {
        return;
    };
    // With SIGCHLD ignored the kernel would reap in our place, and tell nobody.
    machine.wait_for("crasher: failed");
    assert!(
        machine.console().contains("SIGSEGV"),
        "{}",
        machine.console()
    );
}
