//! This file is what an image's trial leaves: nothing that others get or that stays open, whoever
//! dies meanwhile; and what it says where it cannot read all that there is.

use crate::choice::hands_nothing_on;
use crate::damage::{SHARED, region, set_word, word};
use crate::exchange::{self, IMAGE, is_a_core_like_any, is_corrected};
use crate::inject::{Injury, hurt, injure, show_calls, stop};
use crate::machine::Machine;
use crate::probation::{Held, TAKE_OVER};
use crate::split::{core, leads, named_below, until};
use crate::split_upgrade::{self, name_noted, named, title};
use crate::upgrade::{self, image, inside, kept};
use nix::libc;
use nix::sys::ptrace;
use std::path::PathBuf;
use std::process::Child;

/// Asks for an image that is being read without end; who asks.
fn begins(machine: &Machine) -> Child {
    machine.inside("rm -f /run/slow && mkfifo /run/slow");
    let mut tool = machine.tool(&["upgrade", "/run/slow"]);
    let tool = tool.spawn().expect("nsenter starts");
    let is_read = || named_below(machine.pid(), "init").len() == 1;
    until("the image is being read", is_read);
    tool
}

#[test]
fn whoever_dies_while_an_image_is_on_trial_it_is_nobody_elses() {
    type Boots = fn() -> Option<Machine>;
    type Finds = fn() -> PathBuf;
    let products: [(Boots, Finds); 2] = [
        (upgrade::booted, image),
        (split_upgrade::booted, || named(split_upgrade::IMAGE)),
    ];
    for (boots, finds) in products {
        let Some(mut machine) = boots() else { return };
        let image = inside(&machine, &finds());
        let mut tool = begins(&machine);
        hands_nothing_on(&machine);
        injure(machine.pid(), Injury::Counter(0));
        machine.wait_for("goes on where it was");
        assert!(machine.sctl(&["list"]).status.success());
        hands_nothing_on(&machine);
        machine.inside(&format!("cat {image} > /run/slow"));
        assert!(tool.wait().expect("it was started").success());
    }
}

/// Lets a keeper go on to a call that is about to close something, after `is_it` is true, and
/// faults there.
fn dies_closing(pid: u32, cause: impl FnOnce(), is_it: impl Fn() -> bool) {
    let pid = stop(pid, ptrace::Options::empty());
    cause();
    // What is closed is marked first.
    show_calls(pid, |call, _| call == libc::SYS_fcntl && is_it());
    hurt(pid, Injury::Counter(0));
    ptrace::detach(pid, None).expect("it is stopped");
}

/// Where a keeper notes how far an image is: behind how many words the ring has.
/// (region/mod.rs, relay/mod.rs.)
fn stage(machine: &Machine) -> u64 {
    const RING_WORDS: u32 = 266 + 512;
    let region = region(machine);
    let places = (0..SHARED).filter(|at| word(&region, *at) == RING_WORDS);
    let [place] = places.collect::<Vec<_>>()[..] else {
        panic!("it is noted once");
    };
    place + 1
}

/// What has taken over knows alone that it was to be the choice, and the state says nothing any
/// more by which the next core would know.
#[test]
fn a_keeper_that_dies_while_it_gives_an_image_up_leaves_nothing_of_it() {
    /// (region/stage.rs.)
    const TAKES_OVER: u32 = 5;
    let Some(mut machine) = split_upgrade::booted() else {
        return;
    };
    let (pid, before) = (machine.pid(), kept(&machine));
    let files = || {
        let is_file = |path: &&PathBuf| path.to_string_lossy().starts_with("/memfd:");
        leads(pid).iter().filter(is_file).count()
    };
    let open = files();
    let (left, stage) = (region(&machine), stage(&machine));
    let held = Held::exchange(&machine);
    held.asks(TAKE_OVER);
    held.rings();
    until("it has taken over", || word(&left, stage) == TAKES_OVER);
    let dies = || {
        held.spoils_the_state();
        held.dies();
    };
    dies_closing(pid, dies, || word(&left, stage) != TAKES_OVER);
    machine.wait_for("process 1 died of SIGSEGV");
    held.told();
    assert!(!is_corrected(&machine));
    assert_eq!(kept(&machine), before);
    is_a_core_like_any(&machine);
    until("nothing is left of it", || files() == open);
    let image = inside(&machine, &named(IMAGE));
    assert_eq!(exchange::exchange(&machine, &image), Ok(()));
    assert!(is_corrected(&machine));
}

/// The core that runs knows all, so nothing is lost yet.
#[test]
fn an_image_that_would_forget_a_single_unit_is_refused() {
    /// What the title is followed by, and words of a name. (checkpoint/mod.rs, names.rs.)
    const UNITS: u64 = 5;
    const RECORD_WORDS: u64 = 6;
    const NAMES_AT: u64 = 7;
    const NAME_WORDS: u64 = 2;
    let Some(machine) = split_upgrade::booted() else {
        return;
    };
    let (before, first) = (kept(&machine), core(&machine));
    let (left, title) = (region(&machine), title(&machine));
    let told = |place| u64::from(word(&left, title + place));
    let names = title + told(NAMES_AT);
    let unit = (name_noted(&machine, "stays") - names) / NAME_WORDS;
    // Two are the machine's.
    let skip = 1 + (2 + unit) * (told(RECORD_WORDS) + 1);
    let record = names + told(UNITS) * NAME_WORDS + skip;
    let was = word(&left, record);
    let image = inside(&machine, &named(IMAGE));
    set_word(&left, record, was ^ 8);
    let said = exchange::exchange(&machine, &image).expect_err("one is damaged");
    let cause = "the image cannot read what this process 1 knows";
    assert!(said.contains(cause), "{said}");
    assert_eq!((kept(&machine), core(&machine)), (before, first));
    set_word(&left, record, was);
    assert_eq!(exchange::exchange(&machine, &image), Ok(()));
    assert!(is_corrected(&machine));
}
