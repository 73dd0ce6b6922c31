//! This file checks the programs of all units against an unpacked root file system.

use crate::board::Board;
use crate::diagnostic::{Diagnostic, Id, Span, closest};
use crate::model::{Exec, Program, Unit};
use crate::rootfs::{Obstacle, Rootfs};
use std::path::Path;

/// Says what the image does not have, or has for another processor.
pub fn check(units: &[Unit], root: &Path, board: &Board, problems: &mut Vec<Diagnostic>) {
    let rootfs = Rootfs::new(root);
    let mut said: Vec<Span> = Vec::new();
    for unit in units {
        for program in [&unit.start, &unit.stop] {
            let Program::Exec(exec) = program else {
                continue;
            };
            if said.contains(&exec.span) {
                continue;
            }
            if let Some(problem) = check_one(exec, rootfs, board) {
                said.push(exec.span);
                problems.push(problem);
            }
        }
    }
}

fn check_one(exec: &Exec, rootfs: Rootfs<'_>, board: &Board) -> Option<Diagnostic> {
    let path = exec.arguments.first()?;
    let obstacle = rootfs.check(path, &board.debian_arch).err()?;
    let arch = &board.debian_arch;
    let problem = |id, message: String| Some(Diagnostic::new(id, exec.span, message));
    match obstacle {
        Obstacle::Missing => {
            let message = format!("the image has no `{path}`");
            let programs = rootfs.programs();
            let problem = Diagnostic::new(Id::NoProgram, exec.span, message);
            Some(problem.help(elsewhere(path, &programs)))
        }
        Obstacle::NotAFile => problem(Id::NotExecutable, format!("`{path}` is no file")),
        Obstacle::NotExecutable => {
            let found = problem(Id::NotExecutable, format!("`{path}` may not be executed"));
            found.map(|found| found.help("give it permission: chmod +x"))
        }
        Obstacle::Unknown => {
            let message = format!("`{path}` is neither an ELF program nor a script");
            let found = problem(Id::NotExecutable, message);
            found.map(|found| found.help("a script begins with its interpreter: #!/bin/sh"))
        }
        Obstacle::Interpreter(interpreter) => problem(
            Id::NoProgram,
            format!("`{path}` wants `{interpreter}`, and the image has no such program"),
        ),
        Obstacle::Machine(machine) => {
            let message = format!("`{path}` is for {machine}, and the board is {arch}");
            let found = problem(Id::WrongArchitecture, message);
            found.map(|found| found.help(format!("take the {arch} version of its package")))
        }
    }
}

fn elsewhere(path: &str, programs: &[String]) -> String {
    let file = path.rsplit('/').next().unwrap_or_default();
    let same = programs
        .iter()
        .find(|each| each.rsplit('/').next() == Some(file));
    if let Some(same) = same {
        return format!("it is at `{same}`");
    }
    match closest(path, programs.iter().map(String::as_str)) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => String::from("add the package that brings it to [rootfs] packages"),
    }
}
