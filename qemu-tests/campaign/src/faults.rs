//! This file lists the kinds of faults, for each processor that a board has.

use anyhow::{Context, Result};
use nix::sys::signal::Signal;

/// A processor for which faults are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Processor {
    /// x86 with 64 bits.
    X86,
    /// ARM with 64 bits.
    Arm64,
    /// ARM with 32 bits. It has no call that executes one instruction.
    Arm32,
}

/// A kind of fault.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// What is typed after `--only`.
    pub name: &'static str,
    pub(crate) injury: Injury,
    /// Instructions that process 1 executes one by one before: a number below this.
    pub steps_max: usize,
    /// Whether dying takes its time: a loop ends by the processor time that it uses, a stack has to
    /// be filled, a tracer looks at every step. From the injury to the answer is no target then.
    pub dies_slowly: bool,
    /// Whether what it had decided is lost with it: who takes its place finds out who runs, and
    /// counts anew.
    pub forgets: bool,
}

/// What is done to process 1.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Injury {
    /// It goes on at this address.
    Counter(u64),
    /// It goes on on its own stack, which is no code.
    OnStack,
    /// Its stack is at this address, and the next it executes are these instructions.
    Stack(u64, Code),
    /// The next it executes are these instructions.
    Code(Code),
    /// It goes on in the middle of the first of these instructions.
    Within(Code),
    /// Somebody sends it this.
    Signal(Signal),
    /// Random bytes over memory that it may write.
    Noise(Memory),
}

/// What of a core's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Memory {
    /// The words that carry its requests.
    Ring,
    /// All: its stack and data, and what it shares with its keeper, its own state too.
    All,
}

/// Instructions.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Code {
    Bytes(&'static [u8]),
    /// Of four bytes each.
    Words(&'static [u32]),
}

/// What a processor needs for its faults.
struct Means {
    /// An address that is nobody's, far away.
    wild: u64,
    /// Stacks that are none.
    no_stack: u64,
    /// What raises `SIGBUS` without a file.
    odd: Option<Kind>,
    /// One word onto the stack.
    push: Code,
    /// Maps a file without a byte, and reads from it.
    bus_file: Code,
    /// An instruction that is none.
    illegal: Code,
    /// A breakpoint.
    trap: Code,
    /// An integer divided by zero.
    division: Option<Code>,
    /// Process 1 sends itself `SIGABRT`.
    abort: Code,
    /// One word onto the stack, for ever.
    overflow: Code,
    /// An endless loop, and one of system calls.
    circle: Code,
    calls: Code,
    /// Writes to its second descriptor for ever: a core's bell.
    flood: Code,
    /// Whether a debugger can have it execute one instruction.
    can_step: bool,
}

const X86: Means = Means {
    wild: 1 << 62,
    no_stack: 8,
    odd: Some(quick(
        "bus-stack",
        Injury::Stack(1 << 62, Code::Bytes(&[0x50])),
    )),
    push: Code::Bytes(&[0x50]),
    // mmap(0, 4096, PROT_READ, MAP_SHARED, memfd_create("", MFD_CLOEXEC), 0), and a read. The empty
    // name is the word pushed first.
    bus_file: Code::Bytes(&[
        0x6a, 0x00, 0x48, 0x89, 0xe7, 0xbe, 1, 0, 0, 0, 0xb8, 0x3f, 1, 0, 0, 0x0f, 0x05, 0x49,
        0x89, 0xc0, 0x31, 0xff, 0xbe, 0, 0x10, 0, 0, 0xba, 1, 0, 0, 0, 0x41, 0xba, 1, 0, 0, 0,
        0x45, 0x31, 0xc9, 0xb8, 9, 0, 0, 0, 0x0f, 0x05, 0x48, 0x8b, 0x00, 0x0f, 0x0b,
    ]),
    illegal: Code::Bytes(&[0x0f, 0x0b]),
    trap: Code::Bytes(&[0xcc]),
    // xor ecx, ecx; div ecx
    division: Some(Code::Bytes(&[0x31, 0xc9, 0xf7, 0xf1])),
    // kill(1, SIGABRT); pause()
    abort: Code::Bytes(&[
        0xbf, 1, 0, 0, 0, 0xbe, 6, 0, 0, 0, 0xb8, 62, 0, 0, 0, 0x0f, 0x05, 0xb8, 34, 0, 0, 0, 0x0f,
        0x05,
    ]),
    overflow: Code::Bytes(&[0x50, 0xeb, 0xfd]),
    circle: Code::Bytes(&[0xeb, 0xfe]),
    // getpid()
    calls: Code::Bytes(&[0xb8, 39, 0, 0, 0, 0x0f, 0x05, 0xeb, 0xf7]),
    // write(1, stack, 1)
    flood: Code::Bytes(&[
        0xbf, 1, 0, 0, 0, 0x48, 0x89, 0xe6, 0xba, 1, 0, 0, 0, 0xb8, 1, 0, 0, 0, 0x0f, 0x05, 0xeb,
        0xea,
    ]),
    can_step: true,
};

/// svc #0
const CALL_64: u32 = 0xd400_0001;

const ARM_64: Means = Means {
    // Beyond what page tables translate.
    wild: 1 << 52,
    no_stack: 16,
    // Instructions begin at multiples of 4.
    odd: Some(quick("bus-counter", Injury::Within(Code::Words(&[0])))),
    // str x0, [sp, #-16]!
    push: Code::Words(&[0xf81f_0fe0]),
    // As above: memfd_create is 279, mmap 222.
    bus_file: Code::Words(&[
        0xf81f_0fff, // str xzr, [sp, #-16]!
        0x9100_03e0, // mov x0, sp
        0x5280_0021, // mov w1, #1
        0x5280_22e8, // mov w8, #279
        CALL_64,
        0x2a00_03e4, // mov w4, w0
        0xaa1f_03e0, // mov x0, xzr
        0x5282_0001, // mov w1, #4096
        0x5280_0022, // mov w2, #1
        0x5280_0023, // mov w3, #1
        0xaa1f_03e5, // mov x5, xzr
        0x5280_1bc8, // mov w8, #222
        CALL_64,
        0xf940_0000, // ldr x0, [x0]
        0x0000_0000, // udf #0
    ]),
    illegal: Code::Words(&[0x0000_0000]),
    // brk #0
    trap: Code::Words(&[0xd420_0000]),
    division: None,
    // mov w0, #1; mov w1, #SIGABRT; mov w8, #129 (kill); svc; udf #0
    abort: Code::Words(&[0x5280_0020, 0x5280_00c1, 0x5280_1028, CALL_64, 0]),
    // str x0, [sp, #-16]!; b .-4
    overflow: Code::Words(&[0xf81f_0fe0, 0x17ff_ffff]),
    circle: Code::Words(&[0x1400_0000]),
    // mov w8, #172 (getpid); svc; b .-4
    calls: Code::Words(&[0x5280_1588, CALL_64, 0x17ff_ffff]),
    // mov w0, #1; mov x1, sp; mov w2, #1; mov w8, #64 (write); svc; b .-20
    flood: Code::Words(&[
        0x5280_0020,
        0x9100_03e1,
        0x5280_0022,
        0x5280_0808,
        CALL_64,
        0x17ff_fffb,
    ]),
    can_step: true,
};

/// svc #0
const CALL_32: u32 = 0xef00_0000;

/// udf #0, which no kernel takes for anything else.
const ILLEGAL_32: u32 = 0xe7f0_00f0;

/// Instructions of four bytes (A32).
const ARM_32: Means = Means {
    // The kernel's.
    wild: 0xf000_0000,
    no_stack: 8,
    odd: None,
    // push {r0}
    push: Code::Words(&[0xe52d_0004]),
    // As above: memfd_create is 385, mmap2 192.
    bus_file: Code::Words(&[
        0xe3a0_0000, // mov r0, #0
        0xe52d_0004, // push {r0}
        0xe1a0_000d, // mov r0, sp
        0xe3a0_1001, // mov r1, #1
        0xe300_7181, // movw r7, #385
        CALL_32,
        0xe1a0_4000, // mov r4, r0
        0xe3a0_0000, // mov r0, #0
        0xe3a0_1a01, // mov r1, #4096
        0xe3a0_2001, // mov r2, #1
        0xe3a0_3001, // mov r3, #1
        0xe3a0_5000, // mov r5, #0
        0xe3a0_70c0, // mov r7, #192
        CALL_32,
        0xe590_0000, // ldr r0, [r0]
        ILLEGAL_32,
    ]),
    illegal: Code::Words(&[ILLEGAL_32]),
    // What Linux takes for a breakpoint.
    trap: Code::Words(&[0xe7f0_01f0]),
    division: None,
    // mov r0, #1; mov r1, #SIGABRT; mov r7, #37 (kill); svc; udf #0
    abort: Code::Words(&[0xe3a0_0001, 0xe3a0_1006, 0xe3a0_7025, CALL_32, ILLEGAL_32]),
    // push {r0}; b .-4
    overflow: Code::Words(&[0xe52d_0004, 0xeaff_fffd]),
    circle: Code::Words(&[0xeaff_fffe]),
    // mov r7, #20 (getpid); svc; b .-4
    calls: Code::Words(&[0xe3a0_7014, CALL_32, 0xeaff_fffd]),
    // mov r0, #1; mov r1, sp; mov r2, #1; mov r7, #4 (write); svc; b .-20
    flood: Code::Words(&[
        0xe3a0_0001,
        0xe1a0_100d,
        0xe3a0_2001,
        0xe3a0_7004,
        CALL_32,
        0xeaff_fff9,
    ]),
    can_step: false,
};

impl Processor {
    /// The one that this program runs on.
    ///
    /// # Errors
    /// No faults are written for it.
    pub fn own() -> Result<Self> {
        Self::of(std::env::consts::ARCH)
    }

    /// The one of a target.
    ///
    /// # Errors
    /// No faults are written for it.
    pub fn of(triple: &str) -> Result<Self> {
        let all = [
            ("x86_64", Self::X86),
            ("aarch64", Self::Arm64),
            ("arm", Self::Arm32),
        ];
        let own = all.iter().find(|(begin, _)| triple.starts_with(begin));
        let own = own.map(|(_, processor)| *processor);
        own.with_context(|| format!("no faults are written for {triple}"))
    }

    fn means(self) -> Means {
        match self {
            Self::X86 => X86,
            Self::Arm64 => ARM_64,
            Self::Arm32 => ARM_32,
        }
    }

    /// Every kind that a campaign injects; `split`: into a core that is a process of its own.
    #[must_use]
    pub fn kinds(self, split: bool) -> Vec<Kind> {
        let means = self.means();
        let mut kinds = vec![
            quick("segv-null", Injury::Counter(0)),
            quick("segv-wild", Injury::Counter(means.wild)),
            quick("segv-data", Injury::OnStack),
            quick("no-stack", Injury::Stack(means.no_stack, means.push)),
        ];
        kinds.extend(means.odd);
        kinds.push(quick("bus-file", Injury::Code(means.bus_file)));
        kinds.push(quick("ill", Injury::Code(means.illegal)));
        kinds.push(quick("trap", Injury::Code(means.trap)));
        kinds.extend(means.division.map(|code| quick("fpe", Injury::Code(code))));
        kinds.push(quick("abort", Injury::Code(means.abort)));
        kinds.push(slow("overflow", Injury::Code(means.overflow)));
        kinds.push(slow("loop", Injury::Code(means.circle)));
        kinds.push(slow("loop-calls", Injury::Code(means.calls)));
        if means.can_step {
            kinds.push(Kind {
                steps_max: 4_000,
                ..slow("stepped", Injury::Counter(0))
            });
        }
        if split {
            kinds.push(quick("killed", Injury::Signal(Signal::SIGKILL)));
            // Noticed only when it does not answer.
            kinds.push(slow("held", Injury::Signal(Signal::SIGSTOP)));
            // It may go on for a while before anybody looks at them.
            kinds.push(slow("ring-noise", Injury::Noise(Memory::Ring)));
            kinds.push(Kind {
                forgets: true,
                ..slow("memory-noise", Injury::Noise(Memory::All))
            });
            kinds.push(slow("ring-flood", Injury::Code(means.flood)));
        }
        kinds
    }
}

const fn quick(name: &'static str, injury: Injury) -> Kind {
    Kind {
        name,
        injury,
        steps_max: 0,
        dies_slowly: false,
        forgets: false,
    }
}

const fn slow(name: &'static str, injury: Injury) -> Kind {
    Kind {
        dies_slowly: true,
        ..quick(name, injury)
    }
}

impl Kind {
    /// What is sent to whoever dies of this, when it goes on.
    #[must_use]
    pub fn signal(self) -> Option<Signal> {
        match self.injury {
            Injury::Signal(signal) => Some(signal),
            _ => None,
        }
    }
}

impl Code {
    pub(crate) fn bytes(self) -> Vec<u8> {
        match self {
            Self::Bytes(bytes) => bytes.to_vec(),
            Self::Words(words) => words.iter().flat_map(|word| word.to_le_bytes()).collect(),
        }
    }
}

/// The kind of this name among these.
///
/// # Errors
/// There is none; the text lists those there are.
pub fn among(kinds: &[Kind], name: &str) -> Result<Kind> {
    let names: Vec<_> = kinds.iter().map(|kind| kind.name).collect();
    let names = names.join(", ");
    let found = kinds.iter().copied().find(|kind| kind.name == name);
    found.with_context(|| format!("there is no fault {name:?}; choose one of {names}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_processor_has_every_kind_that_it_can_have() {
        let names = |processor: Processor| -> Vec<_> {
            let kinds = processor.kinds(true);
            kinds.iter().map(|kind| kind.name).collect()
        };
        let all = names(Processor::X86);
        let without = |absent: &[&str]| -> Vec<_> {
            let rest = all.iter().copied().filter(|name| !absent.contains(name));
            rest.collect()
        };
        let mut arm = names(Processor::Arm64);
        arm.retain(|name| *name != "bus-counter");
        assert_eq!(arm, without(&["bus-stack", "fpe"]));
        let absent = ["bus-stack", "fpe", "stepped"];
        assert_eq!(names(Processor::Arm32), without(&absent));
    }

    #[test]
    fn a_target_without_faults_is_refused() {
        let processor = Processor::of("armv7-unknown-linux-musleabihf").expect("it has faults");
        assert_eq!(processor, Processor::Arm32);
        let refused = Processor::of("riscv64gc-unknown-linux-musl");
        let text = refused.expect_err("none are written").to_string();
        assert_eq!(
            text,
            "no faults are written for riscv64gc-unknown-linux-musl"
        );
    }
}
