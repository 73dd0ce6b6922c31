//! This file makes a running process 1 fault for real: a debugger's calls change its registers or
//! its code, and it goes on by itself.
//!
//! The faults are synchronous, raised by the processor or the kernel in process 1's own context; no
//! signal is sent from outside. The tracer is gone before the fault is handled.

pub use crate::faults::{Kind, Processor, among};

use crate::faults::{Code, Injury};
use crate::random::Random;
use crate::registers;
use anyhow::{Context, Result, bail};
use init_core::relay;
use nix::errno::Errno;
use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::ffi::c_long;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

/// How long somebody whom we cannot let go may take to die.
const LAST_WORD: Duration = Duration::from_secs(10);

/// The kind of this name, for the processor that this runs on.
///
/// # Errors
/// There is none; the text lists those there are.
pub fn named(name: &str) -> Result<Kind> {
    among(&Processor::own()?.kinds(false), name)
}

/// A process that stands still because we trace it. Dropped, it goes on.
#[derive(Debug)]
pub struct Stopped(Pid);

impl Stopped {
    /// Whom we trace.
    pub(crate) fn pid(&self) -> Pid {
        self.0
    }

    /// Who is traced already.
    pub(crate) fn traced(pid: Pid) -> Self {
        Self(pid)
    }

    /// Stops a process wherever it is.
    ///
    /// # Errors
    /// It is gone, or we may not trace it.
    pub fn stop(pid: u32) -> Result<Self> {
        let pid = Pid::from_raw(i32::try_from(pid)?);
        ptrace::seize(pid, ptrace::Options::empty())
            .context("cannot trace process 1 (it takes root, and no other tracer)")?;
        let stopped = Self(pid);
        ptrace::interrupt(pid)?;
        stopped.wait()?;
        Ok(stopped)
    }

    pub(crate) fn wait(&self) -> Result<()> {
        match waitpid(self.0, Some(WaitPidFlag::__WALL))? {
            WaitStatus::Stopped(..) | WaitStatus::PtraceEvent(..) => Ok(()),
            other => bail!("process 1 does not stand still: {other:?}"),
        }
    }

    /// Executes instructions one by one. It must have something to do: in a call that waits, so
    /// would this. `false`: a core was replaced meanwhile, because it was not heard of for so long.
    ///
    /// # Errors
    /// Process 1 ended.
    pub fn step(&self, count: usize) -> Result<bool> {
        for _ in 0..count {
            match ptrace::step(self.0, None) {
                // Killed, and not waited for yet.
                Err(Errno::ESRCH) => return Ok(false),
                other => other?,
            }
            match waitpid(self.0, Some(WaitPidFlag::__WALL))? {
                WaitStatus::Stopped(..) | WaitStatus::PtraceEvent(..) => {}
                WaitStatus::Signaled(_, Signal::SIGKILL, _) => return Ok(false),
                other => bail!("process 1 does not stand still: {other:?}"),
            }
        }
        Ok(true)
    }

    /// Injures it; the fault comes when it is let go. What is random of it comes from `random`.
    ///
    /// # Errors
    /// Its registers or its code cannot be changed.
    pub fn injure(&self, kind: Kind, random: &mut Random) -> Result<()> {
        let (counter, stack) = match kind.injury {
            Injury::Counter(address) => (address, None),
            Injury::OnStack => (registers::stack(self.0)?, None),
            Injury::Stack(address, code) => (self.write_aside(code)?, Some(address)),
            Injury::Code(code) => (self.write_aside(code)?, None),
            Injury::Within(code) => (self.write_aside(code)? + 2, None),
            Injury::Signal(_) => return Ok(()),
            Injury::Noise => return self.scribble(random),
        };
        registers::set(self.0, counter, stack)
    }

    /// Writes random bytes over the words that keeper and core have in common, but for the core's
    /// own state.
    fn scribble(&self, random: &mut Random) -> Result<()> {
        let maps = std::fs::read_to_string(format!("/proc/{}/maps", self.0))?;
        let line = maps.lines().find(|line| line.contains("memfd:state"));
        let (begin, _) = line
            .and_then(|line| line.split_once('-'))
            .context("it shares no words with anybody")?;
        let begin = u64::from_str_radix(begin, 16)?;
        let noise: Vec<u8> = (0..relay::WORDS * 4)
            .map(|_| u8::try_from(random.below(256)))
            .collect::<Result<_, _>>()?;
        let memory = File::options()
            .write(true)
            .open(format!("/proc/{}/mem", self.0))?;
        memory.write_all_at(&noise, begin)?;
        Ok(())
    }

    /// Writes code where nobody's code is, and says where: over the program's headers, which lie in
    /// front of its code. A child that has not executed its program yet may be anywhere in the code
    /// itself, and must not run what is meant for its parent.
    fn write_aside(&self, code: Code) -> Result<u64> {
        const AT_PHDR: usize = 3;
        const WORD: usize = size_of::<usize>();
        let file = format!("/proc/{}/auxv", self.0);
        let vector = std::fs::read(&file).with_context(|| format!("cannot read {file}"))?;
        let (words, _) = vector.as_chunks::<WORD>();
        let (pairs, _) = words.as_chunks::<2>();
        let mut pairs = pairs.iter().map(|pair| pair.map(usize::from_ne_bytes));
        let headers = pairs.find_map(|[key, value]| (key == AT_PHDR).then_some(value));
        let headers = headers.context("process 1 has no program headers in memory")?;
        self.write(headers, &code.bytes())?;
        Ok(u64::try_from(headers)?)
    }

    /// Writes whole words; what of the last is not given is not executed.
    fn write(&self, at: usize, code: &[u8]) -> Result<()> {
        const WORD: usize = size_of::<c_long>();
        for (place, part) in (at..).step_by(WORD).zip(code.chunks(WORD)) {
            let mut word = [0; WORD];
            for (byte, given) in word.iter_mut().zip(part) {
                *byte = *given;
            }
            let address = place as ptrace::AddressType;
            ptrace::write(self.0, address, c_long::from_ne_bytes(word))
                .with_context(|| format!("cannot write at {place:#x}"))?;
        }
        Ok(())
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        let until = Instant::now() + LAST_WORD;
        // A core that its keeper killed meanwhile is told to its tracer first: without us its
        // keeper would wait for it for ever.
        while ptrace::detach(self.0, None).is_err() && Instant::now() < until {
            let flags = WaitPidFlag::__WALL | WaitPidFlag::WNOHANG;
            match waitpid(self.0, Some(flags)) {
                Ok(WaitStatus::StillAlive) => std::thread::yield_now(),
                Ok(WaitStatus::Stopped(..) | WaitStatus::PtraceEvent(..)) => {}
                Ok(_) | Err(_) => break,
            }
        }
    }
}
