//! This file changes words of the memory that outlives process 1 between two of its lives. Whatever
//! the next finds there, no service runs twice or is signalled, and it can be asked.

use crate::inject::{Injury, injure};
use crate::machine::Machine;
use crate::split::{boot, core, named, send, services, status, until};
use nix::sys::signal::Signal;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::process::{Child, Command, Stdio};

/// Words that lie alone in front of all others: what a single one of them means decides most.
const HEAD_WORDS: u64 = 64;

/// Words that follow, which are lines for the console and nothing else.
const TEXT_WORDS: u64 = 514;

/// Words of that head, the text, the processes, and the core's part, up to its records.
const ALL_WORDS: u64 = 1_202 + TEXT_WORDS;

/// Cases whose word and change are drawn, if `DAMAGED_WORDS` does not name a number.
const DRAWN_COUNT: usize = 9;

/// That memory, as process 1 has it open.
pub fn region(machine: &Machine) -> File {
    let path = format!("/proc/{}/fd/3", machine.pid());
    let file = OpenOptions::new().read(true).write(true).open(path);
    file.expect("it is there")
}

pub fn word(region: &File, index: u64) -> u32 {
    let mut bytes = [0; 4];
    region
        .read_exact_at(&mut bytes, index * 4)
        .expect("it is that large");
    u32::from_ne_bytes(bytes)
}

pub fn set_word(region: &File, index: u64, value: u32) {
    let bytes = value.to_ne_bytes();
    region
        .write_all_at(&bytes, index * 4)
        .expect("it is that large");
}

/// Changes a word between two lives of a machine of its own.
fn is_harmless(boots: fn() -> Option<Machine>, index: u64, change: Change, noise: u32) -> bool {
    let Some(machine) = boots() else {
        return false;
    };
    let before = services(&machine);
    let region = region(&machine);
    let was = word(&region, index);
    let value = change(was, noise);
    set_word(&region, index, value);
    injure(machine.pid(), Injury::Counter(0));
    let case = format!("word {index} was {was:#x}, became {value:#x}");
    // Answered when nothing is left to start; the one before may have gone with the life before.
    until(&case, || {
        machine.sctl(&["start", "holding"]).status.success()
    });
    assert_eq!(services(&machine), before, "{case}: {}", machine.console());
    true
}

pub fn solo() -> Option<Machine> {
    let mut machine = Machine::boot("holding")?;
    machine.wait_for("boot: holding reached");
    Some(machine)
}

fn split() -> Option<Machine> {
    boot("holding")
}

/// What a word becomes: of what it was, and of something that is drawn.
type Change = fn(u32, u32) -> u32;

const CHANGES: [Change; 4] = [
    |_, _| 0,
    |_, _| u32::MAX,
    |was, noise| was ^ (1 << (noise % 32)),
    |_, noise| noise,
];

/// Changes a word that `known` names to all ones, then others that are drawn from these parts, none
/// behind the last that there is.
fn all_are_harmless(boots: fn() -> Option<Machine>, known: &[u64], parts: &[(u64, u64)]) {
    let Some(machine) = boots() else {
        return;
    };
    let length = region(&machine).metadata().expect("it is there").len() / 4;
    drop(machine);
    let mut seed = 20_260_101_u32;
    let mut draw = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        seed >> 8
    };
    for index in known {
        if !is_harmless(boots, *index, CHANGES[1], 0) {
            return;
        }
    }
    let more = std::env::var("DAMAGED_WORDS").ok();
    let count = more.and_then(|more| more.parse().ok());
    for (begin, end) in parts.iter().cycle().take(count.unwrap_or(DRAWN_COUNT)) {
        let index = begin + u64::from(draw()) % (length.min(*end) - begin);
        let change = CHANGES[draw() as usize % CHANGES.len()];
        is_harmless(boots, index, change, draw());
    }
}

#[test]
fn a_damaged_word_of_what_outlives_process_1_starts_nobody_twice_and_ends_nobody() {
    // Title, whether it is kept, listener, count of units, of the core's part title and manifest.
    let known = [0, 1, 16, 29, 1_126 + TEXT_WORDS, 1_127 + TEXT_WORDS];
    let parts = [(0, HEAD_WORDS), (0, ALL_WORDS), (ALL_WORDS, u64::MAX)];
    all_are_harmless(solo, &known, &parts);
}

/// What is known of a unit lies behind all these: the words that a restart of it changes.
pub fn words_of(unit: &str) -> Vec<u64> {
    let Some(machine) = solo() else {
        return Vec::new();
    };
    let region = region(&machine);
    let length = region.metadata().expect("it is there").len() / 4;
    let words = || {
        (ALL_WORDS..length)
            .map(|it| word(&region, it))
            .collect::<Vec<_>>()
    };
    let before = words();
    assert!(machine.sctl(&["restart", unit]).status.success());
    let pairs = before.into_iter().zip(words()).zip(ALL_WORDS..);
    let changed: Vec<u64> = pairs
        .filter(|((before, after), _)| before != after)
        .map(|(_, index)| index)
        .collect();
    assert!(!changed.is_empty());
    changed
}

#[test]
fn a_damaged_record_of_a_unit_starts_nobody_twice_and_ends_nobody() {
    for index in words_of("held@1") {
        is_harmless(solo, index, |was, _| was ^ 8, 0);
    }
}

/// Where the words begin that a core that is a process of its own may write.
pub const SHARED: u64 = 65_536 / 4;

/// The keeper's own words and those of processes; the ring and the core's part.
#[test]
fn a_damaged_word_of_what_outlives_a_keeper_starts_nobody_twice_and_ends_nobody() {
    let parts = [(0, HEAD_WORDS), (0, ALL_WORDS), (SHARED, SHARED + 4_000)];
    all_are_harmless(split, &[0, 1, 16, 29], &parts);
}

/// A keeper that does not find its core makes another, and there is one, not two; nor is anything
/// left of the first, be it that it ends by itself or that it does nothing of its own any more.
#[test]
fn a_core_whose_number_is_damaged_is_ended_and_no_service_is_taken_for_it() {
    let Some(mut machine) = split() else {
        return;
    };
    let before = services(&machine);
    let other = number_inside(before[0], "sleep");
    let sleeps: fn(u32) = |_| {};
    let loops: fn(u32) = |core| injure(core, Injury::Code(LOOPS));
    let is_held: fn(u32) = |core| send(core, Signal::SIGSTOP);
    for (damaged, befalls) in [
        (other, sleeps),
        (0, sleeps),
        (other, loops),
        (0, loops),
        (0, is_held),
    ] {
        let lost = core(&machine);
        let its = number_inside(lost, "init-core");
        let region = region(&machine);
        let index = (HEAD_WORDS..SHARED).find(|index| word(&region, *index) == its);
        set_word(&region, index.expect("it is noted"), damaged);
        befalls(lost);
        injure(machine.pid(), Injury::Counter(0));
        machine.wait_for("goes on where it was: incarnation");
        assert!(machine.sctl(&["list"]).status.success());
        assert_eq!(status(lost, "State"), "", "{damaged}: it is gone");
        assert_eq!(named(&machine, "sleep"), before, "{}", machine.console());
        assert_eq!(named(&machine, "init-core").len(), 1);
    }
}

/// jmp to itself
const LOOPS: &[u8] = &[0xeb, 0xfe];

/// A process of the machine that process 1 is not the parent of. Dropped, it is ended.
struct Stranger(Child);

impl Drop for Stranger {
    fn drop(&mut self) {
        // Gone already is as good.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A process's number as process 1 counts, once it runs this program.
fn number_inside(pid: u32, program: &str) -> u32 {
    let read = |file: &str| std::fs::read_to_string(format!("/proc/{pid}/{file}"));
    until("it runs", || {
        read("comm").is_ok_and(|name| name.trim_end() == program)
    });
    let status = read("status").expect("it is there");
    let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    let last = numbers.and_then(|numbers| numbers.split_whitespace().last());
    last.and_then(|last| last.parse().ok()).expect("it has one")
}

#[test]
fn a_process_that_is_no_child_is_never_signalled_for_a_unit_and_what_is_lost_is_told() {
    let Some(mut machine) = Machine::boot("holding") else {
        return;
    };
    machine.wait_for("boot: holding reached");
    let before = services(&machine);
    let pid = machine.pid().to_string();
    // A process between them is its parent.
    let stranger = Command::new("nsenter")
        .args(["--target", &pid, "--mount", "--pid", "--no-fork", "--"])
        .args([
            "unshare",
            "--fork",
            "--kill-child",
            "tail",
            "-f",
            "/dev/null",
        ])
        .stdin(Stdio::null())
        .spawn();
    let _stranger = Stranger(stranger.expect("nsenter starts: it is part of util-linux"));
    machine.inside("until pgrep -x tail > /run/stranger; do sleep 0.01; done");
    let strange = machine.inside("cat /run/stranger");
    let region = region(&machine);
    let ours = number_inside(before[0], "sleep");
    let index = (HEAD_WORDS..ALL_WORDS).find(|index| word(&region, *index) == ours);
    let index = index.expect("it is noted whose process it is");
    set_word(&region, index, strange.parse().expect("a number"));
    injure(machine.pid(), Injury::Counter(0));
    let told = machine.wait_for(": its process is lost");
    assert!(told.contains("held@"), "{told}");
    for instance in 1..=5 {
        let unit = format!("held@{instance}");
        assert!(machine.sctl(&["stop", "--no-wait", &unit]).status.success());
    }
    for _ in 1..=4 {
        machine.wait_for(": stopped");
    }
    assert_eq!(named(&machine, "sleep"), before[..1]);
    assert_eq!(machine.inside("pgrep -x tail"), strange);
}

/// What is noted of one of two services becomes the number of the other.
#[test]
fn a_number_that_becomes_another_services_is_told_and_signals_nobody() {
    let Some(mut machine) = Machine::boot("holding") else {
        return;
    };
    machine.wait_for("boot: holding reached");
    let before = services(&machine);
    let region = region(&machine);
    let [first, second] = [0, 1].map(|index| number_inside(before[index], "sleep"));
    let index = (HEAD_WORDS..ALL_WORDS).find(|index| word(&region, *index) == first);
    set_word(
        &region,
        index.expect("it is noted whose process it is"),
        second,
    );
    injure(machine.pid(), Injury::Counter(0));
    let told = machine.wait_for(": its process is lost");
    assert!(told.contains("held@1"), "{told}");
    let stop = ["stop", "--no-wait", "held@1"];
    assert!(machine.sctl(&stop).status.success());
    assert!(machine.sctl(&["list"]).status.success());
    assert_eq!(named(&machine, "sleep"), before);
    // The other one is still its own unit's: its end is known, and it is started again.
    send(before[1], Signal::SIGKILL);
    machine.wait_for("held@2: ended: SIGKILL");
    machine.wait_for("held 2: runs");
}
