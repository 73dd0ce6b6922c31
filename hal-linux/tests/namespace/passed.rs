//! This file passes descriptors to process 1 with what it says at the control socket. Whoever
//! closes the last copy of one of them waits for an hour: that is never process 1.

use crate::boot;
use crate::control::{asks, asks_after, asks_to_start, connection, hears, status_of};
#[cfg(target_arch = "x86_64")]
use crate::damage::{region, set_word};
#[cfg(target_arch = "x86_64")]
use crate::inject::{Injury, bears, injure, stop};
use crate::machine::{End, Machine};
use crate::scarce::numbers_are_per_namespace;
use crate::skip::skip;
use crate::split::until;
use init_core::protocol::Change;
#[cfg(target_arch = "x86_64")]
use nix::sys::ptrace;
#[cfg(target_arch = "x86_64")]
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::{Errno, IoSlice};
use rustix::net::sockopt::set_socket_linger;
use rustix::net::{
    RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, recv, send, sendmsg,
};
use rustix::process::Uid;
use std::io::{ErrorKind, Read, Write};
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::Duration;

const NOBODY: u32 = 65_534;

const STOP: u8 = 19;
const CONTINUE: u8 = 18;

/// Longer than any test.
const HOUR: Duration = Duration::from_secs(3_600);

/// The other end of a connection that is closed in vain until somebody has read all of it, or the
/// hour is over.
struct Lingering(TcpStream);

/// Such a connection; both ends are this process's.
fn lingering() -> (TcpStream, Lingering) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there is a port");
    let address = listener.local_addr().expect("it is bound");
    let mut full = TcpStream::connect(address).expect("it listens");
    let (other, _) = listener.accept().expect("somebody has called");
    full.set_nonblocking(true).expect("it is a socket");
    let error = loop {
        if let Err(error) = full.write(&[b'x'; 65_536]) {
            break error;
        }
    };
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    set_socket_linger(&full, Some(HOUR)).expect("it is a socket");
    (full, Lingering(other))
}

impl Lingering {
    /// Whether nobody has the connection any more; what has come through it is gone.
    fn has_ended(&mut self) -> bool {
        self.0.set_nonblocking(true).expect("it is a socket");
        let mut buffer = vec![0; 65_536];
        loop {
            match self.0.read(&mut buffer) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) => return error.kind() != ErrorKind::WouldBlock,
            }
        }
    }

    /// Nobody has the connection any more: it is read to its end.
    fn ends(mut self) {
        let limit = Some(Duration::from_secs(60));
        self.0.set_read_timeout(limit).expect("it is a socket");
        let ended = self.0.read_to_end(&mut Vec::new());
        let is_over = match &ended {
            Ok(_) => true,
            Err(error) => error.kind() == ErrorKind::ConnectionReset,
        };
        assert!(is_over, "{ended:?}");
    }
}

/// Sends a frame and passes such a connection with it, of which no copy is left here.
fn pass(client: &OwnedFd, frame: &[u8]) -> Lingering {
    // In this order: should it not be sent, closing it must not wait.
    let (full, lingering) = lingering();
    let mut room = [MaybeUninit::uninit(); 64];
    let mut parcel = SendAncillaryBuffer::new(&mut room);
    let passed = [full.as_fd()];
    assert!(parcel.push(SendAncillaryMessage::ScmRights(&passed)));
    let sent = sendmsg(
        client,
        &[IoSlice::new(frame)],
        &mut parcel,
        SendFlags::NOSIGNAL,
    );
    assert_eq!(sent, Ok(frame.len()));
    lingering
}

/// Waits until process 1 has hung up.
fn is_hung_up_on(client: &OwnedFd) {
    let patience = Timespec {
        tv_sec: 60,
        tv_nsec: 0,
    };
    loop {
        let mut readable = [PollFd::new(client, PollFlags::IN)];
        let ready = poll(&mut readable, Some(&patience)).expect("it can be waited for");
        assert!(ready > 0, "process 1 has not hung up");
        match recv(client, &mut [0; 2_048], RecvFlags::DONTWAIT) {
            Ok((_, 0)) | Err(Errno::CONNRESET) => return,
            // What it was answered before.
            Ok(_) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

fn says(client: &OwnedFd, frame: &[u8]) {
    assert_eq!(send(client, frame, SendFlags::NOSIGNAL), Ok(frame.len()));
}

/// Whoever asks is answered.
fn serves(machine: &Machine) {
    asks_after(&connection(machine), "sleeper");
}

fn goes_down(mut machine: Machine) {
    machine.signal(15);
    assert_eq!(machine.end(), End::Off, "{}", machine.console());
}

#[test]
fn who_passes_a_descriptor_is_hung_up_on_and_makes_nobody_wait() {
    let mut machine = boot!("idle");
    machine.wait_for("boot: idle reached");
    for frame in [&b"no request"[..], b"", &[b'A'; 4_096]] {
        // Or it is gone before this process has closed its copy, and waits.
        machine.signal(STOP);
        let client = connection(&machine);
        let lingering = pass(&client, frame);
        machine.signal(CONTINUE);
        is_hung_up_on(&client);
        serves(&machine);
        lingering.ends();
    }
    goes_down(machine);
}

#[test]
fn a_descriptor_that_nobody_has_looked_at_makes_nobody_wait() {
    let mut machine = boot!("idle");
    machine.wait_for("boot: idle reached");
    // Behind a frame that is none, or is empty; and who sent it is gone, or is not.
    for (first, stays) in [
        (&b"none"[..], true),
        (b"none", false),
        (b"", true),
        (b"", false),
    ] {
        // Both are there before process 1 looks.
        machine.signal(STOP);
        let client = connection(&machine);
        says(&client, first);
        let lingering = pass(&client, b"no request");
        let client = Some(client).filter(|_| stays);
        machine.signal(CONTINUE);
        if let Some(client) = client {
            is_hung_up_on(&client);
        }
        serves(&machine);
        lingering.ends();
    }
    // Behind a request that waits for its answer.
    let client = connection(&machine);
    asks_to_start(&client, "says-when-told");
    machine.inside("until grep -qs 'run/sa[y]' /proc/[0-9]*/cmdline; do sleep 0.02; done");
    let lingering = pass(&client, b"no request");
    drop(client);
    serves(&machine);
    lingering.ends();
    goes_down(machine);
}

/// More callers than places: who finds none is hung up on as he comes.
#[test]
fn a_caller_without_a_place_who_passes_a_descriptor_makes_nobody_wait() {
    let mut machine = boot!("idle");
    machine.wait_for("boot: idle reached");
    // All call before process 1 looks.
    machine.signal(STOP);
    let callers = [(); 9].map(|()| {
        let client = connection(&machine);
        let lingering = pass(&client, b"no request");
        (client, lingering)
    });
    machine.signal(CONTINUE);
    for (client, lingering) in callers {
        is_hung_up_on(&client);
        lingering.ends();
    }
    serves(&machine);
    goes_down(machine);
}

/// The socket is bound anew while a caller of the one before cannot be accepted.
#[cfg(target_arch = "x86_64")]
#[test]
fn a_caller_of_a_socket_that_is_replaced_who_passes_a_descriptor_makes_nobody_wait() {
    let mut machine = boot!("idle");
    machine.wait_for("boot: idle reached");
    let client = connection(&machine);
    let pid = stop(machine.pid(), ptrace::Options::PTRACE_O_TRACEFORK);
    ptrace::cont(pid, None).expect("it is stopped");
    asks(&client, Change::Restart, "setup", true);
    let child = bears(pid);
    machine.limit_descriptors("0:4096");
    let caller = connection(&machine);
    let lingering = pass(&caller, b"no request");
    ptrace::detach(pid, None).expect("it is stopped");
    ptrace::cont(child, None).expect("it is stopped");
    let ended = waitpid(child, Some(WaitPidFlag::__WALL)).expect("it ends");
    assert_eq!(ended, WaitStatus::Exited(child, 0));
    hears(&client);
    asks_after(&client, "sleeper");
    is_hung_up_on(&caller);
    lingering.ends();
    machine.limit_descriptors("4096:4096");
    serves(&machine);
    goes_down(machine);
}

/// The life before has ended while it answered a client: the next one hangs up.
#[cfg(target_arch = "x86_64")]
#[test]
fn an_heir_that_hangs_up_on_who_passed_a_descriptor_does_not_wait() {
    /// The state of the first client, and that it is being answered.
    const STATE: u64 = 37 + 2;
    const ANSWERING: u32 = 2;
    let mut machine = boot!("idle");
    machine.wait_for("boot: idle reached");
    let client = connection(&machine);
    asks_to_start(&client, "says-when-told");
    machine.inside("until grep -qs 'run/sa[y]' /proc/[0-9]*/cmdline; do sleep 0.02; done");
    let lingering = pass(&client, b"no request");
    set_word(&region(&machine), STATE, ANSWERING);
    injure(machine.pid(), Injury::Counter(0));
    is_hung_up_on(&client);
    serves(&machine);
    lingering.ends();
    goes_down(machine);
}

/// Without a process number nobody can close what is passed: it keeps its place until somebody
/// needs that.
#[test]
fn without_process_numbers_a_descriptor_that_is_passed_is_closed_later() {
    if !numbers_are_per_namespace() {
        skip("this kernel has no process-number limit for a namespace alone");
        return;
    }
    let mut machine = boot!("numbers");
    machine.wait_for("taker: has them all");
    let client = connection(&machine);
    asks_after(&client, "taker");
    // All other places.
    let mut kept = [(); 3].map(|()| {
        let passing = connection(&machine);
        let lingering = pass(&passing, b"no request");
        asks_after(&client, "taker");
        (passing, lingering)
    });
    for (_, lingering) in &mut kept {
        assert!(!lingering.has_ended(), "it is open");
    }
    let caller = connection(&machine);
    // It waits.
    asks(&caller, Change::ResetFailed, "taker", false);
    asks_after(&client, "taker");
    let let_go = machine.root().join("run/let-go");
    std::fs::write(let_go, "").expect("/run is a directory");
    hears(&caller);
    let ended = |kept: &mut [(OwnedFd, Lingering)]| {
        let all = kept.iter_mut().map(|(_, lingering)| lingering.has_ended());
        all.filter(|ended| *ended).count()
    };
    until("one has made room", || ended(&mut kept) == 1);
    let more = [(); 2].map(|()| {
        let caller = connection(&machine);
        asks_after(&caller, "taker");
        caller
    });
    until("all have made room", || ended(&mut kept) == 3);
    for (passing, _) in &kept {
        is_hung_up_on(passing);
    }
    drop(more);
    goes_down(machine);
}

/// Somebody has let others in at the socket, or has passed his connection on.
#[test]
fn who_is_not_root_is_hung_up_on() {
    let mut machine = boot!("idle");
    machine.wait_for("boot: idle reached");
    let client = connection(&machine);
    let sent = std::thread::scope(|scope| {
        let other = scope.spawn(|| {
            // Of this thread alone.
            rustix::thread::set_thread_uid(Uid::from_raw(NOBODY))?;
            send(&client, &status_of("sleeper"), SendFlags::NOSIGNAL)
        });
        other.join().expect("it does not panic")
    });
    assert!(sent.is_ok(), "{sent:?}");
    is_hung_up_on(&client);
    serves(&machine);
    goes_down(machine);
}

/// As one that a program's mode gives root's rights has.
#[test]
fn root_under_another_name_is_answered() {
    let mut machine = boot!("idle");
    machine.wait_for("boot: idle reached");
    machine.inside("setpriv --ruid 65534 /proc/1/exe list");
    goes_down(machine);
}
