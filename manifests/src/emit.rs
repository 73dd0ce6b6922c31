//! This file writes a product down as Rust: const tables of the types that `init-core` describes.
//!
//! The text names `::init_core::` items only, needs no run-time code, and is the same for the same
//! product.

mod healing;
mod program;
mod ready;

use crate::model::{Image, Product, RelationKind, Restart, Unit, UnitKind, Watchdog};
use init_core::unit::EdgeKind;
use program::Programs;
use std::collections::BTreeSet;
use std::fmt::Write;

/// The edges of all units, grouped by unit, then by kind.
#[derive(Debug, Default)]
pub struct Edges {
    /// For each unit where its edges begin.
    pub starts: Vec<usize>,
    /// The kinds, and the units at the other ends.
    pub ends: Vec<(EdgeKind, usize)>,
}

impl Edges {
    /// The edges of these units, with their reverses.
    #[must_use]
    pub fn new(units: &[Unit]) -> Self {
        let mut lists = vec![Vec::new(); units.len()];
        for (from, unit) in units.iter().enumerate() {
            for relation in &unit.relations {
                let (kind, reverse) = match relation.kind {
                    RelationKind::Requires => (EdgeKind::Requires, Some(EdgeKind::RequiredBy)),
                    RelationKind::Wants => (EdgeKind::Wants, None),
                    RelationKind::BindsTo => (EdgeKind::BindsTo, Some(EdgeKind::BoundBy)),
                    RelationKind::Conflicts => (EdgeKind::Conflicts, Some(EdgeKind::Conflicts)),
                    RelationKind::After => (EdgeKind::After, Some(EdgeKind::Before)),
                };
                lists[from].push((kind, relation.to));
                if let Some(reverse) = reverse {
                    lists[relation.to].push((reverse, from));
                }
            }
        }
        let mut edges = Self::default();
        for mut list in lists {
            list.sort_unstable_by_key(|(kind, to)| (*kind as usize, *to));
            list.dedup();
            edges.starts.push(edges.ends.len());
            edges.ends.append(&mut list);
        }
        edges
    }
}

/// The whole text of `manifest.rs`.
#[must_use]
pub fn emit(product: &Product) -> String {
    let healing = product.healing.as_ref();
    match healing.and_then(|healing| healing.recorder) {
        // Whatever changes makes it another manifest.
        Some(_) => numbered(product, fnv1a(&numbered(product, 0))),
        None => numbered(product, 0),
    }
}

fn numbered(product: &Product, manifest: u32) -> String {
    let mut out = String::new();
    let write = &mut out;
    let edges = Edges::new(&product.units);
    let count = product.units.len();
    let title = format!("Product `{}` for board `{}`.", product.name, product.board);
    comment(write, "", &title);
    line(
        write,
        "// Written by the manifest compiler: change the manifest, not this.",
    );
    line(write, "");
    line(
        write,
        "/// How many units the product has: sizes the storage.",
    );
    line(write, &format!("pub const UNIT_COUNT: usize = {count};"));
    line(write, "");
    let programs = Programs::of(&product.units);
    programs.write(write);
    let probes: BTreeSet<String> = product.units.iter().filter_map(ready::probe).collect();
    program::table(write, "PROBES", "Probe", probes.iter().cloned());
    let units = product.units.iter();
    let rules = |unit| rules(unit, &programs, &probes);
    let shared: BTreeSet<String> = units.map(rules).collect();
    program::shared(write, "RULES", "Rules", &shared);
    line(
        write,
        &format!("static UNITS: [::init_core::unit::UnitDesc; {count}] = ["),
    );
    for (at, unit) in product.units.iter().enumerate() {
        let rules = shared.range(..rules(unit)).count();
        let start = programs.reference(&unit.start);
        emit_unit(write, at, rules, start, product, &edges);
    }
    line(write, "];");
    line(write, "");
    emit_edges(write, &edges);
    emit_definitions(write, product);
    emit_manifest(write, product, manifest);
    if product.split.is_some() && product.hot_upgrade {
        line(write, "");
        line(
            write,
            "/// A number of all that is above: another one, other tables.",
        );
        let tables = fnv1a(write);
        line(write, &format!("pub const TABLES: u32 = {tables:#010x};"));
    }
    if let Some(images) = &product.images {
        emit_images(write, images, product.ram_disk);
    }
    out
}

/// The programs themselves, each put in where it lies.
fn emit_images(out: &mut String, images: &[Image], ram_disk: Option<(u64, u64)>) {
    let count = images.len();
    line(out, "");
    line(
        out,
        "/// Where a RAM disk lies, and how many bytes it may have.",
    );
    line(
        out,
        &format!("pub const RAM_DISK: Option<(u64, u64)> = {ram_disk:?};"),
    );
    line(out, "");
    line(out, "/// The programs of services.");
    line(
        out,
        &format!("pub static IMAGES: [::init_core::unit::Image; {count}] = ["),
    );
    for image in images {
        let file = match ram_disk {
            Some(_) => "&[]".to_string(),
            None => format!("include_bytes!({:?})", image.file.display().to_string()),
        };
        let path = program::c_text(&image.name);
        line(
            out,
            &format!("    ::init_core::unit::Image {{ path: {path}, file: {file} }},"),
        );
    }
    line(out, "];");
}

fn line(out: &mut String, text: &str) {
    out.push_str(text);
    out.push('\n');
}

/// A line of comment: whatever the text holds, it is one line.
fn comment(out: &mut String, indent: &str, text: &str) {
    line(out, &format!("{indent}// {}", text.escape_default()));
}

/// A duration as Rust.
fn duration(us: u64) -> String {
    format!("::init_core::time::Duration::from_us({us})")
}

/// A duration that may be none.
fn limit(us: Option<u64>) -> String {
    us.map_or_else(
        || String::from("::init_core::time::Duration::MAX"),
        duration,
    )
}

/// The fields of what a unit is and how it is kept.
fn rules(unit: &Unit, programs: &Programs, probes: &BTreeSet<String>) -> String {
    let mut text = String::new();
    let mut field = |name: &str, value: String| {
        let _ = writeln!(text, "    {name}: {value},");
    };
    let kind = match unit.kind {
        UnitKind::Target => "Target",
        UnitKind::Task => "Task",
        UnitKind::Service => "Service",
        UnitKind::Mount => "Mount",
    };
    let on_upgrade = match unit.restarts_on_upgrade {
        true => "Restart",
        false => "Keep",
    };
    let ready = ready::place(unit, probes);
    field("kind", format!("::init_core::unit::UnitKind::{kind}"));
    field("ready", format!("::init_core::unit::Readiness::{ready}"));
    field("awaited", unit.awaited.to_string());
    field("critical", unit.critical.to_string());
    field("controls", unit.controls.to_string());
    field(
        "on_upgrade",
        format!("::init_core::unit::OnUpgrade::{on_upgrade}"),
    );
    field("start_timeout", limit(unit.start_timeout));
    field("watchdog", limit(unit.watchdog));
    field("restart", format!("&{}", restart(unit.restart.as_ref())));
    field(
        "stopping",
        format!(
            "&::init_core::unit::StopPolicy {{ signal: ::init_core::unit::Signal({}), timeout: {}, \
         scope: ::init_core::unit::KillScope::{} }}",
            unit.stopping.signal,
            duration(unit.stopping.timeout),
            if unit.stopping.group {
                "Group"
            } else {
                "Process"
            },
        ),
    );
    let signals: Vec<_> = unit
        .success_signals
        .iter()
        .map(|number| format!("::init_core::unit::Signal({number})"))
        .collect();
    field(
        "success",
        format!(
            "&::init_core::unit::Success {{ codes: &{:?}, signals: &[{}] }}",
            unit.success_codes,
            signals.join(", "),
        ),
    );
    field("stop", programs.reference(&unit.stop));
    text
}

fn emit_unit(
    out: &mut String,
    at: usize,
    rules: usize,
    start: String,
    product: &Product,
    edges: &Edges,
) {
    let unit = &product.units[at];
    let after: Vec<_> = unit
        .others(RelationKind::After)
        .filter_map(|to| product.units.get(to))
        .map(|unit| unit.name.as_str())
        .collect();
    let after = match after.as_slice() {
        [] => String::from("nothing"),
        names => names.join(" "),
    };
    let title = format!("{at}: {} `{}`, after: {after}", unit.kind.word(), unit.name);
    comment(out, "    ", &title);
    line(out, "    ::init_core::unit::UnitDesc {");
    let mut field = |name: &str, value: String| {
        let _ = writeln!(out, "        {name}: {value},");
    };
    field("name", format!("{:?}", unit.name));
    field("edges", edges.starts[at].to_string());
    field("start", start);
    field("rules", format!("&RULES_{rules}"));
    line(out, "    },");
}

/// A number for what a running unit was made from: its program with all that is given to it, and
/// how it says to be ready. How it is kept and what it is ordered after may change while it runs.
/// (FNV-1a over the text below, of which a test holds an example: where it changes, every unit of a
/// device looks changed at its next upgrade.)
fn definition(unit: &Unit) -> u32 {
    let program = program::definition(&unit.start);
    let text = format!("{} {} {program}", unit.kind.word(), ready::words(unit));
    fnv1a(&text)
}

fn fnv1a(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |sum, byte| {
        (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}

/// The numbers of all definitions, for a process 1 that can be exchanged for one with others.
fn emit_definitions(out: &mut String, product: &Product) {
    let units = match product.hot_upgrade {
        true => product.units.as_slice(),
        false => &[],
    };
    let count = units.len();
    line(out, &format!("static DEFINITIONS: [u32; {count}] = ["));
    for unit in units {
        line(out, &format!("    {:#010x},", definition(unit)));
    }
    line(out, "];");
    line(out, "");
}

fn restart(restart: Option<&Restart>) -> String {
    let Some(restart) = restart else {
        return String::from("::init_core::unit::RestartPolicy::NEVER");
    };
    let when = match restart.when.as_str() {
        "always" => "Always",
        "on-failure" => "OnFailure",
        _ => "Never",
    };
    let then = match restart.then.as_str() {
        "rescue" => "Rescue",
        "reboot" => "Reboot",
        "power-off" => "PowerOff",
        _ => "Fail",
    };
    format!(
        "::init_core::unit::RestartPolicy {{ when: ::init_core::unit::Restart::{when}, \
         backoff: ::init_core::unit::Backoff {{ from: {}, to: {}, reset_after: {} }}, \
         limit: ::init_core::unit::StartLimit {{ count: {}, within: {}, \
         then: ::init_core::unit::LimitAction::{then} }} }}",
        duration(restart.from),
        duration(restart.to),
        duration(restart.reset_after),
        restart.count,
        duration(restart.within),
    )
}

fn ids(list: impl IntoIterator<Item = usize>) -> String {
    let ids: Vec<_> = list
        .into_iter()
        .map(|id| format!("::init_core::ident::UnitId({id})"))
        .collect();
    ids.join(", ")
}

fn emit_edges(out: &mut String, edges: &Edges) {
    let count = edges.ends.len();
    line(
        out,
        &format!("static EDGES: [::init_core::unit::Edge; {count}] = ["),
    );
    for (kind, to) in &edges.ends {
        let kind = format!("::init_core::unit::EdgeKind::{kind:?}");
        let to = ids([*to]);
        line(
            out,
            &format!("    ::init_core::unit::Edge::new({kind}, {to}),"),
        );
    }
    line(out, "];");
    line(out, "");
}

fn emit_manifest(out: &mut String, product: &Product, manifest: u32) {
    let request = match product.ctrl_alt_del.as_str() {
        "power-off" => "PowerOff",
        "halt" => "Halt",
        "rescue" => "Rescue",
        "ignore" => "Ignore",
        _ => "Reboot",
    };
    let level = match product.log_level.as_str() {
        "quiet" => "Quiet",
        "debug" => "Debug",
        _ => "Normal",
    };
    line(out, "/// The product.");
    line(
        out,
        "pub static MANIFEST: ::init_core::unit::Manifest = ::init_core::unit::Manifest {",
    );
    let mut field = |name: &str, value: String| {
        let _ = writeln!(out, "    {name}: {value},");
    };
    field("product", format!("{:?}", product.name));
    field("board", format!("{:?}", product.board));
    field("units", String::from("&UNITS"));
    field("edges", String::from("&EDGES"));
    field("programs", String::from("&PROGRAMS"));
    field("setups", String::from("&SETUPS"));
    field("probes", String::from("&PROBES"));
    field("definitions", String::from("&DEFINITIONS"));
    field("default_target", ids([product.default_target]));
    field(
        "rescue_target",
        match product.rescue_target {
            Some(target) => format!("Some({})", ids([target])),
            None => String::from("None"),
        },
    );
    field(
        "shutdown",
        format!(
            "::init_core::unit::ShutdownDesc {{ timeout: {}, leftover_grace: {} }}",
            duration(product.shutdown_timeout),
            duration(product.leftover_grace),
        ),
    );
    field("watchdog", watchdog(product.watchdog.as_ref()));
    field(
        "healing",
        healing::table(product.healing.as_ref(), manifest),
    );
    field(
        "ctrl_alt_del",
        format!("::init_core::event::MachineRequest::{request}"),
    );
    field("console", program::c_text(&product.console));
    field("log_level", format!("::init_core::unit::LogLevel::{level}"));
    field(
        "hot_upgrade",
        String::from(match product.hot_upgrade {
            true => "::init_core::renewal::HOT_UPGRADE",
            false => "None",
        }),
    );
    let silence = |micros| format!("Some({})", duration(micros));
    field("split", product.split.map_or("None".into(), silence));
    line(out, "};");
}

fn watchdog(watchdog: Option<&Watchdog>) -> String {
    let Some(Watchdog {
        device,
        seconds,
        warning_seconds,
        disarm,
    }) = watchdog
    else {
        return String::from("None");
    };
    format!(
        "Some(::init_core::unit::WatchdogDesc {{ device: {}, seconds: {seconds}, \
         warning_seconds: {warning_seconds}, disarm: {disarm} }})",
        program::c_text(device)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Span;
    use crate::fields::BUILT_IN;
    use crate::model::{Exec, Program, Ready, Stream};

    fn unit(change: impl FnOnce(&mut Unit, &mut Exec)) -> u32 {
        let span = Span {
            file: BUILT_IN,
            start: 0,
            end: 0,
        };
        let mut exec = Exec {
            arguments: vec![String::from("/usr/sbin/mosquitto"), String::from("-v")],
            span,
            environment: vec![String::from("A=b")],
            directory: String::from("/"),
            credentials: None,
            umask: 0o022,
            nice: 0,
            oom_score: None,
            limits: Vec::new(),
            streams: [Stream::Null, Stream::Console, Stream::Console],
            is_image: false,
            priority: 0,
        };
        let mut unit = Unit::new(String::from("broker"), UnitKind::Service, span);
        change(&mut unit, &mut exec);
        unit.start = Program::Exec(Box::new(exec));
        definition(&unit)
    }

    #[test]
    fn what_runs_has_a_number_that_changes_with_it_and_with_nothing_else() {
        let before = unit(|_, _| ());
        // Another number here marks every unit of every device as changed: see `definition`.
        assert_eq!(before, 0xd156_98c4, "{before:#x}");
        assert_eq!(before, unit(|unit, _| unit.name = String::from("other")));
        assert_eq!(before, unit(|unit, _| unit.critical = true));
        assert_eq!(before, unit(|unit, _| unit.stopping.signal = 2));
        let changed = [
            unit(|_, exec| exec.arguments[1] = String::from("-q")),
            unit(|_, exec| exec.environment.clear()),
            unit(|_, exec| exec.umask = 0o077),
            unit(|_, exec| exec.streams[0] = Stream::Console),
            unit(|unit, _| unit.ready = Ready::Newline(3)),
        ];
        assert!(!changed.contains(&before), "{changed:x?}");
    }
}
