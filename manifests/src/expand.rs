//! This file writes a manifest as it is after includes, overlays and defaults, each key with its
//! origin.
//!
//! The result is a manifest again: it compiles to the same product. It decides nothing.

use crate::diagnostic::Span;
use crate::schema::{self, Section};
use crate::source::Sources;
use crate::tree::{Entry, Item, Node, Table, Tree};

/// The sections in the order in which they are shown, with what they are in the schema.
const ORDER: &[(&str, Option<Section>)] = &[
    ("product", Some(Section::Product)),
    ("shutdown", Some(Section::Shutdown)),
    ("watchdog", Some(Section::Watchdog)),
    ("healing", Some(Section::Healing)),
    ("rootfs", Some(Section::Rootfs)),
    ("network", Some(Section::Network)),
    ("sysctl", None),
    ("mount", Some(Section::Mount)),
    ("directory", Some(Section::Directory)),
    ("symlink", Some(Section::Symlink)),
    ("target", Some(Section::Target)),
    ("task", Some(Section::Task)),
    ("service", Some(Section::Service)),
];

/// Where the origins stand when the lines before them are short enough.
const ORIGIN_COLUMN: usize = 60;

/// The origin of what the schema says.
const BUILT_IN: &str = "built in";

/// The whole manifest as TOML; behind each key stands in which file, line and column it is written.
#[must_use]
pub fn toml(tree: &Tree, sources: &Sources) -> String {
    let mut listing = Listing {
        sources,
        out: String::new(),
    };
    for (name, section) in ORDER {
        let entry = tree.table.get(name);
        let table = entry.and_then(|entry| as_table(&entry.item));
        match section {
            Some(section) if is_single(*section) => {
                let origin = entry.map(|entry| entry.key_span);
                listing.section(&[name], origin, *section, table, None);
            }
            Some(section) => {
                let defaults = defaults(tree, name);
                for unit in table.iter().flat_map(|table| &table.entries) {
                    let path = [*name, unit.key.as_str()];
                    let own = as_table(&unit.item);
                    listing.section(&path, Some(unit.key_span), *section, own, defaults);
                }
            }
            None => listing.free(name, table),
        }
    }
    listing.out
}

/// Sections that are one table, not one for each name.
fn is_single(section: Section) -> bool {
    matches!(
        section,
        Section::Product | Section::Shutdown | Section::Rootfs | Section::Network
    )
}

fn as_table(item: &Item) -> Option<&Table> {
    match &item.node {
        Node::Table(table) => Some(table),
        _ => None,
    }
}

fn defaults<'a>(tree: &'a Tree, kind: &str) -> Option<&'a Table> {
    let all = as_table(&tree.table.get("defaults")?.item)?;
    as_table(&all.get(kind)?.item)
}

/// The keys of a unit's `ready`.
fn ready(unit: &[Entry]) -> &[Entry] {
    let ready = unit.iter().find(|entry| entry.key == "ready");
    let table = ready.and_then(|entry| as_table(&entry.item));
    table.map_or(&[][..], |table| &table.entries)
}

/// What was written so far.
struct Listing<'a> {
    sources: &'a Sources,
    out: String,
}

impl Listing<'_> {
    fn section(
        &mut self,
        path: &[&str],
        origin: Option<Span>,
        section: Section,
        own: Option<&Table>,
        defaults: Option<&Table>,
    ) {
        let origin = origin.map_or_else(|| BUILT_IN.to_string(), |span| self.place(span));
        self.header(path, &origin);
        let own = own.map_or(&[][..], |table| &table.entries);
        for entry in own {
            self.entry(entry, "");
        }
        let has = |entries: &[Entry], key: &str| entries.iter().any(|entry| entry.key == key);
        let defaults = defaults.map_or(&[][..], |table| &table.entries);
        for entry in defaults.iter().filter(|entry| !has(own, &entry.key)) {
            self.entry(entry, "default, ");
        }
        for key in schema::keys_of(section) {
            let mut said = has(own, key.name) || has(defaults, key.name);
            // Readiness may say it in another way.
            said |= key.name == "start-timeout" && has(ready(own), "within");
            if !said && !matches!(key.default, "" | "[]" | "{}") {
                self.line(&format!("{} = {}", key.name, key.default), BUILT_IN);
            }
        }
    }

    fn free(&mut self, name: &str, table: Option<&Table>) {
        let Some(table) = table else {
            return;
        };
        let first = table.entries.first().map(|entry| entry.key_span);
        let origin = first.map_or_else(|| BUILT_IN.to_string(), |span| self.place(span));
        self.header(&[name], &origin);
        for entry in &table.entries {
            self.entry(entry, "");
        }
    }

    fn header(&mut self, path: &[&str], origin: &str) {
        if !self.out.is_empty() {
            self.out.push('\n');
        }
        let path: Vec<_> = path.iter().map(|part| key(part)).collect();
        self.line(&format!("[{}]", path.join(".")), origin);
    }

    fn entry(&mut self, entry: &Entry, by: &str) {
        let text = format!("{} = {}", key(&entry.key), value(&entry.item.node));
        let origin = format!("{by}{}", self.place(entry.key_span));
        self.line(&text, &origin);
    }

    fn line(&mut self, text: &str, origin: &str) {
        self.out
            .push_str(&format!("{text:ORIGIN_COLUMN$} # {origin}\n"));
    }

    /// `file:line:column` of a place.
    fn place(&self, span: Span) -> String {
        let Some(source) = self.sources.get(span.file) else {
            return BUILT_IN.to_string();
        };
        let before = source.text.get(..span.start).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        format!("{}:{line}:{column}", source.shown)
    }
}

/// A key as TOML; quoted where it must be.
fn key(text: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    match !text.is_empty() && text.chars().all(bare) {
        true => text.to_string(),
        false => string(text),
    }
}

/// A value as TOML, on one line.
fn value(node: &Node) -> String {
    match node {
        Node::Text(text) => string(text),
        Node::Integer(number) => number.to_string(),
        Node::Boolean(value) => value.to_string(),
        Node::List(items) => {
            let items: Vec<_> = items.iter().map(|item| value(&item.node)).collect();
            format!("[{}]", items.join(", "))
        }
        Node::Table(table) => {
            let pair = |entry: &Entry| format!("{} = {}", key(&entry.key), value(&entry.item.node));
            let pairs: Vec<_> = table.entries.iter().map(pair).collect();
            match pairs.as_slice() {
                [] => String::from("{}"),
                pairs => format!("{{ {} }}", pairs.join(", ")),
            }
        }
        Node::Other(words) => string(words),
    }
}

/// A basic string of TOML.
fn string(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
