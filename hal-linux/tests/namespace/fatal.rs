//! This file has cores that are processes of their own end over a request, one after the other: of
//! faults, of calls that are forbidden, and because somebody kills them.

use crate::machine::{End, Machine};
use crate::split::{
    KILL, LIMIT, SYMBOLS, boot, core, named, named_below, send, services, status, until,
};
use nix::sys::signal::kill;
use nix::unistd::Pid;
use std::sync::atomic::{AtomicBool, Ordering};

/// A machine whose cores have other code where a frame is decoded, and a frame that waits for it.
struct Faulty {
    machine: Machine,
    services: Vec<u32>,
    frame: u64,
    /// What was there.
    sound: [u8; 8],
    client: rustix::fd::OwnedFd,
}

/// Whoever is made from process 1's memory has the fault in its code.
fn with_frames_that(code: &[u8]) -> Option<Faulty> {
    use crate::inject::patch;
    use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, connect, socket};
    let mut machine = boot("holding")?;
    let services = services(&machine);
    let symbols = std::env::var_os(SYMBOLS).expect("its file is named beside the program's");
    let frame = crate::faults::address_in(symbols, &["6driver", "5frame"]);
    let frame = frame.expect("the driver decodes frames");
    // By then process 1 has given back what only a start needs, and our fault would go with it.
    assert!(machine.sctl(&["list"]).status.success());
    let sound = patch(machine.pid(), frame, code);
    send(core(&machine), KILL);
    machine.wait_for("the core is a new one");
    let client = socket(AddressFamily::UNIX, SocketType::SEQPACKET, None).expect("a socket");
    let path = SocketAddrUnix::new(machine.socket()).expect("a short path");
    connect(&client, &path).expect("process 1 listens");
    rustix::io::write(&client, b"whatever").expect("there is room");
    Some(Faulty {
        machine,
        services,
        frame,
        sound,
        client,
    })
}

/// What the client hears, in time.
fn answer(client: &rustix::fd::OwnedFd) -> rustix::io::Result<usize> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let limit = Timespec::try_from(LIMIT).expect("it is short");
    let ready = poll(&mut [PollFd::new(client, PollFlags::IN)], Some(&limit));
    assert_eq!(ready, Ok(1), "neither an answer in time nor an end");
    rustix::io::read(client, &mut [0_u8; 8])
}

/// No instruction, and getpid(), which the filter forbids.
const FATAL: [(&[u8], &str); 2] = [
    (&[0x0f, 0x0b], "the core ended: SIGILL"),
    (&[0xb8, 39, 0, 0, 0, 0x0f, 0x05], "the core ended: SIGSYS"),
];

#[test]
fn a_request_that_two_cores_die_of_is_put_aside_and_process_1_lives() {
    for (code, end) in FATAL {
        two_cores_die_of(code, end);
    }
}

fn two_cores_die_of(code: &[u8], end: &str) {
    let Some(mut faulty) = with_frames_that(code) else {
        return;
    };
    let machine = &mut faulty.machine;
    for _ in 0..2 {
        machine.wait_for(end);
    }
    machine.wait_for("a request is put aside");
    let end = answer(&faulty.client);
    assert!(!matches!(end, Ok(1..)), "it is not hung up on: {end:?}");
    crate::inject::patch(machine.pid(), faulty.frame, &faulty.sound);
    send(core(machine), KILL);
    assert!(machine.sctl(&["list"]).status.success());
    assert_eq!(named(machine, "sleep"), faulty.services);
}

/// Whose exit two cores end of is not taken for running, and comes back as its manifest says.
#[test]
fn an_exit_that_two_cores_die_of_is_put_aside_and_its_unit_has_failed() {
    assert!((0..20).any(|_| two_cores_die_of_an_exit()));
}

/// Whether the fault was taken away before two more cores had died of what is told in its place.
fn two_cores_die_of_an_exit() -> bool {
    use crate::inject::{FAULTS, patch};
    let Some(mut machine) = boot("holding") else {
        return true;
    };
    let before = services(&machine);
    let symbols = std::env::var_os(SYMBOLS).expect("its file is named beside the program's");
    let place = crate::faults::address_in(symbols, &["10supervisor", "11child_event"]);
    let place = place.expect("a core takes exits in");
    assert!(machine.sctl(&["list"]).status.success());
    let sound = patch(machine.pid(), place, FAULTS);
    send(core(&machine), KILL);
    machine.wait_for("the core is a new one");
    send(before[1], KILL);
    machine.wait_for("an exit is put aside: process 1 died of it twice");
    // What is told in its place is taken in there as well.
    patch(machine.pid(), place, &sound);
    loop {
        let line = machine.wait_for("init: [");
        if line.contains("is put aside") {
            return false;
        }
        if line.contains("exec: Bad address") {
            break;
        }
    }
    crate::faults::failed_alone(&machine, &before, before[1]);
    true
}

/// It stays so until somebody asks for it, and the rest goes on.
#[test]
fn a_unit_of_whose_exit_no_core_can_be_told_has_failed() {
    use crate::inject::{FAULTS, patch};
    let Some(mut machine) = boot("holding") else {
        return;
    };
    let before = services(&machine);
    let symbols = std::env::var_os(SYMBOLS).expect("its file is named beside the program's");
    let place = crate::faults::address_in(symbols, &["10supervisor", "11child_event"]);
    let place = place.expect("a core takes exits in");
    assert!(machine.sctl(&["list"]).status.success());
    let sound = patch(machine.pid(), place, FAULTS);
    send(core(&machine), KILL);
    machine.wait_for("the core is a new one");
    send(before[1], KILL);
    for _ in 0..2 {
        machine.wait_for("an exit is put aside: process 1 died of it twice");
    }
    crate::faults::lost_alone(&mut machine, &before, before[1]);
    patch(machine.pid(), place, &sound);
    send(core(&machine), KILL);
    assert!(machine.sctl(&["start", "holding"]).status.success());
    crate::faults::failed_alone(&machine, &before, before[1]);
    let deaths = machine.console().matches("the core ended: SIGILL").count();
    assert_eq!(deaths, 4, "{}", machine.console());
}

/// It is the keeper that makes the process.
#[test]
fn a_start_that_two_keepers_die_of_fails_and_the_rest_goes_on() {
    use crate::inject::trap;
    let Some(mut machine) = boot("holding") else {
        return;
    };
    let before = services(&machine);
    let symbols = std::env::var_os(SYMBOLS).expect("its file is named beside the program's");
    let fork = crate::faults::address_in(symbols, &["7process", "10fork_noted"]);
    let fork = fork.expect("a keeper makes processes");
    assert!(machine.sctl(&["list"]).status.success());
    let mut start = machine.tool(&["start", "never-there"]);
    trap(machine.pid(), fork, 2, || {
        let start = start.output().expect("nsenter starts");
        assert!(!start.status.success(), "it was started");
    });
    machine.wait_for("never-there: failed");
    assert_eq!(services(&machine), before);
    assert!(machine.sctl(&["start", "sleeper"]).status.success());
    assert_eq!(named_below(machine.pid(), "init-core").len(), 1);
}

/// Nothing was handed out to them, so nothing can be put aside.
#[test]
fn cores_that_die_before_they_are_told_anything_lead_to_a_new_start() {
    use crate::inject::patch;
    let Some(mut machine) = boot("holding") else {
        return;
    };
    services(&machine);
    let symbols = std::env::var_os(SYMBOLS).expect("its file is named beside the program's");
    let place = crate::faults::address_in(symbols, &["4Core", "7keep_in"]);
    let place = place.expect("a core goes on from its checkpoint");
    assert!(machine.sctl(&["list"]).status.success());
    patch(machine.pid(), place, &[0x0f, 0x0b]);
    send(core(&machine), KILL);
    machine.wait_for("the core ended: SIGILL");
    machine.wait_for("process 1 dies again and again: the machine starts anew");
    assert_eq!(machine.end(), End::Reboot, "{}", machine.console());
    let deaths = machine.console().matches("the core ended: SIGILL").count();
    assert_eq!(deaths, 9, "{}", machine.console());
}

/// Each had taken over, and had nothing to do.
#[test]
fn idle_cores_that_die_one_after_the_other_lead_to_a_new_start() {
    use crate::inject::{Injury, injure};
    let Some(mut machine) = boot("holding") else {
        return;
    };
    services(&machine);
    assert!(machine.sctl(&["list"]).status.success());
    for death in 1..=9 {
        let idle = core(&machine);
        until("it has nothing to do", || {
            status(idle, "State").starts_with('S')
        });
        injure(idle, Injury::Counter(0));
        machine.wait_for("the core ended: SIGSEGV");
        if death < 9 {
            machine.wait_for("the core is a new one and goes on where it was");
        }
    }
    machine.wait_for("process 1 dies again and again: the machine starts anew");
    assert_eq!(machine.end(), End::Reboot, "{}", machine.console());
}

/// An endless loop: there each core is when somebody kills it.
const CIRCLE: [u8; 2] = [0xeb, 0xfe];

/// Processor time in hundredths of a second that a core needs far less of before it is in it.
const IN_CIRCLE: u64 = 3;

/// Processor time that a process has used, in hundredths of a second; none once it is gone.
fn used(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let (_, fields) = stat.rsplit_once(") ").unwrap_or_default();
    let times = fields.split_whitespace().skip(11).take(2);
    times.filter_map(|time| time.parse::<u64>().ok()).sum()
}

/// Somebody kills each core that goes round in circles until process 1 has said all this.
fn kill_until(machine: &mut Machine, said: &[&str]) {
    let (pid, is_over) = (machine.pid(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                let cores = named_below(pid, "init-core").into_iter();
                // Whoever is killed before it has looked says nothing of the request.
                for core in cores.filter(|core| used(*core) >= IN_CIRCLE) {
                    let core = Pid::from_raw(core.try_into().expect("a pid is small"));
                    // Gone since is as good.
                    let _ = kill(core, KILL);
                }
                std::thread::yield_now();
            }
        });
        // Ends the others also where a word does not come.
        let over = Over(&is_over);
        for text in said {
            machine.wait_for(text);
        }
        drop(over);
    });
}

/// What is said of a core that was killed, and of the next.
fn in_a_while(time: &str) -> String {
    format!("the core ended: SIGKILL; another takes its place in {time}")
}

struct Over<'o>(&'o AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn cores_that_are_killed_one_after_the_other_are_waited_with_and_lead_to_nothing_else() {
    let Some(mut faulty) = with_frames_that(&CIRCLE) else {
        return;
    };
    let machine = &mut faulty.machine;
    let said = ["20 ms", "320 ms"].map(in_a_while);
    kill_until(machine, &said.each_ref().map(String::as_str));
    crate::inject::patch(machine.pid(), faulty.frame, &faulty.sound);
    // What was asked is answered, once somebody has looked at it.
    let answer = answer(&faulty.client);
    assert!(matches!(answer, Ok(1..)), "{answer:?}");
    assert!(machine.sctl(&["list"]).status.success());
    // Whoever did something is followed at once.
    send(core(machine), KILL);
    while machine.wait_for("the core ended: SIGKILL").ends_with("ms") {}
    assert!(machine.sctl(&["list"]).status.success());
    assert_eq!(named(machine, "sleep"), faulty.services);
    let console = machine.console();
    for word in ["again and again", "is put aside"] {
        assert!(!console.contains(word), "{console}");
    }
}

#[test]
fn a_request_that_every_core_is_killed_over_is_put_aside_and_the_machine_goes_on() {
    let Some(mut faulty) = with_frames_that(&CIRCLE) else {
        return;
    };
    let machine = &mut faulty.machine;
    let aside = "a request is put aside: one core after the other was killed over it";
    kill_until(machine, &[&in_a_while("2000 ms"), aside]);
    let end = answer(&faulty.client);
    assert!(!matches!(end, Ok(1..)), "it is not hung up on: {end:?}");
    // What is no request is dealt with by cores with the same fault.
    send(faulty.services[0], KILL);
    machine.wait_for("held@1: ended: SIGKILL");
    machine.wait_for("held 1: runs");
    crate::inject::patch(machine.pid(), faulty.frame, &faulty.sound);
    send(core(machine), KILL);
    assert!(machine.sctl(&["list"]).status.success());
    // It says so before it executes its last program.
    until("all services run", || {
        named(machine, "sleep").len() == faulty.services.len()
    });
    let console = machine.console();
    assert_eq!(console.matches(" in 2000 ms").count(), 1, "{console}");
    assert!(!console.contains("again and again"), "{console}");
}
