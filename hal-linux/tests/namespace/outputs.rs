//! This file gives process 1 outputs that could make it wait, where it has no device of its own:
//! what it was started with leads to a terminal, to a socket, or below `/proc`.

use crate::control::{answered, asks, asks_after, hears};
use crate::devices::without_devices;
use crate::inject::{Injury, injure, show_calls, stop};
use crate::kernels;
use crate::machine::{End, Machine};
use crate::missing::{BARE, NO_SUCH_TYPE};
use crate::restless::does_not_spin;
use crate::split::until;
use crate::stalled::Silence;
use crate::terminals::{fill, make_wait, terminal};
use init_core::protocol::Change;
use linux_raw_sys::general as abi;
use nix::libc;
use nix::sys::ptrace;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType};
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsRawFd, OwnedFd};

/// EAGAIN, as a filter of system calls answers.
const NO_ROOM: u32 = 0x0005_0000 | 11;

/// No other machine's control socket is there, then.
const OWN_RUN: [&str; 4] = ["sh", "-c", "mount -t tmpfs none /run; exec \"$@\"", "sh"];

/// Waits until it can be asked something; who asked.
fn listens(machine: &Machine) -> OwnedFd {
    let mut client = None;
    until("it answers", || {
        client = answered(machine);
        client.is_some()
    });
    client.expect("it was answered")
}

fn goes_down(mut machine: Machine) {
    machine.signal(15);
    assert_eq!(machine.end(), End::Off, "{}", machine.console());
}

#[test]
fn a_proc_that_never_answers_holds_no_later_life() {
    let (_reader, writer) = terminal();
    let place = std::fs::read_link(format!("/proc/self/fd/{}", writer.as_raw_fd()));
    let Some(mut machine) = without_devices(&place.expect("it is open")) else {
        return;
    };
    let Some(silence) = Silence::at("/proc", &machine) else {
        return;
    };
    for _ in 0..2 {
        injure(machine.pid(), Injury::Counter(0));
        machine.wait_for(" and goes on where it was");
    }
    listens(&machine);
    drop(silence);
}

/// It cannot be opened once more, since there is no `/proc`.
#[test]
fn a_terminal_that_cannot_be_opened_without_waiting_is_not_written_to() {
    let (mut reader, writer) = terminal();
    let filter = kernels::filter(&[(abi::__NR_mount, NO_SUCH_TYPE)]);
    let words = OWN_RUN.into_iter().chain(BARE);
    let words: Vec<&str> = words.chain(filter.iter().map(String::as_str)).collect();
    let Some(machine) = Machine::boot_unread_by(&words, &writer, "bare-kernel") else {
        return;
    };
    let client = listens(&machine);
    fill(&writer);
    // Room for some lines, and not for all.
    reader.read_exact(&mut [0; 600]).expect("it is full");
    for _ in 0..20 {
        asks(&client, Change::Restart, "plain", true);
        hears(&client);
    }
    injure(machine.pid(), Injury::Counter(0));
    listens(&machine);
    does_not_spin(&machine, "lines are kept");
    goes_down(machine);
}

/// As where root has led the console's words to a terminal that was opened to wait (`TIOCCONS`).
#[test]
fn a_terminal_that_makes_process_1_wait_does_so_for_a_moment_now_and_then() {
    let (reader, writer) = terminal();
    let Some(mut machine) = Machine::boot_unread(&writer, "idle") else {
        return;
    };
    let client = listens(&machine);
    let count = make_wait(machine.pid(), &writer);
    assert!(count > 2, "its own and what it was started with: {count}");
    // Half of what there is room for: none of the lines below is dropped.
    for _ in 0..10 {
        // The kernel makes room meanwhile, by handing on to whoever may read.
        fill(&writer);
        asks(&client, Change::Restart, "plain", true);
        hears(&client);
    }
    does_not_spin(&machine, "lines are kept");
    injure(machine.pid(), Injury::Counter(0));
    let client = listens(&machine);
    asks(&client, Change::Restart, "plain", true);
    hears(&client);
    machine.read_from(reader);
    machine.wait_for(" and goes on where it was");
    machine.signal(11);
    machine.wait_for("ignored SIGSEGV");
    fill(&writer);
    drop(writer);
    goes_down(machine);
}

/// Nor can the pipe be opened once more, without `/proc`: between the look at its room and the
/// line, somebody else fills it.
#[test]
fn a_pipe_as_console_that_others_fill_delays_process_1_for_a_moment() {
    let (reader, writer) = rustix::pipe::pipe().expect("a pipe can be made");
    let filter = kernels::filter(&[(abi::__NR_mount, NO_SUCH_TYPE)]);
    let words = OWN_RUN.into_iter().chain(BARE);
    let words: Vec<&str> = words.chain(filter.iter().map(String::as_str)).collect();
    let Some(mut machine) = Machine::boot_unread_by(&words, &writer, "bare-kernel") else {
        return;
    };
    let client = listens(&machine);
    let pid = stop(machine.pid(), ptrace::Options::empty());
    machine.signal(11);
    show_calls(pid, |call, _| call == libc::SYS_write);
    fill(&writer);
    ptrace::detach(pid, None).expect("it is stopped");
    for _ in 0..5 {
        asks(&client, Change::Restart, "plain", true);
        hears(&client);
    }
    machine.read_from(reader.into());
    machine.wait_for("ignored SIGSEGV");
    drop(writer);
    goes_down(machine);
}

/// As a terminal says that has room for less than the kernel wants to write, or a console whose
/// words root has led elsewhere (`TIOCCONS`).
#[test]
fn a_console_that_says_it_has_room_and_takes_nothing_does_not_keep_process_1_busy() {
    let filter = kernels::filter(&[(abi::__NR_write, NO_ROOM)]);
    let words = OWN_RUN.into_iter();
    let words: Vec<&str> = words.chain(filter.iter().map(String::as_str)).collect();
    let Some(machine) = Machine::boot_by(&words, "idle") else {
        return;
    };
    listens(&machine);
    does_not_spin(&machine, "nothing is taken");
    goes_down(machine);
}

/// Between its look at the room and its word, which another writer may take.
#[test]
fn a_socket_as_console_that_others_fill_delays_nobody() {
    let ends = rustix::net::socketpair(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    );
    let (reader, writer) = ends.expect("a pair can be made");
    let Some(mut machine) = Machine::boot_unread(&writer, "idle") else {
        return;
    };
    let mut reader = File::from(reader);
    let (mut said, mut bytes) = (String::new(), [0; 512]);
    while !said.contains("boot: idle reached") {
        let count = reader.read(&mut bytes).expect("it says something");
        said.push_str(&String::from_utf8_lossy(&bytes[..count]));
    }
    let client = listens(&machine);
    let pid = stop(machine.pid(), ptrace::Options::empty());
    machine.signal(11);
    let is_word = |call, _| matches!(call, libc::SYS_write | libc::SYS_sendto);
    show_calls(pid, is_word);
    let mut sent = Ok(0);
    while sent.is_ok() {
        sent = rustix::net::send(&writer, &[b'x'; 100], SendFlags::DONTWAIT);
    }
    assert_eq!(sent, Err(Errno::AGAIN));
    ptrace::detach(pid, None).expect("it is stopped");
    asks_after(&client, "sleeper");
    machine.read_from(reader);
    machine.wait_for("ignored SIGSEGV");
    drop(writer);
    goes_down(machine);
}
