//! This file upgrades process 1 where it keeps a core that is a process of its own: keeper and core
//! become another image, services stay, and whoever dies on the way leads back to what was there.

use crate::bereft::{beside, close_run, let_go};
use crate::damage::{SHARED, region, set_word, word};
use crate::inject::{FAULTS, Fate, Injury, STANDS_STILL, in_next_program, injure};
use crate::machine::{Machine, copy_program};
use crate::scarce::numbers_are_per_namespace;
use crate::skip::skip;
use crate::split::{self, core, named_below, status, until};
use crate::upgrade::{
    self, ADOPT, address_of, inside, inside_as, is_stale, kept, process, roll_back, row,
};
use std::path::PathBuf;

/// Names the image that `split-upgraded.toml` makes, built by `cargo xtask test`.
pub const IMAGE: &str = "SYSMASTER_SPLIT_UPGRADED";
/// The same with symbols.
pub const SYMBOLS: &str = "SYSMASTER_SPLIT_UPGRADED_SYMBOLS";

pub fn named(name: &str) -> PathBuf {
    let file = std::env::var_os(name).map(PathBuf::from);
    file.expect("it is named beside the program under test")
}

/// Boots to what will be upgraded: one unit is starting, and waits to be told.
pub fn booted() -> Option<Machine> {
    booted_by(&[])
}

/// As [`booted`], by way of `first`.
pub fn booted_by(first: &[&str]) -> Option<Machine> {
    let mut machine = split::start_by(first, "upgrade")?;
    for name in ["stays", "changes", "renews", "leaves", "leans"] {
        let ready = format!("{name}: ready");
        if !machine.console().contains(&ready) {
            machine.wait_for(&ready);
        }
    }
    Some(machine)
}

/// Upgrades, and waits until that is said.
pub fn upgrade(machine: &mut Machine, image: &str) {
    let upgrade = machine.sctl(&["upgrade", image]);
    assert!(
        upgrade.status.success(),
        "{upgrade:?}\n{}",
        machine.console()
    );
    machine.wait_for("process 1 was upgraded and goes on where it was");
}

/// Two ends of pipes, and one mapping that others see, of two that its keeper has.
pub fn is_locked_in(machine: &Machine) {
    let core = core(machine);
    until("it is locked in", || status(core, "Seccomp") == "2");
    assert_eq!(split::leads(core).len(), 2);
    let shared = [core, machine.pid()].map(|pid| split::shared(pid).len());
    assert_eq!(shared, [1, 2]);
}

/// Calls before the handlers are installed, before and after each; and how far each death is from
/// the last.
const PROTECTED_FROM: u32 = 24;
const STRIDE: u32 = 7;

#[test]
fn keeper_and_core_become_an_image_with_other_units_and_give_back() {
    let Some(mut machine) = booted() else { return };
    let pid = machine.pid();
    let (before, renews) = (kept(&machine), process(&machine, "renews"));
    let image = inside(&machine, &named(IMAGE));
    upgrade(&mut machine, &image);
    machine.wait_for("comes: ready");
    assert_eq!((machine.pid(), kept(&machine)), (pid, before.clone()));
    assert!(is_stale(&machine, "changes") && !is_stale(&machine, "stays"));
    assert!(machine.console().contains("leaves: stops"));
    assert_eq!(row(&machine, "leaves"), None);
    assert!(machine.sctl(&["start", "renews", "leans"]).status.success());
    assert_ne!(process(&machine, "renews"), renews);
    is_locked_in(&machine);
    // The readiness pipe of the life before is the one that is listened to.
    machine.inside("touch /run/say");
    assert!(machine.sctl(&["start", "says-when-told"]).status.success());

    let back = inside(&machine, &split::program().expect("it ran"));
    upgrade(&mut machine, &back);
    assert_eq!((machine.pid(), kept(&machine)), (pid, before));
    assert!(!is_stale(&machine, "changes") && is_stale(&machine, "renews"));
    assert_eq!(row(&machine, "comes"), None);
    is_locked_in(&machine);
    // What it dies of now is its own matter.
    split::send(core(&machine), split::KILL);
    machine.wait_for("the core is a new one and goes on where it was");
    machine.inside("pkill -KILL -f 'sleep 100[1]'");
    machine.wait_for("stays: ended: SIGKILL");
    machine.signal(15);
    machine.wait_for("power-off: all stopped");
}

#[test]
fn an_image_that_is_one_process_or_none_of_ours_is_refused_and_nothing_happens() {
    let Some(machine) = booted() else { return };
    let (keeps, decides) = (kept(&machine), core(&machine));
    for (file, cause) in [
        ("/bin/sh".to_string(), "no process 1 of sysMaster"),
        ("/run/none".to_string(), "No such file or directory"),
        (
            inside(&machine, &upgrade::image()),
            "cannot read what this process 1 knows: another version",
        ),
    ] {
        let upgrade = machine.sctl(&["upgrade", &file]);
        let said = String::from_utf8_lossy(&upgrade.stderr).into_owned();
        assert_eq!(upgrade.status.code(), Some(1), "{file}: {said}");
        assert!(said.contains(cause), "{file}: {said}");
        assert_eq!((kept(&machine), core(&machine)), (keeps.clone(), decides));
    }
    assert!(!machine.console().contains("leaves: stops"));
}

/// Where these words are noted among what the core may write.
fn noted(machine: &Machine, words: &[u32]) -> u64 {
    let region = region(machine);
    let is_there = |place: &u64| {
        (*place..)
            .zip(words)
            .all(|(at, it)| word(&region, at) == *it)
    };
    (SHARED..).find(is_there).expect("a file has an end")
}

/// Where a unit's name is: as a number of two words. (FNV-1a.)
pub fn name_noted(machine: &Machine, name: &str) -> u64 {
    let number = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let (low, high) = (number & u64::from(u32::MAX), number >> 32);
    noted(
        machine,
        &[low, high].map(|half| half.try_into().expect("a half")),
    )
}

/// What the core's part begins with, and which word behind it says how many units there are.
const TITLE: u32 = 0x534d_0006;
const UNITS: u64 = 5;

/// Where the core's part begins.
pub fn title(machine: &Machine) -> u64 {
    noted(machine, &[TITLE])
}

/// What a core does that somebody took over: the trial has seen all as it was, and the image is to
/// take each of two services for the other, or to lose one.
#[test]
fn a_core_that_changes_names_between_trial_and_execution_has_nobody_taken_for_another() {
    let Some(mut machine) = booted() else { return };
    let before = kept(&machine);
    let (pid, image) = (machine.pid(), inside(&machine, &named(IMAGE)));
    let left = region(&machine);
    let units = title(&machine) + UNITS;
    let count = word(&left, units);
    let mut tool = machine.tool(&["upgrade", &image]);
    let forget_one = || set_word(&left, units, count - 1);
    in_next_program(pid, &Fate::Meanwhile(&forget_one), || {
        let upgrade = tool.output().expect("nsenter starts");
        let said = String::from_utf8_lossy(&upgrade.stderr);
        let cause = "the image cannot read what this process 1 knows";
        assert!(said.contains(cause), "{said}");
    });
    assert_eq!(kept(&machine), before);

    set_word(&left, units, count);
    let places = ["stays", "changes"].map(|name| name_noted(&machine, name));
    let swap = || {
        for at in [0, 1] {
            let [first, second] = places.map(|place| word(&left, place + at));
            set_word(&left, places[0] + at, second);
            set_word(&left, places[1] + at, first);
        }
    };
    let mut tool = machine.tool(&["upgrade", &image]);
    in_next_program(pid, &Fate::Meanwhile(&swap), || {
        let upgrade = tool.output().expect("nsenter starts");
        assert!(upgrade.status.success(), "{upgrade:?}");
    });
    machine.wait_for("process 1 was upgraded and goes on where it was");
    assert_eq!(kept(&machine), before);
    // Nor is anybody missing whose name was changed before the trial.
    let place = name_noted(&machine, "stays");
    set_word(&region(&machine), place, 0);
    let back = inside(&machine, &split::program().expect("it ran"));
    upgrade(&mut machine, &back);
    assert_eq!(kept(&machine), before);
}

/// jump to itself
const LOOPS: &[u8] = &[0xeb, 0xfe];

/// The image's core reads what there is.
const CORE: [&str; 3] = ["9init_core", "10checkpoint", "7keep_in"];

#[test]
fn an_image_whose_keeper_or_core_does_not_get_on_is_rolled_back_and_nobody_notices() {
    let Some(mut machine) = booted() else { return };
    let before = kept(&machine);
    let image = inside(&machine, &named(IMAGE));
    for (place, code, cause) in [
        (ADOPT, FAULTS, "died of SIGILL before"),
        (CORE, FAULTS, "died of SIGILL before"),
        // No other call is allowed than reading, writing and ending.
        (CORE, STANDS_STILL, "died of SIGSYS before"),
        (CORE, LOOPS, "did not take over in time"),
    ] {
        let fate = Fate::Planted(address_of(SYMBOLS, &place), code);
        roll_back(&mut machine, &image, &fate, cause);
        assert_eq!(named_below(machine.pid(), "init-core").len(), 1);
        is_locked_in(&machine);
    }
    upgrade(&mut machine, &image);
    assert_eq!(kept(&machine), before);
}

/// From the program to an image with other units and back by turns: what runs is what was told, and
/// what it keeps of itself is that as well, as its next death shows.
#[test]
fn the_keeper_of_an_image_may_die_at_any_call() {
    let Some(mut machine) = booted() else { return };
    let (pid, before) = (machine.pid(), kept(&machine));
    let images = [named(IMAGE), split::program().expect("it runs")];
    let images = images.map(|file| inside_as(&machine, &file));
    let runs_image = |machine: &Machine| row(machine, "comes").is_some();
    images.iter().for_each(|it| upgrade(&mut machine, it));
    let descriptors = split::leads(pid).len();
    let (mut upgraded, mut rolled_back, mut stop) = (0, 0, PROTECTED_FROM);
    let mut is_image = false;
    loop {
        let mut upgrade = machine.tool(&["upgrade", &images[usize::from(is_image)]]);
        let mut said = String::new();
        let count = in_next_program(pid, &Fate::AtCall(stop), || {
            let upgrade = upgrade.output().expect("nsenter starts");
            said = String::from_utf8_lossy(&upgrade.stderr).into_owned();
            upgraded += u32::from(upgrade.status.success());
            is_image ^= upgrade.status.success();
        });
        rolled_back += u32::from(said.contains("died of SIGSEGV before it had taken over"));
        let runs = runs_image(&machine);
        // An answer that was being sent is not sent twice; who is hung up on has to look.
        let is_told = !said.contains("hung up without an answer");
        assert!(runs == is_image || !is_told, "{stop}: {said}");
        is_image = runs;
        injure(pid, Injury::Counter(0));
        assert_eq!(runs_image(&machine), is_image, "{stop}: {said}");
        assert_eq!(kept(&machine), before, "{stop}");
        until("there is one core", || {
            named_below(pid, "init-core").len() == 1
        });
        if count < stop {
            break;
        }
        stop += STRIDE;
    }
    assert!(upgraded > 3 && rolled_back > 3, "{upgraded}, {rolled_back}");
    if is_image {
        upgrade(&mut machine, &images[1]);
    }
    // Whoever asked first may not have been gone yet.
    let is_closed = || split::leads(pid).len() <= descriptors;
    until("no descriptor is left behind", is_closed);
    upgrade(&mut machine, &images[0]);
    assert_eq!(kept(&machine), before);
}

/// Its trial waits for a slow flash; whoever dies meanwhile, it is one trial.
#[test]
fn core_and_keeper_may_die_while_an_image_is_on_trial() {
    let Some(mut machine) = booted() else { return };
    let before = kept(&machine);
    let image = inside(&machine, &named(IMAGE));
    for death in ["core", "keeper"] {
        machine.inside("rm -f /run/slow && mkfifo /run/slow");
        let upgrade = machine.tool(&["upgrade", "/run/slow"]).spawn();
        let mut upgrade = upgrade.expect("nsenter starts");
        let reader = || named_below(machine.pid(), "init").len() == 1;
        until("the image is being read", reader);
        match death {
            "core" => split::send(core(&machine), split::KILL),
            _ => injure(machine.pid(), Injury::Counter(0)),
        }
        machine.wait_for("goes on where it was");
        assert!(machine.sctl(&["list"]).status.success());
        machine.inside(&format!("cat {image} > /run/slow"));
        assert!(upgrade.wait().expect("it was started").success());
        machine.wait_for("process 1 was upgraded and goes on where it was");
        assert_eq!(kept(&machine), before, "{death}");
    }
}

#[test]
fn with_no_room_and_no_number_keeper_and_core_stay_until_there_is_one() {
    if !numbers_are_per_namespace() {
        skip("this kernel has no process-number limit for a namespace alone");
        return;
    }
    let small = "mount -t tmpfs -o size=64k x /run; exec \"$@\"";
    let first = ["sh", "-ec", small, "sh"];
    let Some(mut machine) = split::start_by(&first, "numbers") else {
        return;
    };
    for line in ["phoenix: runs", "taker: has them all"] {
        if !machine.console().contains(line) {
            machine.wait_for(line);
        }
    }
    copy_program(&named(IMAGE), &machine.root().join("tmp/split-upgraded"));
    close_run(&machine);
    let (pid, before) = (machine.pid(), named_below(machine.pid(), "perl"));
    let exchange = ["/proc/1/exe", "upgrade", "/tmp/split-upgraded"];
    let refused = beside(&machine, &exchange);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("Resource temporarily unavailable"), "{said}");
    let_go(&machine);
    until("it is exchanged", || {
        beside(&machine, &exchange).status.success()
    });
    machine.wait_for("process 1 was upgraded and goes on where it was");
    assert_eq!((machine.pid(), named_below(pid, "perl")), (pid, before));
}
