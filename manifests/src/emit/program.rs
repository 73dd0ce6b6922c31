//! This file writes programs down: argument vectors, credentials, limits, set-up steps.

use super::line;
use crate::model::{Exec, Program, Step, Stream, Unit};
use std::collections::BTreeSet;
use std::fmt::Write;

/// The keys of `limits` with init-core's names.
const RESOURCES: &[(&str, &str)] = &[
    ("address-space", "AddressSpace"),
    ("core-file", "CoreFile"),
    ("cpu-time", "CpuTime"),
    ("data", "Data"),
    ("file-size", "FileSize"),
    ("locked-memory", "LockedMemory"),
    ("message-queue", "MessageQueue"),
    ("nice", "Nice"),
    ("open-files", "OpenFiles"),
    ("processes", "Processes"),
    ("realtime-priority", "RealtimePriority"),
    ("realtime-time", "RealtimeTime"),
    ("pending-signals", "PendingSignals"),
    ("stack", "Stack"),
];

/// A nul-terminated text as a C string literal.
pub fn c_text(text: &str) -> String {
    format!("c\"{}\"", text.as_bytes().escape_ascii())
}

/// A vector of nul-terminated strings that ends with `None`.
fn vector(texts: &[String]) -> String {
    let mut items = String::new();
    for text in texts {
        let _ = write!(
            items,
            "Some(&b\"{}\\0\"[0]), ",
            text.as_bytes().escape_ascii()
        );
    }
    format!("&[{items}None]")
}

/// The programs of all units, what they run in, and set-up steps. Units that run the same name the
/// same.
#[derive(Debug)]
pub struct Programs {
    contexts: BTreeSet<String>,
    programs: BTreeSet<String>,
    setups: BTreeSet<String>,
}

impl Programs {
    /// Those of these units.
    pub fn of(units: &[Unit]) -> Self {
        let both = || units.iter().flat_map(|unit| [&unit.start, &unit.stop]);
        let all = || {
            both().filter_map(|program| match program {
                Program::Exec(exec) => Some(exec),
                Program::None | Program::Setup(_) => None,
            })
        };
        let setups = both().filter_map(|program| match program {
            Program::Setup(steps) => Some(setup(steps)),
            Program::None | Program::Exec(_) => None,
        });
        let mut own = Self {
            contexts: all().map(|exec| context(exec)).collect(),
            programs: BTreeSet::new(),
            setups: setups.collect(),
        };
        own.programs = all().map(|exec| own.fields(exec)).collect();
        own
    }

    /// Writes them down: contexts each a static, the others as tables.
    pub fn write(&self, out: &mut String) {
        shared(out, "CONTEXT", "Context", &self.contexts);
        let programs = self.programs.iter();
        let exec = |fields: &String| format!("::init_core::unit::Exec {{\n{fields}}}");
        table(out, "PROGRAMS", "Exec", programs.map(exec));
        table(out, "SETUPS", "Setup", self.setups.iter().cloned());
    }

    /// How a unit's description names a program.
    pub fn reference(&self, program: &Program) -> String {
        match program {
            Program::None => String::from("::init_core::unit::Program::None"),
            Program::Exec(exec) => {
                let at = self.programs.range(..self.fields(exec)).count();
                format!("::init_core::unit::Program::Exec({at})")
            }
            Program::Setup(steps) => {
                let at = self.setups.range(..setup(steps)).count();
                format!("::init_core::unit::Program::Setup({at})")
            }
        }
    }

    /// The fields of a program.
    fn fields(&self, exec: &Exec) -> String {
        let program = exec.arguments.first().map_or("", String::as_str);
        let context = self.contexts.range(..context(exec)).count();
        format!(
            "    program: {},\n    arguments: {},\n    context: &CONTEXT_{context},\n",
            c_text(program),
            vector(&exec.arguments),
        )
    }
}

fn setup(steps: &[Step]) -> String {
    let mut text = String::from("::init_core::setup![\n");
    for each in steps {
        let _ = writeln!(text, "        ::init_core::unit::SetupOp::{},", step(each));
    }
    text + "    ]"
}

/// All that a process of this program is made from.
pub fn definition(program: &Program) -> String {
    match program {
        Program::Exec(exec) => format!("{} {}", vector(&exec.arguments), context(exec)),
        Program::None => String::from("::init_core::unit::Program::None"),
        Program::Setup(steps) => setup(steps),
    }
}

fn step(step: &Step) -> String {
    match step {
        Step::WaitDevice(path) => format!("WaitDevice({})", c_text(path)),
        Step::Mount {
            source,
            at,
            kind,
            flags,
            data,
        } => format!(
            "Mount {{ source: {}, at: {}, kind: {}, flags: {flags}, data: {} }}",
            c_text(source),
            c_text(at),
            c_text(kind),
            c_text(data),
        ),
        Step::Unmount(path) => format!("Unmount({})", c_text(path)),
        Step::Directory {
            path,
            mode,
            uid,
            gid,
        } => format!(
            "Directory {{ path: {}, mode: 0o{mode:o}, uid: {uid}, gid: {gid} }}",
            c_text(path)
        ),
        Step::Symlink { path, target } => {
            format!(
                "Symlink {{ path: {}, target: {} }}",
                c_text(path),
                c_text(target)
            )
        }
        Step::Sysctl { path, value } => {
            format!(
                "Sysctl {{ path: {}, value: {} }}",
                c_text(path),
                c_text(value)
            )
        }
        Step::Hostname(name) => format!("Hostname({})", c_text(name)),
        Step::LoopbackUp => String::from("LoopbackUp"),
    }
}

/// A static table of one type.
pub fn table(out: &mut String, name: &str, kind: &str, all: impl ExactSizeIterator<Item = String>) {
    let count = all.len();
    line(
        out,
        &format!("static {name}: [::init_core::unit::{kind}; {count}] = ["),
    );
    for item in all {
        line(out, &format!("    {item},"));
    }
    line(out, "];");
    line(out, "");
}

/// Statics of one type that many refer to, by the fields of each.
pub fn shared(out: &mut String, name: &str, kind: &str, all: &BTreeSet<String>) {
    for (at, fields) in all.iter().enumerate() {
        let kind = format!("::init_core::unit::{kind}");
        line(out, &format!("static {name}_{at}: {kind} = {kind} {{"));
        out.push_str(fields);
        line(out, "};");
        line(out, "");
    }
}

/// The fields of what the program runs in.
fn context(exec: &Exec) -> String {
    let mut text = String::new();
    let mut field = |name: &str, value: String| {
        let _ = writeln!(text, "    {name}: {value},");
    };
    field("environment", vector(&exec.environment));
    field("directory", c_text(&exec.directory));
    field(
        "credentials",
        match &exec.credentials {
            None => String::from("None"),
            Some(whom) => format!(
                "Some(::init_core::unit::Credentials {{ uid: {}, gid: {}, groups: &{:?} }})",
                whom.uid, whom.gid, whom.groups
            ),
        },
    );
    field("umask", format!("0o{:o}", exec.umask));
    field("nice", exec.nice.to_string());
    field("priority", exec.priority.to_string());
    field("oom_score", format!("{:?}", exec.oom_score));
    field("limits", limits(exec));
    for (stream, key) in exec.streams.iter().zip(["stdin", "stdout", "stderr"]) {
        field(key, stream_text(stream));
    }
    text
}

fn stream_text(stream: &Stream) -> String {
    let variant = match stream {
        Stream::Null => String::from("Null"),
        Stream::Console => String::from("Console"),
        Stream::Kmsg => String::from("Kmsg"),
        Stream::File(path) => format!("File({})", c_text(path)),
        Stream::Terminal(path) => format!("Terminal({})", c_text(path)),
    };
    format!("::init_core::unit::Stream::{variant}")
}

fn limits(exec: &Exec) -> String {
    let value = |value: Option<u64>| match value {
        Some(max) => format!("::init_core::unit::LimitValue::Max({max})"),
        None => String::from("::init_core::unit::LimitValue::Unlimited"),
    };
    let mut items = Vec::new();
    for (key, (soft, hard)) in &exec.limits {
        let Some((_, resource)) = RESOURCES.iter().find(|(each, _)| each == key) else {
            continue;
        };
        items.push(format!(
            "::init_core::unit::Limit {{ resource: ::init_core::unit::Resource::{resource}, \
             soft: {}, hard: {} }}",
            value(*soft),
            value(*hard),
        ));
    }
    format!("&[{}]", items.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{Section, keys_of};

    #[test]
    fn every_limit_of_the_schema_has_a_resource() {
        for key in keys_of(Section::Limits) {
            let known = RESOURCES.iter().any(|(name, _)| *name == key.name);
            assert!(known, "{}", key.name);
        }
        assert_eq!(RESOURCES.len(), keys_of(Section::Limits).count());
    }

    #[test]
    fn strings_survive_being_written() {
        assert_eq!(c_text("a\"b\\é"), r#"c"a\"b\\\xc3\xa9""#);
        let texts = [String::from("x")];
        assert_eq!(vector(&texts), r#"&[Some(&b"x\0"[0]), None]"#);
    }
}
