//! This file makes process 1 fault for real, by a debugger's means: its registers and its code are
//! changed from outside, then it goes on by itself.

use crate::split::{LIMIT, status};
use nix::libc;
use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::time::{Duration, Instant};

/// What is done to a process.
#[derive(Clone, Copy, Debug)]
pub enum Injury {
    /// It goes on at this address.
    Counter(u64),
    /// It goes on on its own stack, which is no code.
    OnStack,
    /// Its stack is at this address, and it uses it.
    Stack(u64),
    /// The next it executes are these instructions.
    Code(&'static [u8]),
}

/// ud2; pause(), for ever.
pub const FAULTS: &[u8] = &[0x0f, 0x0b];
pub const STANDS_STILL: &[u8] = &[0xb8, 34, 0, 0, 0, 0x0f, 0x05, 0xeb, 0xf7];

/// Stops a process wherever it is, injures it and lets it go.
pub fn injure(pid: u32, injury: Injury) {
    let pid = stop(pid, ptrace::Options::empty());
    hurt(pid, injury);
    ptrace::detach(pid, None).expect("it is stopped");
}

/// Injures a process, and counts the instructions from the execution of its program to the one
/// after which `done` is true. Then it goes on.
pub fn instructions_after(pid: u32, injury: Injury, done: impl Fn() -> bool) -> u32 {
    let pid = stop(pid, ptrace::Options::PTRACE_O_TRACEEXEC);
    hurt(pid, injury);
    let mut signal = None;
    loop {
        ptrace::cont(pid, signal).expect("it is stopped");
        match waitpid(pid, Some(WaitPidFlag::__WALL)).expect("it stops") {
            WaitStatus::PtraceEvent(..) => break,
            WaitStatus::Stopped(_, its) => signal = Some(its),
            end => panic!("{end:?}"),
        }
    }
    let mut count = 0;
    while !done() {
        ptrace::step(pid, None).expect("it is stopped");
        waitpid(pid, Some(WaitPidFlag::__WALL)).expect("it stops");
        count += 1;
        assert!(count < 100_000, "it is never done");
    }
    ptrace::detach(pid, None).expect("it is stopped");
    count
}

/// Makes as many lives of a process in a row as `deaths` fault at an address, then lets it be.
/// `cause` has to lead each of them there.
pub fn trap(pid: u32, address: u64, deaths: u32, cause: impl FnOnce() + Send) {
    const FAULT: &[u8] = &[0x0f, 0x0b];
    let pid = stop(pid, ptrace::Options::PTRACE_O_TRACEEXEC);
    write(pid, address, FAULT);
    ptrace::cont(pid, None).expect("it is stopped");
    std::thread::scope(|scope| {
        scope.spawn(cause);
        let mut lives = 0;
        while lives < deaths {
            let mut signal = None;
            match waitpid(pid, Some(WaitPidFlag::__WALL)).expect("it stops") {
                WaitStatus::PtraceEvent(..) => {
                    lives += 1;
                    if lives < deaths {
                        write(pid, address, FAULT);
                    }
                }
                WaitStatus::Stopped(_, its) => signal = Some(its),
                end => panic!("{end:?}"),
            }
            if lives < deaths {
                ptrace::cont(pid, signal).expect("it is stopped");
            }
        }
        ptrace::detach(pid, None).expect("it is stopped");
    });
}

/// Makes a process fork, and does something to the child before that executes an instruction.
pub fn at_birth(pid: u32, cause: impl FnOnce(), does: impl FnOnce(u32)) {
    let births = ptrace::Options::PTRACE_O_TRACEFORK | ptrace::Options::PTRACE_O_TRACECLONE;
    let pid = stop(pid, births);
    ptrace::cont(pid, None).expect("it is stopped");
    cause();
    let child = bears(pid);
    does(child.as_raw().cast_unsigned());
    ptrace::detach(child, None).expect("it is stopped");
    ptrace::detach(pid, None).expect("it is stopped");
}

/// Waits for the next child of a process whose births are traced. It stands at its first
/// instruction.
pub fn bears(pid: Pid) -> Pid {
    loop {
        match waitpid(pid, Some(WaitPidFlag::__WALL)).expect("it stops") {
            WaitStatus::PtraceEvent(_, _, libc::PTRACE_EVENT_FORK | libc::PTRACE_EVENT_CLONE) => {
                break;
            }
            WaitStatus::PtraceEvent(..) => ptrace::cont(pid, None).expect("it is stopped"),
            WaitStatus::Stopped(_, its) => ptrace::cont(pid, its).expect("it is stopped"),
            end => panic!("{end:?}"),
        }
    }
    let child = ptrace::getevent(pid).expect("it is stopped");
    let child = Pid::from_raw(i32::try_from(child).expect("a pid is small"));
    waitpid(child, Some(WaitPidFlag::__WALL)).expect("it is traced from its birth");
    child
}

/// Lets who is traced come to its filter of system calls, and then, step by step, to an address.
pub fn comes_to(pid: u32, address: u64) {
    const PR_SET_SECCOMP: u64 = 22;
    let pid = Pid::from_raw(i32::try_from(pid).expect("a pid is small"));
    let prctl = u64::try_from(libc::SYS_prctl).expect("a number");
    loop {
        ptrace::syscall(pid, None).expect("it is stopped");
        waitpid(pid, Some(WaitPidFlag::__WALL)).expect("it stops");
        let registers = ptrace::getregs(pid).expect("it is stopped");
        if [registers.orig_rax, registers.rdi, registers.rax] == [prctl, PR_SET_SECCOMP, 0] {
            break;
        }
    }
    comes_to_place(pid, address);
}

/// Lets who is traced come to an address that is near.
pub fn comes_to_place(pid: Pid, address: u64) {
    for _ in 0..100 {
        step(pid);
        if ptrace::getregs(pid).expect("it is stopped").rip == address {
            return;
        }
    }
    panic!("it does not get there");
}

/// Lets who is traced come to its filter of system calls, which is refused as by a kernel that has
/// none.
pub fn refuse_filter(pid: u32) {
    /// Of `linux/prctl.h`, `linux/seccomp.h` and a mode that there is not.
    const PR_SET_SECCOMP: u64 = 22;
    const FILTER: u64 = 2;
    const NONE: u64 = 99;
    let pid = Pid::from_raw(i32::try_from(pid).expect("a pid is small"));
    let prctl = u64::try_from(libc::SYS_prctl).expect("a number");
    loop {
        ptrace::syscall(pid, None).expect("it is stopped");
        waitpid(pid, Some(WaitPidFlag::__WALL)).expect("it stops");
        let mut registers = ptrace::getregs(pid).expect("it is stopped");
        let call = [registers.orig_rax, registers.rdi, registers.rsi];
        if call == [prctl, PR_SET_SECCOMP, FILTER] {
            registers.rsi = NONE;
            ptrace::setregs(pid, registers).expect("it is stopped");
            return;
        }
    }
}

/// What is seen of a process that stopped at a system call or for a signal, if it is a call that is
/// not made yet; the signal is to be given to it.
pub fn call_begun(
    pid: Pid,
    stopped: WaitStatus,
) -> (Option<libc::user_regs_struct>, Option<Signal>) {
    let signal = match stopped {
        WaitStatus::Stopped(_, Signal::SIGTRAP) => None,
        WaitStatus::Stopped(_, its) => Some(its),
        end => panic!("{end:?}"),
    };
    let registers = ptrace::getregs(pid).expect("it is stopped");
    // What the kernel says of each call until it is made.
    let is_begun = registers.rax == (-i64::from(libc::ENOSYS)).cast_unsigned();
    (
        Some(registers).filter(|_| signal.is_none() && is_begun),
        signal,
    )
}

/// How often a process kills others while this is done.
pub fn kills_during(pid: u32, cause: impl FnOnce() + Send) -> u32 {
    let pid = stop(pid, ptrace::Options::empty());
    let flags = WaitPidFlag::__WALL | WaitPidFlag::WNOHANG;
    let (mut kills, mut signal) = (0, None);
    std::thread::scope(|scope| {
        let cause = scope.spawn(cause);
        ptrace::syscall(pid, None).expect("it is stopped");
        loop {
            let is_over = cause.is_finished();
            match waitpid(pid, Some(flags)).expect("it is traced") {
                WaitStatus::StillAlive if is_over => break,
                WaitStatus::StillAlive => std::thread::yield_now(),
                stopped => {
                    let (call, its) = call_begun(pid, stopped);
                    let call = call.map(|call| (call.orig_rax.cast_signed(), call.rsi));
                    kills += u32::from(call == Some((libc::SYS_kill, 9)));
                    signal = its;
                    ptrace::syscall(pid, signal).expect("it is stopped");
                }
            }
        }
        ptrace::interrupt(pid).expect("it is traced");
        waitpid(pid, Some(WaitPidFlag::__WALL)).expect("it stops");
        ptrace::detach(pid, None).expect("it is stopped");
    });
    kills
}

/// What process 1 keeps of the program that it is.
const COPY: u64 = 4;

/// Refuses so many executions of what it keeps; how often it slept between them and before the
/// next.
fn refuse_executions(pid: Pid, times: u32) -> u32 {
    let (mut refused, mut rests, mut signal) = (0, 0, None);
    loop {
        ptrace::syscall(pid, signal).expect("it is stopped");
        let stopped = waitpid(pid, Some(WaitPidFlag::__WALL)).expect("it stops");
        let call;
        (call, signal) = call_begun(pid, stopped);
        let Some(mut registers) = call else { continue };
        match registers.orig_rax.cast_signed() {
            libc::SYS_poll | libc::SYS_ppoll | libc::SYS_nanosleep if refused > 0 => rests += 1,
            libc::SYS_execveat if refused == times => return rests,
            libc::SYS_execveat => {
                refused += 1;
                assert_eq!(registers.rdi, COPY, "another program would be executed");
                registers.orig_rax = u64::MAX;
                ptrace::setregs(pid, registers).expect("it is stopped");
            }
            _ => {}
        }
    }
}

/// Replaces code of a process wherever it is; what was there.
pub fn patch(pid: u32, address: u64, code: &[u8]) -> [u8; 8] {
    let pid = stop(pid, ptrace::Options::empty());
    let place = usize::try_from(address).expect("an address") as ptrace::AddressType;
    let before = ptrace::read(pid, place).expect("it is stopped");
    write(pid, address, code);
    ptrace::detach(pid, None).expect("it is stopped");
    before.to_le_bytes()
}

pub fn stop(pid: u32, options: ptrace::Options) -> Pid {
    let pid = Pid::from_raw(i32::try_from(pid).expect("a pid is small"));
    ptrace::seize(pid, options).expect("the test is root");
    ptrace::interrupt(pid).expect("it is traced");
    waitpid(pid, Some(WaitPidFlag::__WALL)).expect("it stops");
    pid
}

pub fn hurt(pid: Pid, injury: Injury) {
    let mut registers = ptrace::getregs(pid).expect("it is stopped");
    // Otherwise the kernel would move the program counter back to repeat an interrupted call.
    registers.orig_rax = u64::MAX;
    match injury {
        Injury::Counter(address) => registers.rip = address,
        Injury::OnStack => registers.rip = registers.rsp,
        Injury::Stack(address) => {
            registers.rsp = address;
            write(pid, registers.rip, &[0x50]); // push rax
        }
        Injury::Code(code) => write(pid, registers.rip, code),
    }
    ptrace::setregs(pid, registers).expect("it is stopped");
}

/// Replaces code by whole words; what of the last is not given is not executed.
pub fn write(pid: Pid, at: u64, code: &[u8]) {
    for (place, part) in (at..).step_by(8).zip(code.chunks(8)) {
        let mut word = [0x90; 8];
        word[..part.len()].copy_from_slice(part);
        let address = usize::try_from(place).expect("an address") as ptrace::AddressType;
        ptrace::write(pid, address, i64::from_le_bytes(word)).expect("it is stopped");
    }
}

/// What becomes of the next program that a process executes.
pub enum Fate<'f> {
    /// These instructions are at an address in it.
    Planted(u64, &'f [u8]),
    /// It faults at an address in it, and its next executions of programs, so many, are refused.
    /// What is counted are its rests between them.
    Refused(u64, u32),
    /// It is injured so many instructions after `done` is true.
    Injured(u32, &'f dyn Fn() -> bool),
    /// This happens before its first instruction.
    Meanwhile(&'f dyn Fn()),
    /// It is injured at its so manieth stop at a system call, or in its sleep if that is earlier.
    AtCall(u32),
}

/// Lets something make a process execute another program, does that to it, and returns after how
/// many instructions `done` was true, or how many stops at calls there were. Then the process is
/// let be. `cause` has to lead it there.
pub fn in_next_program(pid: u32, fate: &Fate<'_>, cause: impl FnOnce() + Send) -> u32 {
    let pid = stop(pid, ptrace::Options::PTRACE_O_TRACEEXEC);
    ptrace::cont(pid, None).expect("it is stopped");
    std::thread::scope(|scope| {
        let cause = scope.spawn(cause);
        comes_to_program(pid, || cause.is_finished());
        let mut count = 0;
        match fate {
            Fate::Planted(address, code) => write(pid, *address, code),
            Fate::Meanwhile(happens) => happens(),
            Fate::Refused(address, times) => {
                write(pid, *address, FAULTS);
                count = refuse_executions(pid, *times);
            }
            Fate::Injured(later, done) => {
                while !done() {
                    step(pid);
                    count += 1;
                    assert!(count < 100_000, "it is never done");
                }
                (0..*later).for_each(|_| step(pid));
                hurt(pid, Injury::Counter(0));
            }
            Fate::AtCall(stop) => {
                while count < *stop && comes_to_call(pid) {
                    count += 1;
                }
                hurt(pid, Injury::Counter(0));
            }
        }
        ptrace::detach(pid, None).expect("it is stopped");
        count
    })
}

/// Lets a process go on to the first instruction of the program that it executes next.
pub fn comes_to_program(pid: Pid, is_over: impl Fn() -> bool) {
    let flags = WaitPidFlag::__WALL | WaitPidFlag::WNOHANG;
    loop {
        let is_over = is_over();
        match waitpid(pid, Some(flags)).expect("it stops") {
            WaitStatus::PtraceEvent(_, _, libc::PTRACE_EVENT_EXEC) => return,
            WaitStatus::StillAlive if is_over => panic!("it executed nothing"),
            WaitStatus::StillAlive => std::thread::yield_now(),
            WaitStatus::PtraceEvent(..) => ptrace::cont(pid, None).expect("it is stopped"),
            WaitStatus::Stopped(_, its) => ptrace::cont(pid, its).expect("it is stopped"),
            end => panic!("{end:?}"),
        }
    }
}

/// Stops a process, gives it something to do, and lets it come to its `count`th stop at a system
/// call, before it or after it, or to its sleep if that is earlier. Then everybody else has the
/// time that `settles` waits for, and it faults. Whether it came so far.
pub fn at_call(pid: u32, count: u32, cause: impl FnOnce(), settles: impl FnOnce()) -> bool {
    let pid = stop(pid, ptrace::Options::empty());
    cause();
    let comes = (0..count).all(|_| comes_to_call(pid));
    settles();
    hurt(pid, Injury::Counter(0));
    ptrace::detach(pid, None).expect("it is stopped");
    comes
}

/// Lets a process go on to its next stop at a system call; `false`: it was stopped in its sleep.
fn comes_to_call(pid: Pid) -> bool {
    ptrace::syscall(pid, None).expect("it is stopped");
    let comes = stops(pid);
    if !comes {
        ptrace::interrupt(pid).expect("it is traced");
        waitpid(pid, Some(WaitPidFlag::__WALL)).expect("it stops");
    }
    comes
}

/// Waits for the next stop of a process; `false`: it sleeps, and nothing that it does wakes it.
fn stops(pid: Pid) -> bool {
    /// Longer than anything lets it wait that is on its way.
    const REST: Duration = Duration::from_secs(1);
    let flags = WaitPidFlag::__WALL | WaitPidFlag::WNOHANG;
    let (begin, mut awake) = (Instant::now(), Instant::now());
    while begin.elapsed() < LIMIT {
        match waitpid(pid, Some(flags)).expect("it is traced") {
            WaitStatus::StillAlive => {}
            WaitStatus::Exited(..) | WaitStatus::Signaled(..) => panic!("it is no more"),
            _ => return true,
        }
        if !status(pid.as_raw().cast_unsigned(), "State").starts_with('S') {
            awake = Instant::now();
        } else if awake.elapsed() > REST {
            return false;
        }
        std::thread::yield_now();
    }
    panic!("it neither stops nor sleeps");
}

pub fn step(pid: Pid) {
    ptrace::step(pid, None).expect("it is stopped");
    waitpid(pid, Some(WaitPidFlag::__WALL)).expect("it stops");
}

/// Lets a process go on, and shows each system call before it is made, by its number and its first
/// two words, until that is enough.
pub fn show_calls(pid: Pid, mut is_enough: impl FnMut(i64, [u64; 2]) -> bool) {
    let mut signal = None;
    loop {
        ptrace::syscall(pid, signal).expect("it is stopped");
        let stopped = waitpid(pid, Some(WaitPidFlag::__WALL)).expect("it stops");
        let call;
        (call, signal) = call_begun(pid, stopped);
        let Some(call) = call else { continue };
        if is_enough(call.orig_rax.cast_signed(), [call.rdi, call.rsi]) {
            return;
        }
    }
}
