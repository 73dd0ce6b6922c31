//! This file reads manifests into one tree of values, each with the place that it comes from.
//!
//! Includes come first, in their order, then the file itself: a later key replaces an earlier one.
//! Every file is read at most once; all that was read is listed, so that builds can watch it.

use crate::diagnostic::{Diagnostic, Id, Span};
use crate::tree::{Entry, Item, Node, Table, Tree};
use std::path::{Path, PathBuf};
use toml::de::{DeTable, DeValue};

/// Files below one another by `include`; more is a mistake.
const INCLUDE_DEPTH_MAX: usize = 16;

/// One file.
#[derive(Debug, Clone)]
pub struct Source {
    /// Where it is.
    pub path: PathBuf,
    /// How it is called in diagnostics.
    pub shown: String,
    /// What it says; empty if it could not be read.
    pub text: String,
}

/// All files of one product.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    files: Vec<Source>,
    base: PathBuf,
}

impl Sources {
    /// No files yet; paths are shown relative to `base` where they lie below it.
    #[must_use]
    pub fn new(base: &Path) -> Self {
        Self {
            files: Vec::new(),
            base: base.to_path_buf(),
        }
    }

    /// File number `index`.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&Source> {
        self.files.get(index)
    }

    /// The files in the order in which they were read.
    pub fn iter(&self) -> impl Iterator<Item = &Source> {
        self.files.iter()
    }

    /// `file:line` of a place, for listings.
    #[must_use]
    pub fn place(&self, span: Span) -> String {
        let Some(source) = self.get(span.file) else {
            return String::from("built in");
        };
        let before = source.text.get(..span.start).unwrap_or_default();
        format!("{}:{}", source.shown, before.matches('\n').count() + 1)
    }

    fn add(&mut self, path: &Path, text: String) -> usize {
        let shown = path.strip_prefix(&self.base).unwrap_or(path);
        self.files.push(Source {
            path: path.to_path_buf(),
            shown: shown.display().to_string(),
            text,
        });
        self.files.len() - 1
    }

    /// Reads `path` and all that it includes. The tree is as complete as the errors allow.
    pub fn load(&mut self, path: &Path, problems: &mut Vec<Diagnostic>) -> Tree {
        match std::fs::read_to_string(path) {
            Ok(text) => self.load_text(path, text, problems),
            Err(error) => {
                let file = self.add(path, String::new());
                let message = format!("cannot read {}: {error}", path.display());
                problems.push(Diagnostic::new(
                    Id::Unreadable,
                    Span::new(file, 0..0),
                    message,
                ));
                Tree::default()
            }
        }
    }

    /// As [`Self::load`], with the text of `path` given.
    pub fn load_text(&mut self, path: &Path, text: String, problems: &mut Vec<Diagnostic>) -> Tree {
        let file = self.add(path, text);
        self.parse(file, &mut vec![path.to_path_buf()], problems)
    }

    fn parse(
        &mut self,
        file: usize,
        chain: &mut Vec<PathBuf>,
        problems: &mut Vec<Diagnostic>,
    ) -> Tree {
        let text = self.files[file].text.clone();
        let (tree, errors) = DeTable::parse_recoverable(&text);
        for error in errors {
            let range = error.span().unwrap_or(0..0);
            let range = clamp(&text, range);
            let message = match error.message() {
                "duplicate key" => format!("`{}` is written twice", &text[range.clone()]),
                message => message.to_string(),
            };
            problems.push(Diagnostic::new(Id::Syntax, Span::new(file, range), message));
        }
        let mut own = table(file, tree.get_ref());
        let mut whole = Tree::default();
        for name in own.take("include").iter().flat_map(include_names) {
            if let Some(included) = self.include(file, &name, chain, problems) {
                whole.removed.extend(included.removed);
                whole.table.merge(included.table);
            }
        }
        whole.lay(own, problems);
        whole
    }

    fn include(
        &mut self,
        from: usize,
        name: &Item,
        chain: &mut Vec<PathBuf>,
        problems: &mut Vec<Diagnostic>,
    ) -> Option<Tree> {
        let Node::Text(relative) = &name.node else {
            let message = format!("an include is a path, not {}", name.node.kind());
            let help = "write include = [\"base.toml\"]";
            problems.push(Diagnostic::new(Id::WrongType, name.span, message).help(help));
            return None;
        };
        let folder = self.files[from].path.parent().map(Path::to_path_buf);
        let path = plain(&folder.unwrap_or_default().join(relative));
        if chain.contains(&path) || chain.len() >= INCLUDE_DEPTH_MAX {
            let message = match chain.contains(&path) {
                true => format!("`{relative}` includes itself"),
                false => format!("includes are nested more than {INCLUDE_DEPTH_MAX} deep"),
            };
            problems.push(Diagnostic::new(Id::IncludeCycle, name.span, message));
            return None;
        }
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) => {
                let message = format!("cannot read `{relative}`: {error}");
                let help = "an include is a path relative to the file that includes";
                problems.push(Diagnostic::new(Id::Unreadable, name.span, message).help(help));
                return None;
            }
        };
        let file = self.add(&path, text);
        chain.push(path);
        let tree = self.parse(file, chain, problems);
        chain.pop();
        Some(tree)
    }
}

/// A path without `.` and with `x/..` taken out, so that one file has one name.
fn plain(path: &Path) -> PathBuf {
    use std::path::Component;
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir
                if matches!(out.components().next_back(), Some(Component::Normal(_))) =>
            {
                out.pop();
            }
            _ => out.push(part),
        }
    }
    out
}

fn include_names(entry: &Entry) -> Vec<Item> {
    match &entry.item.node {
        Node::List(items) => items.clone(),
        _ => vec![entry.item.clone()],
    }
}

/// The range moved onto character boundaries inside `text`.
fn clamp(text: &str, range: std::ops::Range<usize>) -> std::ops::Range<usize> {
    let floor = |mut at: usize| {
        at = at.min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let start = floor(range.start);
    start..floor(range.end).max(start)
}

/// The tree of one parsed file.
pub fn table(file: usize, from: &DeTable<'_>) -> Table {
    let mut table = Table::default();
    for (key, value) in from {
        table.entries.push(Entry {
            key: key.get_ref().to_string(),
            key_span: Span::new(file, key.span()),
            item: Item {
                span: Span::new(file, value.span()),
                node: node(file, value.get_ref()),
            },
        });
    }
    table.entries.sort_by_key(|entry| entry.key_span);
    table
}

fn node(file: usize, value: &DeValue<'_>) -> Node {
    match value {
        DeValue::String(text) => Node::Text(text.to_string()),
        DeValue::Integer(number) => {
            let digits = number.as_str();
            i64::from_str_radix(digits, number.radix()).map_or_else(
                |_| Node::Other(format!("the number {digits}, which is too large")),
                Node::Integer,
            )
        }
        DeValue::Float(_) => Node::Other(String::from("a number with a fraction")),
        DeValue::Boolean(value) => Node::Boolean(*value),
        DeValue::Datetime(_) => Node::Other(String::from("a date")),
        DeValue::Array(items) => Node::List(
            items
                .iter()
                .map(|item| Item {
                    span: Span::new(file, item.span()),
                    node: node(file, item.get_ref()),
                })
                .collect(),
        ),
        DeValue::Table(inner) => Node::Table(table(file, inner)),
    }
}
