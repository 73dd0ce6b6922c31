//! This file checks tables against the schema and gives their values types.
//!
//! A bad value is reported once, where it stands, and is then as if it were not written.

use crate::diagnostic::{Diagnostic, Id, Span, did_you_mean};
use crate::fields::{Account, BUILT_IN, By, Field, Fields, Located, Value};
use crate::schema::{self, Key, Kind, Section};
use crate::text::{check_name, check_path, check_text};
use crate::tree::{Entry, Item, Node, Table};
use crate::value::{self, Measure};
use toml::de::DeTable;

/// Reads tables and collects what is wrong with them.
#[derive(Debug, Default)]
pub struct Reader {
    /// What was found, in any order.
    pub problems: Vec<Diagnostic>,
}

impl Reader {
    /// The keys of one table; unknown ones are refused.
    pub fn fields(&mut self, section: Section, table: &Table, span: Span) -> Fields {
        let mut fields = Fields {
            section,
            span,
            entries: Vec::new(),
            refused: Vec::new(),
        };
        for entry in &table.entries {
            let Some(key) = schema::find(section, &entry.key) else {
                self.unknown_key(section, entry);
                continue;
            };
            let Some(value) = self.value(key, &entry.item) else {
                fields.refused.push(key.name);
                continue;
            };
            fields.entries.push(Field {
                name: key.name,
                key_span: entry.key_span,
                value: Located::new(value, entry.item.span),
                by: By::Itself,
            });
        }
        fields
    }

    /// What the schema says when nothing is written.
    pub fn built_in(section: Section) -> Fields {
        let mut text = String::new();
        for key in schema::keys_of(section).filter(|key| !key.default.is_empty()) {
            text.push_str(&format!("{} = {}\n", key.name, key.default));
        }
        let (tree, _) = DeTable::parse_recoverable(&text);
        let table = crate::source::table(BUILT_IN, tree.get_ref());
        Self::default().fields(section, &table, Span::new(BUILT_IN, 0..0))
    }

    fn unknown_key(&mut self, section: Section, entry: &Entry) {
        let title = schema::SECTIONS.iter().find(|(each, ..)| *each == section);
        let title = title.map_or("", |(_, title, _)| *title);
        let name = &entry.key;
        let whole = match title {
            "" => format!("there is no key or section `{name}`"),
            title => format!("`{title}` has no key `{name}`"),
        };
        let known = schema::keys_of(section).map(|key| key.name);
        let elsewhere = || {
            let (_, title, _) = schema::SECTIONS
                .iter()
                .find(|(each, ..)| schema::find(*each, name).is_some())?;
            Some(format!("`{name}` is a key of {title}"))
        };
        let advice = foreign(name)
            .or_else(|| did_you_mean(name, known))
            .or_else(elsewhere);
        let problem = Diagnostic::new(Id::UnknownKey, entry.key_span, whole).help_if(advice);
        self.problems.push(problem.label("unknown"));
    }

    fn wrong(&mut self, id: Id, span: Span, message: impl Into<String>, help: Option<String>) {
        let problem = Diagnostic::new(id, span, message).help_if(help);
        self.problems.push(problem);
    }

    fn wrong_type(&mut self, key: &Key, item: &Item, wanted: &str) {
        let message = format!(
            "`{}` is {wanted}, and this is {}",
            key.name,
            item.node.kind()
        );
        let help = format!("for example: {} = {}", key.name, key.example);
        self.wrong(Id::WrongType, item.span, message, Some(help));
    }

    fn value(&mut self, key: &Key, item: &Item) -> Option<Value> {
        match (key.kind, &item.node) {
            (Kind::Boolean, Node::Boolean(value)) => Some(Value::Boolean(*value)),
            (Kind::Boolean, _) => self.refuse(key, item, "true or false"),
            (Kind::Integer(from, to), _) => self.integer(key, item, from, to),
            (Kind::Limit, _) => self.limit(key, item),
            (Kind::Account, _) => self.account(key, item),
            (Kind::Free, Node::Table(table)) => Some(Value::Free(self.free(table))),
            (Kind::Free, _) => self.refuse(key, item, "a table"),
            (Kind::Table(section), Node::Table(table)) => {
                let mut fields = self.fields(section, table, item.span);
                fields.complete(&Self::built_in(section), By::Schema);
                Some(Value::Table(fields))
            }
            (Kind::Table(_), _) => self.refuse(key, item, "a table in braces"),
            (
                Kind::Texts
                | Kind::Units
                | Kind::MountOptions
                | Kind::Integers(..)
                | Kind::Signals
                | Kind::Command
                | Kind::Accounts,
                _,
            ) => self.list(key, item),
            (kind, Node::Text(text)) => self.text_value(key, kind, text, item.span),
            (Kind::Mode, Node::Integer(_)) => {
                let help = format!("for example: {} = {}", key.name, key.example);
                let message = "permission bits are a string, so that nobody reads them as decimal";
                self.wrong(Id::WrongType, item.span, message, Some(help));
                None
            }
            (Kind::Duration | Kind::Timeout | Kind::Size, Node::Integer(number)) => {
                let message = format!("{number} of what? `{}` is a string with a unit", key.name);
                let help = format!("for example: {} = {}", key.name, key.example);
                self.wrong(Id::WrongType, item.span, message, Some(help));
                None
            }
            _ => self.refuse(key, item, "a string"),
        }
    }

    fn refuse(&mut self, key: &Key, item: &Item, wanted: &str) -> Option<Value> {
        self.wrong_type(key, item, wanted);
        None
    }

    fn list(&mut self, key: &Key, item: &Item) -> Option<Value> {
        let Node::List(items) = &item.node else {
            return self.refuse(key, item, "an array");
        };
        let each = match key.kind {
            Kind::Integers(from, to) => Kind::Integer(from, to),
            Kind::Signals => Kind::Signal,
            Kind::Accounts => Kind::Account,
            Kind::Units => Kind::Unit,
            _ => Kind::Text,
        };
        let single = Key { kind: each, ..*key };
        let mut values: Vec<Located<Value>> = Vec::new();
        for item in items {
            let Some(value) = self.value(&single, item) else {
                continue;
            };
            let unique = key.kind != Kind::Command;
            if let Some(first) = values.iter().find(|old| unique && old.value == value) {
                let message = format!("`{}` lists this twice", key.name);
                let problem = Diagnostic::new(Id::ListedTwice, item.span, message)
                    .related(first.span, "first listed here")
                    .label("again");
                self.problems.push(problem);
                continue;
            }
            values.push(Located::new(value, item.span));
        }
        if key.kind == Kind::Command && items.is_empty() {
            let help = format!("for example: {} = {}", key.name, key.example);
            let message = format!("`{}` names no program", key.name);
            self.wrong(Id::BadPath, item.span, message, Some(help));
            return None;
        }
        if let (Kind::Command, Some(program)) = (key.kind, values.first()) {
            let Value::Text(path) = &program.value else {
                return None;
            };
            if let Err((message, help)) = check_path(path) {
                self.wrong(Id::BadPath, program.span, message, help);
                return None;
            }
        }
        Some(Value::List(values))
    }

    fn text_value(&mut self, key: &Key, kind: Kind, text: &str, span: Span) -> Option<Value> {
        if let Err(message) = check_text(text) {
            self.wrong(Id::BadText, span, message, None);
            return None;
        }
        let mut said = |id, result: Result<Value, (String, Option<String>)>| match result {
            Ok(value) => Some(value),
            Err((message, help)) => {
                self.wrong(id, span, message, help);
                None
            }
        };
        let example = Some(format!("for example: {} = {}", key.name, key.example));
        let ok = || Value::Text(text.to_string());
        match kind {
            Kind::Name => said(Id::BadName, check_name(text).map(|()| ok())),
            Kind::Path => said(Id::BadPath, check_path(text).map(|()| ok())),
            Kind::Word(words) if words.contains(&text) => Some(ok()),
            Kind::Word(words) => {
                let help = did_you_mean(text, words.iter().copied());
                let message = format!("`{}` is {}", key.name, one_of(words));
                said(Id::UnknownWord, Err((message, help)))
            }
            Kind::Stream => said(Id::UnknownWord, stream(key, text)),
            Kind::Timeout if text == "none" => Some(Value::Duration(None)),
            Kind::Duration | Kind::Timeout => {
                let us = value::duration(text).map(|us| Value::Duration(Some(us)));
                said(Id::BadDuration, us.map_err(|message| (message, example)))
            }
            Kind::Size => {
                let bytes = value::size(text).map(Value::Size);
                said(Id::BadSize, bytes.map_err(|message| (message, example)))
            }
            Kind::Mode => {
                let mode = value::mode(text).map(Value::Mode);
                said(Id::BadMode, mode.map_err(|message| (message, example)))
            }
            Kind::Signal => {
                let upper = text.to_ascii_uppercase();
                let help = did_you_mean(upper.trim_start_matches("SIG"), value::signal_names());
                let number = value::signal(text).map(Value::Signal);
                said(Id::BadSignal, number.map_err(|message| (message, help)))
            }
            _ => Some(ok()),
        }
    }

    fn integer(&mut self, key: &Key, item: &Item, from: i64, to: i64) -> Option<Value> {
        let Node::Integer(number) = item.node else {
            return self.refuse(key, item, "a whole number");
        };
        if (from..=to).contains(&number) {
            return Some(Value::Number(number));
        }
        let message = format!(
            "`{}` is from {from} to {to}, and this is {number}",
            key.name
        );
        self.wrong(Id::OutOfRange, item.span, message, None);
        None
    }

    fn account(&mut self, key: &Key, item: &Item) -> Option<Value> {
        match &item.node {
            Node::Text(name) => {
                if let Err((message, help)) = check_name(name) {
                    self.wrong(Id::BadName, item.span, message, help);
                    return None;
                }
                Some(Value::Account(Account::Name(name.clone())))
            }
            Node::Integer(number) => match u32::try_from(*number) {
                Ok(number) if number < u32::MAX => Some(Value::Account(Account::Number(number))),
                _ => {
                    let message = "users and groups are numbered from 0 to 4294967294";
                    self.wrong(Id::OutOfRange, item.span, message, None);
                    None
                }
            },
            _ => self.refuse(key, item, "a name or a number"),
        }
    }

    fn limit(&mut self, key: &Key, item: &Item) -> Option<Value> {
        let measure = match key.name {
            "cpu-time" => Measure::Seconds,
            "realtime-time" => Measure::Microseconds,
            "nice" | "open-files" | "processes" | "realtime-priority" | "pending-signals" => {
                Measure::Number
            }
            _ => Measure::Bytes,
        };
        let text = match &item.node {
            Node::Integer(number) => number.to_string(),
            Node::Text(text) => text.clone(),
            _ => return self.refuse(key, item, "a number or a string"),
        };
        match value::limit(&text, measure) {
            Ok(pair) => Some(Value::Limit(pair)),
            Err(message) => {
                let help = format!("for example: {} = {}", key.name, key.example);
                self.wrong(Id::BadSize, item.span, message, Some(help));
                None
            }
        }
    }

    /// Keys of the user's own; values are texts, numbers or booleans (as 1 and 0).
    pub fn free(&mut self, table: &Table) -> Vec<(Located<String>, Located<String>)> {
        let mut entries = Vec::new();
        for entry in &table.entries {
            let text = match &entry.item.node {
                Node::Text(text) => text.clone(),
                Node::Integer(number) => number.to_string(),
                Node::Boolean(value) => u8::from(*value).to_string(),
                node => {
                    let message =
                        format!("`{}` is a string, and this is {}", entry.key, node.kind());
                    self.wrong(Id::WrongType, entry.item.span, message, None);
                    continue;
                }
            };
            let name_problem = check_text(&entry.key).err().map(|m| (m, entry.key_span));
            let problem = name_problem.or(check_text(&text).err().map(|m| (m, entry.item.span)));
            if let Some((message, span)) = problem {
                self.wrong(Id::BadText, span, message, None);
                continue;
            }
            let name = Located::new(entry.key.clone(), entry.key_span);
            entries.push((name, Located::new(text, entry.item.span)));
        }
        entries
    }
}

/// "`a`, `b` or `c`".
fn one_of(words: &[&str]) -> String {
    let quoted: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, first)) => format!("{} or {last}", first.join(", ")),
        None => String::from("nothing"),
    }
}

fn stream(key: &Key, text: &str) -> Result<Value, (String, Option<String>)> {
    let words: &[&str] = match key.name {
        "stdin" => &["null", "console"],
        _ => &["null", "console", "kmsg"],
    };
    if words.contains(&text) {
        return Ok(Value::Text(text.to_string()));
    }
    if !text.starts_with('/') {
        let message = format!("`{}` is {} or an absolute path", key.name, one_of(words));
        return Err((message, did_you_mean(text, words.iter().copied())));
    }
    check_path(text).map(|()| Value::Text(text.to_string()))
}

/// Keys that people bring from systemd, finit and others, and what they are called here.
fn foreign(name: &str) -> Option<String> {
    let meant = match name {
        "ExecStart" | "command" | "run" | "start" | "program" => "exec",
        "ExecStop" | "stop" => "stop-exec",
        "Environment" | "env" => "environment",
        "WorkingDirectory" | "cwd" | "chdir" => "working-directory",
        "User" | "uid" => "user",
        "Group" | "gid" => "group",
        "SupplementaryGroups" => "groups",
        "UMask" => "umask",
        "Nice" => "nice",
        "OOMScoreAdjust" | "oom-score-adjust" => "oom-score",
        "Requires" | "depends" | "depends-on" | "needs" => "requires",
        "Wants" | "waits-for" => "wants",
        "BindsTo" => "binds-to",
        "Conflicts" => "conflicts",
        "After" => "after",
        "Before" => "before",
        "Restart" | "respawn" => "restart",
        "RestartSec" | "restart-delay" => "backoff",
        "StartLimitBurst" | "StartLimitIntervalSec" => "start-limit",
        "TimeoutStartSec" => "start-timeout",
        "TimeoutStopSec" | "kill-timeout" => "stop-timeout",
        "KillSignal" => "stop-signal",
        "KillMode" => "kill-scope",
        "SuccessExitStatus" => "success",
        "notify" | "Type" => "ready",
        "What" => "source",
        "Where" => "at",
        _ => return None,
    };
    Some(format!("here this is `{meant}`"))
}
