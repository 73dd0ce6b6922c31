//! This file gives process 1 consoles that nobody reads, and a lot to say: it must not wait for
//! them, lose no count of what it drops, and go on when somebody reads again.

use crate::machine::{End, Machine};
use crate::restless::does_not_spin;
use crate::terminals::terminal;
use rustix::fd::OwnedFd;
use std::fs::File;

/// A pipe with room for few lines: the end to read, the end to write.
fn small_pipe() -> (File, OwnedFd) {
    let (reader, writer) = rustix::pipe::pipe().expect("a pipe can be made");
    rustix::pipe::fcntl_setpipe_size(&writer, 4_096).expect("it can be one page long");
    (reader.into(), writer)
}

/// Boots four services that die all the time, and lets them say more than any console keeps.
fn talkative(terminal: &OwnedFd) -> Option<Machine> {
    let machine = Machine::boot_unread(terminal, "talkative")?;
    machine.inside("until [ $(cat /run/deaths | wc -c) -ge 1000 ]; do sleep 0.05; done");
    Some(machine)
}

fn goes_on_without_a_reader((reader, writer): (File, OwnedFd)) {
    let Some(mut machine) = talkative(&writer) else {
        return;
    };
    drop(writer);
    machine.inside("for n in 1 2 3 4; do /proc/1/exe stop talker@$n; done");
    // Lines wait for room, and process 1 sleeps meanwhile.
    let before = machine.wake_ups_when_asleep();
    std::thread::sleep(std::time::Duration::from_secs(1));
    assert_eq!(machine.wake_ups_when_asleep(), before);
    machine.read_from(reader);
    machine.wait_for("lines dropped here: the console was too slow");
    machine.inside("kill -11 1");
    machine.wait_for("ignored SIGSEGV");
    machine.signal(15);
    assert_eq!(machine.end(), End::Off, "{}", machine.console());
}

#[test]
fn a_full_pipe_as_console_delays_nobody_and_drops_are_counted() {
    goes_on_without_a_reader(small_pipe());
}

#[test]
fn a_full_terminal_as_console_delays_nobody_and_drops_are_counted() {
    goes_on_without_a_reader(terminal());
}

#[test]
fn a_machine_goes_down_although_nobody_ever_reads_its_console() {
    for (reader, writer) in [small_pipe(), terminal()] {
        let Some(mut machine) = talkative(&writer) else {
            return;
        };
        machine.signal(15);
        assert_eq!(machine.end(), End::Off);
        drop(reader);
    }
}

#[test]
fn a_console_whose_reader_is_gone_ends_nothing() {
    for (reader, writer) in [small_pipe(), terminal()] {
        let Some(mut machine) = talkative(&writer) else {
            return;
        };
        drop(reader);
        machine.inside("for n in 1 2 3 4; do /proc/1/exe stop talker@$n; done");
        does_not_spin(&machine, "nobody is at the console's other end");
        assert!(machine.sctl(&["restart", "talker@1"]).status.success());
        machine.signal(15);
        assert_eq!(machine.end(), End::Off);
    }
}
