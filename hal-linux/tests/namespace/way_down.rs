//! This file lets process 1, and the core of a split product, die of the signal that asks for the
//! way down. The machine goes down all the same.

use crate::faults::address_in;
use crate::feeding::{self, Dog};
use crate::inject::{FAULTS, patch, show_calls, stop, trap};
use crate::machine::{End, Machine};
use crate::split::{self, KILL, SYMBOLS, core, send};
use nix::libc;
use nix::sys::ptrace;
use nix::sys::signal::Signal;

/// Where a core takes such a signal in.
fn place(symbols: &str) -> u64 {
    let symbols = std::env::var_os(symbols).expect("its file is named beside the program's");
    address_in(symbols, &["6system", "13machine_asked"]).expect("a core takes signals in")
}

const SIGNALS: [(Signal, End); 2] = [(Signal::SIGTERM, End::Off), (Signal::SIGINT, End::Reboot)];

/// What runs was told to end first, and what did not is gone.
fn goes_down(machine: &mut Machine, end: &End) {
    machine.wait_for("a signal is put aside: process 1 died of it twice");
    machine.wait_for("the machine goes down all the same");
    let ended = machine.end();
    let console = machine.console();
    assert_eq!(&ended, end, "{console}");
    for text in [
        "top: stops",
        "middle: stops",
        "bottom: stops",
        "leftover: stops",
    ] {
        assert!(console.contains(text), "{text}:\n{console}");
    }
    assert!(!console.contains(": begins"), "{console}");
}

#[test]
fn a_signal_for_the_way_down_that_kills_two_lives_still_leads_there() {
    for (signal, end) in SIGNALS {
        let Some(mut machine) = Machine::boot("layers") else {
            return;
        };
        machine.wait_for("boot: layers reached");
        // By then it has given back what only a start needs, and our fault would go with it.
        assert!(machine.sctl(&["list"]).status.success());
        let place = place("SYSMASTER_NAMESPACE_SYMBOLS");
        let pid = machine.pid();
        trap(pid, place, 2, || send(pid, signal));
        goes_down(&mut machine, &end);
    }
}

#[test]
fn a_signal_for_the_way_down_that_kills_two_cores_still_leads_there() {
    for (signal, end) in SIGNALS {
        let Some(mut machine) = split::boot("layers") else {
            return;
        };
        assert!(machine.sctl(&["list"]).status.success());
        patch(machine.pid(), place(SYMBOLS), FAULTS);
        send(core(&machine), KILL);
        machine.wait_for("the core is a new one");
        send(machine.pid(), signal);
        for _ in 0..2 {
            machine.wait_for("the core ended: SIGILL");
        }
        goes_down(&mut machine, &end);
    }
}

/// Its last meal is no older than the time that everybody has to end.
#[test]
fn a_watchdog_is_given_its_last_meal_before_everybody_is_asked_to_end() {
    /// Of `kill()`: all but oneself.
    const ALL: i64 = -1;
    let dog = Dog::new();
    let said = "boot: holding reached";
    let Some(mut machine) = feeding::boot(&dog, feeding::SPLIT, "holding", said) else {
        return;
    };
    patch(machine.pid(), place(SYMBOLS), FAULTS);
    send(core(&machine), KILL);
    machine.wait_for("the core is a new one");
    let pid = stop(machine.pid(), ptrace::Options::empty());
    send(machine.pid(), Signal::SIGTERM);
    show_calls(pid, |call, [whom, signal]| {
        [call, whom.cast_signed(), signal.cast_signed()] == [libc::SYS_kill, ALL, 15]
    });
    assert_eq!(dog.is_left().last(), Some(&b'V'));
    ptrace::detach(pid, None).expect("it is stopped");
    assert_eq!(machine.end(), End::Off, "{}", machine.console());
}
