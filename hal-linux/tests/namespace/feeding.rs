//! This file counts what a hardware watchdog is given. A named pipe is in its place: it tells each
//! byte, refuses to be asked for anything, and is one open file from the first byte to the last.

use crate::inject::{Fate, Injury, STANDS_STILL, in_next_program, injure};
use crate::machine::{End, Machine, copy_program};
use crate::skip::skip;
use crate::split::{core, send};
use crate::upgrade::{ADOPT, address_of, inside, process};
use nix::sys::signal::Signal;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, fcntl_getfl, fcntl_setfl, open};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Name process 1 of `recording.toml` and of `split.toml`, built by `cargo xtask test`.
pub const SOLO: &str = "SYSMASTER_RECORDING_INIT";
pub const SPLIT: &str = "SYSMASTER_SPLIT_INIT";
/// The first with symbols; and one that feeds nothing.
const SYMBOLS: &str = "SYSMASTER_RECORDING_SYMBOLS";
const UNFED: &str = "SYSMASTER_NAMESPACE_INIT";

/// What it waits for its food, as both products say.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Far above what any of it takes.
const LIMIT: Duration = Duration::from_secs(60);

/// What stands in for a watchdog, and a folder for it.
pub struct Dog {
    folder: tempfile::TempDir,
    script: String,
    pipe: OwnedFd,
}

impl Dog {
    /// One that nobody feeds yet.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let place = folder.path().join("watchdog");
        let made = Command::new("mkfifo").arg(&place).status();
        assert!(made.is_ok_and(|status| status.success()), "no pipe");
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let pipe = open(&place, flags, Mode::empty()).expect("it is there");
        let path = folder
            .path()
            .to_str()
            .expect("temporary folders have plain names");
        let script = format!("mount --bind {path} /mnt && exec \"$@\"");
        Self {
            script,
            pipe,
            folder,
        }
    }

    /// Where what lies beside it is.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where it lies.
    pub fn place(&self) -> PathBuf {
        self.folder.path().join("watchdog")
    }

    /// What puts it where process 1 looks for it.
    pub fn first(&self) -> [&str; 4] {
        ["sh", "-c", &self.script, "sh"]
    }

    /// All that it was given and nobody has looked at; whether somebody may give it more.
    pub fn meals(&self) -> (Vec<u8>, bool) {
        let (mut meals, mut bytes) = (Vec::new(), [0; 64]);
        loop {
            match rustix::io::read(&self.pipe, &mut bytes) {
                Ok(0) => return (meals, false),
                Ok(count) => meals.extend_from_slice(&bytes[..count]),
                Err(_nothing_now) => return (meals, true),
            }
        }
    }

    /// Whether it is given something, or left, within this time.
    fn is_fed_within(&self, time: Duration) -> bool {
        let time = Timespec::try_from(time).expect("seconds");
        let mut polled = [PollFd::new(&self.pipe, PollFlags::IN)];
        poll(&mut polled, Some(&time)).expect("it is open") > 0
    }

    /// Waits until it was given something so many times, each no letter.
    pub fn is_fed(&self, times: usize) {
        let end = Instant::now() + LIMIT;
        let mut count = 0;
        while count < times {
            let left = end.saturating_duration_since(Instant::now());
            assert!(self.is_fed_within(left), "{count} of {times} meals");
            let (meals, is_open) = self.meals();
            assert!(is_open && meals.iter().all(|meal| *meal == 0), "{meals:?}");
            count += meals.len();
        }
    }

    /// It is given nothing for as long as it waits.
    fn is_not_fed(&self) {
        self.meals();
        let begun = Instant::now();
        assert!(!self.is_fed_within(TIMEOUT), "after {:?}", begun.elapsed());
    }

    /// It is left; all that it was given until then.
    pub fn is_left(&self) -> Vec<u8> {
        let (end, mut all) = (Instant::now() + LIMIT, Vec::new());
        loop {
            assert!(self.is_fed_within(end.saturating_duration_since(Instant::now())));
            let (meals, is_open) = self.meals();
            all.extend(meals);
            if !is_open {
                return all;
            }
        }
    }
}

/// Boots with such a watchdog until this is said; `None` with a loud word where nobody has built
/// the program.
pub fn boot(dog: &Dog, program: &str, target: &str, said: &str) -> Option<Machine> {
    let Some(file) = std::env::var_os(program).map(PathBuf::from) else {
        skip(&format!(
            "{program} names no process 1; `cargo xtask test` builds one"
        ));
        return None;
    };
    let mut machine = Machine::boot_copy(&dog.first(), Some(&file), target)?;
    machine.wait_for(said);
    Some(machine)
}

/// The number under which process 1 has it open, and another descriptor of the same open file.
fn open_file(machine: &Machine) -> (i32, OwnedFd) {
    let number = machine.inside("find /proc/1/fd -lname /mnt/watchdog -printf %f");
    let number = number.parse().expect("it is open once");
    let pid = machine.pid().try_into().ok().and_then(Pid::from_raw);
    let process = pidfd_open(pid.expect("a pid"), PidfdFlags::empty()).expect("it is there");
    let file = pidfd_getfd(process, number, PidfdGetfdFlags::empty());
    (number, file.expect("the test is root"))
}

#[test]
fn a_watchdog_is_handed_over_without_a_gap_and_fed_by_every_life() {
    let told = "watchdog: /mnt/watchdog resets after 2 s, does not warn: error 25";
    // It stays armed, and is given time for the way down.
    handed_over(SOLO, told, 0);
}

#[test]
fn a_keepers_watchdog_is_handed_over_without_a_gap_and_fed_by_every_life() {
    handed_over(SPLIT, "watchdog: /mnt/watchdog resets after 2 s", b'V');
}

/// One open file from the first life to the last, whose last meal this is.
fn handed_over(program: &str, told: &str, last_meal: u8) {
    let dog = Dog::new();
    let Some(mut machine) = boot(&dog, program, "upgrade", "stays: ready") else {
        return;
    };
    let console = machine.console();
    assert!(console.contains(told), "{console}");
    dog.is_fed(3);
    let (number, file) = open_file(&machine);
    // What is set on an open file goes with it, and with no other of the same name.
    let marked = fcntl_getfl(&file).expect("it is open") | OFlags::APPEND;
    fcntl_setfl(&file, marked).expect("it is open");
    drop(file);
    let image = machine.root().join("run/image");
    copy_program(
        &PathBuf::from(std::env::var_os(program).expect("it runs")),
        &image,
    );
    let lives: [&dyn Fn(&Machine); 3] = [
        &|machine| injure(machine.pid(), Injury::Counter(0)),
        &|machine| assert!(machine.sctl(&["reexec"]).status.success()),
        &|machine| assert!(machine.sctl(&["upgrade", "/run/image"]).status.success()),
    ];
    for new_life in lives {
        new_life(&machine);
        machine.wait_for(" and goes on where it was");
        dog.is_fed(3);
        let (now, file) = open_file(&machine);
        assert_eq!(now, number);
        assert_eq!(fcntl_getfl(&file).expect("it is open"), marked);
    }
    machine.signal(15);
    assert_eq!(machine.end(), End::Off, "{}", machine.console());
    let all = dog.is_left();
    let (last, before) = all.split_last().expect("it was told that this is the end");
    assert_eq!(*last, last_meal);
    assert!(before.iter().all(|meal| *meal == 0), "{before:?}");
    assert_eq!(machine.console().matches(told).count(), 1);
}

#[test]
fn a_watchdog_is_not_fed_by_a_process_1_that_is_held_or_for_a_critical_service_that_failed() {
    let dog = Dog::new();
    let Some(mut machine) = boot(&dog, SOLO, "idle", "boot: idle reached") else {
        return;
    };
    dog.is_fed(3);
    send(machine.pid(), Signal::SIGSTOP);
    dog.is_not_fed();
    send(machine.pid(), Signal::SIGCONT);
    dog.is_fed(3);
    machine.sctl(&["start", "vital"]);
    machine.wait_for("watchdog: not fed, it will reset the machine: vital, which is critical");
    dog.is_not_fed();
    // A new life knows whom it is not fed for.
    injure(machine.pid(), Injury::Counter(0));
    machine.wait_for("died and goes on where it was");
    dog.is_not_fed();
    std::fs::write(dog.folder.path().join("well"), "").expect("there is room");
    assert!(machine.sctl(&["start", "vital"]).status.success());
    dog.is_fed(3);
}

#[test]
fn a_watchdog_is_fed_only_while_the_core_gets_on_and_disarmed_at_last() {
    let dog = Dog::new();
    let Some(mut machine) = boot(&dog, SPLIT, "holding", "boot: holding reached") else {
        return;
    };
    dog.is_fed(3);
    let held = core(&machine);
    send(held, Signal::SIGSTOP);
    // What it had asked for before it was held.
    dog.is_fed_within(TIMEOUT);
    dog.is_not_fed();
    send(held, Signal::SIGCONT);
    dog.is_fed(3);
    send(core(&machine), Signal::SIGKILL);
    machine.wait_for("the core is a new one and goes on where it was");
    dog.is_fed(3);
    machine.signal(15);
    assert_eq!(machine.end(), End::Off, "{}", machine.console());
    let all = dog.is_left();
    let (last, before) = all.split_last().expect("it was told that this is the end");
    assert_eq!(*last, b'V');
    assert!(before.iter().all(|meal| *meal == 0), "{before:?}");
}

/// It stands still where it has read nothing yet. The ten seconds that others have would be over
/// long after such a watchdog has reset the machine.
#[test]
fn an_image_that_stands_still_is_rolled_back_before_the_watchdog_resets_the_machine() {
    const OTHERS_HAVE: Duration = Duration::from_secs(10);
    let dog = Dog::new();
    let Some(mut machine) = boot(&dog, SOLO, "upgrade", "stays: ready") else {
        return;
    };
    let before = process(&machine, "stays");
    let file = std::env::var_os(SOLO).expect("it runs");
    let image = inside(&machine, &PathBuf::from(file));
    let mut upgrade = machine.tool(&["upgrade", &image]);
    let fate = Fate::Planted(address_of(SYMBOLS, &ADOPT), STANDS_STILL);
    let begun = Instant::now();
    in_next_program(machine.pid(), &fate, || {
        let upgrade = upgrade.output().expect("nsenter starts");
        let said = String::from_utf8_lossy(&upgrade.stderr);
        assert!(said.contains("did not take over in time"), "{said}");
    });
    assert!(begun.elapsed() < OTHERS_HAVE, "{:?}", begun.elapsed());
    machine.wait_for("process 1 was rolled back and goes on where it was");
    dog.is_fed(3);
    assert_eq!(process(&machine, "stays"), before);
    assert!(machine.sctl(&["upgrade", &image]).status.success());
    dog.is_fed(3);
}

/// The program before would not know of it, could not close it, and the machine would be reset.
#[test]
fn a_watchdog_that_the_program_before_did_not_feed_is_opened_when_nothing_leads_back() {
    let dog = Dog::new();
    let Some(mut machine) = boot(&dog, UNFED, "upgrade", "stays: ready") else {
        return;
    };
    let image = machine.root().join("run/image");
    let file = std::env::var_os(SOLO).expect("it is named beside the other");
    copy_program(&PathBuf::from(file), &image);
    let mut upgrade = machine.tool(&["upgrade", "/run/image"]);
    // With all of its platform, and nothing of what was left.
    let place = address_of(SYMBOLS, &["9init_core", "10checkpoint", "7keep_in"]);
    in_next_program(machine.pid(), &Fate::Planted(place, &[0x0f, 0x0b]), || {
        let upgrade = upgrade.output().expect("nsenter starts");
        assert_eq!(upgrade.status.code(), Some(1), "{upgrade:?}");
    });
    machine.wait_for("process 1 was rolled back and goes on where it was");
    let told = "watchdog: /mnt/watchdog resets after 2 s";
    assert!(!machine.console().contains(told), "{}", machine.console());
    assert!(machine.sctl(&["upgrade", "/run/image"]).status.success());
    machine.wait_for("process 1 was upgraded and goes on where it was");
    // By a child that looked for it.
    machine.told(told);
    dog.is_fed(3);
}
