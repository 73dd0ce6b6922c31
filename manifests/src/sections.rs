//! This file reads a whole tree section by section, with overlays laid over and defaults filled in.

use crate::diagnostic::{Diagnostic, Id, Span, did_you_mean};
use crate::fields::{By, Fields, Located};
use crate::read::Reader;
use crate::schema::{self, Section};
use crate::text::check_path;
use crate::tree::{Entry, Node, Table, Tree};

/// Sections with one table.
const SINGLE: &[(&str, Section)] = &[
    ("product", Section::Product),
    ("shutdown", Section::Shutdown),
    ("watchdog", Section::Watchdog),
    ("healing", Section::Healing),
    ("rootfs", Section::Rootfs),
    ("network", Section::Network),
];

/// Sections with a table for each name.
const NAMED: &[(&str, Section)] = &[
    ("mount", Section::Mount),
    ("directory", Section::Directory),
    ("symlink", Section::Symlink),
    ("service", Section::Service),
    ("task", Section::Task),
    ("target", Section::Target),
];

/// What else may stand at the top level.
const OTHER: &[&str] = &["include", "remove", "defaults", "sysctl", "overlay"];

/// One table with a name: a unit, a directory, a link.
#[derive(Debug, Clone)]
pub struct Named {
    /// Its name or path, at the place of the header's last part.
    pub name: Located<String>,
    /// Its keys, with defaults.
    pub fields: Fields,
}

/// A manifest as typed tables.
#[derive(Debug, Clone)]
pub struct Sections {
    single: Vec<Fields>,
    /// All named tables, in the order of the files.
    pub named: Vec<Named>,
    /// Kernel parameters.
    pub sysctl: Vec<(Located<String>, Located<String>)>,
    /// Units that were removed, and where.
    pub removed: Vec<(String, Span)>,
}

impl Sections {
    /// Reads `tree`, whose overlays were applied.
    pub fn read(tree: &Tree, reader: &mut Reader) -> Self {
        let mut sections = Self {
            single: Vec::new(),
            named: Vec::new(),
            sysctl: Vec::new(),
            removed: tree.removed.clone(),
        };
        let defaults = read_defaults(&tree.table, reader);
        for entry in &tree.table.entries {
            sections.entry(entry, &defaults, reader);
        }
        for (_, section) in SINGLE {
            if !sections.single.iter().any(|each| each.section == *section) {
                sections.single.push(Fields {
                    entries: Vec::new(),
                    ..Reader::built_in(*section)
                });
            }
        }
        for section in &mut sections.single {
            section.complete(&Reader::built_in(section.section), By::Schema);
        }
        sections.named.sort_by_key(|named| named.name.span);
        sections
    }

    /// The only table of that section.
    #[must_use]
    pub fn single(&self, section: Section) -> &Fields {
        let found = self.single.iter().find(|each| each.section == section);
        found.unwrap_or(&self.single[0])
    }

    /// The tables of one kind.
    pub fn of(&self, section: Section) -> impl Iterator<Item = &Named> {
        let wanted = move |named: &&Named| named.fields.section == section;
        self.named.iter().filter(wanted)
    }

    fn entry(&mut self, entry: &Entry, defaults: &[Fields], reader: &mut Reader) {
        let known = |table: &[(&str, Section)]| {
            let found = table.iter().find(|(name, _)| *name == entry.key);
            found.map(|(_, section)| *section)
        };
        let single = known(SINGLE);
        let named = known(NAMED);
        if single.is_none() && named.is_none() && entry.key != "sysctl" {
            if !OTHER.contains(&entry.key.as_str()) {
                reader.problems.push(unknown_section(entry));
            }
            return;
        }
        let Node::Table(table) = &entry.item.node else {
            reader.problems.push(not_a_table(entry));
            return;
        };
        if let Some(section) = single {
            let fields = reader.fields(section, table, entry.key_span);
            self.single.push(fields);
        } else if let Some(section) = named {
            for entry in &table.entries {
                if let Some(named) = read_named(section, entry, defaults, reader) {
                    self.named.push(named);
                }
            }
        } else {
            self.sysctl = reader.free(table);
        }
    }
}

fn read_named(
    section: Section,
    entry: &Entry,
    defaults: &[Fields],
    reader: &mut Reader,
) -> Option<Named> {
    let Node::Table(table) = &entry.item.node else {
        reader.problems.push(not_a_table(entry));
        return None;
    };
    if matches!(section, Section::Directory | Section::Symlink)
        && let Err((message, help)) = check_path(&entry.key)
    {
        let problem = Diagnostic::new(Id::BadPath, entry.key_span, message).help_if(help);
        reader.problems.push(problem);
        return None;
    }
    let mut fields = reader.fields(section, table, entry.key_span);
    if let Some(defaults) = defaults.iter().find(|each| each.section == section) {
        fields.complete(defaults, By::Defaults);
    }
    fields.complete(&Reader::built_in(section), By::Schema);
    Some(Named {
        name: Located::new(entry.key.clone(), entry.key_span),
        fields,
    })
}

fn read_defaults(root: &Table, reader: &mut Reader) -> Vec<Fields> {
    let mut all = Vec::new();
    let Some(entry) = root.get("defaults") else {
        return all;
    };
    let Node::Table(kinds) = &entry.item.node else {
        reader.problems.push(not_a_table(entry));
        return all;
    };
    let possible = [
        ("service", Section::Service),
        ("task", Section::Task),
        ("mount", Section::Mount),
    ];
    for entry in &kinds.entries {
        let Some((_, section)) = possible.iter().find(|(name, _)| *name == entry.key) else {
            let message = format!("there are no defaults for `{}`", entry.key);
            let names = possible.iter().map(|(name, _)| *name);
            let help = did_you_mean(&entry.key, names)
                .unwrap_or_else(|| String::from("services, tasks and mounts have defaults"));
            let problem = Diagnostic::new(Id::UnknownKey, entry.key_span, message).help(help);
            reader.problems.push(problem);
            continue;
        };
        let Node::Table(table) = &entry.item.node else {
            reader.problems.push(not_a_table(entry));
            continue;
        };
        let mut fields = reader.fields(*section, table, entry.key_span);
        fields.entries.retain(|field| {
            let key = schema::find(*section, field.name);
            let allowed = key.is_some_and(schema::may_default);
            if !allowed {
                let message = format!(
                    "`{}` makes a unit what it is: it has no default",
                    field.name
                );
                let problem = Diagnostic::new(Id::UnknownKey, field.key_span, message);
                reader.problems.push(problem.help("write it in each unit"));
            }
            allowed
        });
        all.push(fields);
    }
    all
}

/// Takes the overlays out of `tree`, lays the board's over it, and reads the others for errors.
pub fn apply_overlays(tree: &mut Tree, board: &str, reader: &mut Reader) {
    let Some(entry) = tree.table.take("overlay") else {
        return;
    };
    let Node::Table(overlays) = entry.item.node else {
        reader.problems.push(not_a_table(&entry));
        return;
    };
    let boards = written_boards(&tree.table);
    for entry in overlays.entries {
        if !boards.is_empty() && !boards.contains(&entry.key) {
            let message = format!("the product is not meant for a board `{}`", entry.key);
            let help = did_you_mean(&entry.key, boards.iter().map(String::as_str))
                .unwrap_or_else(|| format!("its boards are {}", boards.join(", ")));
            let problem = Diagnostic::new(Id::UnknownOverlay, entry.key_span, message);
            reader.problems.push(problem.help(help));
        }
        let Node::Table(table) = entry.item.node else {
            reader.problems.push(not_a_table(&entry));
            continue;
        };
        for name in ["include", "overlay"] {
            if let Some(bad) = table.get(name) {
                let message = format!("an overlay has no `{name}`");
                let problem = Diagnostic::new(Id::UnknownKey, bad.key_span, message);
                reader.problems.push(problem);
            }
        }
        if entry.key == board {
            tree.lay(table, &mut reader.problems);
        } else {
            // Not built now; its keys are checked all the same.
            let other = Tree {
                table,
                removed: Vec::new(),
            };
            Sections::read(&other, reader);
        }
    }
}

/// The boards that the product says it is meant for; empty: all.
pub fn written_boards(root: &Table) -> Vec<String> {
    let product = root.get("product").map(|entry| &entry.item.node);
    let Some(Node::Table(product)) = product else {
        return Vec::new();
    };
    let Some(Node::List(boards)) = product.get("boards").map(|entry| &entry.item.node) else {
        return Vec::new();
    };
    let text = |node: &Node| match node {
        Node::Text(text) => Some(text.clone()),
        _ => None,
    };
    boards.iter().filter_map(|item| text(&item.node)).collect()
}

fn not_a_table(entry: &Entry) -> Diagnostic {
    let kind = entry.item.node.kind();
    let message = format!("`{}` is a section, and this is {kind}", entry.key);
    let help = format!("sections are written [{}]", entry.key);
    Diagnostic::new(Id::WrongType, entry.item.span, message).help(help)
}

fn unknown_section(entry: &Entry) -> Diagnostic {
    let known = SINGLE.iter().chain(NAMED).map(|(name, _)| *name);
    let known = known.chain(OTHER.iter().copied());
    let help = did_you_mean(&entry.key, known).unwrap_or_else(|| {
        String::from(
            "sections are product, shutdown, watchdog, healing, rootfs, defaults, sysctl, \
            network, mount, directory, symlink, service, task, target and overlay",
        )
    });
    let message = format!("there is no key or section `{}`", entry.key);
    let problem = Diagnostic::new(Id::UnknownKey, entry.key_span, message);
    problem.label("unknown").help(help)
}
