//! This file is a program's machine code as far as ways back go: its instructions by address, and
//! which function each belongs to.

use super::{aarch64, arm, riscv};
use crate::stack;
use anyhow::{Result, bail};
use object::{Architecture, Object, ObjectSection, ObjectSymbol, SectionKind};
use std::collections::BTreeMap;

/// What an instruction does with the way back: the register that a call leaves it in, or its copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing.
    Plain,
    /// Saves it on the stack.
    Save,
    /// Loads it from the stack.
    Load,
    /// Copies it into another register.
    CopyTo(u32),
    /// Copies another register into it.
    CopyFrom(u32),
    /// Calls a function, or whatever a register names.
    Call(Option<u64>),
    /// Calls a function made by the compiler, which comes back by a register of its own.
    Visit(u64),
    /// Goes there.
    Jump(u64),
    /// Goes there or on.
    Branch(u64),
    /// Goes where this register says.
    Through(u32),
    /// Goes where the saved way back says.
    ReturnByStack,
    /// Goes where a table says.
    Table,
    /// Does not go on.
    End,
}

impl Step {
    /// A copy from one register to another, where `link` has the way back.
    pub(super) fn copy(to: u32, from: u32, link: u32) -> Self {
        match (to, from) {
            _ if to == link => Self::CopyFrom(from),
            _ if from == link => Self::CopyTo(to),
            _ => Self::Plain,
        }
    }

    /// Whether the instruction behind it is never next.
    pub(super) fn leaves(self) -> bool {
        match self {
            Self::Jump(_) | Self::Through(_) | Self::ReturnByStack | Self::Table | Self::End => {
                true
            }
            Self::Plain | Self::Save | Self::Load | Self::CopyTo(_) | Self::CopyFrom(_) => false,
            Self::Call(_) | Self::Visit(_) | Self::Branch(_) => false,
        }
    }
}

/// One instruction.
#[derive(Debug, Clone, Copy)]
pub(super) struct Instruction {
    pub(super) address: u64,
    pub(super) bytes: u64,
    pub(super) step: Step,
    /// It hangs on a condition of its own.
    pub(super) may_be_skipped: bool,
}

/// A function: where it begins and ends, and what it is called.
#[derive(Debug)]
pub(super) struct Function {
    pub(super) begin: u64,
    pub(super) end: u64,
    pub(super) name: String,
}

/// All code of a program.
#[derive(Debug)]
pub(super) struct Code {
    /// By address.
    pub(super) instructions: Vec<Instruction>,
    /// By begin.
    pub(super) functions: Vec<Function>,
    /// The register that a call leaves the way back in.
    pub(super) link: u32,
    /// The register that functions made by the compiler come back by, where they have their own.
    pub(super) second_link: Option<u32>,
}

/// What a run of bytes holds, as the compiler's mapping symbols say.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Run {
    Words,
    Thumb,
    Data,
}

impl Code {
    /// The code of a program; `None` for a machine that keeps the way back on the stack by itself.
    ///
    /// # Errors
    /// The machine is none of ours, or the file does not say where its code is.
    pub(super) fn of(elf: &object::File<'_>) -> Result<Option<Self>> {
        let machine = elf.architecture();
        let (link, second_link) = match machine {
            Architecture::Arm => (arm::LINK, None),
            Architecture::Aarch64 => (aarch64::LINK, None),
            Architecture::Riscv64 => (riscv::LINK, Some(riscv::SECOND_LINK)),
            Architecture::X86_64 => return Ok(None),
            other => bail!("no decoder for {other:?} code"),
        };
        let functions = functions_of(elf);
        let mut instructions = Vec::new();
        for section in elf.sections().filter(|s| s.kind() == SectionKind::Text) {
            let (data, start) = (section.data()?, section.address());
            let end = start + data.len() as u64;
            let runs = runs_of(elf, &section, &functions);
            let ends = runs.keys().skip(1).copied().chain([end]);
            for ((begin, run), end) in runs.iter().zip(ends) {
                let place = |at: u64| usize::try_from(at - start);
                let bytes = &data[place(*begin)?..place(end)?];
                read(machine, *run, bytes, *begin, &mut instructions);
            }
        }
        instructions.sort_by_key(|instruction| instruction.address);
        let code = Self {
            instructions,
            functions,
            link,
            second_link,
        };
        let unknown = code.functions.iter().find(|f| code.at(f.begin).is_none());
        if let Some(Function { begin, name, .. }) = unknown {
            bail!("nothing says what {name} at {begin:#x} is: link with mapping symbols");
        }
        if code.functions.is_empty() {
            bail!("no functions to look at: link with symbols");
        }
        Ok(Some(code))
    }

    /// The place of the instruction at this address.
    pub(super) fn at(&self, address: u64) -> Option<usize> {
        let found = self
            .instructions
            .binary_search_by_key(&address, |i| i.address);
        found.ok()
    }

    /// The function that this address belongs to.
    pub(super) fn function(&self, address: u64) -> Option<&Function> {
        let behind = self.functions.partition_point(|f| f.begin <= address);
        let function = self.functions.get(behind.checked_sub(1)?)?;
        (address < function.end).then_some(function)
    }
}

fn read(machine: Architecture, run: Run, data: &[u8], start: u64, to: &mut Vec<Instruction>) {
    match (machine, run) {
        (_, Run::Data) => {}
        (Architecture::Arm, Run::Thumb) => arm::thumb(data, start, to),
        (Architecture::Riscv64, _) => riscv::code(data, start, to),
        _ => to.extend(
            (start..)
                .step_by(4)
                .zip(data.chunks_exact(4))
                .map(|(address, w)| {
                    let word = u32::from_le_bytes([w[0], w[1], w[2], w[3]]);
                    let (step, may_be_skipped) = match machine {
                        Architecture::Arm => arm::word(word, address),
                        _ => (aarch64::word(word, address), false),
                    };
                    Instruction {
                        address,
                        bytes: 4,
                        step,
                        may_be_skipped,
                    }
                }),
        ),
    }
}

/// Where runs of code and of data begin in a section.
fn runs_of(
    elf: &object::File<'_>,
    section: &object::Section<'_, '_>,
    functions: &[Function],
) -> BTreeMap<u64, Run> {
    let begin = section.address();
    let end = begin + section.size();
    let run = |name: &str| match name.split('.').next()? {
        "$t" => Some(Run::Thumb),
        "$d" => Some(Run::Data),
        // RISC-V's may say which instructions there are.
        kind if kind == "$a" || kind.starts_with("$x") => Some(Run::Words),
        _ => None,
    };
    let mut runs: BTreeMap<u64, Run> = elf
        .symbols()
        // Of debug information there are mapping symbols as well, at the same addresses.
        .filter(|symbol| symbol.section_index() == Some(section.index()))
        .filter(|symbol| (begin..end).contains(&symbol.address()))
        .filter_map(|symbol| Some((symbol.address(), run(symbol.name().ok()?)?)))
        .collect();
    // Constants may lie in front of all code. Where nobody says which of two sets the instructions
    // are of, they are of none.
    runs.entry(begin).or_insert(match elf.architecture() {
        Architecture::Arm => Run::Data,
        _ => Run::Words,
    });
    // Read from its begin, each, whatever length what is in front of it seems to have.
    for function in functions {
        if let Some((_, run)) = runs.range(..=function.begin).next_back()
            && function.begin < end
        {
            runs.insert(function.begin, *run);
        }
    }
    runs
}

/// The functions by their begin. One that does not say how long it is reaches to the next.
fn functions_of(elf: &object::File<'_>) -> Vec<Function> {
    let mut functions: Vec<Function> = Vec::new();
    for (begin, (end, name)) in stack::extents(elf) {
        if let Some(last) = functions.last_mut() {
            last.end = last.end.min(begin);
        }
        let end = if end == begin { u64::MAX } else { end };
        functions.push(Function { begin, end, name });
    }
    functions
}

/// The lowest `bits` of a word as a number that may be negative.
pub(super) fn signed(word: u32, bits: u32) -> i64 {
    let unused = 64 - bits;
    (i64::from(word) << unused) >> unused
}
