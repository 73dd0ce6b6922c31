//! This file faults while process 1 looks at a slice of processor time, by which endless loops are
//! found: such a look comes at any moment, also of a process 1 that is well.

use crate::faults::GOES_ON;
use crate::inject::{Injury, hurt, step, stop};
use crate::machine::{End, Machine};
use nix::sys::ptrace;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// Says that the kernel itself sent a signal, which nobody else may say but a debugger.
const BY_THE_KERNEL: i32 = 0x80;

/// Lets a process that stands still be told that a slice is over: it stands at the look's first
/// instruction.
fn is_told(pid: Pid) {
    kill(pid, Signal::SIGPROF).expect("it is there");
    ptrace::cont(pid, None).expect("it is stopped");
    let stopped = waitpid(pid, Some(WaitPidFlag::__WALL)).expect("it stops");
    assert_eq!(stopped, WaitStatus::Stopped(pid, Signal::SIGPROF));
    let mut signal = ptrace::getsiginfo(pid).expect("it is stopped");
    signal.si_code = BY_THE_KERNEL;
    ptrace::setsiginfo(pid, &signal).expect("it is stopped");
    ptrace::step(pid, Signal::SIGPROF).expect("it is stopped");
    waitpid(pid, Some(WaitPidFlag::__WALL)).expect("it stops");
}

fn counter(pid: Pid) -> u64 {
    ptrace::getregs(pid).expect("it is stopped").rip
}

#[test]
fn a_fault_at_any_instruction_of_a_look_at_a_slice_is_one_like_others() {
    let Some(mut machine) = Machine::boot("idle") else {
        return;
    };
    machine.wait_for("boot: idle reached");
    let mut instructions = 0;
    loop {
        let pid = stop(machine.pid(), ptrace::Options::empty());
        let asleep = counter(pid);
        is_told(pid);
        assert_ne!(counter(pid), asleep, "nothing looks at it");
        let is_over = (0..instructions).any(|_| {
            step(pid);
            counter(pid) == asleep
        });
        if !is_over {
            hurt(pid, Injury::Counter(0));
        }
        ptrace::detach(pid, None).expect("it is stopped");
        if is_over {
            break;
        }
        instructions += 1;
        machine.wait_for(GOES_ON);
        // A life that deals with nothing counts for a step that leads out of it.
        let list = machine.sctl(&["list"]);
        assert!(list.status.success(), "{instructions}");
    }
    assert!(instructions > 20, "that was no look: {instructions}");
    machine.signal(15);
    assert_eq!(machine.end(), End::Off, "{}", machine.console());
}
