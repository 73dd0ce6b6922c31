//! This file injures process 1 in every way that ends a program, and expects it to live again as
//! the same process: from its copy in memory, from its file, and without the kernel's help.

use crate::inject::{Injury, injure, instructions_after, trap};
use crate::kernels::{self, NOT_THERE};
use crate::machine::{End, Machine, copy_program};
use crate::skip::skip;
use crate::split::{self, send, services};
use linux_raw_sys::general as abi;
use nix::sys::signal::Signal;
use object::{Object, ObjectSymbol};
use std::path::Path;

/// Code that makes each fault, on the processor of the machine that runs the tests.
const FAULTS: [(&str, Injury); 12] = [
    ("no code at 0", Injury::Counter(0)),
    (
        "no code at an address that cannot be",
        Injury::Counter(1 << 62),
    ),
    ("no code on the stack", Injury::OnStack),
    ("SIGSEGV: no stack", Injury::Stack(8)),
    ("SIGBUS: a stack that cannot be", Injury::Stack(1 << 62)),
    ("SIGILL: ud2", Injury::Code(&[0x0f, 0x0b])),
    // xor ecx, ecx; div ecx
    ("SIGFPE", Injury::Code(&[0x31, 0xc9, 0xf7, 0xf1])),
    ("SIGTRAP: int3", Injury::Code(&[0xcc])),
    // kill(1, SIGABRT); pause()
    (
        "abort",
        Injury::Code(&[
            0xbf, 1, 0, 0, 0, 0xbe, 6, 0, 0, 0, 0xb8, 62, 0, 0, 0, 0x0f, 0x05, 0xb8, 34, 0, 0, 0,
            0x0f, 0x05,
        ]),
    ),
    // push rax, for ever
    ("the stack overflows", Injury::Code(&[0x50, 0xeb, 0xfd])),
    ("an endless loop", Injury::Code(&[0xeb, 0xfe])),
    // getpid(), for ever
    (
        "an endless loop of calls",
        Injury::Code(&[0xb8, 39, 0, 0, 0, 0x0f, 0x05, 0xeb, 0xf7]),
    ),
];

/// What its next life says when it knows what ran.
pub const GOES_ON: &str = "goes on where it was";

/// What it was executed from.
fn image(machine: &Machine) -> String {
    image_of(machine.pid()).expect("it is there")
}

fn image_of(pid: u32) -> Option<String> {
    let file = std::fs::read_link(format!("/proc/{pid}/exe")).ok()?;
    Some(file.to_string_lossy().into_owned())
}

/// Injures it, and expects another life in the same process.
fn lives_again(machine: &mut Machine, name: &str, injury: Injury) {
    let pid = machine.pid();
    injure(pid, injury);
    machine.wait_for(GOES_ON);
    assert_eq!(machine.pid(), pid, "{name}");
    let list = machine.sctl(&["list"]);
    assert!(list.status.success(), "{name}:\n{}", machine.console());
}

#[test]
fn process_1_lives_again_after_every_fault() {
    every_fault(Machine::boot("idle"));
}

/// It has no other state than solo's, but another core to end and to make.
#[test]
fn a_keeper_lives_again_after_every_fault() {
    every_fault(split::start("idle"));
}

fn every_fault(machine: Option<Machine>) {
    let Some(mut machine) = machine else {
        return;
    };
    machine.wait_for("boot: idle reached");
    for (name, injury) in FAULTS {
        lives_again(&mut machine, name, injury);
        assert!(
            image(&machine).contains("memfd"),
            "{name}: {}",
            image(&machine)
        );
    }
    machine.signal(15);
    assert_eq!(machine.end(), End::Off, "{}", machine.console());
}

#[test]
fn a_hundred_faults_leave_neither_descriptors_nor_children() {
    let Some(mut machine) = Machine::boot("idle") else {
        return;
    };
    machine.wait_for("boot: idle reached");
    // But sockets: it may not have noticed yet that the last caller hung up.
    let open = |machine: &Machine| {
        let folder = format!("/proc/{}/fd", machine.pid());
        let files = std::fs::read_dir(folder).expect("it is there");
        let leads_to = files.filter_map(|file| std::fs::read_link(file.ok()?.path()).ok());
        leads_to
            .filter(|file| !file.to_string_lossy().starts_with("socket:"))
            .count()
    };
    lives_again(&mut machine, "the first", Injury::Counter(0));
    let before = open(&machine);
    for _ in 0..100 {
        lives_again(&mut machine, "one of many", Injury::Counter(0));
    }
    assert_eq!(open(&machine), before);
}

#[test]
fn a_damaged_program_file_is_not_needed() {
    for damage in ["delete", "overwrite"] {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let file = folder.path().join("init");
        let Some(program) = crate::machine::program() else {
            return;
        };
        copy_program(Path::new(&program), &file);
        let mut machine = Machine::boot_copy(&[], Some(&file), "idle").expect("there is a program");
        machine.wait_for("boot: idle reached");
        std::fs::remove_file(&file).expect("it is there");
        if damage == "overwrite" {
            std::fs::write(&file, "no program").expect("there is room");
        }
        lives_again(&mut machine, damage, Injury::Counter(0));
        assert!(image(&machine).contains("memfd"), "{damage}");
    }
}

#[test]
fn where_programs_in_memory_are_refused_the_file_is_executed() {
    let refuse = "echo 2 > /proc/sys/vm/memfd_noexec && exec \"$@\"";
    if !Path::new("/proc/sys/vm/memfd_noexec").exists() {
        return skip("this kernel never refuses a program in memory");
    }
    let Some(mut machine) = Machine::boot_copy(&["sh", "-c", refuse, "sh"], None, "idle") else {
        return;
    };
    machine.wait_for("boot: idle reached");
    lives_again(&mut machine, "refused", Injury::Counter(0));
    assert!(image(&machine).ends_with("/init"), "{}", image(&machine));
}

#[test]
fn where_nothing_can_be_executed_it_begins_again_in_place() {
    let filter = kernels::filter(&[(abi::__NR_execveat, NOT_THERE)]);
    let words: Vec<&str> = filter.iter().map(String::as_str).collect();
    let Some(mut machine) = Machine::boot_copy(&words, None, "idle") else {
        return;
    };
    machine.wait_for("boot: idle reached");
    // Its code is what it is, so that is not injured.
    let of_code = |injury: &Injury| matches!(injury, Injury::Code(_) | Injury::Stack(_));
    for (name, injury) in FAULTS.into_iter().filter(|(_, injury)| !of_code(injury)) {
        lives_again(&mut machine, name, injury);
        assert!(image(&machine).ends_with("/init"), "{name}");
    }
}

/// Signals that the kernel sends for faults, and those of the timer and the filter.
const SENT: &str = "for i in 4 5 6 7 8 11 27 31; do kill -$i ";

#[test]
fn a_fault_signal_that_somebody_sent_is_no_fault() {
    for machine in [Machine::boot("idle"), split::start("idle")] {
        let Some(mut machine) = machine else { return };
        machine.wait_for("boot: idle reached");
        machine.inside(&format!("{SENT} 1; done"));
        machine.wait_for("ignored SIG");
        assert!(machine.sctl(&["list"]).status.success());
        assert!(!image(&machine).contains("memfd"), "{}", machine.console());
    }
}

/// It lets none through, and a real fault ends it all the same.
#[test]
fn a_fault_signal_that_somebody_sent_to_the_core_is_no_fault() {
    let Some(mut machine) = split::boot("holding") else {
        return;
    };
    let (before, first) = (services(&machine), split::core(&machine));
    machine.inside(&format!("{SENT} $(pgrep -x init-core); done"));
    assert!(machine.sctl(&["restart", "held@1"]).status.success());
    assert_eq!(split::core(&machine), first, "{}", machine.console());
    injure(first, Injury::Counter(0));
    machine.wait_for("the core ended: SIGSEGV; another takes its place");
    assert!(machine.sctl(&["list"]).status.success());
    // The one that was restarted is the youngest.
    assert_eq!(services(&machine)[..4], before[1..]);
}

#[test]
fn limits_that_somebody_set_do_not_keep_it_from_living_again() {
    let Some(mut machine) = Machine::boot("idle") else {
        return;
    };
    machine.wait_for("boot: idle reached");
    for limit in [
        "--as=4096:unlimited",
        "--data=0:unlimited",
        "--stack=4096:unlimited",
    ] {
        machine.limit(limit);
        lives_again(&mut machine, limit, Injury::Counter(0));
    }
}

#[test]
fn a_child_of_process_1_that_faults_before_its_program_dies_of_it() {
    let Some(mut machine) = Machine::boot("prober") else {
        return;
    };
    machine.wait_for("never-there: runs");
    let (pid, own) = (machine.pid(), image(&machine));
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let children = children.expect("process 1 is there");
    let mut children = children
        .split_whitespace()
        .filter_map(|pid| pid.parse().ok());
    let probe = children.find(|pid| image_of(*pid).as_deref() == Some(&own));
    let probe = probe.expect("a child looks for the path");
    injure(probe, Injury::Counter(0));
    machine.wait_for("never-there: ");
    assert!(image_of(probe).is_none(), "it executed something");
    assert_eq!(image(&machine), own);
    assert!(machine.sctl(&["list"]).status.success());
}

/// Instructions between a life's first and the last of those that install its handlers: a fault
/// there ends the machine. docs/healing.md names them.
const UNPROTECTED_MAX: u32 = 500;

#[test]
fn the_handlers_are_installed_by_the_first_instructions_of_a_life() {
    let Some(mut machine) = Machine::boot("idle") else {
        return;
    };
    machine.wait_for("boot: idle reached");
    let pid = machine.pid();
    let caught = || {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"));
        let status = status.expect("process 1 is there");
        let set = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        let set = set.and_then(|set| u64::from_str_radix(set.trim(), 16).ok());
        set.is_some_and(|set| set & 0x4000_04f8 == 0x4000_04f8)
    };
    let count = instructions_after(pid, Injury::Counter(0), caught);
    println!("handlers are installed after {count} instructions");
    assert!((10..=UNPROTECTED_MAX).contains(&count), "{count}");
    machine.wait_for(GOES_ON);
}

/// Where a function of the program is, by parts of its mangled name.
fn address_of(parts: &[&str]) -> Option<u64> {
    address_in(std::env::var_os("SYSMASTER_NAMESPACE_SYMBOLS")?, parts)
}

/// As [`address_of`], of the program in this file.
pub fn address_in(file: std::ffi::OsString, parts: &[&str]) -> Option<u64> {
    let data = std::fs::read(file).expect("it was built");
    let elf = object::File::parse(&*data).expect("it is an ELF file");
    let is_it = |name: &str| parts.iter().all(|part| name.contains(part));
    let mut symbols = elf.symbols();
    let found = symbols.find(|symbol| symbol.name().is_ok_and(is_it));
    Some(found.expect("the program has such a function").address())
}

#[test]
fn a_request_that_kills_two_lives_is_put_aside() {
    let Some(mut machine) = Machine::boot("idle") else {
        return;
    };
    let frame = address_of(&["6driver", "5frame"]).expect("its file is named beside the program's");
    machine.wait_for("boot: idle reached");
    // By then it has given back what only a start needs, and our fault would go with it.
    assert!(machine.sctl(&["list"]).status.success());
    let mut list = machine.tool(&["list"]);
    trap(machine.pid(), frame, 2, || {
        // It is hung up on, and asks again.
        let list = list.output().expect("nsenter starts");
        assert!(list.status.success(), "{list:?}");
    });
    machine.wait_for("a request is put aside");
    let list = machine.sctl(&["list"]);
    assert!(list.status.success(), "{}", machine.console());
}

/// The held service that had this process has failed and comes back; the others run on.
pub fn failed_alone(machine: &Machine, before: &[u32], victim: u32) {
    let after = services(machine);
    let gone: Vec<&u32> = before.iter().filter(|pid| !after.contains(pid)).collect();
    assert_eq!(gone, [&victim], "{}", machine.console());
    for number in 1..=5 {
        let unit = format!("held@{number}");
        assert!(machine.sctl(&["status", &unit]).status.success(), "{unit}");
    }
}

/// One of the services of `target.holding` ends, of which so many lives end; who ran before, it
/// being the second of them.
fn lives_end_of_an_exit(lives: u32) -> Option<(Machine, Vec<u32>)> {
    let mut machine = Machine::boot("holding")?;
    let place = address_of(&["10supervisor", "11child_event"]);
    let place = place.expect("its file is named beside the program's");
    machine.wait_for("boot: holding reached");
    let before = services(&machine);
    assert!(machine.sctl(&["list"]).status.success());
    trap(machine.pid(), place, lives, || {
        send(before[1], Signal::SIGKILL);
        machine.wait_for("an exit is put aside: process 1 died of it twice");
    });
    Some((machine, before))
}

/// Whose exit two lives end of is not taken for running, and comes back as its manifest says.
#[test]
fn an_exit_that_kills_two_lives_is_put_aside_and_its_unit_has_failed() {
    let Some((mut machine, before)) = lives_end_of_an_exit(2) else {
        return;
    };
    machine.wait_for("exec: Bad address");
    failed_alone(&machine, &before, before[1]);
}

/// One of the services of `target.holding` is gone and has failed, and nobody starts it again.
pub fn lost_alone(machine: &mut Machine, before: &[u32], victim: u32) {
    let lost = machine.wait_for("Its end was put aside");
    let unit = (1..=5).map(|number| format!("held@{number}"));
    let unit = unit.filter(|unit| lost.contains(&format!("{unit}: failed")));
    let unit: Vec<String> = unit.collect();
    let [unit] = &unit[..] else {
        panic!("{lost}");
    };
    let status = machine.sctl(&["status", unit]);
    let said = String::from_utf8_lossy(&status.stdout);
    assert!(said.contains("failed"), "{said}");
    let others = before.iter().copied().filter(|pid| *pid != victim);
    assert!(
        others.eq(split::named(machine, "sleep")),
        "{}",
        machine.console()
    );
}

#[test]
fn a_unit_of_whose_exit_no_life_can_be_told_has_failed() {
    let Some((mut machine, before)) = lives_end_of_an_exit(4) else {
        return;
    };
    lost_alone(&mut machine, &before, before[1]);
    assert!(machine.sctl(&["start", "holding"]).status.success());
    failed_alone(&machine, &before, before[1]);
}

#[test]
fn a_request_is_not_blamed_for_deaths_that_were_not_of_it() {
    let Some(mut machine) = Machine::boot("idle") else {
        return;
    };
    let frame = address_of(&["6driver", "5frame"]).expect("its file is named beside the program's");
    machine.wait_for("boot: idle reached");
    assert!(machine.sctl(&["list"]).status.success());
    let pid = machine.pid();
    // Nothing is asked meanwhile: these lives deal with nothing.
    for _ in 0..3 {
        injure(pid, Injury::Counter(0));
        machine.wait_for(GOES_ON);
    }
    let mut list = machine.tool(&["list"]);
    trap(pid, frame, 1, || {
        let list = list.output().expect("nsenter starts");
        assert!(list.status.success(), "{list:?}");
    });
    let list = machine.sctl(&["list"]);
    assert!(list.status.success(), "{}", machine.console());
    machine.signal(15);
    assert_eq!(machine.end(), End::Off, "{}", machine.console());
    let console = machine.console();
    assert!(console.contains("died of SIGILL"), "{console}");
    assert!(!console.contains("put aside"), "{console}");
}

#[test]
fn a_start_that_kills_two_lives_fails_and_the_rest_goes_on() {
    let Some(mut machine) = Machine::boot("idle") else {
        return;
    };
    let fork = address_of(&["7process", "10fork_noted"]);
    let fork = fork.expect("its file is named beside the program's");
    machine.wait_for("boot: idle reached");
    // As above: what starts programs is given back after the boot.
    assert!(machine.sctl(&["list"]).status.success());
    let mut start = machine.tool(&["start", "never-there"]);
    trap(machine.pid(), fork, 2, || {
        let start = start.output().expect("nsenter starts");
        assert!(!start.status.success(), "it was started");
    });
    machine.wait_for("never-there: failed");
    assert!(machine.sctl(&["start", "sleeper"]).status.success());
}
