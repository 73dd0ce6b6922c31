//! This file bounds the stack of a firmware program from its own file, without running it.
//!
//! It reads the frame sizes that the compiler recorded (`.stack_sizes`) and the calls that the
//! linker left (`--emit-relocs`), and walks the call graph from the entry. An indirect call may
//! reach every function whose address is taken. Functions that can reach each other again (a
//! cycle) are counted once each and named, because no static bound exists for them: the firmware
//! has no recursion of its own, and the formatting machinery of `core` recurses only as deep as
//! its arguments nest. It must never report a number when one of its two inputs is missing.

mod decode;

use anyhow::{Context, Result, bail};
use decode::{fixed_width, indirect_riscv, indirect_thumb, indirect_x86, pairs_of};
use object::{
    Architecture, Object, ObjectSection, ObjectSymbol, Relocation, RelocationFlags,
    RelocationTarget, SectionKind, SymbolIndex, SymbolKind,
};
use petgraph::algo::tarjan_scc;
use petgraph::graph::{DiGraph, NodeIndex};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

/// The deepest stack that a program can need.
#[derive(Debug)]
pub struct Report {
    /// Bytes from the entry's frame to the deepest one.
    pub bytes: u64,
    /// The deepest chain of calls: function and its frame in bytes, the entry first.
    pub path: Vec<(String, u64)>,
    /// Functions on a cycle, each counted once.
    pub cycles: Vec<Vec<String>>,
    /// Functions without a recorded frame size (assembly), counted as [`UNKNOWN_FRAME_BYTES`].
    pub unknown: Vec<String>,
}

/// Assumed for a function without a record: the few assembly routines (memcpy and the like, the
/// entry) save at most a dozen registers.
pub const UNKNOWN_FRAME_BYTES: u64 = 128;

struct Function {
    name: String,
    end: u64,
    frame: Option<u64>,
    calls: BTreeSet<u64>,
    calls_indirectly: bool,
}

/// Bounds the stack of the program in `file`: from its entry point, or from the function that has
/// this `name`.
pub fn measure(file: &Path, name: Option<&str>) -> Result<Report> {
    let data = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let elf = object::File::parse(&*data)
        .with_context(|| format!("{} is not an ELF file", file.display()))?;
    let mut functions = functions_of(&elf);
    read_frames(&elf, &mut functions)?;
    let taken = read_calls(&elf, &mut functions)?;
    find_indirect_calls(&elf, &mut functions)?;
    let entry = strip_thumb_bit(&elf, elf.entry());
    let found = functions.iter().find(|(address, function)| match name {
        Some(name) => function.name == name,
        None => **address == entry,
    });
    let Some((&entry, _)) = found else {
        let wanted = name.map_or(format!("the entry point {entry:#x}"), str::to_string);
        bail!("{}: no function symbol at {wanted}", file.display());
    };
    Ok(deepest(&functions, &taken, entry))
}

fn strip_thumb_bit(elf: &object::File, address: u64) -> u64 {
    if elf.architecture() == Architecture::Arm {
        address & !1
    } else {
        address
    }
}

fn functions_of(elf: &object::File) -> BTreeMap<u64, Function> {
    let mut functions = BTreeMap::new();
    for symbol in elf
        .symbols()
        .filter(|s| s.kind() == SymbolKind::Text && s.is_definition())
    {
        let raw = symbol.name().unwrap_or("?");
        let address = strip_thumb_bit(elf, symbol.address());
        let function = Function {
            name: format!("{:#}", rustc_demangle::demangle(raw)),
            end: address + symbol.size(),
            frame: None,
            calls: BTreeSet::new(),
            calls_indirectly: false,
        };
        let old = functions.entry(address).or_insert(function);
        old.end = old.end.max(address + symbol.size());
    }
    functions
}

/// Where each function ends, and what it is called, by where it begins.
pub fn extents(elf: &object::File) -> BTreeMap<u64, (u64, String)> {
    let functions = functions_of(elf).into_iter();
    functions
        .map(|(begin, function)| (begin, (function.end, function.name)))
        .collect()
}

fn containing(functions: &BTreeMap<u64, Function>, address: u64) -> Option<u64> {
    let (start, function) = functions.range(..=address).next_back()?;
    (address < function.end || address == *start).then_some(*start)
}

/// `.stack_sizes` is a list of (address, frame size as ULEB128).
fn read_frames(elf: &object::File, functions: &mut BTreeMap<u64, Function>) -> Result<()> {
    let mut seen = 0;
    let width = if elf.is_64() { 8 } else { 4 };
    for section in elf.sections().filter(|s| s.name() == Ok(".stack_sizes")) {
        let mut rest = section.data()?;
        while rest.len() > width {
            let (address, tail) = rest.split_at(width);
            let mut bytes = [0; 8];
            bytes[..width].copy_from_slice(address);
            let address = strip_thumb_bit(elf, u64::from_le_bytes(bytes));
            let (size, used) = uleb128(tail).context("a record of .stack_sizes is cut off")?;
            rest = &tail[used..];
            if let Some(function) = functions.get_mut(&address) {
                function.frame = Some(size);
                seen += 1;
            }
        }
    }
    if seen == 0 {
        bail!("no frame sizes recorded: build with -Zemit-stack-sizes");
    }
    Ok(())
}

fn uleb128(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0_u64;
    for (index, byte) in bytes.iter().take(9).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((value, index + 1));
        }
    }
    None
}

/// Adds the direct calls to each function; returns the functions whose address is taken.
fn read_calls(
    elf: &object::File,
    functions: &mut BTreeMap<u64, Function>,
) -> Result<BTreeSet<u64>> {
    let mut taken = BTreeSet::new();
    let mut seen = 0_usize;
    let symbols = addresses_of(elf);
    let loaded = [
        SectionKind::Text,
        SectionKind::ReadOnlyData,
        SectionKind::ReadOnlyDataWithRel,
        SectionKind::Data,
    ];
    for section in elf.sections() {
        if !loaded.contains(&section.kind()) {
            continue;
        }
        let code = section.kind() == SectionKind::Text;
        for (at, relocation) in section.relocations() {
            let RelocationFlags::Elf { r_type } = relocation.flags() else {
                continue;
            };
            let call = code && is_call(elf.architecture(), r_type.0, &section, at);
            let Some(target) = target_of(elf, &symbols, &relocation, r_type.0) else {
                continue;
            };
            let Some(callee) = containing(functions, target) else {
                continue;
            };
            if !call {
                if callee == target {
                    taken.insert(callee);
                }
                continue;
            }
            seen += 1;
            let Some(caller) = containing(functions, at) else {
                continue;
            };
            if caller != callee
                && let Some(function) = functions.get_mut(&caller)
            {
                function.calls.insert(callee);
            }
        }
    }
    if seen == 0 {
        bail!("no calls recorded: link with --emit-relocs");
    }
    Ok(taken)
}

fn addresses_of(elf: &object::File) -> HashMap<SymbolIndex, u64> {
    elf.symbols().map(|s| (s.index(), s.address())).collect()
}

/// The address that a relocation names. On x86-64, what is relative to the next instruction has the
/// distance to that in its addend.
fn target_of(
    elf: &object::File,
    symbols: &HashMap<SymbolIndex, u64>,
    relocation: &Relocation,
    r_type: u32,
) -> Option<u64> {
    let RelocationTarget::Symbol(symbol) = relocation.target() else {
        return None;
    };
    let base = symbols.get(&symbol)?;
    let relative = elf.architecture() == Architecture::X86_64 && matches!(r_type, 2 | 4);
    let addend = match (relocation.has_implicit_addend(), relative) {
        (true, _) => 0,
        (false, true) => relocation.addend() + 4,
        (false, false) => relocation.addend(),
    };
    Some(strip_thumb_bit(elf, base.wrapping_add_signed(addend)))
}

/// The functions by address, with every place in code that names one: address and function.
pub fn references(elf: &object::File) -> (BTreeMap<u64, String>, Vec<(u64, u64)>) {
    let functions = functions_of(elf);
    let symbols = addresses_of(elf);
    let code = elf
        .sections()
        .filter(|section| section.kind() == SectionKind::Text);
    let references = code
        .flat_map(|section| section.relocations())
        .filter_map(|(at, relocation)| {
            let RelocationFlags::Elf { r_type } = relocation.flags() else {
                return None;
            };
            let target = target_of(elf, &symbols, &relocation, r_type.0)?;
            Some((at, containing(&functions, target)?))
        })
        .collect();
    let names = functions
        .into_iter()
        .map(|(address, function)| (address, function.name));
    (names.collect(), references)
}

/// Whether a relocation is a branch to another function (ELF relocation numbers of each machine).
fn is_call(machine: Architecture, r_type: u32, section: &object::Section, at: u64) -> bool {
    match machine {
        Architecture::Aarch64 => matches!(r_type, 282 | 283),
        Architecture::Arm => matches!(r_type, 1 | 10 | 28 | 29 | 30),
        // JAL, a pair of instructions, and the short jump that the linker makes of one.
        Architecture::Riscv64 => matches!(r_type, 17..=19 | 45),
        Architecture::X86_64 => {
            // A call or jump has its opcode just before the displacement that is relocated.
            let opcode = at.checked_sub(section.address() + 1).and_then(|offset| {
                section
                    .data()
                    .ok()?
                    .get(usize::try_from(offset).ok()?)
                    .copied()
            });
            matches!(r_type, 2 | 4) && matches!(opcode, Some(0xe8 | 0xe9))
        }
        _ => false,
    }
}

/// Marks the functions that call through a register or a table.
fn find_indirect_calls(elf: &object::File, functions: &mut BTreeMap<u64, Function>) -> Result<()> {
    for section in elf.sections().filter(|s| s.kind() == SectionKind::Text) {
        let (data, start) = (section.data()?, section.address());
        let addresses: Vec<u64> = match elf.architecture() {
            Architecture::X86_64 => indirect_x86(data, start),
            Architecture::Aarch64 => fixed_width(data, start, |w| w & 0xffff_fc1f == 0xd63f_0000),
            // Either instruction set; a constant that looks like a call only raises the bound.
            Architecture::Arm => {
                let mut found = fixed_width(data, start, |w| w & 0x0fff_fff0 == 0x012f_ff30);
                found.extend(indirect_thumb(data, start));
                found
            }
            Architecture::Riscv64 => indirect_riscv(data, start, &pairs_of(&section)),
            other => bail!("no decoder for {other:?} code"),
        };
        for address in addresses {
            if let Some(caller) = containing(functions, address)
                && let Some(function) = functions.get_mut(&caller)
            {
                function.calls_indirectly = true;
            }
        }
    }
    Ok(())
}

/// The most expensive walk from `entry` through the graph of cycles, each cycle counted once.
fn deepest(functions: &BTreeMap<u64, Function>, taken: &BTreeSet<u64>, entry: u64) -> Report {
    let mut graph = DiGraph::<u64, ()>::new();
    let nodes: HashMap<u64, NodeIndex> = functions
        .keys()
        .map(|address| (*address, graph.add_node(*address)))
        .collect();
    for (address, function) in functions {
        let indirect = taken.iter().filter(|_| function.calls_indirectly);
        for callee in function.calls.iter().chain(indirect) {
            graph.update_edge(nodes[address], nodes[callee], ());
        }
    }
    let frame = |address: &u64| functions[address].frame.unwrap_or(UNKNOWN_FRAME_BYTES);
    let groups = tarjan_scc(&graph);
    let mut group_of = HashMap::new();
    for (index, group) in groups.iter().enumerate() {
        group_of.extend(group.iter().map(|node| (*node, index)));
    }
    // Tarjan's order is bottom-up: whatever a group calls has been weighed before it.
    let mut best: Vec<(u64, Option<usize>)> = Vec::with_capacity(groups.len());
    for (index, group) in groups.iter().enumerate() {
        let own: u64 = group.iter().map(|node| frame(&graph[*node])).sum();
        let below = group
            .iter()
            .flat_map(|node| graph.neighbors(*node))
            .map(|node| group_of[&node])
            .filter(|other| *other != index)
            .max_by_key(|other| best[*other].0);
        best.push((own + below.map_or(0, |other| best[other].0), below));
    }
    let mut report = Report {
        bytes: best[group_of[&nodes[&entry]]].0,
        path: Vec::new(),
        cycles: Vec::new(),
        unknown: Vec::new(),
    };
    let mut at = Some(group_of[&nodes[&entry]]);
    while let Some(index) = at {
        let members = groups[index].iter().map(|node| graph[*node]);
        report
            .path
            .extend(members.map(|a| (functions[&a].name.clone(), frame(&a))));
        at = best[index].1;
    }
    let reachable = reachable(&graph, nodes[&entry]);
    let names = |group: &Vec<NodeIndex>| {
        group
            .iter()
            .map(|node| functions[&graph[*node]].name.clone())
            .collect::<Vec<_>>()
    };
    report.cycles = groups
        .iter()
        .filter(|group| group.len() > 1 && reachable.contains(&group[0]))
        .map(names)
        .collect();
    report.unknown = functions
        .iter()
        .filter(|(a, f)| f.frame.is_none() && reachable.contains(&nodes[*a]))
        .map(|(_, f)| f.name.clone())
        .collect();
    report
}

fn reachable(graph: &DiGraph<u64, ()>, from: NodeIndex) -> BTreeSet<NodeIndex> {
    let mut walk = petgraph::visit::Dfs::new(graph, from);
    let mut seen = BTreeSet::new();
    while let Some(node) = walk.next(graph) {
        seen.insert(node);
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function(name: &str, frame: u64, calls: &[u64], indirect: bool) -> Function {
        Function {
            name: name.into(),
            end: 0,
            frame: Some(frame),
            calls: calls.iter().copied().collect(),
            calls_indirectly: indirect,
        }
    }

    #[test]
    fn the_deepest_chain_counts_and_is_named() {
        let functions = BTreeMap::from([
            (1, function("entry", 16, &[2, 3], false)),
            (2, function("shallow", 100, &[], false)),
            (3, function("deep", 32, &[4], false)),
            (4, function("leaf", 80, &[], false)),
        ]);
        let report = deepest(&functions, &BTreeSet::new(), 1);
        assert_eq!(report.bytes, 16 + 32 + 80);
        let names: Vec<&str> = report.path.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["entry", "deep", "leaf"]);
    }

    #[test]
    fn an_indirect_call_may_reach_every_function_whose_address_is_taken() {
        let functions = BTreeMap::from([
            (1, function("entry", 16, &[], true)),
            (2, function("taken", 64, &[], false)),
            (3, function("untouched", 512, &[], false)),
        ]);
        assert_eq!(deepest(&functions, &BTreeSet::from([2]), 1).bytes, 80);
    }

    #[test]
    fn a_cycle_is_counted_once_and_named() {
        let functions = BTreeMap::from([
            (1, function("entry", 8, &[2], false)),
            (2, function("ping", 10, &[3], false)),
            (3, function("pong", 20, &[2], false)),
        ]);
        let report = deepest(&functions, &BTreeSet::new(), 1);
        assert_eq!(report.bytes, 38);
        assert_eq!(report.cycles.len(), 1);
        assert_eq!(report.cycles[0].len(), 2);
    }

    #[test]
    fn a_number_that_is_cut_off_is_no_number() {
        assert_eq!(uleb128(&[0xe5, 0x8e, 0x26]), Some((624_485, 3)));
        assert_eq!(uleb128(&[0x80]), None);
    }
}
