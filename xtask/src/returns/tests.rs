//! This file holds the search for lost ways back against functions that have theirs and do not.

use super::code::{Code, Function, Instruction, Step};
use super::{lost, lost_in};
use object::write::{Object, StandardSection, Symbol, SymbolSection};
use object::{
    Architecture, BinaryFormat, Endianness, SectionKind, SymbolFlags, SymbolKind, SymbolScope,
};

/// Where each function of a test begins.
const AT: [u64; 4] = [0x1000, 0x2000, 0x3000, 0x4000];
const LINK: u32 = 30;

/// Functions at [`AT`], each of these steps, and what is found in them.
fn found(functions: &[&[Step]]) -> Vec<String> {
    let mut code = Code {
        instructions: Vec::new(),
        functions: Vec::new(),
        link: LINK,
        second_link: Some(5),
    };
    for (begin, steps) in AT.into_iter().zip(functions) {
        let addresses = (begin..).step_by(4).zip(*steps);
        code.instructions
            .extend(addresses.map(|(address, step)| Instruction {
                address,
                bytes: 4,
                step: *step,
                may_be_skipped: false,
            }));
        code.functions.push(Function {
            begin,
            end: begin + 4 * steps.len() as u64,
            name: format!("f{}", begin >> 12),
        });
    }
    lost_in(&code)
}

const NONE: [String; 0] = [];
const RETURN: Step = Step::Through(LINK);

fn call(function: usize) -> Step {
    Step::Call(Some(AT[function - 1]))
}

fn jump(function: usize) -> Step {
    Step::Jump(AT[function - 1])
}

#[test]
fn a_function_that_calls_without_keeping_its_way_back_is_found() {
    let leaf: &[Step] = &[RETURN];
    let told = found(&[&[Step::Plain, call(2), RETURN], leaf]);
    let wanted = "f1 at 0x1000 calls at 0x1004 and leaves at 0x1008 without the way back to \
                  its caller";
    assert_eq!(told, [wanted]);
    // By a register, by a jump to another function, on one way of two, by its caller's stack.
    assert_eq!(found(&[&[Step::Call(None), RETURN]]).len(), 1);
    assert_eq!(found(&[&[call(2), jump(2)], leaf]).len(), 1);
    assert_eq!(
        found(&[&[Step::Branch(0x1008), call(2), RETURN], leaf]).len(),
        1
    );
    assert_eq!(found(&[&[call(2), Step::ReturnByStack], leaf]).len(), 1);
    assert_eq!(found(&[&[call(2), Step::Load, RETURN], leaf]).len(), 1);
    // What it kept it must take again.
    assert_eq!(found(&[&[Step::Save, call(2), RETURN], leaf]).len(), 1);
    assert_eq!(
        found(&[&[call(2), Step::Save, Step::Load, RETURN], leaf]).len(),
        1
    );
    assert_eq!(
        found(&[&[Step::CopyTo(3), call(2), Step::CopyFrom(4), RETURN], leaf]).len(),
        1
    );
    // A call by a register in place of a return; no table, for nothing is left to lead to.
    assert_eq!(
        found(&[&[Step::Save, call(2), Step::Through(3)], leaf]).len(),
        1
    );
}

#[test]
fn a_function_that_keeps_its_way_back_passes() {
    let leaf: &[Step] = &[RETURN];
    for kept in [
        &[Step::Save, call(2), Step::Load, RETURN][..],
        &[Step::Save, call(2), Step::ReturnByStack],
        &[Step::Save, call(2), Step::Load, jump(2)],
        &[Step::CopyTo(3), call(2), Step::CopyFrom(3), RETURN],
        &[Step::CopyTo(3), call(2), Step::Through(3)],
        &[Step::Plain, jump(2)],
        // Only one of its ways calls.
        &[
            Step::Branch(0x1010),
            Step::Save,
            call(2),
            Step::Load,
            RETURN,
        ],
    ] {
        assert_eq!(found(&[kept, leaf]), NONE, "{kept:?}");
    }
}

#[test]
fn what_never_returns_needs_no_way_back() {
    let never: &[Step] = &[Step::Plain, Step::Jump(AT[1])];
    assert_eq!(found(&[&[call(2), Step::End], never]), NONE);
    // What stands behind the call belongs to another way.
    let ways = [Step::Branch(0x1008), call(2), RETURN];
    assert_eq!(found(&[&ways, never]), NONE);
    // Nor does a function that only calls such a one return.
    assert_eq!(found(&[&ways, &[call(3), RETURN], &[Step::End]]), NONE);
    // One that does after all.
    let some: &[Step] = &[Step::Branch(0x2008), Step::End, RETURN];
    assert_eq!(found(&[&ways, some]).len(), 1);
}

#[test]
fn functions_that_the_compiler_made_are_part_of_those_that_use_them() {
    // The end of a function, shared, also by one that called nobody on its way there.
    let end: &[Step] = &[Step::ReturnByStack];
    let ways = [Step::Save, Step::Branch(0x100c), call(3), jump(2)];
    assert_eq!(found(&[&ways, end, &[RETURN]]), NONE);
    assert_eq!(
        found(&[&[Step::Save, call(3), jump(2)], end, &[RETURN]]),
        NONE
    );
    assert_eq!(found(&[&[call(3), jump(2)], end, &[RETURN]]).len(), 1);
    // What gives registers back, the caller's way back among them, and returns by a copy.
    let restore: &[Step] = &[Step::CopyTo(16), Step::Load, Step::Through(16)];
    assert_eq!(found(&[&[Step::Save, call(2), RETURN], restore]), NONE);
    assert_eq!(found(&[&[call(2), RETURN], restore]).len(), 1);
    // What comes back by a register of its own, and saves for the function that it is part of.
    let save: &[Step] = &[Step::Save, Step::Through(5)];
    let body = [Step::Visit(AT[1]), call(3), Step::Load, RETURN];
    assert_eq!(found(&[&body, save, &[RETURN]]), NONE);
    let nothing: &[Step] = &[Step::Plain, Step::Through(5)];
    assert_eq!(found(&[&body, nothing, &[RETURN]]).len(), 1);
}

#[test]
fn a_table_leads_to_what_nothing_else_leads_to() {
    let part = [Step::Load, RETURN];
    let begin = [Step::Save, call(2), Step::Table];
    assert_eq!(found(&[&[&begin[..], &part].concat(), &[RETURN]]), NONE);
    let begin = [Step::Save, call(2), Step::Through(8)];
    assert_eq!(found(&[&[&begin[..], &part].concat(), &[RETURN]]), NONE);
    let begin = [Step::Plain, call(2), Step::Table];
    assert_eq!(found(&[&[&begin[..], &part].concat(), &[RETURN]]).len(), 1);
}

/// A symbol of a file: what it is called, where it is and what it is of.
type Name = (&'static str, u64, SymbolKind);

/// An object file of Thumb code, with the names of its functions, and those in its debug
/// information.
fn thumb(bytes: &[u8], of_code: &[Name], of_debug: &[Name]) -> Vec<u8> {
    let mut file = Object::new(BinaryFormat::Elf, Architecture::Arm, Endianness::Little);
    let code = file.section_id(StandardSection::Text);
    file.append_section_data(code, bytes, 4);
    let debug = file.add_section(Vec::new(), b".debug_info".to_vec(), SectionKind::Debug);
    file.append_section_data(debug, bytes, 4);
    for (section, symbols) in [(code, of_code), (debug, of_debug)] {
        for (name, value, kind) in symbols {
            file.add_symbol(Symbol {
                name: (*name).into(),
                value: *value,
                size: 0,
                kind: *kind,
                scope: SymbolScope::Compilation,
                weak: false,
                section: SymbolSection::Section(section),
                flags: SymbolFlags::None,
            });
        }
    }
    file.write().expect("an object file")
}

/// What is found in a file.
fn found_in(file: &[u8]) -> anyhow::Result<Vec<String>> {
    lost(&object::File::parse(file).expect("it is one"))
}

#[test]
fn it_is_found_in_a_file() {
    let bytes = [
        0x70, 0x47, // OUTLINED_FUNCTION_0: bx lr
        0xff, 0xf7, 0xfd, 0xff, // OUTLINED_FUNCTION_1: bl OUTLINED_FUNCTION_0
        0xfb, 0xe7, // b OUTLINED_FUNCTION_0
    ];
    let names = [
        ("$t", 0, SymbolKind::Label),
        ("OUTLINED_FUNCTION_0", 1, SymbolKind::Text),
        ("OUTLINED_FUNCTION_1", 3, SymbolKind::Text),
    ];
    let told = found_in(&thumb(&bytes, &names, &[])).expect("it can be read");
    let wanted = "OUTLINED_FUNCTION_1 at 0x2 calls at 0x2 and leaves at 0x6 without the way \
                  back to its caller";
    assert_eq!(told, [wanted]);
    // Without the symbols nothing is known of it, which is not the same as nothing wrong.
    for known in [&names[..0], &names[1..], &names[..1]] {
        assert!(found_in(&thumb(&bytes, known, &[])).is_err(), "{known:?}");
    }
}

#[test]
fn marks_in_debug_information_say_nothing_of_the_code_at_their_addresses() {
    let bytes = [
        0x70, 0x47, // leaf: bx lr
        0x00, 0xb5, // calls: push {lr}
        0xff, 0xf7, 0xfc, 0xff, // bl leaf
        0x00, 0xe0, // b 1f
        0x00, 0xbf, // nop
        0x00, 0xbd, // 1: pop {pc}
    ];
    let names = [
        ("$t", 0, SymbolKind::Label),
        ("leaf", 1, SymbolKind::Text),
        ("calls", 3, SymbolKind::Text),
    ];
    // Seen with one that lay where a function ends: its last instructions were not read.
    let mark = [("$d", 12, SymbolKind::Label)];
    let told = found_in(&thumb(&bytes, &names, &mark)).expect("it can be read");
    assert_eq!(told, NONE);
}
