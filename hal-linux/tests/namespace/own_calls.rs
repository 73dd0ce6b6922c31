//! This file has process 1 make a system call that it never makes by itself: one that a filter
//! forbids, and one after which a descriptor that it watches stays ready for ever.

use crate::faults::GOES_ON;
use crate::inject::{Injury, injure, stop, write};
use crate::kernels::{self, RAISES_SIGSYS};
use crate::machine::Machine;
use crate::split::{self, services};
use nix::sys::ptrace;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::{errno::Errno, libc};

/// acct(), which process 1 has no use for.
const ACCOUNT: &[u8] = &[0xb8, 163, 0, 0, 0, 0x0f, 0x05];

#[test]
fn a_call_that_a_filter_forbids_is_a_fault_like_others() {
    assert_eq!(libc::SYS_acct, 163);
    let number = u32::try_from(libc::SYS_acct).expect("a number");
    let filter = kernels::filter(&[(number, RAISES_SIGSYS)]);
    let words: Vec<&str> = filter.iter().map(String::as_str).collect();
    let solo = Machine::boot_by(&words, "holding");
    for machine in [solo, split::start_by(&words, "holding")] {
        let Some(mut machine) = machine else {
            return;
        };
        machine.wait_for("boot: holding reached");
        let (pid, before) = (machine.pid(), services(&machine));
        for _ in 0..3 {
            injure(pid, Injury::Code(ACCOUNT));
            machine.wait_for("process 1 died of SIGSYS");
            machine.wait_for(GOES_ON);
        }
        assert!(machine.sctl(&["list"]).status.success());
        assert_eq!(machine.pid(), pid);
        assert_eq!(services(&machine), before, "{}", machine.console());
    }
}

/// What process 1 is told that its output can be written to: it always can.
const OUTPUT: u64 = 1;

/// A core of its own sleeps between two deadlines, however often one is over, and its keeper too.
const DEADLINE: u64 = 1;

/// What epoll is to say of it, as `events.rs` reads that: what has nothing for process 1.
const MEANINGS: [(&str, u64); 8] = [
    ("signals", 0),
    ("a deadline", DEADLINE),
    ("a core", 4),
    ("room on the console", 2),
    ("a caller", 3),
    ("a client that there is not", 0x0007_0005),
    ("a unit that is ready already", 0xffff_0000_0006),
    ("nothing", 0xff),
];

#[test]
fn a_descriptor_that_stays_ready_for_ever_is_an_endless_loop() {
    let split = split::start("holding");
    for (machine, left_out) in [(Machine::boot("holding"), None), (split, Some(DEADLINE))] {
        let Some(mut machine) = machine else {
            return;
        };
        machine.wait_for("boot: holding reached");
        let (pid, before) = (machine.pid(), services(&machine));
        let is_tried = |(_, token): &(&str, u64)| Some(*token) != left_out;
        for (meaning, token) in MEANINGS.into_iter().filter(is_tried) {
            machine.wake_ups_when_asleep();
            watch(pid, OUTPUT, token);
            let told = machine.wait_for("process 1 died of ");
            assert!(told.contains("SIGPROF"), "{meaning}: {told}");
            machine.wait_for(GOES_ON);
            assert!(machine.sctl(&["list"]).status.success(), "{meaning}");
            assert_eq!(services(&machine), before, "{meaning}");
        }
        assert_eq!(machine.pid(), pid, "{}", machine.console());
        // And sleeps.
        machine.wake_ups_when_asleep();
    }
}

/// Has a process that sleeps in its epoll descriptor watch another one there.
fn watch(pid: u32, number: u64, token: u64) {
    let epoll = descriptor(pid, "anon_inode:[eventpoll]");
    let event = [
        u64::from(libc::EPOLLOUT.cast_unsigned()) | token << 32,
        token >> 32,
    ];
    let bytes: Vec<u8> = event.into_iter().flat_map(u64::to_ne_bytes).collect();
    let pid = stop(pid, ptrace::Options::empty());
    let before = ptrace::getregs(pid).expect("it is stopped");
    // Below all that its stack holds.
    let place = (before.rsp - 1_024) & !7;
    write(pid, place, &bytes);
    let mut registers = before;
    registers.orig_rax = u64::MAX;
    registers.rax = libc::SYS_epoll_ctl.cast_unsigned();
    registers.rdi = epoll;
    registers.rsi = u64::from(libc::EPOLL_CTL_ADD.cast_unsigned());
    registers.rdx = number;
    registers.r10 = place;
    // The call that it sleeps in, made once more.
    registers.rip -= 2;
    ptrace::setregs(pid, registers).expect("it is stopped");
    ptrace::step(pid, None).expect("it is stopped");
    waitpid(pid, Some(WaitPidFlag::__WALL)).expect("it stops");
    let answer = ptrace::getregs(pid)
        .expect("it is stopped")
        .rax
        .cast_signed();
    assert_eq!(
        answer,
        0,
        "{:?}",
        Errno::from_raw(i32::try_from(-answer).unwrap_or(0))
    );
    // It finds its own call interrupted.
    let interrupted = -i64::from(libc::EINTR);
    let after = libc::user_regs_struct {
        orig_rax: u64::MAX,
        rax: interrupted.cast_unsigned(),
        ..before
    };
    ptrace::setregs(pid, after).expect("it is stopped");
    ptrace::detach(pid, None).expect("it is stopped");
}

/// The number of a process's descriptor, by where it leads.
fn descriptor(pid: u32, leads: &str) -> u64 {
    let folder = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("it is there");
    let mut paths = folder.map(|entry| entry.expect("it is there").path());
    let path = paths
        .find(|path| std::fs::read_link(path).is_ok_and(|it| it == std::path::Path::new(leads)));
    let path = path.expect("it has one");
    let number = path.file_name().and_then(|name| name.to_str());
    number
        .and_then(|number| number.parse().ok())
        .expect("a number")
}
