//! This file follows a process instruction by instruction, or system call by system call.

use crate::inject::Stopped;
use anyhow::{Context, Result, bail};
use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use std::time::{Duration, Instant};

/// After this without a stop a process that sleeps has done all that was asked of it.
const QUIET: Duration = Duration::from_millis(200);

/// How far a process is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Until it has executed so many instructions.
    Instruction(u64),
    /// Until it has been seen so often at a system call: before it, after it, before the next.
    Call(u64),
}

impl Moment {
    fn count(self) -> u64 {
        match self {
            Self::Instruction(count) | Self::Call(count) => count,
        }
    }
}

/// What a traced process did next.
enum Next {
    Trapped,
    Executed,
    Signalled(Signal),
    Sleeps,
}

impl Stopped {
    /// Follows it to the moment, or until it has slept for a while; how far it came. It stands
    /// still then.
    ///
    /// # Errors
    /// It ended.
    pub fn follow(&self, moment: Moment) -> Result<u64> {
        let (mut reached, mut signal) = (0, None);
        while reached < moment.count() {
            match moment {
                Moment::Instruction(_) => ptrace::step(self.pid(), signal.take())?,
                Moment::Call(_) => ptrace::syscall(self.pid(), signal.take())?,
            }
            match self.next(QUIET)? {
                Next::Trapped | Next::Executed => reached += 1,
                Next::Signalled(other) => signal = Some(other),
                Next::Sleeps => {
                    ptrace::interrupt(self.pid())?;
                    match self.next(QUIET)? {
                        Next::Trapped | Next::Executed => break,
                        Next::Signalled(other) => signal = Some(other),
                        Next::Sleeps => bail!("process 1 cannot be interrupted"),
                    }
                }
            }
        }
        Ok(reached)
    }

    /// Lets it fault and execute its program again: it stands still at the first instruction of
    /// its next life.
    ///
    /// # Errors
    /// It ended, or did not execute anything.
    pub fn follow_to_next_life(&self) -> Result<()> {
        ptrace::setoptions(self.pid(), ptrace::Options::PTRACE_O_TRACEEXEC)?;
        let mut signal = None;
        loop {
            ptrace::cont(self.pid(), signal.take())?;
            match self.next(QUIET)? {
                Next::Executed => return Ok(()),
                Next::Signalled(other) => signal = Some(other),
                Next::Trapped => {}
                Next::Sleeps => bail!("process 1 sleeps instead of living again"),
            }
        }
    }

    /// How many system calls its next instructions are.
    ///
    /// # Errors
    /// It ended.
    #[cfg(target_arch = "x86_64")]
    pub fn calls_within(&self, instructions: u64) -> Result<u64> {
        const SYSCALL: i64 = 0x050f;
        let mut calls = 0;
        for _ in 0..instructions {
            let place = ptrace::getregs(self.pid())?.rip;
            let word = ptrace::read(self.pid(), usize::try_from(place)? as ptrace::AddressType)?;
            calls += u64::from(word & 0xffff == SYSCALL);
            self.follow(Moment::Instruction(1))?;
        }
        Ok(calls)
    }

    /// As on other processors.
    ///
    /// # Errors
    /// Always.
    #[cfg(not(target_arch = "x86_64"))]
    pub fn calls_within(&self, _: u64) -> Result<u64> {
        bail!("sweeps are written for x86-64 only")
    }

    /// Whether it waits for something, rather than for a processor.
    fn sleeps(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid()));
        stat.is_ok_and(|stat| {
            stat.rsplit_once(") ")
                .is_some_and(|(_, rest)| rest.starts_with('S'))
        })
    }

    fn next(&self, limit: Duration) -> Result<Next> {
        let until = Instant::now() + limit;
        let flags = WaitPidFlag::__WALL | WaitPidFlag::WNOHANG;
        loop {
            match waitpid(self.pid(), Some(flags)).context("process 1 is gone")? {
                WaitStatus::StillAlive if Instant::now() > until && self.sleeps() => {
                    return Ok(Next::Sleeps);
                }
                WaitStatus::StillAlive => std::thread::yield_now(),
                WaitStatus::PtraceEvent(_, _, event)
                    if event == ptrace::Event::PTRACE_EVENT_EXEC as i32 =>
                {
                    return Ok(Next::Executed);
                }
                WaitStatus::Stopped(_, Signal::SIGTRAP) | WaitStatus::PtraceEvent(..) => {
                    return Ok(Next::Trapped);
                }
                WaitStatus::Stopped(_, signal) => return Ok(Next::Signalled(signal)),
                other => bail!("process 1 is no more: {other:?}"),
            }
        }
    }
}
