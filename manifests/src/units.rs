//! This file turns the tables of services, tasks and targets into units, one for each instance.
//!
//! References to other units are resolved later, when all names are known.

use crate::diagnostic::{Diagnostic, Id};
use crate::fields::{Account, Fields, Located, Value};
use crate::model::{Exec, Program, Ready, Restart, Stopping, Stream, Unit, UnitKind};
use crate::schema::Section;
use crate::sections::Named;
use crate::text::{check_length, check_name, fill};
use crate::users::Users;

/// SIGKILL: no signal to stop politely with.
const SIGKILL: u8 = 9;
/// SIGSTOP: likewise.
const SIGSTOP: u8 = 19;

/// The units of one table, all instances; empty if something fundamental is wrong.
pub fn units(named: &Named, users: &Users, problems: &mut Vec<Diagnostic>) -> Vec<Unit> {
    let kind = match named.fields.section {
        Section::Service => UnitKind::Service,
        Section::Task => UnitKind::Task,
        Section::Mount => UnitKind::Mount,
        _ => UnitKind::Target,
    };
    if let Err((message, help)) = check_name(&named.name.value) {
        let problem = Diagnostic::new(Id::BadName, named.name.span, message).help_if(help);
        problems.push(problem);
        return Vec::new();
    }
    contradictions(&named.fields, kind, problems);
    let mut units = Vec::new();
    for (at, instance) in instances(named, problems).iter().enumerate() {
        let mut quiet = Vec::new();
        // What is wrong with the template is said once, not for each instance.
        let problems = if at == 0 { &mut *problems } else { &mut quiet };
        units.push(unit(named, kind, instance.as_ref(), users, problems));
    }
    units
}

fn instances(named: &Named, problems: &mut Vec<Diagnostic>) -> Vec<Option<Located<String>>> {
    if named.fields.field("instances").is_none() {
        return vec![None];
    }
    let mut instances = named.fields.texts("instances");
    instances.retain(|instance| {
        let whole = format!("{}@{}", named.name.value, instance.value);
        let check = check_name(&instance.value).and_then(|()| check_length(&whole));
        if let Err((message, help)) = &check {
            let problem = Diagnostic::new(Id::BadName, instance.span, message.as_str());
            problems.push(problem.help_if(help.clone()));
        }
        check.is_ok()
    });
    instances.into_iter().map(Some).collect()
}

fn unit(
    named: &Named,
    kind: UnitKind,
    instance: Option<&Located<String>>,
    users: &Users,
    problems: &mut Vec<Diagnostic>,
) -> Unit {
    let fields = &named.fields;
    let name = match instance {
        Some(instance) => format!("{}@{}", named.name.value, instance.value),
        None => named.name.value.clone(),
    };
    let mut unit = Unit::new(name, kind, named.name.span);
    unit.critical = fields.boolean("critical");
    if kind == UnitKind::Target {
        return unit;
    }
    unit.start_timeout = fields.duration("start-timeout");
    unit.stopping = Stopping {
        signal: fields.signal("stop-signal").unwrap_or(15),
        timeout: fields.duration("stop-timeout").unwrap_or(5_000_000),
        group: fields.word("kill-scope") != "process",
    };
    if kind == UnitKind::Mount {
        return unit;
    }
    let filler = Filler { instance };
    if fields.lacks("exec") && fields.lacks("image") {
        let message = format!("{} `{}` runs nothing", kind.word(), named.name.value);
        let problem = Diagnostic::new(Id::MissingKey, named.name.span, message);
        problems.push(problem.help(
            "add exec = [\"/path/to/program\"], or image = \"NAME\" where there are no files",
        ));
    }
    let start = if fields.lacks("exec") {
        "image"
    } else {
        "exec"
    };
    unit.start = filler.program(fields, start, users, problems);
    unit.watchdog = fields.duration("watchdog");
    unit.controls = fields.boolean("controls");
    let mut quiet = Vec::new();
    // Everything but the program itself was said of `exec`; texts have places of their own.
    unit.stop = filler.program(fields, "stop-exec", users, &mut quiet);
    problems.extend(quiet.into_iter().filter(|p| p.id == Id::BadPlaceholder));
    unit.restart = restart(fields);
    unit.restarts_on_upgrade = fields.word("on-upgrade") == "restart";
    if let Some(success) = fields.table("success") {
        let number = |item: &Located<Value>| match item.value {
            Value::Number(code) => u8::try_from(code).ok(),
            Value::Signal(number) => Some(number),
            _ => None,
        };
        unit.success_codes = success.list("codes").iter().filter_map(number).collect();
        unit.success_signals = success.list("signals").iter().filter_map(number).collect();
    }
    if let (UnitKind::Service, Some(fields)) = (kind, fields.table("ready")) {
        unit.ready = ready(fields, &filler, problems);
        if fields.field("within").is_some() {
            unit.start_timeout = fields.duration("within");
        }
    }
    unit
}

/// Texts with the instance's name filled in.
struct Filler<'a> {
    instance: Option<&'a Located<String>>,
}

impl Filler<'_> {
    fn fill(&self, text: &Located<String>, problems: &mut Vec<Diagnostic>) -> String {
        match fill(&text.value, self.instance) {
            Ok(filled) => filled,
            Err((message, help)) => {
                let problem = Diagnostic::new(Id::BadPlaceholder, text.span, message);
                problems.push(problem.help_if(help));
                text.value.clone()
            }
        }
    }

    fn program(
        &self,
        fields: &Fields,
        key: &str,
        users: &Users,
        problems: &mut Vec<Diagnostic>,
    ) -> Program {
        let is_image = key == "image";
        let arguments = if is_image {
            let further = fields.texts("arguments");
            fields.text(key).into_iter().chain(further).collect()
        } else {
            fields.texts(key)
        };
        let Some(first) = arguments.first() else {
            return Program::None;
        };
        let span = first.span;
        let arguments = arguments.iter().map(|text| self.fill(text, problems));
        let arguments = arguments.collect();
        let written: Option<Vec<_>> = fields
            .field("groups")
            .map(|_| fields.list("groups").iter().filter_map(account).collect());
        let user = fields.account("user");
        let group = fields.account("group");
        let found = users.credentials(user.as_ref(), group.as_ref(), written.as_deref());
        let credentials = found.unwrap_or_else(|problem| {
            problems.push(*problem);
            None
        });
        Program::Exec(Box::new(Exec {
            arguments,
            is_image,
            priority: fields
                .number("priority")
                .and_then(|number| u8::try_from(number).ok())
                .unwrap_or(0),
            span,
            environment: self.environment(fields, problems),
            directory: self.text(fields, "working-directory", "/", problems),
            credentials,
            umask: fields.mode("umask").unwrap_or(0o022),
            nice: fields.number("nice").unwrap_or(0),
            oom_score: fields.number("oom-score"),
            limits: limits(fields),
            streams: ["stdin", "stdout", "stderr"].map(|key| self.stream(fields, key, problems)),
        }))
    }

    fn text(
        &self,
        fields: &Fields,
        key: &str,
        without: &str,
        problems: &mut Vec<Diagnostic>,
    ) -> String {
        match fields.text(key) {
            Some(text) => self.fill(&text, problems),
            None => without.to_string(),
        }
    }

    fn environment(&self, fields: &Fields, problems: &mut Vec<Diagnostic>) -> Vec<String> {
        let mut variables = Vec::new();
        for (name, value) in fields.free("environment") {
            if name.value.is_empty() || name.value.contains('=') {
                let message = format!("`{}` cannot be the name of a variable", name.value);
                problems.push(Diagnostic::new(Id::BadName, name.span, message));
                continue;
            }
            variables.push(format!("{}={}", name.value, self.fill(value, problems)));
        }
        if !variables.iter().any(|each| each.starts_with("PATH=")) {
            let usual = crate::read::Reader::built_in(Section::Service);
            let path = usual.free("environment").iter();
            variables.extend(path.map(|(name, value)| format!("{}={}", name.value, value.value)));
        }
        variables
    }

    fn stream(&self, fields: &Fields, key: &str, problems: &mut Vec<Diagnostic>) -> Stream {
        match self.text(fields, key, "null", problems) {
            word if word == "null" => Stream::Null,
            word if word == "console" => Stream::Console,
            word if word == "kmsg" => Stream::Kmsg,
            path if path == "/dev/null" => Stream::Null,
            path if path.starts_with("/dev/") => Stream::Terminal(path),
            path => Stream::File(path),
        }
    }
}

fn account(item: &Located<Value>) -> Option<Located<Account>> {
    match &item.value {
        Value::Account(account) => Some(Located::new(account.clone(), item.span)),
        _ => None,
    }
}

fn limits(fields: &Fields) -> Vec<(&'static str, crate::value::LimitPair)> {
    let entries = fields.table("limits").map(|table| table.entries.as_slice());
    let pair = |field: &crate::fields::Field| match field.value.value {
        Value::Limit(pair) => Some((field.name, pair)),
        _ => None,
    };
    entries
        .unwrap_or_default()
        .iter()
        .filter_map(pair)
        .collect()
}

fn restart(fields: &Fields) -> Option<Restart> {
    let when = fields.word("restart").to_string();
    let backoff = fields.table("backoff")?;
    let limit = fields.table("start-limit")?;
    if when == "never" {
        return None;
    }
    Some(Restart {
        when,
        from: backoff.duration("from")?,
        to: backoff.duration("to")?,
        reset_after: backoff.duration("reset-after")?,
        count: u16::try_from(limit.number("count")?).ok()?,
        within: limit.duration("within")?,
        then: limit.word("then").to_string(),
    })
}

/// Which keys of `ready` go with which word.
const READY_KEYS: &[(&str, &[&str])] = &[
    ("exec", &[]),
    ("newline", &["fd"]),
    ("letter", &[]),
    ("listen", &["tcp", "unix"]),
    ("path", &["path"]),
];

fn ready(fields: &Fields, filler: &Filler<'_>, problems: &mut Vec<Diagnostic>) -> Ready {
    let on = fields.word("on");
    let wanted = READY_KEYS.iter().find(|(word, _)| *word == on);
    let wanted = wanted.map_or(&[][..], |(_, keys)| keys);
    for (_, keys) in READY_KEYS {
        for key in keys.iter().filter(|key| !wanted.contains(key)) {
            if let Some(field) = fields.written(key) {
                let message = format!("`{key}` means nothing when ready is on \"{on}\"");
                let problem = Diagnostic::new(Id::Contradiction, field.key_span, message);
                problems.push(problem.related(fields.span_of("on"), "decided here"));
            }
        }
    }
    let given: Vec<_> = wanted.iter().filter(|k| !fields.lacks(k)).collect();
    match (wanted, given.as_slice()) {
        ([], _) | (_, [_]) => {}
        (_, []) => {
            let message = format!("ready on \"{on}\" needs `{}`", wanted.join("` or `"));
            problems.push(Diagnostic::new(Id::MissingKey, fields.span, message));
        }
        (_, [..]) => {
            let message = "`tcp` and `unix` exclude each other";
            problems.push(Diagnostic::new(Id::Contradiction, fields.span, message));
        }
    }
    let text = |key, problems: &mut Vec<_>| filler.text(fields, key, "", problems);
    let number = |key| fields.number(key).unwrap_or_default();
    match on {
        "newline" => Ready::Newline(u8::try_from(number("fd")).unwrap_or_default()),
        "letter" => Ready::Letter,
        "listen" if fields.field("tcp").is_some() => {
            Ready::Tcp(u16::try_from(number("tcp")).unwrap_or_default())
        }
        "listen" => Ready::Unix(text("unix", problems)),
        "path" => Ready::Path(text("path", problems)),
        _ => Ready::Exec,
    }
}

fn contradictions(fields: &Fields, kind: UnitKind, problems: &mut Vec<Diagnostic>) {
    let mut say = |key: &str, other: &str, message: &str, help: &str| {
        if let Some(field) = fields.written(key) {
            let problem = Diagnostic::new(Id::Contradiction, field.key_span, message).help(help);
            problems.push(match fields.written(other) {
                Some(other) => problem.related(other.key_span, "and this"),
                None => problem,
            });
        }
    };
    let ready = fields.table("ready");
    if ready.is_some_and(|ready| ready.written("within").is_some())
        && fields.written("start-timeout").is_some()
    {
        let message = "`start-timeout` and `within` are the same thing, and both are written";
        say("start-timeout", "ready", message, "leave one of them out");
    }
    if kind == UnitKind::Task && fields.word("restart") == "always" {
        let message = "a task that ends well is done: it cannot be restarted always";
        say(
            "restart",
            "exec",
            message,
            "write \"on-failure\", or make it a service",
        );
    }
    if fields.word("restart") == "never" {
        for key in ["backoff", "start-limit"] {
            let message = format!("`{key}` means nothing with restart = \"never\"");
            say(
                key,
                "restart",
                &message,
                "leave it out, or choose another `restart`",
            );
        }
    }
    if let Some(signal) = fields.signal("stop-signal")
        && matches!(signal, SIGKILL | SIGSTOP)
    {
        let message = "this signal cannot be caught: the program would never stop in order";
        let problem = Diagnostic::new(Id::BadSignal, fields.span_of("stop-signal"), message);
        problems.push(problem.help("SIGKILL follows by itself after `stop-timeout`"));
    }
    if let Some(backoff) = fields.table("backoff")
        && backoff.duration("from") > backoff.duration("to")
    {
        let message = "the first wait is longer than the longest";
        let span = backoff.span_of("from");
        problems.push(Diagnostic::new(Id::Contradiction, span, message));
    }
}
