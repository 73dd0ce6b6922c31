//! This file finds the functions of a firmware program that lose their way back.
//!
//! On ARM and RISC-V a call overwrites the register that says where the caller itself is to return
//! to. A function that calls and then leaves by that register goes round for ever; a compiler that
//! makes functions of what code has in common was seen to make such a one. All ways through each
//! function are walked, with the jumps from one into another, from the file alone. A program whose
//! code cannot be read must never pass.

mod aarch64;
mod arm;
mod code;
mod riscv;
mod state;
#[cfg(test)]
mod tests;
mod walk;

use anyhow::Result;
use code::Code;

/// The functions that leave without their way back, each with where it is lost and where it would
/// be needed.
///
/// # Errors
/// The code cannot be read.
pub fn lost(elf: &object::File<'_>) -> Result<Vec<String>> {
    Ok(Code::of(elf)?.map_or_else(Vec::new, |code| lost_in(&code)))
}

fn lost_in(code: &Code) -> Vec<String> {
    let lost = walk::lost(code).into_iter();
    let told = lost.map(|(call, leaves)| {
        let function = code.function(call);
        let (name, begin) = function.map_or(("?", call), |f| (f.name.as_str(), f.begin));
        format!(
            "{name} at {begin:#x} calls at {call:#x} and leaves at {leaves:#x} without the way \
             back to its caller"
        )
    });
    told.collect()
}
