//! This file is how long an image's core keeps its place: over deaths of its own and of its keeper,
//! until it is seen to do nothing, and over an upgrade that comes to nothing.

use crate::damage::{region, set_word, word};
use crate::exchange::{FRAME, IMAGE, LOOPS, exchange, is_a_core_like_any, is_corrected, spoilt};
use crate::inject::{FAULTS, Fate, Injury, at_call, injure};
use crate::machine::Machine;
use crate::split::{self, core, leads, send, status, until};
use crate::split_upgrade::{self, booted, named};
use crate::upgrade::{ADOPT, address_of, inside, inside_as, kept, roll_back};
use std::process::Stdio;

const LOST: &str = "the image's core got nothing done; process 1's own takes its place for good";

/// No program that process 1 starts gets any of its descriptors, whatever the program closes.
pub fn hands_nothing_on(machine: &Machine) {
    const CLOSED_BY_EXEC: u32 = 0o2_000_000;
    let pid = machine.pid();
    let infos = std::fs::read_dir(format!("/proc/{pid}/fdinfo")).expect("it is there");
    for info in infos {
        let info = info.expect("it is there").path();
        // A client's may be gone by now.
        let Ok(text) = std::fs::read_to_string(&info) else {
            continue;
        };
        let name = info.file_name().expect("a number").to_string_lossy();
        let number: u32 = name.parse().expect("a number");
        let flags = text.lines().find_map(|line| line.strip_prefix("flags:"));
        let flags = u32::from_str_radix(flags.expect("it has some").trim(), 8).expect("octal");
        let leads = std::fs::read_link(format!("/proc/{pid}/fd/{number}"));
        let is_kept = number >= 3 && flags & CLOSED_BY_EXEC == 0;
        assert!(!is_kept, "{number} leads to {leads:?}");
    }
}

#[test]
fn whoever_dies_the_image_of_a_core_is_nobody_elses() {
    let Some((mut machine, _)) = with_choice() else {
        return;
    };
    hands_nothing_on(&machine);
    injure(machine.pid(), Injury::Counter(0));
    machine.wait_for("goes on where it was");
    assert!(is_corrected(&machine));
    hands_nothing_on(&machine);
    assert!(machine.sctl(&["reexec"]).status.success());
    hands_nothing_on(&machine);

    // An upgrade of the whole that comes to nothing leaves it what it is.
    let whole = inside(&machine, &named(split_upgrade::IMAGE));
    let descriptors = leads(machine.pid()).len();
    let fate = Fate::Planted(address_of(split_upgrade::SYMBOLS, &ADOPT), FAULTS);
    roll_back(&mut machine, &whole, &fate, "died of SIGILL before");
    assert!(is_corrected(&machine));
    is_a_core_like_any(&machine);
    hands_nothing_on(&machine);
    until("the image is left", || {
        leads(machine.pid()).len() <= descriptors
    });
}

/// A machine with an image's core, and its processes.
fn with_choice() -> Option<(Machine, [String; 3])> {
    let mut machine = booted()?;
    let before = kept(&machine);
    let image = inside(&machine, &named(IMAGE));
    assert_eq!(exchange(&machine, &image), Ok(()));
    machine.wait_for("the core was exchanged and goes on where it was");
    // Whoever has answered somebody else is the choice.
    assert!(is_corrected(&machine));
    Some((machine, before))
}

/// The word with the second in which the life before began.
fn began() -> u64 {
    let places = include_str!("../../src/region/at.rs");
    let (_, behind) = places
        .split_once("const BEGAN: usize = ")
        .expect("it is there");
    let number = behind
        .split(';')
        .next()
        .and_then(|number| number.parse().ok());
    number.expect("it is a number")
}

/// For a step of the manifest, deaths that are far from each other are each the first; nothing was
/// done between them all the same.
#[test]
fn a_core_that_dies_seldom_and_does_nothing_between_loses_its_place() {
    let Some((mut machine, before)) = with_choice() else {
        return;
    };
    injure(core(&machine), Injury::Counter(0));
    machine.wait_for("the core ended: SIGSEGV");
    machine.wait_for("goes on where it was");
    let region = region(&machine);
    set_word(&region, began(), word(&region, began()) - 11);
    injure(core(&machine), Injury::Counter(0));
    machine.wait_for(LOST);
    assert!(!is_corrected(&machine));
    assert_eq!(kept(&machine), before);
    is_a_core_like_any(&machine);
}

#[test]
fn a_keeper_that_dies_twice_for_nothing_goes_on_with_its_own_core() {
    let Some((mut machine, before)) = with_choice() else {
        return;
    };
    for _ in 0..2 {
        injure(machine.pid(), Injury::Counter(0));
        machine.wait_for("goes on where it was");
    }
    assert!(machine.console().contains(LOST), "{}", machine.console());
    assert!(!is_corrected(&machine));
    assert_eq!(kept(&machine), before);
    is_a_core_like_any(&machine);
    hands_nothing_on(&machine);
}

/// Ticks that a process was busy for, a hundredth of a second each.
fn ticks_used(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
    let ticks = fields
        .split(' ')
        .nth(11)
        .and_then(|ticks| ticks.parse().ok());
    ticks.unwrap_or(0)
}

/// Cores that somebody kills over what they are to do, one after the other.
const KILLED_MAX: usize = 8;

#[test]
fn a_core_that_is_killed_over_its_work_again_and_again_loses_its_place() {
    let Some(mut machine) = booted() else { return };
    let before = kept(&machine);
    let image = spoilt(&machine, "busy", &FRAME, LOOPS);
    assert_eq!(exchange(&machine, &image), Ok(()));
    machine.wait_for("the core was exchanged and goes on where it was");
    let mut tool = machine.tool(&["version"]);
    let tool = tool.stdout(Stdio::piped()).spawn().expect("nsenter starts");
    for _ in 0..KILLED_MAX {
        let busy = core(&machine);
        until("it is busy", || ticks_used(busy) > 5);
        assert!(status(busy, "Seccomp") == "2", "it is the image's");
        send(busy, split::KILL);
        machine.wait_for("the core ended: SIGKILL; another takes its place");
    }
    machine.wait_for(LOST);
    // Nor was the request at fault.
    let told = tool.wait_with_output().expect("it ends");
    assert!(told.status.success(), "{}", machine.console());
    assert!(!String::from_utf8_lossy(&told.stdout).contains("+corrected"));
    assert_eq!(kept(&machine), before);
    is_a_core_like_any(&machine);
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
        hands_nothing_on(&machine);
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
