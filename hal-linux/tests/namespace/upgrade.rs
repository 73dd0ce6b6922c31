//! This file upgrades a running process 1 to an image with other units, forward and back; hands it
//! what is no such image; and lets an image die after it was executed.

use crate::feeding::Dog;
use crate::inject::{FAULTS, Fate, in_next_program, kills_during};
use crate::machine::{Machine, copy_program, program};
use crate::skip::skip;
use object::{Object, ObjectSegment, ObjectSymbol};
use std::path::{Path, PathBuf};

/// Names the image that `upgraded.toml` makes, built by `cargo xtask test`.
const IMAGE: &str = "SYSMASTER_NAMESPACE_UPGRADED";
/// The same with symbols.
const SYMBOLS: &str = "SYSMASTER_NAMESPACE_UPGRADED_SYMBOLS";

/// Names process 1 of `escalating.toml`, which does not ask for upgrades.
const FIXED: &str = "SYSMASTER_ESCALATING_INIT";

/// Names process 1 of `recording.toml`, which feeds a watchdog.
const FEEDING: &str = "SYSMASTER_RECORDING_INIT";

fn fixed() -> PathBuf {
    PathBuf::from(std::env::var_os(FIXED).expect("it is named beside the program under test"))
}

/// The image that it is upgraded to.
pub fn image() -> PathBuf {
    PathBuf::from(std::env::var_os(IMAGE).expect("it is named beside the program under test"))
}

/// Puts a file where process 1 finds it; its path there.
pub fn inside(machine: &Machine, file: &Path) -> String {
    let name = file.file_name().and_then(|name| name.to_str());
    let path = format!("run/{}", name.expect("it has a name"));
    copy_program(Path::new(&file), &machine.root().join(&path));
    format!("/{path}")
}

/// Puts an image where process 1 finds it, under its product's name; its path there.
pub fn inside_as(machine: &Machine, image: &Path) -> String {
    let folder = image.parent().and_then(Path::file_name);
    let path = format!("/run/{}", folder.expect("its product's").to_string_lossy());
    copy_program(image, &machine.root().join(&path[1..]));
    path
}

/// Boots to what will be upgraded: one unit is starting, and waits to be told.
pub fn booted() -> Option<Machine> {
    let mut machine = Machine::boot("upgrade")?;
    for name in ["stays", "changes", "renews", "leaves", "leans"] {
        let ready = format!("{name}: ready");
        if !machine.console().contains(&ready) {
            machine.wait_for(&ready);
        }
    }
    Some(machine)
}

/// The words of a unit's row in the list: kind, state, process and the rest.
pub fn row(machine: &Machine, name: &str) -> Option<Vec<String>> {
    let list = machine.sctl(&["list"]);
    assert!(list.status.success(), "{list:?}\n{}", machine.console());
    let text = String::from_utf8(list.stdout).expect("sctl writes text");
    let mut rows = text.lines().map(|line| line.split_whitespace());
    let mut found = rows.find(|row| row.clone().next() == Some(name))?;
    let _name = found.next();
    Some(found.map(String::from).collect())
}

pub fn process(machine: &Machine, name: &str) -> String {
    row(machine, name).expect("it is there")[2].clone()
}

/// Units that nobody has any reason to disturb.
pub fn kept(machine: &Machine) -> [String; 3] {
    ["stays", "changes", "says-when-told"].map(|name| process(machine, name))
}

pub fn is_stale(machine: &Machine, name: &str) -> bool {
    let row = row(machine, name).expect("it is there");
    row.last().is_some_and(|word| word == "stale")
}

#[test]
fn an_image_with_other_units_takes_over_and_gives_back() {
    let Some(mut machine) = booted() else { return };
    let pid = machine.pid();
    let (before, renews) = (kept(&machine), process(&machine, "renews"));
    let upgrade = machine.sctl(&["upgrade", &inside(&machine, &image())]);
    assert!(
        upgrade.status.success(),
        "{upgrade:?}\n{}",
        machine.console()
    );
    machine.wait_for("process 1 was upgraded and goes on where it was");
    machine.wait_for("comes: ready");
    assert_eq!((machine.pid(), kept(&machine)), (pid, before.clone()));
    assert!(is_stale(&machine, "changes") && !is_stale(&machine, "stays"));
    let status = machine.sctl(&["status", "changes"]).stdout;
    assert!(String::from_utf8_lossy(&status).contains("  stale  "));
    assert!(machine.console().contains("leaves: stops"));
    assert_eq!(row(&machine, "leaves"), None);
    machine.inside("[ $(pgrep -fc 'sleep 200[6]') = 0 ]");
    assert!(machine.sctl(&["start", "renews", "leans"]).status.success());
    assert_ne!(process(&machine, "renews"), renews);
    assert!(!is_stale(&machine, "renews"));
    // The readiness pipe of the life before is the one that is listened to.
    machine.inside("touch /run/say");
    assert!(machine.sctl(&["start", "says-when-told"]).status.success());

    let back = program().expect("it ran");
    let upgrade = machine.sctl(&["upgrade", &inside(&machine, &back)]);
    assert!(
        upgrade.status.success(),
        "{upgrade:?}\n{}",
        machine.console()
    );
    machine.wait_for("process 1 was upgraded and goes on where it was");
    assert_eq!((machine.pid(), kept(&machine)), (pid, before));
    assert!(!is_stale(&machine, "changes") && is_stale(&machine, "renews"));
    assert_eq!(row(&machine, "comes"), None);
    // What it dies of now is its own matter.
    machine.inside("pkill -KILL -f 'sleep 100[1]'");
    machine.wait_for("stays: ended: SIGKILL");
    machine.signal(15);
    machine.wait_for("power-off: all stopped");
}

#[test]
fn an_image_that_would_forget_something_is_refused() {
    let Some(mut machine) = booted() else { return };
    let upgrade = machine.sctl(&["upgrade", &inside(&machine, &image())]);
    assert!(upgrade.status.success(), "{upgrade:?}");
    machine.wait_for("process 1 was upgraded and goes on where it was");
    machine.wait_for("renews: ready");
    // From now on the field that only this image's records have says something. It may take its
    // program a moment to have its arguments.
    machine.inside("until pkill -KILL -f 'sleep 200[3]'; do sleep 0.01; done");
    machine.wait_for("renews: ended: SIGKILL");
    machine.wait_for("renews: ready");
    let before = kept(&machine);
    let back = inside(&machine, &program().expect("it ran"));
    let upgrade = machine.sctl(&["upgrade", &back]);
    assert!(!upgrade.status.success());
    let cause = "the image cannot read what this process 1 knows: another version";
    let said = String::from_utf8_lossy(&upgrade.stderr);
    assert!(said.contains(cause), "{said}");
    assert_eq!(kept(&machine), before);
    machine.signal(15);
    machine.wait_for("power-off: all stopped");
}

#[test]
fn what_is_no_image_of_ours_is_refused_with_the_cause_and_nothing_happens() {
    let Some(machine) = booted() else { return };
    let before = kept(&machine);
    let folder = machine.root().join("run");
    let place = |name: &str| folder.join(name);
    let good = std::fs::read(image()).expect("it was built");
    let mut foreign = good.clone();
    foreign[18] ^= 0x80;
    let (mut other, mark) = (good.clone(), b"sysMaster, process one");
    for at in 0..good.len() - mark.len() {
        if good[at..].starts_with(mark) {
            other[at] = b'S';
        }
    }
    assert!(other != good, "it has the mark");
    for (name, bytes) in [
        ("text", b"no program".as_slice()),
        ("foreign", &foreign),
        ("unmarked", &other),
        ("half", &good[..good.len() / 2]),
    ] {
        std::fs::write(place(name), bytes).expect("there is room");
    }
    let large = std::fs::File::create(place("hole")).expect("there is room");
    large.set_len(1 << 30).expect("a hole takes no room");
    for (file, cause) in [
        ("/run/none", "No such file or directory"),
        ("/run/text", "no process 1 of sysMaster"),
        ("/run/hole", "no process 1 of sysMaster"),
        ("/bin/sh", "no process 1 of sysMaster"),
        ("/run/unmarked", "no process 1 of sysMaster"),
        ("/run/foreign", "for another processor"),
        ("/run/half", "not upgraded: the image"),
        (
            &inside(&machine, &fixed()),
            "no process 1 of sysMaster with hot-upgrade = true",
        ),
        ("/run", "Is a directory"),
    ] {
        let upgrade = machine.sctl(&["upgrade", file]);
        let said = String::from_utf8_lossy(&upgrade.stderr).into_owned();
        assert_eq!(upgrade.status.code(), Some(1), "{file}: {said}");
        let is_said = said.contains(": not upgraded: ") && said.contains(cause);
        assert!(is_said, "{file}: {said}");
        assert_eq!(kept(&machine), before, "{file}");
    }
    let wrong = machine.sctl(&["upgrade", "relative"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(!machine.console().contains("leaves: stops"));
}

/// Its process has ended by itself, and its number may be another's by then.
#[test]
fn who_refused_an_image_is_not_killed_by_its_number_once_that_is_free() {
    let Some(machine) = booted() else { return };
    let mut upgrade = machine.tool(&["upgrade", "/bin/sh"]);
    let kills = kills_during(machine.pid(), || {
        let upgrade = upgrade.output().expect("nsenter starts");
        assert_eq!(upgrade.status.code(), Some(1), "{upgrade:?}");
    });
    assert_eq!(kills, 0);
}

#[test]
fn an_image_that_would_leave_the_watchdog_unfed_is_refused() {
    let Some(feeding) = std::env::var_os(FEEDING).map(PathBuf::from) else {
        skip(&format!(
            "{FEEDING} names no process 1; `cargo xtask test` builds and names one"
        ));
        return;
    };
    let dog = Dog::new();
    let Some(mut machine) = Machine::boot_copy(&dog.first(), Some(&feeding), "upgrade") else {
        return;
    };
    machine.wait_for("stays: ready");
    assert!(machine.console().contains("watchdog: /mnt/watchdog"));
    let before = process(&machine, "stays");
    let upgrade = machine.sctl(&["upgrade", &inside(&machine, &image())]);
    let said = String::from_utf8_lossy(&upgrade.stderr).into_owned();
    assert_eq!(upgrade.status.code(), Some(1), "{said}");
    assert!(said.contains("the image has no [watchdog]"), "{said}");
    // One that feeds it takes it over.
    let own = machine.sctl(&["upgrade", &inside(&machine, &feeding)]);
    assert!(own.status.success(), "{own:?}\n{}", machine.console());
    assert_eq!(process(&machine, "stays"), before);
}

#[test]
fn a_product_that_does_not_ask_for_it_is_not_upgraded_and_says_what_to_write() {
    if program().is_none() {
        return;
    }
    let booted = Machine::boot_copy(&[], Some(&fixed()), "idle");
    let mut machine = booted.expect("namespaces can be made");
    machine.wait_for("boot: idle reached");
    let upgrade = machine.sctl(&["upgrade", &inside(&machine, &image())]);
    let said = String::from_utf8_lossy(&upgrade.stderr).into_owned();
    assert_eq!(upgrade.status.code(), Some(1), "{said}");
    assert!(
        said.contains("[product] that is hot-upgrade = true"),
        "{said}"
    );
    // It heals, so it can execute itself.
    assert!(machine.sctl(&["reexec"]).status.success());
    machine.wait_for("process 1 was executed again and goes on where it was");
}

/// Where a function of the image is, by parts of its mangled name.
pub fn address_of(image: &str, parts: &[&str]) -> u64 {
    let file = std::env::var_os(image).expect("it is named beside the image");
    let data = std::fs::read(file).expect("it was built");
    let elf = object::File::parse(&*data).expect("it is an ELF file");
    let is_it = |name: &str| parts.iter().all(|part| name.contains(part));
    let mut symbols = elf.symbols();
    let found = symbols.find(|symbol| symbol.name().is_ok_and(is_it));
    found.expect("the program has such a function").address()
}

/// Where in its file a function of an image begins.
pub fn file_offset_of(image: &str, parts: &[&str]) -> usize {
    let address = address_of(image, parts);
    let file = std::env::var_os(image).expect("it is named beside the image");
    let data = std::fs::read(file).expect("it was built");
    let elf = object::File::parse(&*data).expect("it is an ELF file");
    let mut segments = elf.segments();
    let holds = |it: &object::Segment<'_, '_>| {
        (it.address()..it.address() + it.file_range().1).contains(&address)
    };
    let found = segments.find(holds).expect("it is in memory");
    let offset = found.file_range().0 + address - found.address();
    usize::try_from(offset).expect("a file is small")
}

/// Upgrades to an image with this fate: the cause is said, and all is as before.
pub fn roll_back(machine: &mut Machine, image: &str, fate: &Fate<'_>, cause: &str) {
    let (before, leans) = (kept(machine), process(machine, "leans"));
    let mut upgrade = machine.tool(&["upgrade", image]);
    in_next_program(machine.pid(), fate, || {
        let upgrade = upgrade.output().expect("nsenter starts");
        let said = String::from_utf8_lossy(&upgrade.stderr).into_owned();
        assert_eq!(upgrade.status.code(), Some(1), "{said}");
        assert!(said.contains(cause), "{said}");
    });
    machine.wait_for("process 1 was rolled back and goes on where it was");
    assert_eq!(kept(machine), before);
    // It had been stopped for the image, and what needed it.
    assert!(machine.sctl(&["start", "leaves", "leans"]).status.success());
    assert_ne!(process(machine, "leans"), leans);
    assert!(!is_stale(machine, "changes"));
}

/// What an image does that reads what there is.
pub const ADOPT: [&str; 3] = ["9hal_linux", "7upgrade", "5adopt"];

/// It faults at once; the program before is not executed for want of memory, and there is some
/// later.
#[test]
fn an_image_that_dies_is_rolled_back_and_nobody_notices() {
    const EXECUTIONS: u32 = 6;
    let Some(mut machine) = booted() else { return };
    let (before, pid) = (kept(&machine), machine.pid());
    let image = inside(&machine, &image());
    let place = address_of(SYMBOLS, &ADOPT);
    roll_back(
        &mut machine,
        &image,
        &Fate::Planted(place, FAULTS),
        "died of SIGILL before",
    );
    let mut tool = machine.tool(&["upgrade", &image]);
    let rests = in_next_program(pid, &Fate::Refused(place, EXECUTIONS), || {
        let upgrade = tool.output().expect("nsenter starts");
        let said = String::from_utf8_lossy(&upgrade.stderr);
        assert!(said.contains("died of SIGILL before"), "{said}");
    });
    // Each pair is followed by a rest: with all arguments, and with none.
    assert_eq!(rests, EXECUTIONS / 2);
    assert_eq!(kept(&machine), before);
    let again = machine.sctl(&["upgrade", &image]);
    assert!(again.status.success(), "{again:?}\n{}", machine.console());
    assert_eq!(kept(&machine), before);
}

/// Instructions between an image's first and the last of those that install its handlers.
const UNPROTECTED_MAX: u32 = 500;

#[test]
fn an_image_may_die_at_any_instruction_after_its_handlers_are_installed() {
    let Some(mut machine) = booted() else { return };
    let (pid, before) = (machine.pid(), kept(&machine));
    let caught = || {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"));
        let status = status.expect("process 1 is there");
        let set = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        let set = set.and_then(|set| u64::from_str_radix(set.trim(), 16).ok());
        set.is_some_and(|set| set & 0x4000_24f8 == 0x4000_24f8)
    };
    let images = [image(), program().expect("it runs")];
    let images = images.map(|image| inside_as(&machine, &image));
    let mut runs = 0;
    for later in [0, 70, 1_000, 10_000, 50_000] {
        let image = &images[runs % 2];
        let mut upgrade = machine.tool(&["upgrade", image]);
        let count = in_next_program(pid, &Fate::Injured(later, &caught), || {
            // Whoever has no answer is told so.
            let upgrade = upgrade.output().expect("nsenter starts");
            assert!(
                upgrade
                    .status
                    .code()
                    .is_some_and(|code| code != 0 || later > 0)
            );
        });
        assert!((10..=UNPROTECTED_MAX).contains(&count), "{count}");
        machine.wait_for("goes on where it was");
        assert_eq!(kept(&machine), before, "{later}");
        assert_eq!(machine.pid(), pid);
        let is_upgraded = row(&machine, "comes").is_some() == (runs % 2 == 0);
        if is_upgraded {
            runs += 1;
        }
        println!("{later} instructions after {count}: upgraded: {is_upgraded}");
    }
    let upgrade = machine.sctl(&["upgrade", &images[runs % 2]]);
    assert!(
        upgrade.status.success(),
        "{upgrade:?}\n{}",
        machine.console()
    );
    assert_eq!(kept(&machine), before);
}
