//! This file follows a process instruction by instruction, or system call by system call.

use crate::inject::Stopped;
use crate::registers;
use crate::rest;
use crate::route::{Anchor, Route, Way};
use anyhow::{Context, Result, bail, ensure};
use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::time::{Duration, Instant};

/// After this without a stop a process that sleeps, and for whom nobody is at work, has done all
/// that was asked of it.
const QUIET: Duration = Duration::from_millis(100);

/// What a parent is stopped for when it has made a child.
const FORK: i32 = ptrace::Event::PTRACE_EVENT_FORK as i32;
const CLONE: i32 = ptrace::Event::PTRACE_EVENT_CLONE as i32;

/// The same where it is to be known for sure, on a machine that has no time for others either.
const LONG_QUIET: Duration = Duration::from_secs(1);

/// A life has its handlers long before it has executed so many instructions.
const UNPROTECTED_MAX: usize = 1_000;

/// Between two looks at who has had the time to be done, and is not.
const LOOK_INTERVAL: Duration = Duration::from_millis(1);

/// Whoever is at work for longer does nothing that is waited for.
const BUSY_MAX: Duration = Duration::from_secs(5);

/// How far a process is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Until it has executed so many instructions.
    Instruction(u64),
    /// Until it has been seen so often at a system call: before it, after it, before the next.
    Call(u64),
}

impl Moment {
    pub(crate) fn count(self) -> u64 {
        match self {
            Self::Instruction(count) | Self::Call(count) => count,
        }
    }
}

/// Where a traced process stands.
enum Stand {
    Trapped,
    Executed,
    Sleeps,
}

/// What a traced process did next.
enum Next {
    Stands(Stand),
    Signalled(Signal),
}

/// Lets a stopped process go on, with a signal.
type Resume = fn(Pid, Option<Signal>) -> nix::Result<()>;

impl Stopped {
    /// Follows it to the moment, or until it has slept for a while; where it was on the way. It
    /// stands still then.
    ///
    /// # Errors
    /// It ended.
    pub fn trace(&self, moment: Moment) -> Result<Route> {
        ptrace::setoptions(self.pid(), ptrace::Options::PTRACE_O_TRACEEXEC)?;
        let mut route = Route {
            places: vec![registers::counter(self.pid())?],
            ..Route::default()
        };
        for index in 1..=usize::try_from(moment.count())? {
            match self.go_on(moment, LONG_QUIET)? {
                Stand::Sleeps => {
                    route.is_whole = true;
                    break;
                }
                Stand::Executed => route.executed = Some(index),
                Stand::Trapped => {}
            }
            route.places.push(registers::counter(self.pid())?);
        }
        Ok(route)
    }

    /// Goes a way that was found in a trace. `false`: it was another way this time, and it sleeps,
    /// standing still.
    ///
    /// # Errors
    /// It ended.
    pub fn go(&self, way: Way) -> Result<bool> {
        ptrace::setoptions(self.pid(), ptrace::Options::PTRACE_O_TRACEEXEC)?;
        // An image stands its trial before, for which others need a processor.
        let is_executed = |stand: &Stand| matches!(stand, Stand::Executed);
        if way.is_behind_execution && !self.run_until(LONG_QUIET, is_executed)? {
            return Ok(false);
        }
        if let Some(anchor) = way.anchor {
            registers::set_breakpoint(self.pid(), Some(anchor.place))?;
            let is_there = self.pass(anchor)?;
            registers::set_breakpoint(self.pid(), None)?;
            if !is_there {
                return Ok(false);
            }
        }
        for _ in 0..way.rest.count() {
            match self.go_on(way.rest, QUIET)? {
                Stand::Trapped => {}
                Stand::Sleeps => return Ok(false),
                // There it is not to be hurt.
                Stand::Executed => return self.run_until(QUIET, |_| false),
            }
        }
        for _ in 0..way.steps {
            if !matches!(self.go_on(Moment::Instruction(1), QUIET)?, Stand::Trapped) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Lets it run until it has come so often to the place, which has a breakpoint. Whoever
    /// executes another program meanwhile keeps none.
    fn pass(&self, anchor: Anchor) -> Result<bool> {
        for left in (0..anchor.times).rev() {
            if !self.run_until(QUIET, |stand| matches!(stand, Stand::Trapped))? {
                return Ok(false);
            }
            if left > 0 && !registers::PASSES_BREAKPOINTS {
                registers::set_breakpoint(self.pid(), None)?;
                self.go_on(Moment::Instruction(1), QUIET)?;
                registers::set_breakpoint(self.pid(), Some(anchor.place))?;
            }
        }
        Ok(true)
    }

    /// Lets it run until something happens; `false`: it sleeps before, standing still.
    fn run_until(&self, quiet: Duration, mut is_it: impl FnMut(&Stand) -> bool) -> Result<bool> {
        loop {
            match self.resume(cont, quiet)? {
                Stand::Sleeps => return self.hold().map(|()| false),
                stand if is_it(&stand) => return Ok(true),
                Stand::Trapped | Stand::Executed => {}
            }
        }
    }

    /// Lets it go on to its next instruction or system call. Who sleeps stands still then.
    fn go_on(&self, moment: Moment, quiet: Duration) -> Result<Stand> {
        if let Moment::Instruction(_) = moment {
            let exits = registers::exits(self.pid())?;
            if !exits.is_empty() {
                registers::set_exits(self.pid(), &exits)?;
                let stand = self.resume(cont, quiet)?;
                registers::set_exits(self.pid(), &[])?;
                if matches!(stand, Stand::Sleeps) {
                    self.hold()?;
                }
                return Ok(stand);
            }
        }
        let how: Resume = match moment {
            Moment::Instruction(_) => |pid, signal| ptrace::step(pid, signal),
            Moment::Call(_) => |pid, signal| ptrace::syscall(pid, signal),
        };
        let stand = self.resume(how, quiet)?;
        if matches!(stand, Stand::Sleeps) {
            self.hold()?;
        }
        Ok(stand)
    }

    /// Lets it go on until it stands somewhere. It gets the signals that are sent to it.
    fn resume(&self, how: Resume, quiet: Duration) -> Result<Stand> {
        self.resume_with(None, how, quiet)
    }

    fn resume_with(
        &self,
        mut signal: Option<Signal>,
        how: Resume,
        quiet: Duration,
    ) -> Result<Stand> {
        loop {
            how(self.pid(), signal.take())?;
            match self.next(quiet)? {
                Next::Signalled(other) if is_clock(other) => {}
                Next::Signalled(other) => signal = Some(other),
                Next::Stands(stand) => return Ok(stand),
            }
        }
    }

    /// Holds a process that sleeps. With a signal that it gets meanwhile it goes on to the
    /// interruption.
    fn hold(&self) -> Result<()> {
        ptrace::interrupt(self.pid())?;
        let stand = match self.next(QUIET)? {
            Next::Stands(stand) => stand,
            Next::Signalled(signal) => {
                let signal = Some(signal).filter(|signal| !is_clock(*signal));
                self.resume_with(signal, cont, QUIET)?
            }
        };
        match stand {
            Stand::Trapped | Stand::Executed => Ok(()),
            Stand::Sleeps => bail!("process 1 cannot be interrupted"),
        }
    }

    /// Lets it fault and execute its program again: it stands still at the first instruction of
    /// its next life.
    ///
    /// # Errors
    /// It ended, or did not execute anything.
    pub fn follow_to_next_life(&self) -> Result<()> {
        ptrace::setoptions(self.pid(), ptrace::Options::PTRACE_O_TRACEEXEC)?;
        match self.run_until(LONG_QUIET, |stand| matches!(stand, Stand::Executed))? {
            true => Ok(()),
            false => bail!("process 1 sleeps instead of living again"),
        }
    }

    /// Lets it end, and stops the child that its parent makes in its place, which has executed
    /// nothing yet.
    ///
    /// # Errors
    /// None is made.
    pub fn follow_to_next_child(self, parent: u32) -> Result<Self> {
        let parent = Self::stop(parent)?;
        ptrace::setoptions(
            parent.pid(),
            ptrace::Options::PTRACE_O_TRACEFORK | ptrace::Options::PTRACE_O_TRACECLONE,
        )?;
        drop(self);
        let mut signal = None;
        let child = loop {
            ptrace::cont(parent.pid(), signal.take())?;
            match waitpid(parent.pid(), Some(WaitPidFlag::__WALL))? {
                WaitStatus::PtraceEvent(_, _, FORK | CLONE) => {
                    break ptrace::getevent(parent.pid())?;
                }
                WaitStatus::Stopped(_, Signal::SIGTRAP) | WaitStatus::PtraceEvent(..) => {}
                WaitStatus::Stopped(_, other) => signal = Some(other),
                other => bail!("process 1 is no more: {other:?}"),
            }
        };
        let child = Self::traced(Pid::from_raw(i32::try_from(child)?));
        child.wait()?;
        Ok(child)
    }

    /// Where it comes past, an instruction at a time, until it catches its own faults: one before
    /// would be its end. It stands still then.
    ///
    /// # Errors
    /// It ended, or it never does; or this kernel stops nobody after one instruction.
    pub fn trace_to_protection(&self) -> Result<Vec<u64>> {
        let mut places = Vec::new();
        while !self.is_protected() {
            let step = self.trace(Moment::Instruction(1))?;
            places.extend(step.places.first());
            ensure!(places.len() < UNPROTECTED_MAX, "a life has no handlers");
        }
        Ok(places)
    }

    /// Whether it catches its own faults by now, wherever it is.
    #[must_use]
    pub fn is_protected(&self) -> bool {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()));
        let status = status.unwrap_or_default();
        let has_fault = |mask: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(mask));
            let bits = line.and_then(|line| u64::from_str_radix(line.trim(), 16).ok());
            bits.is_some_and(|bits| bits >> (Signal::SIGSEGV as u32 - 1) & 1 != 0)
        };
        has_fault("SigCgt:") && !has_fault("SigBlk:")
    }

    /// Lets it run until it has nothing to do; it stands still then.
    ///
    /// # Errors
    /// It ended.
    pub fn go_to_sleep(&self) -> Result<()> {
        self.run_until(QUIET, |_| false).map(|_| ())
    }

    fn next(&self, limit: Duration) -> Result<Next> {
        let until = Instant::now() + limit;
        let is_late = || Instant::now() > until;
        let flags = WaitPidFlag::__WALL | WaitPidFlag::WNOHANG;
        loop {
            match waitpid(self.pid(), Some(flags)).context("process 1 is gone")? {
                WaitStatus::StillAlive if is_late() => {
                    if rest::is_at_rest(self.pid(), Instant::now() < until + BUSY_MAX) {
                        return Ok(Next::Stands(Stand::Sleeps));
                    }
                    std::thread::sleep(LOOK_INTERVAL);
                }
                WaitStatus::StillAlive => std::thread::yield_now(),
                WaitStatus::PtraceEvent(_, _, event)
                    if event == ptrace::Event::PTRACE_EVENT_EXEC as i32 =>
                {
                    return Ok(Next::Stands(Stand::Executed));
                }
                WaitStatus::Stopped(_, Signal::SIGTRAP) | WaitStatus::PtraceEvent(..) => {
                    return Ok(Next::Stands(Stand::Trapped));
                }
                WaitStatus::Stopped(_, signal) => return Ok(Next::Signalled(signal)),
                other => bail!("process 1 is no more: {other:?}"),
            }
        }
    }
}

/// Whether a signal only tells that time went by. Whoever is followed is slow: a slice of processor
/// time is over after some thousand instructions, on emulated boards after some dozens; at speed
/// none is.
fn is_clock(signal: Signal) -> bool {
    matches!(signal, Signal::SIGPROF | Signal::SIGALRM)
}

/// A [`Resume`] up to whatever comes.
fn cont(pid: Pid, signal: Option<Signal>) -> nix::Result<()> {
    ptrace::cont(pid, signal)
}
