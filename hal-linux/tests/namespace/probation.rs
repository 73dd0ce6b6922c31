//! This file plays the core of an image that is on probation: the real one is held before its first
//! instruction, and what it is to have written is written in its place. Nothing is done for it, its
//! time has an end, and what it leaves of the state is what was there before.

use crate::choice::hands_nothing_on;
use crate::damage::{SHARED, region, set_word, word};
use crate::exchange::{IMAGE, SYMBOLS, is_corrected};
use crate::inject::{Injury, bears, comes_to, hurt, injure, stop, trap};
use crate::machine::Machine;
use crate::split;
use crate::split_upgrade::{booted, is_locked_in, named};
use crate::upgrade::{address_of, inside, kept};
use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use rustix::time::{ClockId, clock_gettime};
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::Duration;

/// An image's core that executes nothing, and who waits for it to be the core.
pub struct Held {
    core: Pid,
    tool: Child,
    region: File,
}

/// Where the ring begins among the words that core and keeper share, and how many words it has; and
/// where the state begins. (relay/mod.rs.)
const RING: u64 = SHARED + 266;
const RING_WORDS: u64 = 512;
const STATE: u64 = RING + RING_WORDS;

/// Owner { unit: 0, role: Main } and TakeOver, in bytes. (relay/schema.txt.)
const OWNER: &[u8] = &[12, 0, 0];
pub const TAKE_OVER: &[u8] = &[9];

impl Held {
    /// Exchanges the core, and holds the one that is made.
    pub fn exchange(machine: &Machine) -> Self {
        let image = inside(machine, &named(IMAGE));
        let mut tool = machine.tool(&["upgrade", "--core", &image]);
        tool.stderr(Stdio::piped());
        let births = ptrace::Options::PTRACE_O_TRACEFORK | ptrace::Options::PTRACE_O_TRACECLONE;
        let keeper = stop(machine.pid(), births);
        ptrace::cont(keeper, None).expect("it is stopped");
        let tool = tool.spawn().expect("nsenter starts");
        let trial = bears(keeper);
        ptrace::detach(trial, None).expect("it is stopped");
        ptrace::cont(keeper, None).expect("it is stopped");
        let core = bears(keeper);
        ptrace::detach(keeper, None).expect("it is stopped");
        comes_to(
            core.as_raw().cast_unsigned(),
            address_of(SYMBOLS, &["begin_core"]),
        );
        let region = region(machine);
        Self { core, tool, region }
    }

    /// Writes a request behind all others, as a core does. (relay/ring.rs.)
    pub fn asks(&self, bytes: &[u8]) {
        let mix = |sum: u32, word: u32| {
            let mixed = (sum ^ word).wrapping_mul(0x9e37_79b1);
            mixed ^ (mixed >> 15)
        };
        let end = word(&self.region, SHARED);
        let place = |skip: u32| RING + u64::from(end + skip) % RING_WORDS;
        let length = u32::try_from(bytes.len()).expect("it is short");
        let mut sum = mix(mix(0x6b65_6570, end), length);
        let mut next = 2;
        for chunk in bytes.chunks(4) {
            let mut word = [0; 4];
            word[..chunk.len()].copy_from_slice(chunk);
            let word = u32::from_le_bytes(word);
            sum = mix(sum, word);
            set_word(&self.region, place(next), word);
            next += 1;
        }
        set_word(&self.region, place(0), length);
        set_word(&self.region, place(1), sum);
        set_word(&self.region, SHARED, end + next);
    }

    /// Wakes the keeper, as a core does; not if that has ended it.
    pub fn rings(&self) {
        let bell = OpenOptions::new()
            .write(true)
            .open(format!("/proc/{}/fd/1", self.core));
        if let Ok(mut bell) = bell {
            let _ = bell.write_all(b"!");
        }
    }

    /// Writes over all that there is of the state.
    pub fn spoils_the_state(&self) {
        let bytes = self.region.metadata().expect("it is open").len();
        for index in STATE..bytes / 4 {
            let other = word(&self.region, index) ^ 0x5a5a_0101;
            set_word(&self.region, index, other);
        }
    }

    /// Lets it go, and die of that.
    pub fn dies(&self) {
        hurt(self.core, Injury::Counter(0));
        ptrace::detach(self.core, None).expect("it is stopped");
    }

    /// Whether the keeper has ended it.
    fn is_ended(&self) -> bool {
        let flags = WaitPidFlag::__WALL | WaitPidFlag::WNOHANG;
        match waitpid(self.core, Some(flags)).expect("it is traced") {
            WaitStatus::StillAlive => false,
            WaitStatus::Signaled(_, Signal::SIGKILL, _) => true,
            end => panic!("{end:?}"),
        }
    }

    /// What whoever asked was told in the end: nothing, if it is this one.
    pub fn told(self) -> String {
        let told = self.tool.wait_with_output().expect("it ends");
        String::from_utf8_lossy(&told.stderr).into_owned()
    }
}

/// Also not by a keeper's next life, which finds what was asked for and not what it is worth.
#[test]
fn what_a_core_asks_for_before_it_has_taken_over_nobody_does() {
    let Some(mut machine) = booted() else { return };
    let before = kept(&machine);
    let held = Held::exchange(&machine);
    let line = b"init: nobody said so\n";
    let length = u8::try_from(line.len()).expect("it is short");
    held.asks(&[&[7, length], &line[..]].concat());
    injure(machine.pid(), Injury::Counter(0));
    split::until("the keeper's next life has ended it", || held.is_ended());
    assert_eq!(held.told(), "");
    machine.wait_for("the core was exchanged and goes on where it was");
    assert!(is_corrected(&machine));
    let console = machine.console();
    assert!(!console.contains("nobody said so"), "{console}");
    assert_eq!(kept(&machine), before);
    is_locked_in(&machine);
}

/// Each answer is one more that it may ask for, and no more time.
#[test]
fn a_core_that_only_asks_what_it_may_gives_way_all_the_same() {
    /// Far more than there is time for, and far fewer than it may ask for in all.
    const ASKS_MAX: usize = 600;
    let Some(mut machine) = booted() else { return };
    let before = kept(&machine);
    let held = Held::exchange(&machine);
    let is_ended = (0..ASKS_MAX).any(|_| {
        held.asks(OWNER);
        held.rings();
        std::thread::sleep(Duration::from_millis(100));
        held.is_ended()
    });
    assert!(is_ended, "{}", machine.console());
    let said = held.told();
    assert!(
        said.contains("the image did not take over in time"),
        "{said}"
    );
    machine.wait_for("the core did not answer");
    machine.wait_for("the image's core did not take over; the one before has its place again");
    assert!(!is_corrected(&machine));
    assert_eq!(kept(&machine), before);
    is_locked_in(&machine);
}

#[test]
fn a_core_that_spoils_the_state_before_it_has_taken_over_leaves_it_as_it_was() {
    let Some(mut machine) = booted() else { return };
    let before = kept(&machine);
    let held = Held::exchange(&machine);
    held.spoils_the_state();
    held.dies();
    let said = held.told();
    let cause = "the image died of SIGSEGV before it had taken over";
    assert!(said.contains(cause), "{said}\n{}", machine.console());
    machine.wait_for("process 1 was rolled back and goes on where it was");
    assert_eq!(kept(&machine), before);
    // What only the state says: who it waits for.
    machine.inside("touch /run/say");
    assert!(machine.sctl(&["start", "says-when-told"]).status.success());
    assert_eq!(kept(&machine), before);
    hands_nothing_on(&machine);
}

/// A number as it is in a request.
fn number(number: u64) -> Vec<u8> {
    let (mut bytes, mut rest) = (Vec::new(), number);
    while rest > 0x7f {
        bytes.push(u8::try_from(rest & 0x7f).expect("seven bits") | 0x80);
        rest >>= 7;
    }
    bytes.push(u8::try_from(rest).expect("seven bits"));
    bytes
}

/// Wait { until, taken_in: 0, sick: nobody }, in bytes, for so many microseconds.
fn wait(us: u64) -> Vec<u8> {
    let now = clock_gettime(ClockId::Boottime);
    let [seconds, nanos] = [now.tv_sec, now.tv_nsec].map(i64::cast_unsigned);
    let until = seconds * 1_000_000 + nanos / 1_000 + us;
    [vec![1], number(until + 1), vec![0], number(0xffff)].concat()
}

/// It has taken over, and sleeps a little between; the keeper does nothing else for it.
#[test]
fn a_core_that_wants_to_be_woken_at_once_over_and_over_is_replaced() {
    const WAITS_MAX: usize = 20_000;
    let Some(mut machine) = booted() else { return };
    let before = kept(&machine);
    let held = Held::exchange(&machine);
    held.asks(TAKE_OVER);
    let is_ended = (0..WAITS_MAX).any(|_| {
        let answered = word(&held.region, SHARED + 2);
        held.asks(&wait(200));
        held.rings();
        let mut is_ended = false;
        split::until("it is woken", || {
            // In this order: the next core is answered as well.
            let is_woken = word(&held.region, SHARED + 2) != answered;
            is_ended = held.is_ended();
            is_woken || is_ended
        });
        is_ended
    });
    assert!(is_ended, "{}", machine.console());
    machine.wait_for("the core asked too often; another takes its place");
    // This one has told nobody anything, and the next does not know what became of it.
    assert!(held.told().contains("process 1 died meanwhile"));
    assert!(is_corrected(&machine), "{}", machine.console());
    assert_eq!(kept(&machine), before);
    is_locked_in(&machine);
}

/// Before it is the choice, and when it is and that is not all yet.
#[test]
fn a_keeper_that_dies_when_an_images_core_has_taken_over_has_that_core() {
    for place in ["6choose", "11note_choice"] {
        let Some(mut machine) = booted() else { return };
        let before = kept(&machine);
        let address = address_of(split::SYMBOLS, &["9hal_linux", "8exchange", place]);
        let image = inside(&machine, &named(IMAGE));
        let mut tool = machine.tool(&["upgrade", "--core", &image]);
        trap(machine.pid(), address, 1, || {
            assert!(tool.status().expect("nsenter starts").success());
        });
        // That core was there by then.
        machine.wait_for("the core was exchanged and goes on where it was");
        machine.wait_for("process 1 died of SIGILL");
        machine.wait_for("goes on where it was");
        assert!(is_corrected(&machine), "{place}: {}", machine.console());
        assert_eq!(kept(&machine), before, "{place}");
        is_locked_in(&machine);
        // What it is, what it keeps and the image; nothing of the trial.
        let is_file = |path: &PathBuf| path.to_string_lossy().starts_with("/memfd:");
        let files = || {
            split::leads(machine.pid())
                .into_iter()
                .filter(|it| is_file(it))
                .count()
        };
        split::until("three files are left open", || files() == 3);
        hands_nothing_on(&machine);
    }
}
