//! This file exchanges the core alone where it is a process of its own: for a corrected one, and
//! for what is none. The keeper stays, its services stay, and what does not do is given up.

use crate::inject::{FAULTS, Injury, at_birth, at_call, comes_to, injure};
use crate::machine::Machine;
use crate::split::{self, core, leads, named_below, send, status, until};
use crate::split_upgrade::{booted, is_locked_in, named, upgrade};
use crate::upgrade::{self, address_of, file_offset_of, inside, inside_as, kept};
use std::path::PathBuf;

/// Names the image that `split-corrected.toml` makes, built by `cargo xtask test`.
const IMAGE: &str = "SYSMASTER_SPLIT_CORRECTED";
/// The same with symbols.
const SYMBOLS: &str = "SYSMASTER_SPLIT_CORRECTED_SYMBOLS";

/// Asks for the exchange.
fn exchange(machine: &Machine, image: &str) -> Result<(), String> {
    let told = machine.sctl(&["upgrade", "--core", image]);
    match told.status.code() {
        Some(0) => Ok(()),
        _ => Err(String::from_utf8_lossy(&told.stderr).into_owned()),
    }
}

/// Whether the core that answers is the corrected one.
fn is_corrected(machine: &Machine) -> bool {
    let told = machine.sctl(&["version"]);
    assert!(told.status.success(), "{told:?}\n{}", machine.console());
    String::from_utf8_lossy(&told.stdout).contains("+corrected")
}

/// No rights, two ends of pipes, and the words that it shares.
fn is_a_core_like_any(machine: &Machine) {
    is_locked_in(machine);
    let core = core(machine);
    assert_eq!(status(core, "NoNewPrivs"), "1");
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert_eq!(status(core, set), "0000000000000000", "{set}");
    }
    assert_eq!(named_below(machine.pid(), "init-core").len(), 1);
}

/// The corrected image, with other instructions at the front of a function of its.
fn spoilt(machine: &Machine, name: &str, function: &[&str], code: &[u8]) -> String {
    let mut bytes = std::fs::read(named(IMAGE)).expect("it was built");
    let at = file_offset_of(SYMBOLS, function);
    bytes[at..at + code.len()].copy_from_slice(code);
    let file = machine.root().join("run").join(name);
    std::fs::write(file, bytes).expect("there is room");
    format!("/run/{name}")
}

/// jump to itself
const LOOPS: &[u8] = &[0xeb, 0xfe];

/// What a core does first that goes on, and what it does for each request.
const RESUME: [&str; 3] = ["9init_core", "6driver", "6resume"];
const KEEP_IN: [&str; 3] = ["9init_core", "10checkpoint", "7keep_in"];
const FRAME: [&str; 3] = ["9init_core", "6driver", "5frame"];

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

/// Whoever tries the image's core, and whoever is that, has no right left when its first
/// instruction is about to be executed.
#[test]
fn not_one_instruction_of_an_image_is_executed_with_any_right() {
    let Some(mut machine) = booted() else { return };
    let pid = machine.pid();
    let entry = address_of(SYMBOLS, &["begin_core"]);
    let image = inside(&machine, &named(IMAGE));
    let has_no_right = |child: u32, leads_to: &str| {
        comes_to(child, entry);
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

/// Calls of a keeper, before and after each, from one death to the next that is tried.
const STRIDE: u32 = 11;

/// From its own core to the corrected one, and from that to another of the same.
#[test]
fn the_keeper_may_die_at_any_call_of_an_exchange() {
    let Some(machine) = booted() else { return };
    let (pid, before) = (machine.pid(), kept(&machine));
    let image = inside(&machine, &named(IMAGE));
    let own = inside_as(&machine, &split::program().expect("it runs"));
    let descriptors = leads(pid).len();
    let (mut exchanged, mut stayed, mut stop) = (0, 0, 1);
    loop {
        let was_corrected = is_corrected(&machine);
        let file = if was_corrected { &own } else { &image };
        let mut tool = machine.tool(&["upgrade", "--core", file]);
        tool.stderr(std::process::Stdio::piped());
        let mut told = None;
        let is_through = !at_call(
            pid,
            stop,
            || told = Some(tool.spawn().expect("nsenter starts")),
            || {},
        );
        let told = told.expect("it was started").wait_with_output();
        let told = told.expect("it ends");
        let said = String::from_utf8_lossy(&told.stderr).into_owned();
        let is_other = is_corrected(&machine) != was_corrected;
        // Who is hung up on has to look.
        let is_told = !said.contains("hung up without an answer");
        assert!(
            is_other == told.status.success() || !is_told,
            "{stop}: {said}"
        );
        (exchanged, stayed) = match is_other {
            true => (exchanged + 1, stayed),
            false => (exchanged, stayed + 1),
        };
        assert_eq!(kept(&machine), before, "{stop}");
        is_a_core_like_any(&machine);
        injure(pid, Injury::Counter(0));
        assert_eq!(
            is_corrected(&machine) != was_corrected,
            is_other,
            "{stop}: {said}"
        );
        if is_through {
            break;
        }
        stop += STRIDE;
    }
    println!("{stop} calls: {exchanged} exchanged, {stayed} stayed");
    assert!(exchanged > 3 && stayed > 0, "{exchanged}, {stayed}");
    let is_closed = || leads(pid).len() <= descriptors + 1;
    until("no descriptor is left behind", is_closed);
    assert_eq!(kept(&machine), before);
}
