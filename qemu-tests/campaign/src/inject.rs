//! This file makes a running process 1 fault for real: a debugger's calls change its registers or
//! its code, and it goes on by itself.
//!
//! The faults are synchronous, raised by the processor or the kernel in process 1's own context; no
//! signal is sent from outside. The tracer is gone before the fault is handled.

pub use crate::faults::{Kind, Processor, among};

use crate::faults::{Code, Injury, Memory};
use crate::random::Random;
use crate::registers;
use anyhow::{Context, Result, bail, ensure};
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
            Injury::Noise(memory) => return self.scribble(memory, random),
        };
        registers::set(self.0, counter, stack)
    }

    /// Writes random bytes over memory that it may write.
    fn scribble(&self, what: Memory, random: &mut Random) -> Result<()> {
        let maps = std::fs::read_to_string(format!("/proc/{}/maps", self.0))?;
        let parts = writable(&maps, what)?;
        let memory = File::options()
            .write(true)
            .open(format!("/proc/{}/mem", self.0))?;
        for (begin, end) in parts {
            let length = usize::try_from(end.saturating_sub(begin))?;
            let noise: Vec<u8> = (0..length)
                .map(|_| u8::try_from(random.below(256)))
                .collect::<Result<_, _>>()?;
            memory
                .write_all_at(&noise, begin)
                .with_context(|| format!("cannot write at {begin:#x}"))?;
        }
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

/// Where the memory begins and ends that is meant, by the text of `/proc/<pid>/maps`.
fn writable(maps: &str, what: Memory) -> Result<Vec<(u64, u64)>> {
    /// What both see. All else that it may write is its own.
    const SHARED: &str = "memfd:state";
    let is_shared = |line: &&str| line.contains(SHARED);
    ensure!(
        maps.lines().any(|line| is_shared(&line)),
        "it shares no words with anybody"
    );
    let is_meant = |line: &&str| line.contains(" rw") && (what == Memory::All || is_shared(line));
    let mut parts = Vec::new();
    for line in maps.lines().filter(is_meant) {
        let range = line.split(' ').next().and_then(|it| it.split_once('-'));
        let (begin, end) = range.context("a line without a range")?;
        let begin = u64::from_str_radix(begin, 16)?;
        let end = match what {
            Memory::Ring => begin + 4 * u64::try_from(relay::WORDS)?,
            Memory::All => u64::from_str_radix(end, 16)?,
        };
        parts.push((begin, end));
    }
    Ok(parts)
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

#[cfg(test)]
mod tests {
    use super::*;

    const MAPS: &str = "\
        00400000-00412000 r-xp 00000000 00:01 19 /memfd:image (deleted)\n\
        00412000-00413000 rw-p 00012000 00:01 19 /memfd:image (deleted)\n\
        7f0000000000-7f0000004000 rw-s 00010000 00:01 20 /memfd:state (deleted)\n\
        7ffc00000000-7ffc00021000 rw-p 00000000 00:00 0 [stack]\n\
        7ffc00030000-7ffc00032000 r-xp 00000000 00:00 0 [vdso]\n";

    #[test]
    fn noise_reaches_all_that_a_core_may_write_and_nothing_else() {
        let (shared, length) = (0x7f00_0000_0000, 4 * relay::WORDS as u64);
        let ring = writable(MAPS, Memory::Ring).expect("there is one");
        assert_eq!(ring, [(shared, shared + length)]);
        let all = writable(MAPS, Memory::All).expect("there is some");
        let (data, stack) = ((0x41_2000, 0x41_3000), (0x7ffc_0000_0000, 0x7ffc_0002_1000));
        assert_eq!(all, [data, (shared, shared + 0x4000), stack]);
    }

    #[test]
    fn who_shares_nothing_is_no_core() {
        let refused = writable("", Memory::All).expect_err("nothing is there");
        assert_eq!(refused.to_string(), "it shares no words with anybody");
    }
}
