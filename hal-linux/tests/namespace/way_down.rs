//! This file lets process 1, and the core of a split product, die of the signal that asks for the
//! way down. The machine goes down all the same.

use crate::faults::address_in;
use crate::feeding::{self, Dog};
use crate::inject::{FAULTS, Injury, bears, injure, patch, show_calls, stop, trap, write};
use crate::machine::{End, Machine};
use crate::split::{self, KILL, SYMBOLS, core, send};
use nix::libc;
use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// Of `kill()`: all but oneself.
const ALL: i64 = -1;

/// Where a core takes such a signal in.
fn place(symbols: &str) -> u64 {
    function(symbols, "13machine_asked")
}

/// Where a core's function of the machine's phases is.
fn function(symbols: &str, name: &str) -> u64 {
    let symbols = std::env::var_os(symbols).expect("its file is named beside the program's");
    address_in(symbols, &["6system", name]).expect("a core has it")
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

/// A split machine whose cores end of signals that ask for the way down.
fn boots_to_die(target: &str) -> Option<Machine> {
    let mut machine = split::boot(target)?;
    assert!(machine.sctl(&["list"]).status.success());
    patch(machine.pid(), place(SYMBOLS), FAULTS);
    send(core(&machine), KILL);
    machine.wait_for("the core is a new one");
    Some(machine)
}

#[test]
fn a_signal_for_the_way_down_that_kills_two_cores_still_leads_there() {
    for (signal, end) in SIGNALS {
        let Some(mut machine) = boots_to_die("layers") else {
            return;
        };
        send(machine.pid(), signal);
        for _ in 0..2 {
            machine.wait_for("the core ended: SIGILL");
        }
        goes_down(&mut machine, &end);
    }
}

/// Stops whoever writes caches back, for ever, at its first instruction.
fn caches_are_never_written(machine: &Machine) {
    let pid = stop(machine.pid(), ptrace::Options::empty());
    send(machine.pid(), Signal::SIGTERM);
    show_calls(pid, |call, [whom, signal]| {
        [call, whom.cast_signed(), signal.cast_signed()] == [libc::SYS_kill, ALL, 9]
    });
    ptrace::setoptions(pid, ptrace::Options::PTRACE_O_TRACEFORK).expect("it is stopped");
    ptrace::cont(pid, None).expect("it is stopped");
    let writer = bears(pid);
    send(writer.as_raw().cast_unsigned(), Signal::SIGSTOP);
    ptrace::detach(writer, None).expect("it is stopped");
    ptrace::detach(pid, None).expect("it is stopped");
}

/// A core that is killed with everybody else is told for ever.
#[test]
fn a_way_down_without_a_core_sleeps_until_caches_are_written() {
    let Some(mut machine) = boots_to_die("layers") else {
        return;
    };
    caches_are_never_written(&machine);
    assert_eq!(machine.end(), End::Off, "{}", machine.console());
    let console = machine.console();
    assert!(!console.contains("process 1 died of SIG"), "{console}");
}

#[test]
fn a_keeper_that_dies_on_its_way_down_without_a_core_goes_on_with_it() {
    let Some(mut machine) = boots_to_die("layers") else {
        return;
    };
    caches_are_never_written(&machine);
    // What is to be taken in by then it would have taken in.
    machine.wake_ups_when_asleep();
    injure(machine.pid(), Injury::Counter(0));
    for line in [
        "process 1 died of SIGSEGV",
        "a signal is put aside",
        "the machine goes down all the same",
    ] {
        machine.wait_for(line);
    }
    assert_eq!(machine.end(), End::Off, "{}", machine.console());
}

/// Its last meal is no older than the time that everybody has to end.
#[test]
fn a_watchdog_is_given_its_last_meal_before_everybody_is_asked_to_end() {
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

/// Lets who is traced go on to its next trap; the registers there.
fn comes_to_trap(pid: Pid) -> libc::user_regs_struct {
    loop {
        match waitpid(pid, Some(WaitPidFlag::__WALL)).expect("it stops") {
            WaitStatus::Stopped(_, Signal::SIGTRAP) => break,
            WaitStatus::Stopped(_, its) => ptrace::cont(pid, its).expect("it is stopped"),
            // Somebody lets it continue.
            WaitStatus::PtraceEvent(..) => ptrace::cont(pid, None).expect("it is stopped"),
            end => panic!("{end:?}"),
        }
    }
    ptrace::getregs(pid).expect("it is stopped")
}

/// As long as it asks and nobody is there, it is told so again: nothing else leads it on at once.
#[test]
fn a_core_that_asks_everybody_to_end_again_and_again_is_told_each_time_that_nobody_is_left() {
    const ASKED: &str = "asked leftover processes to end";
    /// int3
    const TRAP: &[u8] = &[0xcc];
    /// Once for what is left, then with nobody left.
    const AGAIN: usize = 3;
    let Some(mut machine) = split::boot("layers") else {
        return;
    };
    let core = core(&machine);
    let (last, first) = (
        function(SYMBOLS, "14finish_machine"),
        function(SYMBOLS, "15enter_leftovers"),
    );
    let core = stop(core, ptrace::Options::empty());
    let address = usize::try_from(last).expect("an address") as ptrace::AddressType;
    let whole = ptrace::read(core, address).expect("it is stopped");
    write(core, last, TRAP);
    ptrace::cont(core, None).expect("it is stopped");
    machine.signal(15);
    for _ in 0..AGAIN {
        let mut registers = comes_to_trap(core);
        // In place of the last act it asks again, as if that were not overdue.
        (registers.rip, registers.rdx, registers.rsi) = (first, registers.rsi, 0);
        ptrace::setregs(core, registers).expect("it is stopped");
        ptrace::cont(core, None).expect("it is stopped");
    }
    let mut registers = comes_to_trap(core);
    registers.rip = last;
    ptrace::setregs(core, registers).expect("it is stopped");
    write(core, last, &whole.to_le_bytes());
    ptrace::detach(core, None).expect("it is stopped");
    assert_eq!(machine.end(), End::Off, "{}", machine.console());
    let console = machine.console();
    assert_eq!(console.matches(ASKED).count(), 1 + AGAIN, "{console}");
    assert!(console.contains("leftover: stops"), "{console}");
    assert!(!console.contains("killed leftover processes"), "{console}");
    assert!(!console.contains("the core ended"), "{console}");
}

/// What a core was told and did not take in, that nobody is left, the next one is told.
#[test]
fn a_core_that_takes_the_place_of_one_that_died_of_it_is_told_as_well_that_nobody_is_left() {
    let Some(mut machine) = split::boot("layers") else {
        return;
    };
    assert!(machine.sctl(&["list"]).status.success());
    let last = function(SYMBOLS, "14finish_machine");
    let births = ptrace::Options::PTRACE_O_TRACEFORK | ptrace::Options::PTRACE_O_TRACECLONE;
    let first = core(&machine);
    let pid = stop(machine.pid(), births);
    let address = usize::try_from(last).expect("an address") as ptrace::AddressType;
    let whole = ptrace::read(pid, address).expect("it is stopped");
    write(pid, last, FAULTS);
    ptrace::cont(pid, None).expect("it is stopped");
    send(first, KILL);
    // This one dies of it, and nobody else is made before the next.
    ptrace::detach(bears(pid), None).expect("it is stopped");
    ptrace::cont(pid, None).expect("it is stopped");
    machine.wait_for("the core is a new one");
    machine.signal(15);
    let next = bears(pid);
    for process in [pid, next] {
        write(process, last, &whole.to_le_bytes());
        ptrace::detach(process, None).expect("it is stopped");
    }
    assert_eq!(machine.end(), End::Off, "{}", machine.console());
    let console = machine.console();
    assert_eq!(
        console.matches("the core ended: SIGILL").count(),
        1,
        "{console}"
    );
    assert!(!console.contains("killed leftover processes"), "{console}");
}

/// Nothing was handed out that could be put aside, and whoever comes dies of it as well.
fn ends_as_asked(mut machine: Machine, end: &End) {
    machine.wait_for("process 1 dies again and again: the machine goes down all the same");
    assert_eq!(&machine.end(), end, "{}", machine.console());
    let console = machine.console();
    for name in ["top", "middle", "bottom", "leftover"] {
        assert!(console.contains(&format!("{name}: stops")), "{console}");
    }
    let deaths = console.matches(": SIGILL").count() + console.matches("died of SIGILL").count();
    assert_eq!(deaths, 9, "{console}");
}

#[test]
fn lives_that_all_die_of_it_that_nobody_is_left_end_the_machine_as_it_was_asked_to() {
    for (signal, end) in SIGNALS {
        let Some(mut machine) = Machine::boot("layers") else {
            return;
        };
        machine.wait_for("boot: layers reached");
        assert!(machine.sctl(&["list"]).status.success());
        let last = function("SYSMASTER_NAMESPACE_SYMBOLS", "14finish_machine");
        let pid = machine.pid();
        trap(pid, last, 9, || send(pid, signal));
        ends_as_asked(machine, &end);
    }
}

#[test]
fn cores_that_all_die_of_it_that_nobody_is_left_end_the_machine_as_it_was_asked_to() {
    for (signal, end) in SIGNALS {
        let Some(mut machine) = split::boot("layers") else {
            return;
        };
        assert!(machine.sctl(&["list"]).status.success());
        patch(machine.pid(), function(SYMBOLS, "14finish_machine"), FAULTS);
        send(core(&machine), KILL);
        machine.wait_for("the core is a new one");
        send(machine.pid(), signal);
        ends_as_asked(machine, &end);
    }
}
