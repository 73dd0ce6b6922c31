//! This file tests process 1's end of the control socket: the tool, and clients that mean harm.

use crate::boot;
use crate::machine::{End, Machine};
use crate::split::{named, send as kill, services, until};
use init_core::protocol::{Buffer, Change, Request, Text, Writer};
use nix::sys::signal::Signal;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::io::{Errno, ioctl_fionbio};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketType, connect, recv, send, socket,
};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

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

/// A request as the tool writes it, which is answered at once.
pub fn status_of(name: &str) -> Vec<u8> {
    let mut buffer: Buffer = [0; size_of::<Buffer>()];
    let mut writer = Writer::new(&mut buffer);
    let request = Request::Unit {
        name: Text(name.as_bytes()),
    };
    assert!(writer.add(&request).is_ok(), "{name} fits");
    let length = writer.length();
    buffer[..length].to_vec()
}

/// Sends requests and reads no answer until process 1 hangs up; how many it took.
fn ask_in_vain(client: &OwnedFd, request: &[u8]) -> usize {
    /// What a socket keeps is some hundred answers.
    const REQUEST_COUNT_MAX: usize = 100_000;
    for count in 0..REQUEST_COUNT_MAX {
        let mut writable = [PollFd::new(client, PollFlags::OUT)];
        let patience = Timespec {
            tv_sec: 60,
            tv_nsec: 0,
        };
        let ready = poll(&mut writable, Some(&patience)).expect("it can be waited for");
        assert!(ready > 0, "neither read nor hung up on after {count}");
        match send(client, request, SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
            Ok(_) | Err(Errno::AGAIN) => {}
            Err(Errno::PIPE | Errno::CONNRESET) => return count,
            Err(error) => panic!("{error} after {count}"),
        }
    }
    panic!("{REQUEST_COUNT_MAX} requests and never hung up on");
}

#[test]
fn a_client_that_never_reads_delays_nobody() {
    let mut machine = boot!("idle");
    machine.wait_for("boot: idle reached");
    let deaf = connection(&machine);
    let taken = ask_in_vain(&deaf, &status_of("sleeper"));
    // It was answered before: not its first request is what it was hung up on for.
    assert!(taken > 1, "{taken}");
    let hear = || recv(&deaf, &mut [0; 64], RecvFlags::DONTWAIT).map(|(_, length)| length);
    // That it was hung up on over what it had asked since is told before all, once.
    let heard = hear().or_else(|_| hear());
    assert!(matches!(heard, Ok(1..)), "{heard:?}");
    assert!(machine.sctl(&["list"]).status.success());
    machine.signal(15);
    assert_eq!(machine.end(), End::Off, "{}", machine.console());
}

/// Asks as fast as can be, reads no answer, and comes again when it is hung up on.
fn flood(address: &SocketAddrUnix, request: &[u8], over: &AtomicBool, floods: &AtomicUsize) {
    while !over.load(Ordering::Relaxed) {
        let socket = socket(AddressFamily::UNIX, SocketType::SEQPACKET, None);
        let socket = socket.expect("a socket can be made");
        // Without waiting: in the end nobody listens any more.
        if ioctl_fionbio(&socket, true).is_err() || connect(&socket, address).is_err() {
            std::thread::yield_now();
            continue;
        }
        while !over.load(Ordering::Relaxed) {
            match send(&socket, request, SendFlags::NOSIGNAL) {
                Ok(_) | Err(Errno::AGAIN) => {}
                Err(_) => break,
            }
        }
        floods.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn clients_that_flood_the_socket_keep_neither_a_service_nor_the_way_down() {
    let mut machine = boot!("holding");
    machine.wait_for("boot: holding reached");
    let over = Arc::new(AtomicBool::new(false));
    let floods = Arc::new(AtomicUsize::new(0));
    let flooding: Vec<_> = (0..8)
        .map(|_| {
            let (over, floods) = (Arc::clone(&over), Arc::clone(&floods));
            let request = status_of("sleeper");
            let address = SocketAddrUnix::new(machine.socket()).expect("the path is short");
            std::thread::spawn(move || flood(&address, &request, &over, &floods))
        })
        .collect();
    // What is not asked over the socket: a service dies, and is started again.
    for _ in 0..3 {
        let before = services(&machine);
        kill(before[0], Signal::SIGKILL);
        until("it is started again", || {
            let now = named(&machine, "sleep");
            now.len() == before.len() && !now.contains(&before[0])
        });
    }
    until("one is hung up on, and comes again", || {
        floods.load(Ordering::Relaxed) > 0
    });
    machine.signal(15);
    assert_eq!(machine.end(), End::Off, "{}", machine.console());
    over.store(true, Ordering::Relaxed);
    for it in flooding {
        it.join().expect("it ends");
    }
}

/// Asks for a start and for an answer when it is done.
pub fn asks_to_start(client: &OwnedFd, name: &str) {
    asks(client, Change::Start, name, true);
}

/// Asks for a change of a unit, and for an answer when it is done or when it has begun.
pub fn asks(client: &OwnedFd, change: Change, name: &str, wait: bool) {
    let mut buffer: Buffer = [0; size_of::<Buffer>()];
    let mut writer = Writer::new(&mut buffer);
    let request = Request::Change {
        change,
        name: Text(name.as_bytes()),
        wait,
    };
    assert!(writer.add(&request).is_ok(), "{name} fits");
    let length = writer.length();
    send(client, &buffer[..length], SendFlags::NOSIGNAL).expect("the socket takes it");
}

/// Asks for a unit's state, and is answered.
pub fn asks_after(client: &OwnedFd, name: &str) {
    send(client, &status_of(name), SendFlags::NOSIGNAL).expect("the socket takes it");
    hears(client);
}

/// A connection over which a question was answered, if there is such a thing yet.
pub fn answered(machine: &Machine) -> Option<OwnedFd> {
    let client = socket(AddressFamily::UNIX, SocketType::SEQPACKET, None).ok()?;
    connect(&client, &SocketAddrUnix::new(machine.socket()).ok()?).ok()?;
    send(&client, &status_of("sleeper"), SendFlags::NOSIGNAL).ok()?;
    let patience = Timespec {
        tv_sec: 60,
        tv_nsec: 0,
    };
    let _ = poll(&mut [PollFd::new(&client, PollFlags::IN)], Some(&patience));
    let heard = recv(&client, &mut [0; 2_048], RecvFlags::DONTWAIT).ok()?;
    Some(client).filter(|_| heard.1 > 0)
}

/// Waits for an answer.
pub fn hears(client: &OwnedFd) {
    let patience = Timespec {
        tv_sec: 60,
        tv_nsec: 0,
    };
    let mut readable = [PollFd::new(client, PollFlags::IN)];
    let ready = poll(&mut readable, Some(&patience)).expect("it can be waited for");
    let heard = recv(client, &mut [0; 2_048], RecvFlags::DONTWAIT).map(|(_, length)| length);
    assert!(ready > 0 && matches!(heard, Ok(1..)), "{heard:?}");
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
    assert_eq!(heard, Err(Errno::AGAIN), "it waits");
}
