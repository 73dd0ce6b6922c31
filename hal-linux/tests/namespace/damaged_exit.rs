//! This file damages what is known of a unit while its process's end is on its way: the kernel
//! still has it, or it was taken from the kernel and the core has not heard of it. It is one end
//! and one start, whichever word it is.

use crate::damage::{region, set_word, solo, word, words_of};
use crate::faults::address_in;
use crate::inject::{FAULTS, Fate, Injury, hurt, in_next_program, patch, stop};
use crate::machine::{End, Machine};
use crate::split::{KILL, send, services, until};
use nix::sys::ptrace;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whose record it is, and what its process is called.
const UNIT: &str = "held@1";
const COMMAND: &[u8] = b"sleep\x0031411\0";

/// The process of that unit, among all of them.
fn its_process(all: &[u32]) -> u32 {
    let is_it = |pid: &&u32| {
        let command = std::fs::read(format!("/proc/{pid}/cmdline"));
        command.is_ok_and(|command| command == COMMAND)
    };
    let find = || all.iter().find(is_it).copied();
    // A unit is ready when its program begins to take the place of what was there.
    until("it has its arguments", || find().is_some());
    find().expect("it runs")
}

/// Damages a word while process 1 is stopped and an exit waits for it, and lets it fault.
fn not_taken(machine: &Machine, pid: u32, damage: &(dyn Fn() + Sync)) {
    let process_1 = stop(machine.pid(), ptrace::Options::empty());
    send(pid, KILL);
    let stat = format!("/proc/{pid}/stat");
    until("it is a zombie", || {
        std::fs::read_to_string(&stat).is_ok_and(|stat| stat.contains(") Z "))
    });
    damage();
    hurt(process_1, Injury::Counter(0));
    ptrace::detach(process_1, None).expect("it is stopped");
}

/// Lets process 1 fault when it has taken an exit and its core is to hear of it, and damages a word
/// before the first instruction of its next life.
fn not_told(machine: &Machine, pid: u32, damage: &(dyn Fn() + Sync)) {
    let symbols = std::env::var_os("SYSMASTER_NAMESPACE_SYMBOLS");
    let symbols = symbols.expect("its file is named beside the program's");
    let place = address_in(symbols, &["10supervisor", "11child_event"]);
    patch(
        machine.pid(),
        place.expect("a core hears of children"),
        FAULTS,
    );
    let is_done = AtomicBool::new(false);
    let damage_then = || {
        damage();
        is_done.store(true, Ordering::Relaxed);
    };
    in_next_program(machine.pid(), &Fate::Meanwhile(&damage_then), || {
        send(pid, KILL);
        until("it lives again", || is_done.load(Ordering::Relaxed));
    });
}

type Way = fn(&Machine, u32, &(dyn Fn() + Sync));

fn is_one_end_and_one_start(way: Way, name: &str, index: u64) -> bool {
    let Some(mut machine) = solo() else {
        return false;
    };
    assert!(machine.sctl(&["list"]).status.success());
    let before = services(&machine);
    let ended = its_process(&before);
    let words = region(&machine);
    way(&machine, ended, &|| {
        set_word(&words, index, word(&words, index) ^ 8)
    });
    let case = format!("{name}, word {index}");
    machine.wait_for("process 1 died of ");
    until(&case, || {
        machine.sctl(&["start", "holding"]).status.success()
    });
    let after = services(&machine);
    let gone: Vec<&u32> = before.iter().filter(|pid| !after.contains(pid)).collect();
    assert_eq!(gone, [&ended], "{case}:\n{}", machine.console());
    machine.signal(15);
    assert_eq!(machine.end(), End::Off, "{case}:\n{}", machine.console());
    let console = machine.console();
    let starts = console.matches(": runs").count();
    assert_eq!(starts, before.len() + 1, "{case}:\n{console}");
    true
}

#[test]
fn an_exit_on_its_way_whose_units_record_is_damaged_is_one_end_and_one_start() {
    let ways: [(&str, Way); 2] = [("not taken", not_taken), ("not told", not_told)];
    for index in words_of(UNIT) {
        for (name, way) in ways {
            if !is_one_end_and_one_start(way, name, index) {
                return;
            }
        }
    }
}
