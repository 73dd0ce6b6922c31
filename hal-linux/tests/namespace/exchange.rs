//! This file exchanges the core alone where it is a process of its own: for a corrected one, and
//! for what is none. The keeper stays, its services stay, and what does not do is given up.

use crate::inject::{FAULTS, Injury, at_birth, comes_to_place, injure};
use crate::machine::Machine;
use crate::split::{self, core, leads, named_below, send, status, until};
use crate::split_upgrade::{booted, is_locked_in, named, upgrade};
use crate::upgrade::{self, address_of, file_offset_of, inside, inside_as, kept};
use nix::sys::ptrace;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use rustix::fs::{major, minor};
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// Names the image that `split-corrected.toml` makes, built by `cargo xtask test`.
pub const IMAGE: &str = "SYSMASTER_SPLIT_CORRECTED";
/// The same with symbols.
pub const SYMBOLS: &str = "SYSMASTER_SPLIT_CORRECTED_SYMBOLS";

/// Asks for the exchange.
pub fn exchange(machine: &Machine, image: &str) -> Result<(), String> {
    let told = machine.sctl(&["upgrade", "--core", image]);
    match told.status.code() {
        Some(0) => Ok(()),
        _ => Err(String::from_utf8_lossy(&told.stderr).into_owned()),
    }
}

/// Whether the core that answers is the corrected one.
pub fn is_corrected(machine: &Machine) -> bool {
    let told = machine.sctl(&["version"]);
    assert!(told.status.success(), "{told:?}\n{}", machine.console());
    String::from_utf8_lossy(&told.stdout).contains("+corrected")
}

/// No rights, two ends of pipes, and the words that it shares.
pub fn is_a_core_like_any(machine: &Machine) {
    is_locked_in(machine);
    let core = core(machine);
    assert_eq!(status(core, "NoNewPrivs"), "1");
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert_eq!(status(core, set), "0000000000000000", "{set}");
    }
    assert_eq!(named_below(machine.pid(), "init-core").len(), 1);
}

/// Puts bytes where process 1 finds them; their path there.
fn placed(machine: &Machine, name: &str, bytes: &[u8]) -> String {
    let file = machine.root().join("run").join(name);
    std::fs::write(file, bytes).expect("there is room");
    format!("/run/{name}")
}

/// The corrected image, if the number at that place behind the mark of a core were another.
fn of_other(machine: &Machine, name: &str, place: usize) -> String {
    const MARK: &[u8] = b"\x02sysMaster, a core alone";
    let mut bytes = std::fs::read(named(IMAGE)).expect("it was built");
    let at = bytes.windows(MARK.len()).position(|it| it == MARK);
    bytes[at.expect("it has a mark") + MARK.len() + 4 * place] ^= 1;
    placed(machine, name, &bytes)
}

/// The corrected image, with another number in what its file says of the part that is written to.
/// (`Elf64_Phdr` of `linux/elf.h`.)
fn of_part(machine: &Machine, name: &str, field: usize, value: u64) -> String {
    const LOADED_AND_WRITTEN: [u8; 8] = [1, 0, 0, 0, 6, 0, 0, 0];
    let mut bytes = std::fs::read(named(IMAGE)).expect("it was built");
    let mut parts = (64..1_024).step_by(56);
    let part = parts.find(|at| bytes[*at..].starts_with(&LOADED_AND_WRITTEN));
    let at = part.expect("it has such a part") + field;
    bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
    placed(machine, name, &bytes)
}

/// The corrected image, with other instructions at the front of a function of its.
pub fn spoilt(machine: &Machine, name: &str, function: &[&str], code: &[u8]) -> String {
    let mut bytes = std::fs::read(named(IMAGE)).expect("it was built");
    let at = file_offset_of(SYMBOLS, function);
    bytes[at..at + code.len()].copy_from_slice(code);
    placed(machine, name, &bytes)
}

/// jump to itself
pub const LOOPS: &[u8] = &[0xeb, 0xfe];

/// What a core does first that goes on, and what it does for each request.
const RESUME: [&str; 3] = ["9init_core", "6driver", "6resume"];
const KEEP_IN: [&str; 3] = ["9init_core", "10checkpoint", "7keep_in"];
pub const FRAME: [&str; 3] = ["9init_core", "6driver", "5frame"];

#[test]
fn a_corrected_core_takes_the_place_of_the_core_and_whoever_dies_later_it_stays() {
    let Some(mut machine) = booted() else { return };
    let (pid, before, first) = (machine.pid(), kept(&machine), core(&machine));
    assert!(!is_corrected(&machine));
    let image = inside(&machine, &named(IMAGE));
    assert_eq!(exchange(&machine, &image), Ok(()));
    machine.wait_for("the core was exchanged and goes on where it was");
    assert_ne!(core(&machine), first);
    let holds = |machine: &Machine, what: &str| {
        assert!(is_corrected(machine), "{what}\n{}", machine.console());
        assert_eq!((machine.pid(), kept(machine)), (pid, before.clone()));
        is_a_core_like_any(machine);
    };
    holds(&machine, "exchanged");
    // It decides: a unit that waited to be told, and one that ends.
    machine.inside("touch /run/say");
    assert!(machine.sctl(&["start", "says-when-told"]).status.success());
    send(core(&machine), split::KILL);
    machine.wait_for("the core is a new one and goes on where it was");
    holds(&machine, "its core was killed");
    injure(core(&machine), Injury::Counter(0));
    machine.wait_for("the core ended: SIGSEGV");
    holds(&machine, "its core died");
    injure(pid, Injury::Counter(0));
    machine.wait_for("goes on where it was");
    holds(&machine, "its keeper died");
    assert!(machine.sctl(&["reexec"]).status.success());
    holds(&machine, "its keeper was executed again");
    // Another of the same, from the same file: the one before is left.
    let descriptors = leads(pid).len();
    assert_eq!(exchange(&machine, &image), Ok(()));
    holds(&machine, "exchanged again");
    until("the one before is left", || leads(pid).len() <= descriptors);

    let whole = inside(&machine, &named("SYSMASTER_SPLIT_UPGRADED"));
    upgrade(&mut machine, &whole);
    assert!(!is_corrected(&machine));
    assert_eq!(kept(&machine), before);
    is_a_core_like_any(&machine);
    until("the choice is forgotten", || leads(pid).len() < descriptors);
    machine.signal(15);
    machine.wait_for("power-off: all stopped");
}

#[test]
fn what_has_no_core_for_this_keeper_is_refused_and_nothing_happens() {
    let Some(machine) = booted() else { return };
    let (before, first) = (kept(&machine), core(&machine));
    let spoilt = spoilt(&machine, "trial", &KEEP_IN, FAULTS);
    for (file, cause) in [
        ("/bin/sh".to_string(), "no process 1 of sysMaster"),
        ("/run/none".to_string(), "No such file or directory"),
        (
            inside_as(&machine, &upgrade::image()),
            "no core to be exchanged alone",
        ),
        (
            inside_as(&machine, &named("SYSMASTER_SPLIT_UPGRADED")),
            "from another manifest: upgrade the whole",
        ),
        (spoilt, "the image's trial ended: SIGILL"),
        (of_other(&machine, "birth", 0), "needs another keeper"),
        (of_other(&machine, "schema", 1), "needs another keeper"),
        (
            of_other(&machine, "layout", 2),
            "cannot read what this process 1 knows",
        ),
        (of_other(&machine, "tables", 3), "from another manifest"),
        // More memory than any of ours has, and a place where none of ours is.
        (of_part(&machine, "vast", 40, 1 << 30), "cannot be executed"),
        (
            of_part(&machine, "high", 16, 0x7ffd_0000_0000),
            "cannot be executed",
        ),
    ] {
        let said = exchange(&machine, &file).expect_err(&file);
        assert!(said.contains(cause), "{file}: {said}");
        assert_eq!((kept(&machine), core(&machine)), (before.clone(), first));
    }
    let usage = machine.sctl(&["list", "--core"]);
    assert_eq!(usage.status.code(), Some(2), "{usage:?}");
}

#[test]
fn a_core_that_does_not_get_on_gives_way_to_the_one_before() {
    let Some(mut machine) = booted() else { return };
    let before = kept(&machine);
    let dies = spoilt(&machine, "dies", &RESUME, FAULTS);
    let loops = spoilt(&machine, "loops", &RESUME, LOOPS);
    let good = inside(&machine, &named(IMAGE));
    for corrected in [false, true] {
        for (image, cause) in [
            (&dies, "the image died of SIGILL before it had taken over"),
            (&loops, "the image did not take over in time"),
        ] {
            let said = exchange(&machine, image).expect_err(image);
            assert!(said.contains(cause), "{said}\n{}", machine.console());
            assert_eq!(is_corrected(&machine), corrected, "{image}");
            assert_eq!(kept(&machine), before);
            is_a_core_like_any(&machine);
        }
        if !corrected {
            assert_eq!(exchange(&machine, &good), Ok(()));
        }
    }
    machine.signal(15);
    machine.wait_for("power-off: all stopped");
}

#[test]
fn a_core_that_dies_of_all_that_it_is_asked_gives_way_to_the_keepers_own() {
    let Some(mut machine) = booted() else { return };
    let before = kept(&machine);
    let image = spoilt(&machine, "moody", &FRAME, FAULTS);
    assert_eq!(exchange(&machine, &image), Ok(()));
    machine.wait_for("the core was exchanged and goes on where it was");
    // Whoever asks is answered by the one that lives.
    assert!(!is_corrected(&machine));
    machine.wait_for("the image's core got nothing done; process 1's own takes its place");
    machine.wait_for("the core is a new one and goes on where it was");
    assert_eq!(kept(&machine), before);
    is_a_core_like_any(&machine);
    assert!(!machine.console().contains("is put aside"));
    injure(machine.pid(), Injury::Counter(0));
    machine.wait_for("goes on where it was");
    assert!(!is_corrected(&machine));
    assert_eq!(exchange(&machine, &inside(&machine, &named(IMAGE))), Ok(()));
    assert!(is_corrected(&machine));
}

/// The file that a shared mapping is of.
fn inodes(pid: u32) -> Vec<String> {
    let lines = split::shared(pid);
    let inode = |line: &String| line.split_whitespace().nth(4).map(String::from);
    lines.iter().filter_map(inode).collect()
}

/// Code that a process has, and of which file.
fn code(pid: u32) -> Vec<(Range<u64>, String)> {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).expect("it is there");
    let lines = maps.lines().map(|line| line.split_whitespace().collect());
    let code = lines.filter(|words: &Vec<&str>| words[1].contains('x'));
    let is_kernels = |words: &Vec<&str>| words.last().is_some_and(|name| name.starts_with("[v"));
    let range = |words: Vec<&str>| {
        let (begin, end) = words[0].split_once('-').expect("two addresses");
        let [begin, end] = [begin, end].map(|it| u64::from_str_radix(it, 16).expect("a number"));
        (begin..end, format!("{} {}", words[3], words[4]))
    };
    code.filter(|words| !is_kernels(words)).map(range).collect()
}

/// Lets a child, from its birth on, come to the first instruction of the core that it is to be. As
/// soon as there is code in it that is not its keeper's, each instruction is looked at: it is none
/// of that until the calls are filtered.
fn comes_to_unexecuted(keeper: u32, child: u32, entry: u64) {
    let pid = Pid::from_raw(child.cast_signed());
    let mut own: Vec<String> = code(child).into_iter().map(|(_, file)| file).collect();
    // What the keeper has kept of itself.
    let copy = std::fs::metadata(format!("/proc/{keeper}/fd/4")).expect("it is there");
    let [major, minor] = [major(copy.dev()), minor(copy.dev())];
    own.push(format!("{major:02x}:{minor:02x} {}", copy.ino()));
    let strange = || {
        let code = code(child).into_iter();
        let strange = code.filter(|(_, file)| !own.contains(file));
        strange.map(|(range, _)| range).collect::<Vec<_>>()
    };
    let (mut looked_at, mut code) = (0, Vec::new());
    while status(child, "Seccomp") != "2" {
        match code.is_empty() {
            true => ptrace::syscall(pid, None),
            false => ptrace::step(pid, None),
        }
        .expect("it is stopped");
        waitpid(pid, Some(WaitPidFlag::__WALL)).expect("it stops");
        code = strange();
        let place = ptrace::getregs(pid).expect("it is stopped").rip;
        let is_strange = code.iter().any(|range| range.contains(&place));
        assert!(!is_strange, "{place:#x} is executed, and any call allowed");
        looked_at += usize::from(!code.is_empty());
    }
    assert!(looked_at > 10, "{looked_at} instructions");
    assert!(code.iter().any(|range| range.contains(&entry)));
    comes_to_place(pid, entry);
}

/// Whoever tries the image's core, and whoever is that, executes none of the image's instructions
/// before it has no right left.
#[test]
fn not_one_instruction_of_an_image_is_executed_with_any_right() {
    let Some(mut machine) = booted() else { return };
    let pid = machine.pid();
    let entry = address_of(SYMBOLS, &["begin_core"]);
    let image = inside(&machine, &named(IMAGE));
    let has_no_right = |child: u32, leads_to: &str| {
        comes_to_unexecuted(pid, child, entry);
        assert_eq!(status(child, "Seccomp"), "2");
        assert_eq!(status(child, "NoNewPrivs"), "1");
        for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
            assert_eq!(status(child, set), "0000000000000000", "{set}");
        }
        // Its keeper's handlers are another program's code here, and nothing leads to them.
        let [caught, blocked] = ["SigCgt", "SigBlk"]
            .map(|set| u64::from_str_radix(&status(child, set), 16).expect("a set of signals"));
        assert_eq!(caught & !blocked, 0);
        let leads = leads(child);
        let is_one = |path: &PathBuf| path.to_string_lossy().starts_with(leads_to);
        assert!(leads.len() == 2 && leads.iter().all(is_one), "{leads:?}");
    };
    let mut tool = machine.tool(&["upgrade", "--core", &image]);
    let mut told = None;
    at_birth(
        pid,
        || told = Some(tool.spawn().expect("nsenter starts")),
        |child| {
            has_no_right(child, "/memfd:init");
            // It has a copy of the state, and nothing of the state itself.
            let (its, keepers) = (inodes(child), inodes(pid));
            assert!(its.len() == 1 && !keepers.contains(&its[0]), "{its:?}");
        },
    );
    let told = told.expect("it was started").wait().expect("it ends");
    assert!(told.success(), "{}", machine.console());
    machine.wait_for("the core was exchanged and goes on where it was");
    let first = core(&machine);
    at_birth(
        pid,
        || send(first, split::KILL),
        |child| {
            has_no_right(child, "pipe:");
            let (its, keepers) = (inodes(child), inodes(pid));
            assert!(its.len() == 1 && keepers.contains(&its[0]), "{its:?}");
        },
    );
    machine.wait_for("the core is a new one and goes on where it was");
    assert!(is_corrected(&machine));
}
