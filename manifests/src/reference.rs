//! This file writes `docs/manifest.md`: every section, key and diagnostic, from the schema.
//!
//! It guarantees that the reference says what the compiler does: it has no list of its own.

use crate::diagnostic::{Id, Severity};
use crate::schema::{self, FREE_SECTIONS, Key, Kind, SECTIONS, Section};
use std::fmt::Write as _;

/// What comes before the keys.
const OPENING: &str = "\
# Manifest reference

Generated from the compiler's own schema: `UPDATE=1 cargo test -p manifests --test reference`.

A manifest says what a product runs. It is TOML 1.0. `cargo xtask check FILE` reads one without
building; with `--expand` it shows the result of includes, overlays and defaults, and where each
value comes from.

- Services, tasks, targets and mounts are *units*. They share one name space; names have no suffix.
- `requires` and `binds-to` imply `after`: what is required is ready first. (In systemd it is not.)
- A program is an array, never a shell line. Its environment is what the manifest says, nothing
  else.
- `include` reads other files first, relative to the file that includes; a key that is written
  again replaces the earlier value, arrays as a whole. `[overlay.BOARD]` does the same for one
  board: below it stand the sections of a manifest. `remove` leaves units out.
- `[defaults.service]`, `[defaults.task]` and `[defaults.mount]` hold what units of that kind have
  unless they say otherwise.
- Unknown keys are refused. All mistakes are reported at once.

";

/// The whole reference, as Markdown.
#[must_use]
pub fn markdown() -> String {
    let mut out = String::from(OPENING);
    out.push_str("## Sections and keys\n\n");
    for (section, title, meaning) in SECTIONS {
        let title = match *section {
            Section::Root => String::from("Top level"),
            _ => format!("`{title}`"),
        };
        let _ = writeln!(out, "### {title}\n\n{meaning}\n");
        keys(&mut out, *section);
    }
    for (_, title, meaning) in FREE_SECTIONS {
        let _ = writeln!(out, "### `{title}`\n\n{meaning}\n");
    }
    values(&mut out);
    ids(&mut out);
    out
}

fn keys(out: &mut String, section: Section) {
    if schema::keys_of(section).next().is_none() {
        return;
    }
    out.push_str("| key | value | default | meaning | example |\n|---|---|---|---|---|\n");
    for key in schema::keys_of(section) {
        let default = match key.default {
            "" => String::new(),
            default => code(default),
        };
        let _ = writeln!(
            out,
            "| `{}` | {} | {default} | {} | {} |",
            key.name,
            cell(&kind(key)),
            cell(key.doc),
            code(key.example),
        );
    }
    out.push('\n');
}

fn kind(key: &Key) -> String {
    match key.kind {
        Kind::Text => String::from("string"),
        Kind::Name => String::from("name"),
        Kind::Texts => String::from("strings"),
        Kind::Unit => String::from("unit"),
        Kind::Units => String::from("units"),
        Kind::Word(words) => {
            let words: Vec<_> = words.iter().map(|word| format!("`\"{word}\"`")).collect();
            words.join(", ")
        }
        Kind::MountOptions => String::from("options"),
        Kind::Integer(from, to) => format!("number, {from} to {to}"),
        Kind::Integers(from, to) => format!("numbers, {from} to {to}"),
        Kind::Boolean => String::from("`true`, `false`"),
        Kind::Duration => String::from("duration"),
        Kind::Timeout => String::from("duration or `\"none\"`"),
        Kind::Mode => String::from("mode"),
        Kind::Size => String::from("size"),
        Kind::Limit => String::from("limit"),
        Kind::Signal => String::from("signal"),
        Kind::Signals => String::from("signals"),
        Kind::Path => String::from("path"),
        Kind::Command => String::from("command"),
        Kind::Account => String::from("account"),
        Kind::Accounts => String::from("accounts"),
        Kind::Stream => String::from("stream"),
        Kind::Free => String::from("table of strings"),
        Kind::Table(section) => {
            let titles = SECTIONS.iter().find(|(each, ..)| *each == section);
            let title = titles.map_or("table", |(_, title, _)| *title);
            format!("table, see [`{title}`](#{title})")
        }
    }
}

/// The words of the second column, with what is accepted.
#[rustfmt::skip]
const VALUES: &[(&str, &str)] = &[
    ("name", "Letters, digits, `-`, `_` and `.`; at most 48 bytes."),
    ("unit", "The name of a unit. The name of a template means all its instances; one instance is \
        `NAME@INSTANCE`."),
    ("duration", "Numbers with units: `us`, `ms`, `s`, `min`, `h`, `d`; `\"1min30s\"`."),
    ("size", "A number with a unit: `B`, `KiB`, `MiB`, `GiB`, `TiB`."),
    ("mode", "Octal digits in a string: `\"0755\"`."),
    ("limit", "A number, a size or a duration, `\"unlimited\"`, or `\"SOFT:HARD\"`."),
    ("signal", "`\"TERM\"`, `\"SIGTERM\"`, `\"RTMIN+3\"`."),
    ("path", "Absolute, without `.`, `..` and doubled slashes."),
    ("command", "An array: the absolute path of a program, then its arguments."),
    ("account", "A user or group: a name of the image's own `/etc/passwd` or `/etc/group`, or a \
        number."),
    ("stream", "A word of the key's description, or an absolute path."),
    ("options", "Words of mount(8), and what the file system itself takes; one in each string."),
];

fn values(out: &mut String) {
    out.push_str("## Values\n\n| value | what is accepted |\n|---|---|\n");
    for (word, meaning) in VALUES {
        let _ = writeln!(out, "| {word} | {} |", cell(meaning));
    }
    out.push('\n');
}

fn ids(out: &mut String) {
    out.push_str(
        "## Diagnostics\n\nEach has an example in `manifests/tests/bad`, with its exact text.\n\n\
         | id | | meaning |\n|---|---|---|\n",
    );
    for id in Id::ALL {
        let severity = match id.severity() {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let _ = writeln!(
            out,
            "| {} | {severity} | {} |",
            id.code(),
            cell(id.meaning())
        );
    }
}

/// A text inside a table's cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn code(text: &str) -> String {
    format!("`{}`", cell(text))
}
