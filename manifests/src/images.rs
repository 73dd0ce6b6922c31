//! This file judges programs that lie in the image, as they do where the kernel knows no files:
//! what such a board lacks of Linux, what Linux lacks of it, and whether the files can run.

use crate::board::{Board, Capability};
use crate::diagnostic::{Diagnostic, Id, Span};
use crate::fields::{By, Field, Fields};
use crate::model::{Image, Program, Unit};
use crate::read::Reader;
use crate::schema::Section;
use crate::sections::Sections;
use crate::setup::lacks;
use std::io::Read;
use std::path::Path;

/// Keys that need something which other boards than those of a microkernel lack.
const NEEDS: [(&str, Capability); 5] = [
    ("image", Capability::Images),
    ("arguments", Capability::Images),
    ("priority", Capability::Priorities),
    ("watchdog", Capability::Letters),
    ("controls", Capability::Letters),
];

/// Keys that mean something to Linux only.
const OF_LINUX: [&str; 14] = [
    "environment",
    "group",
    "groups",
    "kill-scope",
    "nice",
    "oom-score",
    "stderr",
    "stdin",
    "stdout",
    "stop-exec",
    "stop-signal",
    "umask",
    "user",
    "working-directory",
];

/// Signs of readiness that are seen on files and sockets.
const SIGNS_OF_LINUX: [&str; 3] = ["listen", "newline", "path"];

/// ELF's number for 64-bit ARM.
const AARCH64: u16 = 183;
/// And for a program with fixed addresses.
const EXECUTABLE: u16 = 2;

/// Says what units ask for and the board does not have.
pub fn refuse(sections: &Sections, board: &Board, problems: &mut Vec<Diagnostic>) {
    for named in &sections.named {
        let fields = &named.fields;
        for (key, need) in NEEDS {
            if let Some(field) = said(fields, key).filter(|_| !board.has(need)) {
                problems.push(lacks(board, need, field.key_span));
            }
        }
        let ready = fields.table("ready");
        let on = ready.and_then(|ready| said(ready, "on").map(|field| (ready.word("on"), field)));
        if let Some((_, field)) = on.filter(|(word, _)| *word == "letter")
            && !board.has(Capability::Letters)
        {
            problems.push(lacks(board, Capability::Letters, field.value.span));
        }
        if board.has(Capability::Images) {
            refuse_linux(fields, named.name.span, board, problems);
            if let Some((word, field)) = on.filter(|(word, _)| SIGNS_OF_LINUX.contains(word)) {
                let message = format!("nobody sees \"{word}\" on board `{}`", board.name);
                let problem = Diagnostic::new(Id::LacksCapability, field.value.span, message);
                problems.push(problem.help("write on = \"letter\", and have the program send it"));
            }
        }
    }
}

/// What such a board has no files, users or signals for.
fn refuse_linux(fields: &Fields, name: Span, board: &Board, problems: &mut Vec<Diagnostic>) {
    let mut say = |span, message: String, help: &str| {
        problems.push(Diagnostic::new(Id::LacksCapability, span, message).help(help));
    };
    let board = &board.name;
    match fields.section {
        Section::Mount | Section::Directory | Section::Symlink => {
            let message = format!("board `{board}` has no files");
            return say(name, message, "leave it out on this board");
        }
        _ => {}
    }
    if let Some(field) = said(fields, "exec") {
        let message = format!("board `{board}` has no files: its programs lie in the image");
        say(
            field.key_span,
            message,
            "write image = \"NAME\", and `arguments`",
        );
    }
    for key in OF_LINUX {
        if let Some(field) = said(fields, key) {
            let message = format!("`{key}` means nothing on board `{board}`");
            say(field.key_span, message, "leave it out on this board");
        }
    }
    let limits = fields.table("limits").map(|limits| &limits.entries);
    for field in limits.into_iter().flatten() {
        if field.by != By::Schema && field.name != "data" {
            let message = format!("board `{board}` has no limit for `{}`", field.name);
            say(
                field.key_span,
                message,
                "`data` is all that a program may use there",
            );
        }
    }
}

/// A key that somebody has written, unless it says what holds anyway.
fn said<'f>(fields: &'f Fields, key: &str) -> Option<&'f Field> {
    let field = fields.field(key)?;
    let usual = Reader::built_in(fields.section);
    let is_usual = usual
        .field(key)
        .is_some_and(|usual| usual.value.value == field.value.value);
    (field.by != By::Schema && !is_usual).then_some(field)
}

/// All programs that lie in the image, each once, with where it is asked for.
pub fn collect(
    units: &[Unit],
    place: impl Fn(Span, &str) -> std::path::PathBuf,
) -> Vec<(Image, Span)> {
    let mut images: Vec<(Image, Span)> = Vec::new();
    for unit in units {
        let Program::Exec(exec) = &unit.start else {
            continue;
        };
        let Some(name) = exec.arguments.first().filter(|_| exec.is_image) else {
            continue;
        };
        if !images.iter().any(|(image, _)| image.name == *name) {
            let file = place(exec.span, name);
            let name = name.clone();
            images.push((Image { name, file }, exec.span));
        }
    }
    images
}

/// What keeps a file from being run.
pub fn check(image: &Image, span: Span) -> Option<Diagnostic> {
    let shown = &image.name;
    let problem = |id, message: String| Some(Diagnostic::new(id, span, message));
    let Some(head) = head(&image.file) else {
        let message = format!("there is no file `{shown}`");
        let help = "it is looked for beside the manifest, or where the build is told to look";
        return problem(Id::NoProgram, message).map(|problem| problem.help(help));
    };
    let half = |at: usize| u16::from_le_bytes([head[at], head[at + 1]]);
    if head[..7] != *b"\x7fELF\x02\x01\x01" || half(16) != EXECUTABLE {
        let message = format!("`{shown}` is no static 64-bit ELF program with fixed addresses");
        let help = "link it with -Crelocation-model=static";
        return problem(Id::NotExecutable, message).map(|problem| problem.help(help));
    }
    if half(18) != AARCH64 {
        let message = format!("`{shown}` is not for 64-bit ARM");
        return problem(Id::WrongArchitecture, message);
    }
    None
}

fn head(path: &Path) -> Option<[u8; 20]> {
    let mut head = [0; 20];
    let mut file = std::fs::File::open(path).ok()?;
    // What is shorter is no program, and is told so.
    let _ = file.read(&mut head).ok()?;
    Some(head)
}
