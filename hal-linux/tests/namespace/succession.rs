//! This file looks at the moment when an image takes over, and at the one when it does not: what is
//! done to which descriptor before and after, and what is said when more than one dies.

use crate::feeding::{self, Dog};
use crate::inject::{
    FAULTS, Injury, bears, comes_to_program, hurt, show_calls, stop as hold, write,
};
use crate::machine::Machine;
use crate::split::leads;
use crate::split_upgrade::{self, IMAGE, SYMBOLS, named};
use crate::upgrade::{self, ADOPT, address_of, inside, inside_as, kept};
use nix::libc;
use nix::sys::ptrace::{self, Options};
use nix::unistd::Pid;
use std::path::PathBuf;
use std::process::Output;

/// The descriptor of what outlives process 1, as the kernel's calls have it.
const REGION: u64 = 3;

/// `WDIOC_SETTIMEOUT` of `linux/watchdog.h`.
const SET_TIMEOUT: u64 = 0xc004_5706;

/// Traces process 1.
fn trace(machine: &Machine) -> Pid {
    let pid = hold(machine.pid(), Options::PTRACE_O_TRACEEXEC);
    ptrace::cont(pid, None).expect("it is stopped");
    pid
}

/// Upgrades a traced process 1 to an image, which stands at its first instruction when `then` is
/// done to it; what the tool said.
fn upgrade(machine: &Machine, image: &str, then: impl FnOnce(Pid)) -> Output {
    let mut tool = machine.tool(&["upgrade", image]);
    let pid = trace(machine);
    std::thread::scope(|scope| {
        let tool = scope.spawn(move || tool.output().expect("nsenter starts"));
        comes_to_program(pid, || tool.is_finished());
        then(pid);
        ptrace::detach(pid, None).expect("it is stopped");
        tool.join().expect("it does not panic")
    })
}

/// Whether a call puts the image's region in the place of the one before: from then on nothing
/// leads back.
fn exchanges(number: i64, [_, second]: [u64; 2]) -> bool {
    number == libc::SYS_dup3 && second == REGION
}

/// The program before would find the times of another, should it go on; and those of its own are
/// what the image wants.
#[test]
fn a_watchdogs_times_are_set_by_an_image_when_nothing_leads_back_and_not_before() {
    let dog = Dog::new();
    let Some(machine) = feeding::boot(&dog, feeding::SOLO, "upgrade", "stays: ready") else {
        return;
    };
    let file = PathBuf::from(std::env::var_os(feeding::SOLO).expect("it runs"));
    let image = inside(&machine, &file);
    let (mut is_exchanged, mut set) = (false, Vec::new());
    let upgrade = upgrade(&machine, &image, |pid| {
        show_calls(pid, |number, words| {
            is_exchanged |= exchanges(number, words);
            if (number, words[1]) == (libc::SYS_ioctl, SET_TIMEOUT) {
                set.push(is_exchanged);
            }
            number == libc::SYS_epoll_pwait || number == libc::SYS_epoll_wait
        });
    });
    assert!(upgrade.status.success(), "{upgrade:?}");
    assert_eq!(set, [true], "once, behind the exchange");
}

/// An image faults when it has exchanged the region and is about to close what it was executed
/// from: the next life closes that.
fn closes_what_is_left(machine: &mut Machine, images: [PathBuf; 2]) {
    let images = images.map(|file| inside_as(machine, &file));
    // From here on the copy that is kept is an image's, and each program was an heir once.
    for image in &images {
        assert!(machine.sctl(&["upgrade", image]).status.success());
        machine.wait_for("process 1 was upgraded and goes on where it was");
    }
    let (before, descriptors) = (kept(machine), leads(machine.pid()).len());
    let upgrade = upgrade(machine, &images[0], |pid| {
        let mut is_exchanged = false;
        show_calls(pid, |number, words| {
            is_exchanged |= exchanges(number, words);
            is_exchanged && number == libc::SYS_close
        });
        hurt(pid, Injury::Counter(0));
    });
    machine.wait_for("process 1 was upgraded and goes on where it was");
    assert!(upgrade.status.success(), "{upgrade:?}");
    assert_eq!(kept(machine), before);
    let is_closed = || leads(machine.pid()).len() <= descriptors;
    crate::split::until("what was left open is closed", is_closed);
}

#[test]
fn what_an_image_had_no_time_to_close_its_next_life_closes() {
    let Some(mut machine) = upgrade::booted() else {
        return;
    };
    let program = crate::machine::program().expect("it runs");
    closes_what_is_left(&mut machine, [upgrade::image(), program]);
}

#[test]
fn what_an_image_of_a_keeper_had_no_time_to_close_its_next_life_closes() {
    let Some(mut machine) = split_upgrade::booted() else {
        return;
    };
    let program = crate::split::program().expect("it runs");
    closes_what_is_left(&mut machine, [named(IMAGE), program]);
}

/// The image died, the program before goes on, and so many of its cores fault before they were told
/// of that: whoever asked for the upgrade is told what the image died of.
#[test]
fn what_an_image_died_of_is_said_though_cores_die_of_something_else_before_they_heard_of_it() {
    let Some(mut machine) = split_upgrade::booted() else {
        return;
    };
    let (before, image) = (kept(&machine), inside(&machine, &named(IMAGE)));
    for cores in [1, 2] {
        let upgrade = upgrade(&machine, &image, |pid| {
            write(pid, address_of(SYMBOLS, &ADOPT), FAULTS);
            ptrace::cont(pid, None).expect("it is stopped");
            comes_to_program(pid, || false);
            let births = Options::PTRACE_O_TRACEFORK | Options::PTRACE_O_TRACECLONE;
            ptrace::setoptions(pid, births).expect("it is stopped");
            for _ in 0..cores {
                ptrace::cont(pid, None).expect("it is stopped");
                let core = bears(pid);
                hurt(core, Injury::Counter(0));
                ptrace::detach(core, None).expect("it is stopped");
            }
        });
        let said = String::from_utf8_lossy(&upgrade.stderr);
        assert!(said.contains("died of SIGILL before"), "{cores}: {said}");
        machine.wait_for("process 1 was rolled back and goes on where it was");
        assert_eq!(kept(&machine), before, "{cores}");
        let console = machine.console();
        let deaths = console.matches("the core ended: SIGSEGV").count();
        assert!(deaths >= cores, "{console}");
    }
}
