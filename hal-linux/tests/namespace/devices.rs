//! This file takes from process 1 the devices that it holds, its console, the null device and a
//! watchdog, until set-up brings them: behind a file system that never answers they hold nobody
//! else, and once they are there no death loses them.

use crate::control::{asks, asks_after, connection, hears};
use crate::damage::{region, word};
use crate::feeding::{Dog, SOLO};
use crate::inject::{Injury, at_call, bears, hurt, injure, stop};
use crate::kernels::{self, NOT_THERE};
use crate::machine::{End, Machine};
use crate::skip::skip;
use crate::split::{leads, named, send, services, status, until};
use crate::stalled::{Silence, ends_while_set_up_hangs};
use crate::terminals::terminal;
use init_core::protocol::Change;
use linux_raw_sys::general as abi;
use nix::sys::ptrace;
use nix::sys::signal::Signal;
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// The word of what outlives process 1 that names where it takes what children have found; the next
/// names where they send it.
const FOUND: u64 = 19;

/// What is said of a watchdog that is there.
const THERE: &str = "watchdog: /mnt/watchdog resets after 2 s";

/// What is said where there is none, when the other devices have been looked for as well.
const NONE: &str = "no watchdog: /mnt/watchdog: No such file or directory";

/// Boots to a target with a watchdog to look for, by way of a script; `None` with a loud word where
/// nobody has built the program.
fn booted(script: &str, target: &str) -> Option<Machine> {
    booted_by(&[], script, target)
}

/// The same by way of a command that executes what follows it.
fn booted_by(first: &[&str], script: &str, target: &str) -> Option<Machine> {
    let Some(file) = std::env::var_os(SOLO).map(PathBuf::from) else {
        skip(&format!(
            "{SOLO} names no process 1; `cargo xtask test` builds one"
        ));
        return None;
    };
    let script = format!("{script}; exec \"$@\"");
    let first = [first, &["sh", "-ec", &script, "sh"]].concat();
    let mut machine = Machine::boot_copy(&first, Some(&file), target)?;
    machine.wait_for(&format!("boot: {target} reached"));
    Some(machine)
}

/// The same, and it was said that there is no watchdog. What [`comes`] later is prepared.
fn without_a_watchdog(dog: &Dog, target: &str) -> Option<Machine> {
    without_a_watchdog_by(&[], dog, target)
}

fn without_a_watchdog_by(first: &[&str], dog: &Dog, target: &str) -> Option<Machine> {
    let folder = dog.folder().display();
    let script = format!("mount -t tmpfs none /mnt; mount --bind {folder} /srv");
    let mut machine = booted_by(first, &script, target)?;
    machine.told(NONE);
    Some(machine)
}

/// The watchdog is where process 1 and its children look for it.
fn comes(machine: &Machine) {
    machine.inside("mount --bind /srv /mnt");
}

/// Sockets that process 1 has.
fn socket_count(machine: &Machine) -> usize {
    let is_socket = |path: &&PathBuf| path.to_string_lossy().starts_with("socket:");
    leads(machine.pid()).iter().filter(is_socket).count()
}

/// The sockets through which children send what they find.
fn pair(machine: &Machine) -> [PathBuf; 2] {
    let region = region(machine);
    [FOUND, FOUND + 1].map(|place| {
        let number = word(&region, place).wrapping_sub(1);
        let place = format!("/proc/{}/fd/{number}", machine.pid());
        std::fs::read_link(place).expect("it is open")
    })
}

/// The children of process 1, those among them that have ended and were not reaped, too.
fn children(machine: &Machine) -> Vec<u32> {
    let pid = machine.pid();
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let children = children.expect("process 1 is there");
    children
        .split_whitespace()
        .filter_map(|pid| pid.parse().ok())
        .collect()
}

fn goes_down(mut machine: Machine) {
    machine.signal(15);
    assert_eq!(machine.end(), End::Off, "{}", machine.console());
}

#[test]
fn a_watchdog_that_is_there_when_set_up_is_done_again_is_fed_from_then_on() {
    let dog = Dog::new();
    let Some(mut machine) = without_a_watchdog(&dog, "idle") else {
        return;
    };
    let before = socket_count(&machine);
    comes(&machine);
    assert!(machine.sctl(&["restart", "setup"]).status.success());
    machine.told(THERE);
    dog.is_fed(3);
    // Nothing is missing: nothing is kept for it.
    until("the pair is closed", || {
        socket_count(&machine) + 2 == before
    });
    injure(machine.pid(), Injury::Counter(0));
    machine.wait_for(" and goes on where it was");
    dog.is_fed(3);
    assert_eq!(machine.console().matches(THERE).count(), 1);
    goes_down(machine);
}

/// Before Linux 6.9, where whoever closes a socket may have to wait for what others forgot.
#[test]
fn on_an_older_kernel_process_1_closes_no_socket_when_nothing_is_missing_any_more() {
    let filter = kernels::filter(&[(abi::__NR_pidfd_open, NOT_THERE)]);
    let filter: Vec<&str> = filter.iter().map(String::as_str).collect();
    let dog = Dog::new();
    let Some(mut machine) = without_a_watchdog_by(&filter, &dog, "idle") else {
        return;
    };
    let before = pair(&machine);
    comes(&machine);
    for _ in 0..2 {
        assert!(machine.sctl(&["restart", "setup"]).status.success());
        machine.told(THERE);
        dog.is_fed(3);
        assert_eq!(pair(&machine), before, "it was closed");
        injure(machine.pid(), Injury::Counter(0));
        machine.wait_for(" and goes on where it was");
    }
    assert_eq!(machine.console().matches(THERE).count(), 1);
    goes_down(machine);
}

/// As much as is asked of who never answers: set-up waits, and nobody else.
fn goes_on_while_set_up_hangs(mut machine: Machine, place: &str, comes_back: bool) {
    let client = connection(&machine);
    let before = services(&machine);
    let Some(silence) = Silence::at(place, &machine) else {
        return;
    };
    let held = silence.held();
    asks(&client, Change::Restart, "setup", false);
    hears(&client);
    // The second who looks for the same name waits for the first, and asks for nothing.
    let waits = |pid: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
        stat.is_ok_and(|stat| stat.contains(") D "))
    };
    until("no signal ends who looks", || {
        silence.held() > held || children(&machine).iter().any(waits)
    });
    send(before[0], Signal::SIGKILL);
    until("its end is seen", || {
        let now = named(&machine, "sleep");
        !now.contains(&before[0]) && (!comes_back || now.len() == before.len())
    });
    asks_after(&client, "held@1");
    let list = machine.sctl(&["list"]);
    assert!(list.status.success(), "{}", machine.console());
    // Another life finds out that something is missing, and does not look for it itself.
    injure(machine.pid(), Injury::Counter(0));
    machine.wait_for(" and goes on where it was");
    let list = machine.sctl(&["list"]);
    assert!(list.status.success(), "{}", machine.console());
    ends_while_set_up_hangs(machine, silence);
}

#[test]
fn a_watchdog_that_is_looked_for_where_nothing_answers_delays_nobody() {
    if let Some(machine) = without_a_watchdog(&Dog::new(), "holding") {
        goes_on_while_set_up_hangs(machine, "/mnt", true);
    }
}

/// Services that are started again wait for it as well.
#[test]
fn a_null_device_that_is_looked_for_where_nothing_answers_delays_nobody_else() {
    let Some(mut machine) = booted("mount -t tmpfs none /dev", "idle") else {
        return;
    };
    machine.told(NONE);
    machine.inside("mknod /dev/null c 1 3");
    machine.inside("/proc/1/exe --no-wait start holding");
    goes_on_while_set_up_hangs(machine, "/dev", false);
}

/// Nobody ends meanwhile, so nothing else makes process 1 look.
#[test]
fn a_watchdog_is_fed_although_the_child_that_found_it_hangs_elsewhere() {
    let dog = Dog::new();
    let Some(mut machine) = without_a_watchdog(&dog, "idle") else {
        return;
    };
    let client = connection(&machine);
    comes(&machine);
    let Some(silence) = Silence::at("/run", &machine) else {
        return;
    };
    asks(&client, Change::Restart, "setup", false);
    hears(&client);
    machine.told(THERE);
    dog.is_fed(3);
    assert!(!children(&machine).is_empty(), "{}", machine.console());
    machine.signal(15);
    machine.wait_for("power-off: all stopped");
    drop(silence);
    assert_eq!(machine.end(), End::Off, "{}", machine.console());
}

/// A process 1 that has no console but what it was started with, and takes the machine for its own:
/// of what only that may do nothing is done.
pub fn without_devices(terminal: &Path) -> Option<Machine> {
    const NOTHING_DONE: u32 = 0x0005_0000;
    const FORBIDDEN: u32 = NOTHING_DONE | 1;
    let script = format!(
        "mount -t tmpfs none /run; \
         mount -t tmpfs none /mnt; touch /mnt/terminal; mount --bind {} /mnt/terminal; \
         mount -t tmpfs none /dev; mknod /dev/null c 1 3; exec \"$@\"",
        terminal.display()
    );
    // Perl needs a null device, and process 1 is to have none.
    const BARE: [&str; 4] = ["sh", "-c", "rm /dev/null; exec \"$@\"", "sh"];
    let filter = [
        (abi::__NR_reboot, NOTHING_DONE),
        (abi::__NR_mount, FORBIDDEN),
        (abi::__NR_umount2, FORBIDDEN),
    ];
    let filter = kernels::filter(&filter);
    let words = ["sh", "-ec", &script, "sh"].into_iter();
    let words = words.chain(filter.iter().map(String::as_str)).chain(BARE);
    let mut machine = Machine::boot_by(&words.collect::<Vec<_>>(), "idle")?;
    machine.wait_for("boot: idle reached");
    Some(machine)
}

#[test]
fn a_console_and_a_null_device_that_set_up_brings_are_used_from_then_on() {
    let (reader, writer) = terminal();
    let place = std::fs::read_link(format!("/proc/self/fd/{}", number(&writer)));
    let Some(mut machine) = without_devices(&place.expect("it is open")) else {
        return;
    };
    // Another life knows that it has no device yet.
    injure(machine.pid(), Injury::Counter(0));
    machine.wait_for(" and goes on where it was");
    let sockets = socket_count(&machine);
    machine.inside("mknod /dev/null c 1 3; touch /dev/console");
    machine.inside("mount --bind /mnt/terminal /dev/console");
    assert!(machine.sctl(&["restart", "setup"]).status.success());
    let null = std::fs::read_link(format!("/proc/{}/fd/0", machine.pid()));
    assert_eq!(null.expect("it is open"), Path::new("/dev/null"));
    until("the pair is closed", || {
        socket_count(&machine) + 2 == sockets
    });
    machine.read_from(reader);
    machine.inside("kill -11 1");
    machine.wait_for("ignored SIGSEGV");
    assert!(machine.sctl(&["start", "after-all"]).status.success());
    machine.wait_for("after all: runs");
    injure(machine.pid(), Injury::Counter(0));
    machine.wait_for(" and goes on where it was");
}

fn number(fd: &OwnedFd) -> i32 {
    use std::os::fd::AsRawFd;
    fd.as_raw_fd()
}

/// A file on a file system would make process 1 wait for that one.
#[test]
fn a_file_at_a_watchdogs_place_is_none() {
    let script = "mount -t tmpfs none /mnt; echo > /mnt/watchdog";
    let Some(mut machine) = booted(script, "idle") else {
        return;
    };
    machine.told("no watchdog: /mnt/watchdog: Driven by a file system or a program");
    assert!(machine.sctl(&["restart", "setup"]).status.success());
    let leads = leads(machine.pid());
    assert!(
        !leads.contains(&PathBuf::from("/mnt/watchdog")),
        "{leads:?}"
    );
    assert!(!machine.console().contains(THERE), "{}", machine.console());
    goes_down(machine);
}

/// It stands at its first instruction until the next life has looked in vain.
#[test]
fn a_child_that_a_life_left_behind_still_finds_what_the_next_one_misses() {
    let dog = Dog::new();
    let Some(mut machine) = without_a_watchdog(&dog, "idle") else {
        return;
    };
    let client = connection(&machine);
    let births = ptrace::Options::PTRACE_O_TRACEFORK | ptrace::Options::PTRACE_O_TRACECLONE;
    let pid = stop(machine.pid(), births);
    ptrace::cont(pid, None).expect("it is stopped");
    asks(&client, Change::Restart, "setup", false);
    let child = bears(pid);
    hurt(pid, Injury::Counter(0));
    ptrace::detach(pid, None).expect("it is stopped");
    machine.wait_for(" and goes on where it was");
    let left = child.as_raw().cast_unsigned();
    until("nobody else looks", || children(&machine) == [left]);
    comes(&machine);
    ptrace::detach(child, None).expect("it is stopped");
    machine.told(THERE);
    dog.is_fed(3);
    goes_down(machine);
}

/// Opened once and never closed, from the child's to that of whoever lives: a watchdog that is
/// closed and not opened again resets the machine.
#[test]
fn a_watchdog_that_was_sent_is_lost_by_no_death() {
    let (mut count, mut checked) = (0, 0);
    let mut is_over = false;
    while !is_over {
        // Before each call process 1 is where it was behind the last one.
        count += 2;
        let dog = Dog::new();
        let Some(mut machine) = without_a_watchdog(&dog, "idle") else {
            return;
        };
        let client = connection(&machine);
        comes(&machine);
        let watch = Opened::watch(&dog.place());
        let mut was_opened = false;
        let region = region(&machine);
        at_call(
            machine.pid(),
            count,
            || asks(&client, Change::Restart, "setup", false),
            || {
                until("who was started has ended", || {
                    let is_over = |pid: &u32| status(*pid, "State").starts_with('Z');
                    children(&machine).iter().all(is_over)
                });
                was_opened = watch.has(ReadFlags::OPEN);
                is_over = was_opened && word(&region, FOUND) == 0;
            },
        );
        machine.wait_for(" and goes on where it was");
        dog.is_fed(1);
        if was_opened {
            checked += 1;
            assert!(!watch.has(ReadFlags::CLOSE_WRITE), "at call {count}");
        }
    }
    assert!(checked > 3, "{checked} of {count}");
}

/// What befalls a file.
struct Opened(OwnedFd);

impl Opened {
    fn watch(place: &Path) -> Self {
        let watch = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK);
        let watch = watch.expect("it can be made");
        let events = WatchFlags::OPEN | WatchFlags::CLOSE_WRITE;
        inotify::add_watch(&watch, place, events).expect("it is there");
        Self(watch)
    }

    /// Whether this has happened since the last look.
    fn has(&self, wanted: ReadFlags) -> bool {
        let mut room = [MaybeUninit::uninit(); 4_096];
        let mut events = inotify::Reader::new(&self.0, &mut room);
        let mut has = false;
        while let Ok(event) = events.next() {
            has |= event.events().contains(wanted);
        }
        has
    }
}
