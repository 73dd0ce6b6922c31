//! This file holds values as written: TOML's, each with its place, and how files are merged.

use crate::diagnostic::{Diagnostic, Id, Span, did_you_mean};

/// A value and where it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The value.
    pub node: Node,
    /// Its place.
    pub span: Span,
}

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// A string.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// true or false.
    Boolean(bool),
    /// An array.
    List(Vec<Item>),
    /// A table.
    Table(Table),
    /// Something that no key accepts, in words.
    Other(String),
}

/// Keys with their values, in the order of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    /// Each key once.
    pub entries: Vec<Entry>,
}

/// One `key = value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key stands.
    pub key_span: Span,
    /// The value.
    pub item: Item,
}

impl Node {
    /// What it is, for "expected .., found ..".
    #[must_use]
    pub fn kind(&self) -> &str {
        match self {
            Self::Text(_) => "a string",
            Self::Integer(_) => "a number",
            Self::Boolean(_) => "a boolean",
            Self::List(_) => "an array",
            Self::Table(_) => "a table",
            Self::Other(words) => words,
        }
    }
}

/// A manifest with its includes, and what was taken out of it on the way.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    /// What is left.
    pub table: Table,
    /// Names of removed units, and where that is written.
    pub removed: Vec<(String, Span)>,
}

impl Tree {
    /// Lays a file or an overlay over what is there: first its `remove`, then its keys.
    pub fn lay(&mut self, mut over: Table, problems: &mut Vec<Diagnostic>) {
        if let Some(entry) = over.take("remove") {
            let Node::List(items) = &entry.item.node else {
                let message = format!(
                    "`remove` is an array, and this is {}",
                    entry.item.node.kind()
                );
                problems.push(Diagnostic::new(Id::WrongType, entry.item.span, message));
                return self.table.merge(over);
            };
            for item in items {
                self.remove(item, problems);
            }
        }
        self.table.merge(over);
    }

    fn remove(&mut self, item: &Item, problems: &mut Vec<Diagnostic>) {
        let Node::Text(name) = &item.node else {
            let message = format!("`remove` names units, and this is {}", item.node.kind());
            problems.push(Diagnostic::new(Id::WrongType, item.span, message));
            return;
        };
        let mut found = false;
        let mut names = Vec::new();
        for entry in &mut self.table.entries {
            if let (true, Node::Table(units)) = (is_unit_section(&entry.key), &mut entry.item.node)
            {
                found |= units.take(name).is_some();
                names.extend(units.entries.iter().map(|unit| unit.key.clone()));
            }
        }
        if found {
            self.removed.push((name.clone(), item.span));
            return;
        }
        let message = format!("there is no unit `{name}` to remove");
        let advice = did_you_mean(name, names.iter().map(String::as_str)).unwrap_or_else(|| {
            String::from(
                "`remove` takes out units of the included files, in an overlay of the product",
            )
        });
        problems.push(Diagnostic::new(Id::RemovesNothing, item.span, message).help(advice));
    }
}

/// Sections that define units.
#[must_use]
pub fn is_unit_section(section: &str) -> bool {
    matches!(section, "service" | "task" | "target" | "mount")
}

/// Sections whose keys are names of units or paths: their tables lie one level deeper.
#[must_use]
pub fn is_named_section(section: &str) -> bool {
    matches!(
        section,
        "service" | "task" | "target" | "mount" | "directory" | "symlink" | "defaults"
    )
}

impl Table {
    /// The entry of that key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    /// Takes the entry of that key out.
    pub fn take(&mut self, key: &str) -> Option<Entry> {
        let at = self.entries.iter().position(|entry| entry.key == key)?;
        Some(self.entries.remove(at))
    }

    /// Lays `over` over this: sections are joined; below them a key replaces the earlier one whole.
    pub fn merge(&mut self, over: Self) {
        for entry in over.entries {
            let depth = match entry.key.as_str() {
                "overlay" => 4,
                key if is_named_section(key) => 2,
                _ => 1,
            };
            self.lay(entry, depth);
        }
    }

    fn lay(&mut self, entry: Entry, depth: usize) {
        let Some(old) = self.entries.iter_mut().find(|old| old.key == entry.key) else {
            self.entries.push(entry);
            return;
        };
        match (&mut old.item.node, entry.item.node) {
            (Node::Table(below), Node::Table(above)) if depth > 0 => {
                for entry in above.entries {
                    below.lay(entry, depth - 1);
                }
            }
            (_, node) => {
                old.item = Item {
                    node,
                    span: entry.item.span,
                };
                old.key_span = entry.key_span;
            }
        }
    }
}
