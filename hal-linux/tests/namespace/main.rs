//! This file tests process 1 as a black box: in namespaces of its own, by its console, its control
//! tool and its end. Real kernel, real processes; `product.toml` says what runs.

#[cfg(target_arch = "x86_64")]
mod bereft;
#[cfg(target_arch = "x86_64")]
mod choice;
mod console;
mod control;
#[cfg(target_arch = "x86_64")]
mod damage;
#[cfg(target_arch = "x86_64")]
mod damaged_exit;
#[cfg(target_arch = "x86_64")]
mod devices;
#[cfg(target_arch = "x86_64")]
mod escalation;
#[cfg(target_arch = "x86_64")]
mod exchange;
#[cfg(target_arch = "x86_64")]
mod fatal;
#[cfg(target_arch = "x86_64")]
mod faults;
#[cfg(target_arch = "x86_64")]
mod feeding;
mod filter;
#[cfg(target_arch = "x86_64")]
mod hungry;
#[cfg(target_arch = "x86_64")]
mod in_place;
#[cfg(target_arch = "x86_64")]
mod inject;
mod kernels;
mod lingering;
mod machine;
mod missing;
#[cfg(target_arch = "x86_64")]
mod outputs;
#[cfg(target_arch = "x86_64")]
mod own_calls;
mod passed;
mod patience;
#[cfg(target_arch = "x86_64")]
mod probation;
mod recording;
mod renewal;
mod restless;
mod scarce;
mod signals;
mod silence;
mod skip;
#[cfg(target_arch = "x86_64")]
mod slices;
mod split;
#[cfg(target_arch = "x86_64")]
mod split_upgrade;
mod stalled;
mod strace;
#[cfg(target_arch = "x86_64")]
mod succession;
mod terminals;
#[cfg(target_arch = "x86_64")]
mod throng;
#[cfg(target_arch = "x86_64")]
mod trial;
mod unruly;
#[cfg(target_arch = "x86_64")]
mod upgrade;
#[cfg(target_arch = "x86_64")]
mod way_down;

use machine::{End, Machine};

/// Boots, or leaves the test: there is no program to test.
macro_rules! boot {
    ($target:expr) => {
        match Machine::boot($target) {
            Some(machine) => machine,
            None => return,
        }
    };
}
pub(crate) use boot;

const TERM: u8 = 15;

#[test]
fn every_signal_of_custom_ends_the_machine_as_its_senders_expect() {
    let table = [
        (TERM, "power-off", End::Off),
        (12, "power-off", End::Off),
        (10, "halt", End::Off),
        (38, "power-off", End::Off),
        (37, "halt", End::Off),
        (39, "reboot", End::Reboot),
        (2, "reboot", End::Reboot),
    ];
    for (signal, word, end) in table {
        let mut machine = boot!("idle");
        machine.wait_for("boot: idle reached");
        machine.signal(signal);
        machine.wait_for(&format!("{word}: begins"));
        assert_eq!(
            machine.end(),
            end,
            "signal {signal}:\n{}",
            machine.console()
        );
    }
}

#[test]
fn a_program_that_was_not_executed_is_told_with_step_and_cause() {
    let mut machine = boot!("spawn-errors");
    machine.wait_for("boot: spawn-errors");
    let console = machine.console();
    for (unit, operand) in [
        ("no-program", "/no/such/program"),
        ("no-directory", "/no/such/directory"),
        ("no-input", "/no/such/input"),
    ] {
        let told = console.lines().any(|line| {
            line.contains(&format!("{unit}: failed"))
                && line.contains(operand)
                && line.contains("No such file or directory")
        });
        assert!(told, "{unit}:\n{console}");
    }
}

#[test]
fn what_requires_a_service_runs_after_it_is_ready() {
    let mut machine = boot!("readiness");
    machine.wait_for("boot: readiness reached");
    let console = machine.console();
    for (first, then) in [
        ("newline: says so", "after newline"),
        ("path: makes it", "after path"),
        ("stream: listens", "after stream"),
        ("hasty: ready", "after hasty"),
    ] {
        let at = |text: &str| {
            let place = console.lines().position(|line| line.contains(text));
            place.unwrap_or_else(|| panic!("no line has {text:?}:\n{console}"))
        };
        assert!(at(first) < at(then), "{first}, {then}:\n{console}");
    }
}

#[test]
fn a_machine_goes_down_from_the_top_and_leaves_nobody() {
    let mut machine = boot!("layers");
    machine.wait_for("boot: layers reached");
    machine.signal(TERM);
    assert_eq!(machine.end(), End::Off, "{}", machine.console());
    let console = machine.console();
    let mut from = 0;
    for text in [
        "top: stops",
        "middle: stops",
        "bottom: stops",
        "leftover: stops",
    ] {
        let at = console[from..].find(text);
        from += at.unwrap_or_else(|| panic!("{text:?} is missing or early:\n{console}"));
    }
    assert!(
        console.contains("stubborn: did not stop in time, sent SIGKILL"),
        "{console}"
    );
}

#[test]
fn ten_thousand_orphans_are_reaped_to_the_last() {
    let mut machine = boot!("storm");
    machine.wait_for("10000 orphans");
    machine.wait_for("a burst");
    machine.wait_for("no zombies");
    machine.wait_for("boot: storm reached");
}

#[test]
fn a_service_that_dies_is_started_again_up_to_its_limit() {
    let mut machine = boot!("crash");
    machine.wait_for("crasher: failed");
    let console = machine.console();
    let runs = console.matches("crasher: runs").count();
    assert_eq!(runs, 4, "the first start and three restarts:\n{console}");
    assert!(console.contains("SIGSEGV"), "{console}");
}

#[test]
fn words_that_choose_a_boot_are_taken_from_the_arguments() {
    let Some(mut machine) = Machine::boot_with(&[], &["single", "sysmaster.nonsense=1"]) else {
        return;
    };
    machine.wait_for("sysmaster.nonsense=1");
    machine.wait_for("boot: rescue reached");
}
