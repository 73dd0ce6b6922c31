//! This file tests process 1's end of the control socket: the tool, and clients that mean harm.

use crate::boot;
use crate::machine::{End, Machine};
use init_core::protocol::{Buffer, Change, Request, Text, Writer};
use rustix::fd::OwnedFd;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketType, connect, recv, send, socket,
};
use std::process::Stdio;

/// A raw connection, as any program of root can have one.
pub fn connection(machine: &Machine) -> OwnedFd {
    let socket = socket(AddressFamily::UNIX, SocketType::SEQPACKET, None);
    let socket = socket.expect("a socket can be made");
    let address = SocketAddrUnix::new(machine.socket()).expect("the path is short");
    connect(&socket, &address).expect("process 1 listens");
    socket
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn the_tool_lists_units_and_powers_the_machine_off() {
    let mut machine = boot!("layers");
    machine.wait_for("boot: layers reached");
    let list = machine.sctl(&["list"]);
    let shown = text(&list.stdout);
    assert!(list.status.success(), "{shown}{}", text(&list.stderr));
    for unit in ["bottom", "middle", "top", "stubborn"] {
        assert!(shown.contains(unit), "{unit}:\n{shown}");
    }
    assert!(machine.sctl(&["poweroff"]).status.success());
    assert_eq!(machine.end(), End::Off, "{}", machine.console());
}

#[test]
fn the_tool_stops_and_starts_a_unit_and_waits_for_it() {
    let mut machine = boot!("layers");
    machine.wait_for("boot: layers reached");
    assert!(machine.sctl(&["stop", "top"]).status.success());
    machine.wait_for("top: stopped");
    assert_eq!(machine.sctl(&["status", "top"]).status.code(), Some(3));
    assert!(machine.sctl(&["start", "top"]).status.success());
    assert_eq!(machine.sctl(&["status", "top"]).status.code(), Some(0));
    assert_eq!(machine.sctl(&["status", "nobody"]).status.code(), Some(4));
}

#[test]
fn silent_clients_keep_nobody_out() {
    let mut machine = boot!("idle");
    machine.wait_for("boot: idle reached");
    let silent = [(); 32].map(|()| connection(&machine));
    let list = machine.sctl(&["list"]);
    assert!(list.status.success(), "{}", text(&list.stderr));
    drop(silent);
    assert!(machine.sctl(&["list"]).status.success());
}

#[test]
fn more_tools_than_places_are_all_served() {
    let mut machine = boot!("layers");
    machine.wait_for("boot: layers reached");
    for _ in 0..5 {
        let tools = [(); 12].map(|()| {
            let mut tool = machine.tool(&["status", "bottom"]);
            let tool = tool.stdout(Stdio::piped()).stderr(Stdio::piped());
            tool.spawn().expect("nsenter starts")
        });
        for tool in tools {
            let asked = tool.wait_with_output().expect("it ends");
            assert_eq!(asked.status.code(), Some(0), "{}", text(&asked.stderr));
        }
    }
}

#[test]
fn frames_that_are_none_end_their_connection_and_nothing_else() {
    let mut machine = boot!("idle");
    machine.wait_for("boot: idle reached");
    let frames = [
        vec![0; 1],
        vec![0xff; 8],
        vec![b'A'; 1_024],
        vec![b'A'; 4_096],
    ];
    for frame in frames {
        let client = connection(&machine);
        send(&client, &frame, SendFlags::NOSIGNAL).expect("the socket takes it");
        // An answer may come first; then the end.
        let mut buffer = [0; 2_048];
        let mut answers = 0;
        while let Ok((count @ 1.., _)) = recv(&client, &mut buffer, RecvFlags::empty()) {
            answers += 1;
            assert!(answers < 3, "{count} bytes more");
        }
        assert!(
            machine.sctl(&["list"]).status.success(),
            "{} bytes",
            frame.len()
        );
    }
}

#[test]
fn a_client_that_never_reads_delays_nobody() {
    let mut machine = boot!("idle");
    machine.wait_for("boot: idle reached");
    let deaf = connection(&machine);
    // Requests without end, answers never taken: at some time process 1 hangs up.
    let request = vec![0x73; 64];
    let mut sent = 0;
    while sent < 10_000 && send(&deaf, &request, SendFlags::NOSIGNAL | SendFlags::DONTWAIT).is_ok()
    {
        sent += 1;
    }
    assert!(
        machine.sctl(&["list"]).status.success(),
        "after {sent} frames"
    );
    machine.signal(15);
    assert_eq!(machine.end(), End::Off, "{}", machine.console());
}

/// Asks for a start and for an answer when it is done.
fn asks_to_start(client: &OwnedFd, name: &str) {
    let mut buffer: Buffer = [0; size_of::<Buffer>()];
    let mut writer = Writer::new(&mut buffer);
    let request = Request::Change {
        change: Change::Start,
        name: Text(name.as_bytes()),
        wait: true,
    };
    assert!(writer.add(&request).is_ok(), "{name} fits");
    let length = writer.length();
    send(client, &buffer[..length], SendFlags::NOSIGNAL).expect("the socket takes it");
}

/// Three things at once, in this order: what a client waits for, another client with a request that
/// waits, and the first one's end. The first is answered in vain, and the second gets its place.
#[test]
fn a_client_is_not_taken_for_the_one_that_had_its_place_before() {
    const STOP: u8 = 19;
    const CONTINUE: u8 = 18;
    let mut machine = boot!("idle");
    machine.wait_for("boot: idle reached");
    let first = connection(&machine);
    asks_to_start(&first, "says-when-told");
    machine.inside("until grep -qs 'run/sa[y]' /proc/[0-9]*/cmdline; do sleep 0.02; done");
    machine.signal(STOP);
    machine.inside(": > /run/say");
    machine.inside("while grep -qs 'run/sa[y]' /proc/[0-9]*/cmdline; do sleep 0.02; done");
    let second = connection(&machine);
    asks_to_start(&second, "never-there");
    drop(first);
    machine.signal(CONTINUE);
    machine.wait_for("never-there: runs");
    assert!(machine.sctl(&["status", "says-when-told"]).status.success());
    let heard = recv(&second, &mut [0; 64], RecvFlags::DONTWAIT).map(|(_, length)| length);
    assert_eq!(heard, Err(rustix::io::Errno::AGAIN), "it waits");
}
