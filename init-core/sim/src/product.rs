//! This file describes a product in words that a script can hold: units, their rules, their lives.
//!
//! Units are known by a number that stays theirs when others are left out.

use crate::graph::{Graph, PROGRAM, RESTART, rule, rules, unit};
use crate::script::{Words, number};
use init_core::ident::Role;
use init_core::time::Duration;
use init_core::unit::{
    EdgeKind, LimitAction, Manifest, Readiness, Restart, RestartPolicy, StartLimit, StopPolicy,
    UnitKind,
};
use std::fmt::{Display, Formatter, Result as Formatted};
use std::sync::OnceLock;

/// Units that a product has room for.
pub const PLACES: usize = 64;

/// The longest that a start may take.
pub const START_TIMEOUT: Duration = Duration::from_ms(500);
/// Between two rungs of the stop ladder.
pub const STOP_TIMEOUT: Duration = Duration::from_ms(200);
const STOPPING: StopPolicy = StopPolicy {
    timeout: STOP_TIMEOUT,
    ..StopPolicy::USUAL
};
/// Automatic restarts in [`LIMIT_WITHIN`], at most.
pub const LIMIT_COUNT: u16 = 4;
/// The start limit's window.
pub const LIMIT_WITHIN: Duration = Duration::from_secs(20);

/// A unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitSpec {
    /// Which one, for ever: `u7`.
    pub number: usize,
    /// What it is.
    pub kind: UnitKind,
    /// Whether its execution is confirmed.
    pub awaited: bool,
    /// When it is ready; only services have a choice.
    pub ready: Ready,
    /// Whether a program stops it.
    pub stops: bool,
    /// When it is restarted.
    pub restart: Restart,
    /// What follows from too many restarts.
    pub limit: LimitAction,
    /// Relations to units, by their numbers.
    pub edges: Vec<(EdgeKind, usize)>,
}

/// When a service is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ready {
    /// When it is executed.
    Exec,
    /// When it says so.
    Newline,
    /// When a probe finds it so.
    Probe,
}

/// What the process does that serves a unit in a role in its n-th start. Spans in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life {
    /// Its unit's number.
    pub unit: usize,
    /// What it does for it.
    pub role: Role,
    /// In which of the unit's starts, from 1.
    pub start: u16,
    /// It says ready so long after it was made; `None`: never.
    pub ready: Option<u64>,
    /// It ends so long after it was made, with this code.
    pub exit: Option<(u64, u8)>,
    /// It ends so long after its stop signal; `None`: it ignores it.
    pub stop: Option<u64>,
    /// It ends so long after SIGKILL; `None`: not before everybody behaves.
    pub kill: Option<u64>,
    /// It cannot be made: the error.
    pub fails: Option<u16>,
}

impl Life {
    /// One that does what is expected.
    pub fn usual(unit: usize, role: Role, start: u16, one_shot: bool) -> Self {
        Self {
            unit,
            role,
            start,
            ready: Some(0),
            exit: (one_shot || role != Role::Main).then_some((0, 0)),
            stop: Some(0),
            kill: Some(0),
            fails: None,
        }
    }
}

/// The name of a unit. The first is the default target, the second the rescue target.
pub fn name(number: usize) -> &'static str {
    static NAMES: OnceLock<Vec<String>> = OnceLock::new();
    let names = NAMES.get_or_init(|| (0..PLACES).map(|number| format!("u{number}")).collect());
    match number {
        1 => "rescue",
        _ => names.get(number).map_or("?", String::as_str),
    }
}

/// The number behind a name.
pub fn unit_number(word: &str) -> Option<usize> {
    (0..PLACES).find(|number| name(*number) == word)
}

/// The compiled product; leaked, as a manifest is for ever.
pub fn manifest(units: &[UnitSpec]) -> &'static Manifest {
    graph(units).manifest()
}

/// The product before it is compiled: what a kernel lacks can be changed.
pub fn graph(units: &[UnitSpec]) -> Graph {
    let mut graph = Graph::empty();
    graph.units = units.iter().map(desc).collect();
    let place = |number: usize| units.iter().position(|unit| unit.number == number);
    for (from, unit) in units.iter().enumerate() {
        for (kind, to) in &unit.edges {
            if let Some(to) = place(*to) {
                graph.relate(from, *kind, to);
            }
        }
    }
    graph
}

fn desc(spec: &UnitSpec) -> init_core::unit::UnitDesc {
    let mut desc = unit(name(spec.number), spec.kind);
    if spec.kind == UnitKind::Target {
        return desc;
    }
    let mut own = rules(&mut desc);
    if spec.kind == UnitKind::Service {
        own.awaited = spec.awaited;
        own.ready = match spec.ready {
            Ready::Exec => Readiness::Exec,
            Ready::Newline => Readiness::Newline(3),
            Ready::Probe => Readiness::Probe(0),
        };
        if spec.stops {
            own.stop = PROGRAM;
        }
    }
    own.start_timeout = START_TIMEOUT;
    own.restart = rule(RestartPolicy {
        when: spec.restart,
        limit: StartLimit {
            count: LIMIT_COUNT,
            within: LIMIT_WITHIN,
            then: spec.limit,
        },
        ..RESTART
    });
    own.stopping = &STOPPING;
    drop(own);
    desc
}

/// A value and the word that stands for it.
type Named<T> = [(&'static str, T)];

const KINDS: &Named<UnitKind> = &[
    ("target", UnitKind::Target),
    ("service", UnitKind::Service),
    ("task", UnitKind::Task),
    ("mount", UnitKind::Mount),
];
const READIES: &Named<Ready> = &[
    ("exec", Ready::Exec),
    ("newline", Ready::Newline),
    ("probe", Ready::Probe),
];
const RESTARTS: &Named<Restart> = &[
    ("never", Restart::Never),
    ("on-failure", Restart::OnFailure),
    ("always", Restart::Always),
];
const LIMITS: &Named<LimitAction> = &[
    ("fail", LimitAction::Fail),
    ("rescue", LimitAction::Rescue),
    ("reboot", LimitAction::Reboot),
    ("power-off", LimitAction::PowerOff),
];
const EDGES: &Named<EdgeKind> = &[
    ("requires", EdgeKind::Requires),
    ("wants", EdgeKind::Wants),
    ("binds-to", EdgeKind::BindsTo),
    ("after", EdgeKind::After),
    ("conflicts", EdgeKind::Conflicts),
];
const ROLES: &Named<Role> = &[
    ("main", Role::Main),
    ("stop", Role::Stop),
    ("probe", Role::Probe),
];

/// The word of a value.
pub fn word_of<T: PartialEq>(named: &Named<T>, value: T) -> &'static str {
    let found = named.iter().find(|(_, each)| *each == value);
    found.map_or("?", |(word, _)| word)
}

/// The value of a word.
pub fn value_of<T: Copy>(named: &Named<T>, word: &str) -> Result<T, String> {
    let found = named.iter().find(|(each, _)| *each == word);
    let known = || named.iter().map(|(each, _)| *each).collect::<Vec<_>>();
    found
        .map(|(_, value)| *value)
        .ok_or_else(|| format!("{word:?} is none of {}", known().join(", ")))
}

impl Display for UnitSpec {
    fn fmt(&self, f: &mut Formatter<'_>) -> Formatted {
        write!(
            f,
            "unit {} {}",
            word_of(KINDS, self.kind),
            name(self.number)
        )?;
        if self.awaited {
            write!(f, " awaited")?;
        }
        if self.stops {
            write!(f, " stops")?;
        }
        write!(f, " ready={}", word_of(READIES, self.ready))?;
        write!(f, " restart={}", word_of(RESTARTS, self.restart))?;
        write!(f, " limit={}", word_of(LIMITS, self.limit))?;
        for (kind, other) in &self.edges {
            write!(f, " {}={}", word_of(EDGES, *kind), name(*other))?;
        }
        Ok(())
    }
}

impl UnitSpec {
    /// A unit with no rules of its own.
    pub fn new(number: usize, kind: UnitKind) -> Self {
        Self {
            number,
            kind,
            awaited: false,
            ready: Ready::Exec,
            stops: false,
            restart: Restart::Never,
            limit: LimitAction::Fail,
            edges: Vec::new(),
        }
    }

    /// Reads what follows the word `unit`.
    ///
    /// # Errors
    /// What is not understood.
    pub fn parse(words: &mut Words<'_>) -> Result<Self, String> {
        let kind = value_of(KINDS, words.next().unwrap_or_default())?;
        let mut unit = Self::new(named_unit(words)?, kind);
        for word in words {
            match word.split_once('=') {
                None if word == "awaited" => unit.awaited = true,
                None if word == "stops" => unit.stops = true,
                Some(("ready", value)) => unit.ready = value_of(READIES, value)?,
                Some(("restart", value)) => unit.restart = value_of(RESTARTS, value)?,
                Some(("limit", value)) => unit.limit = value_of(LIMITS, value)?,
                Some((kind, other)) => {
                    let other = unit_number(other).ok_or(format!("no unit {other:?}"))?;
                    unit.edges.push((value_of(EDGES, kind)?, other));
                }
                None => return Err(format!("{word:?} says nothing about a unit")),
            }
        }
        Ok(unit)
    }
}

/// Takes a unit's name.
///
/// # Errors
/// There is none.
pub fn named_unit(words: &mut Words<'_>) -> Result<usize, String> {
    let word = words.next().unwrap_or_default();
    unit_number(word).ok_or_else(|| format!("no unit {word:?}"))
}

fn span(f: &mut Formatter<'_>, key: &str, span: Option<u64>) -> Formatted {
    match span {
        Some(us) => write!(f, " {key}={us}"),
        None => write!(f, " {key}=never"),
    }
}

impl Display for Life {
    fn fmt(&self, f: &mut Formatter<'_>) -> Formatted {
        let role = word_of(ROLES, self.role);
        write!(f, "life {} {role} {}", name(self.unit), self.start)?;
        if let Some(error) = self.fails {
            return write!(f, " fails={error}");
        }
        span(f, "ready", self.ready)?;
        span(f, "stop", self.stop)?;
        span(f, "kill", self.kill)?;
        if let Some((us, code)) = self.exit {
            write!(f, " exit={us} code={code}")?;
        }
        Ok(())
    }
}

impl Life {
    /// Reads what follows the word `life`.
    ///
    /// # Errors
    /// What is not understood.
    pub fn parse(words: &mut Words<'_>) -> Result<Self, String> {
        let unit = named_unit(words)?;
        let role = value_of(ROLES, words.next().unwrap_or_default())?;
        let mut life = Self::usual(unit, role, number(words)?, false);
        life.exit = None;
        for word in words {
            let (key, value) = word.split_once('=').unwrap_or((word, ""));
            let us = match value {
                "never" => None,
                _ => Some(
                    value
                        .parse::<u64>()
                        .map_err(|_| format!("{word:?}: no number"))?,
                ),
            };
            let small = |what: Option<u64>| u16::try_from(what.unwrap_or(0)).unwrap_or(0);
            match key {
                "ready" => life.ready = us,
                "stop" => life.stop = us,
                "kill" => life.kill = us,
                "exit" => life.exit = us.map(|us| (us, 0)),
                "code" => {
                    let code = u8::try_from(small(us)).unwrap_or(255);
                    life.exit = life.exit.map(|(after, _)| (after, code));
                }
                "fails" => life.fails = Some(small(us)),
                _ => return Err(format!("{word:?} says nothing about a life")),
            }
        }
        Ok(life)
    }
}
