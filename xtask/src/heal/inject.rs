//! This file makes a running process 1 fault for real: a debugger's calls change its registers or
//! its code, and it goes on by itself.
//!
//! The faults are synchronous, raised by the processor or the kernel in process 1's own context; no
//! signal is sent from outside. The tracer is gone before the fault is handled.

use crate::fuzz::cases::Random;
use anyhow::{Context, Result, bail};
use init_core::relay;
use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::fs::File;
use std::os::unix::fs::FileExt;

/// A kind of fault.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// What is typed after `--only`.
    pub name: &'static str,
    injury: Injury,
    /// Instructions that process 1 executes one by one before: a number below this.
    pub steps_max: usize,
    /// Whether dying takes its time: a loop ends by the processor time that it uses, a stack has to
    /// be filled, a tracer looks at every step. From the injury to the answer is no target then.
    pub dies_slowly: bool,
}

/// What is done to process 1.
#[derive(Clone, Copy, Debug)]
enum Injury {
    /// It goes on at this address.
    Counter(u64),
    /// It goes on on its own stack, which is no code.
    OnStack,
    /// Its stack is at this address, and it uses it.
    Stack(u64),
    /// The next it executes are these instructions.
    Code(&'static [u8]),
    /// Somebody sends it this.
    Signal(Signal),
    /// The words that carry its requests become others.
    Noise,
}

const fn kind(name: &'static str, injury: Injury) -> Kind {
    Kind {
        name,
        injury,
        steps_max: 0,
        dies_slowly: false,
    }
}

/// Every kind that a campaign injects. x86-64 instructions.
pub const KINDS: [Kind; 13] = [
    kind("segv-null", Injury::Counter(0)),
    kind("segv-wild", Injury::Counter(1 << 62)),
    kind("segv-data", Injury::OnStack),
    kind("no-stack", Injury::Stack(8)),
    kind("bus-stack", Injury::Stack(1 << 62)),
    // mmap(0, 4096, PROT_READ, MAP_SHARED, memfd_create("", MFD_CLOEXEC), 0), and a read from it:
    // the file has no byte. The empty name is the word pushed first.
    kind(
        "bus-file",
        Injury::Code(&[
            0x6a, 0x00, 0x48, 0x89, 0xe7, 0xbe, 1, 0, 0, 0, 0xb8, 0x3f, 1, 0, 0, 0x0f, 0x05, 0x49,
            0x89, 0xc0, 0x31, 0xff, 0xbe, 0, 0x10, 0, 0, 0xba, 1, 0, 0, 0, 0x41, 0xba, 1, 0, 0, 0,
            0x45, 0x31, 0xc9, 0xb8, 9, 0, 0, 0, 0x0f, 0x05, 0x48, 0x8b, 0x00, 0x0f, 0x0b,
        ]),
    ),
    // ud2
    kind("ill", Injury::Code(&[0x0f, 0x0b])),
    // xor ecx, ecx; div ecx
    kind("fpe", Injury::Code(&[0x31, 0xc9, 0xf7, 0xf1])),
    // kill(1, SIGABRT); pause()
    kind(
        "abort",
        Injury::Code(&[
            0xbf, 1, 0, 0, 0, 0xbe, 6, 0, 0, 0, 0xb8, 62, 0, 0, 0, 0x0f, 0x05, 0xb8, 34, 0, 0, 0,
            0x0f, 0x05,
        ]),
    ),
    // push rax, for ever
    Kind {
        dies_slowly: true,
        ..kind("overflow", Injury::Code(&[0x50, 0xeb, 0xfd]))
    },
    Kind {
        dies_slowly: true,
        ..kind("loop", Injury::Code(&[0xeb, 0xfe]))
    },
    // getpid(), for ever
    Kind {
        dies_slowly: true,
        ..kind(
            "loop-calls",
            Injury::Code(&[0xb8, 39, 0, 0, 0, 0x0f, 0x05, 0xeb, 0xf7]),
        )
    },
    Kind {
        steps_max: 4_000,
        dies_slowly: true,
        ..kind("stepped", Injury::Counter(0))
    },
];

/// What else happens to a core that is a process of its own.
const OF_A_CORE: [Kind; 4] = [
    kind("killed", Injury::Signal(Signal::SIGKILL)),
    // Noticed only when it does not answer.
    Kind {
        dies_slowly: true,
        ..kind("held", Injury::Signal(Signal::SIGSTOP))
    },
    // It may go on for a while before anybody looks at them.
    Kind {
        dies_slowly: true,
        ..kind("ring-noise", Injury::Noise)
    },
    // write(1, stack, 1), for ever: its bell.
    Kind {
        dies_slowly: true,
        ..kind(
            "ring-flood",
            Injury::Code(&[
                0xbf, 1, 0, 0, 0, 0x48, 0x89, 0xe6, 0xba, 1, 0, 0, 0, 0xb8, 1, 0, 0, 0, 0x0f, 0x05,
                0xeb, 0xea,
            ]),
        )
    },
];

/// Every kind that a campaign injects.
pub fn kinds(split: bool) -> Vec<Kind> {
    let mut kinds = KINDS.to_vec();
    if split {
        kinds.extend(OF_A_CORE);
    }
    kinds
}

impl Kind {
    /// What is sent to whoever dies of this, when it goes on.
    pub fn signal(self) -> Option<Signal> {
        match self.injury {
            Injury::Signal(signal) => Some(signal),
            _ => None,
        }
    }
}

/// The kind of this name.
///
/// # Errors
/// There is none; the text lists those there are.
pub fn named(name: &str) -> Result<Kind> {
    among(&KINDS, name)
}

/// The kind of this name among these.
///
/// # Errors
/// As those of [`named`].
pub fn among(kinds: &[Kind], name: &str) -> Result<Kind> {
    let names: Vec<_> = kinds.iter().map(|kind| kind.name).collect();
    let names = names.join(", ");
    let found = kinds.iter().copied().find(|kind| kind.name == name);
    found.with_context(|| format!("there is no fault {name:?}; choose one of {names}"))
}

/// A process that stands still because we trace it. Dropped, it goes on.
#[derive(Debug)]
pub struct Stopped(Pid);

impl Stopped {
    /// Whom we trace.
    pub(super) fn pid(&self) -> Pid {
        self.0
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

    fn wait(&self) -> Result<()> {
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
            ptrace::step(self.0, None)?;
            match waitpid(self.0, Some(WaitPidFlag::__WALL))? {
                WaitStatus::Stopped(..) | WaitStatus::PtraceEvent(..) => {}
                WaitStatus::Signaled(_, Signal::SIGKILL, _) => return Ok(false),
                other => bail!("process 1 does not stand still: {other:?}"),
            }
        }
        Ok(true)
    }

    /// Injures it; the fault comes when it is let go.
    ///
    /// # Errors
    /// Its registers or its code cannot be changed.
    #[cfg(target_arch = "x86_64")]
    pub fn injure(&self, kind: Kind) -> Result<()> {
        let mut registers = ptrace::getregs(self.0)?;
        // Otherwise the kernel would move the program counter back to repeat an interrupted call.
        registers.orig_rax = u64::MAX;
        match kind.injury {
            Injury::Counter(address) => registers.rip = address,
            Injury::OnStack => registers.rip = registers.rsp,
            Injury::Stack(address) => {
                registers.rsp = address;
                registers.rip = self.write_aside(&[0x50])?; // push rax
            }
            Injury::Code(code) => registers.rip = self.write_aside(code)?,
            Injury::Signal(_) => return Ok(()),
            Injury::Noise => return self.scribble(registers.rsp),
        }
        ptrace::setregs(self.0, registers)?;
        Ok(())
    }

    #[cfg(not(target_arch = "x86_64"))]
    pub fn injure(&self, _: Kind) -> Result<()> {
        bail!("faults are written for x86-64 only")
    }

    /// Writes random bytes over the words that keeper and core have in common, but for the core's
    /// own state.
    #[cfg(target_arch = "x86_64")]
    fn scribble(&self, seed: u64) -> Result<()> {
        let mut random = Random::new(seed ^ u64::try_from(self.0.as_raw())?);
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

    /// Replaces code by whole words; what of the last is not given is not executed.
    /// Writes code where nobody's code is, and says where: over the program's headers, which lie in
    /// front of its code. A child that has not executed its program yet may be anywhere in the code
    /// itself, and must not run what is meant for its parent.
    #[cfg(target_arch = "x86_64")]
    fn write_aside(&self, code: &[u8]) -> Result<u64> {
        const AT_PHDR: u64 = 3;
        let file = format!("/proc/{}/auxv", self.0);
        let vector = std::fs::read(&file).with_context(|| format!("cannot read {file}"))?;
        let (words, _) = vector.as_chunks::<8>();
        let (pairs, _) = words.as_chunks::<2>();
        let mut pairs = pairs.iter().map(|pair| pair.map(u64::from_ne_bytes));
        let headers = pairs.find_map(|[key, value]| (key == AT_PHDR).then_some(value));
        let headers = headers.context("process 1 has no program headers in memory")?;
        self.write(headers, code)?;
        Ok(headers)
    }

    #[cfg(target_arch = "x86_64")]
    fn write(&self, at: u64, code: &[u8]) -> Result<()> {
        for (place, part) in (at..).step_by(8).zip(code.chunks(8)) {
            let mut word = [0x90; 8];
            for (byte, given) in word.iter_mut().zip(part) {
                *byte = *given;
            }
            let address = usize::try_from(place)? as ptrace::AddressType;
            ptrace::write(self.0, address, i64::from_le_bytes(word))
                .with_context(|| format!("cannot write at {place:#x}"))?;
        }
        Ok(())
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        // One that is gone already needs no letting go.
        let _ = ptrace::detach(self.0, None);
    }
}
