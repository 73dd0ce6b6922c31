//! This file looks at all units together: cycles of order, impossible targets, dead units,
//! capacity.

use crate::diagnostic::{Diagnostic, Id, Span};
use crate::fields::BUILT_IN;
use crate::model::{Relation, RelationKind, Unit, UnitKind};
use init_core::limits::UNIT_COUNT_MAX;
use std::collections::VecDeque;

/// Edges that the generated table can hold: 16 bits count them.
const EDGE_COUNT_MAX: usize = 65_535;

/// A unit drags these others along.
fn pulls(kind: RelationKind) -> bool {
    matches!(
        kind,
        RelationKind::Requires | RelationKind::Wants | RelationKind::BindsTo
    )
}

/// All checks.
pub fn check(units: &[Unit], targets: &[usize], problems: &mut Vec<Diagnostic>) {
    capacity(units, problems);
    cycles(units, problems);
    for target in targets {
        impossible(units, *target, problems);
    }
    unreachable(units, problems);
}

fn capacity(units: &[Unit], problems: &mut Vec<Diagnostic>) {
    let edges: usize = units.iter().map(|unit| unit.relations.len() * 2).sum();
    let Some(last) = units.iter().rev().find(|unit| !unit.is_implicit()) else {
        return;
    };
    if units.len() > UNIT_COUNT_MAX {
        let message = format!("{} units, and at most {UNIT_COUNT_MAX} fit", units.len());
        problems.push(Diagnostic::new(Id::Capacity, last.span, message));
    }
    if edges > EDGE_COUNT_MAX {
        let most = units.iter().max_by_key(|unit| unit.relations.len());
        let most = most.unwrap_or(last);
        let message = format!("{edges} edges between units, and at most {EDGE_COUNT_MAX} fit");
        let help = format!(
            "each reference makes an edge and its reverse, `requires` four; \
             `{}` alone refers to {}",
            most.name,
            most.relations.len()
        );
        let span = if most.is_implicit() {
            last.span
        } else {
            most.span
        };
        problems.push(Diagnostic::new(Id::Capacity, span, message).help(help));
    }
}

/// The units at which nothing is left to peel off: all of them lie on or between cycles.
fn knots(units: &[Unit]) -> Vec<bool> {
    let mut left = vec![true; units.len()];
    let mut waits: Vec<usize> = units
        .iter()
        .map(|unit| unit.others(RelationKind::After).count())
        .collect();
    let mut waiters = vec![Vec::new(); units.len()];
    for (at, unit) in units.iter().enumerate() {
        for to in unit.others(RelationKind::After) {
            waiters[to].push(at);
        }
    }
    let mut free: Vec<usize> = (0..units.len()).filter(|at| waits[*at] == 0).collect();
    while let Some(done) = free.pop() {
        left[done] = false;
        for waiter in &waiters[done] {
            waits[*waiter] -= 1;
            if waits[*waiter] == 0 {
                free.push(*waiter);
            }
        }
    }
    left
}

/// Each unit is in at most one of the cycles that are reported, and each report is a shortest one.
fn cycles(units: &[Unit], problems: &mut Vec<Diagnostic>) {
    let mut left = knots(units);
    for at in 0..units.len() {
        if !left[at] {
            continue;
        }
        let Some(cycle) = shortest_cycle(units, at, &left) else {
            continue;
        };
        for (from, _) in &cycle {
            left[*from] = false;
        }
        problems.push(describe_cycle(units, &cycle));
    }
}

/// The shortest way from `start` back to itself along `after`, as (unit, its relation).
fn shortest_cycle(units: &[Unit], start: usize, left: &[bool]) -> Option<Vec<(usize, Relation)>> {
    let mut came: Vec<Option<(usize, Relation)>> = vec![None; units.len()];
    let mut queue = VecDeque::from([start]);
    while let Some(at) = queue.pop_front() {
        for relation in &units[at].relations {
            let known = came[relation.to].is_some();
            if relation.kind != RelationKind::After || known || !left[relation.to] {
                continue;
            }
            came[relation.to] = Some((at, *relation));
            queue.push_back(relation.to);
        }
    }
    let mut path = Vec::new();
    let mut at = start;
    while let Some(step) = came[at] {
        path.push(step);
        at = step.0;
        if at == start {
            path.reverse();
            return Some(path);
        }
    }
    None
}

fn describe_cycle(units: &[Unit], cycle: &[(usize, Relation)]) -> Diagnostic {
    let name = |at: usize| units.get(at).map_or("", |unit| unit.name.as_str());
    let mut path: Vec<_> = cycle.iter().map(|(from, _)| name(*from)).collect();
    path.push(path[0]);
    let message = format!("units wait for each other: {}", path.join(" -> "));
    let written: Vec<(Span, String)> = cycle
        .iter()
        .filter(|(_, relation)| relation.span.file != BUILT_IN)
        .map(|(from, relation)| {
            let text = format!("`{}` waits for `{}`", name(*from), name(relation.to));
            (relation.span, text)
        })
        .collect();
    let mut steps = written.into_iter();
    let (span, label) = steps.next().unwrap_or_else(|| {
        let user = cycle.iter().map(|(from, _)| units[*from].span);
        let user = user.min_by_key(|span| span.file);
        (user.unwrap_or_default(), String::from("in this circle"))
    });
    let mut problem = Diagnostic::new(Id::OrderingCycle, span, message).label(label);
    for (span, text) in steps {
        problem = problem.related(span, text);
    }
    problem.help("`requires` and `binds-to` imply `after`; where order does not matter use `wants`")
}

/// A unit cannot do without these others.
fn needs(kind: RelationKind) -> bool {
    matches!(kind, RelationKind::Requires | RelationKind::BindsTo)
}

/// For each unit how it was reached: from which other, by which reference.
type Reached = Vec<Option<(usize, Relation)>>;

/// What is reached from `roots` by references of some kinds.
fn closure(units: &[Unit], roots: &[usize], follows: fn(RelationKind) -> bool) -> Reached {
    let mut came: Reached = vec![None; units.len()];
    let mut queue: VecDeque<usize> = roots.iter().copied().collect();
    while let Some(at) = queue.pop_front() {
        for relation in units[at].relations.iter().filter(|each| follows(each.kind)) {
            if came[relation.to].is_none() && !roots.contains(&relation.to) {
                came[relation.to] = Some((at, *relation));
                queue.push_back(relation.to);
            }
        }
    }
    came
}

/// The rule of a request on the device: two units that a target needs refuse it; a unit that is
/// only wanted gives way.
fn impossible(units: &[Unit], target: usize, problems: &mut Vec<Diagnostic>) {
    let needed = closure(units, &[target], needs);
    let started = closure(units, &[target], pulls);
    let is_in = |came: &Reached, at: usize| at == target || came[at].is_some();
    let mut said: Vec<(usize, usize)> = Vec::new();
    for (at, unit) in units.iter().enumerate() {
        for relation in &unit.relations {
            let pair = (at.min(relation.to), at.max(relation.to));
            let both = is_in(&started, at) && is_in(&started, relation.to);
            if relation.kind != RelationKind::Conflicts || !both || said.contains(&pair) {
                continue;
            }
            said.push(pair);
            let hard = |unit: usize| is_in(&needed, unit);
            let (id, message) = match (hard(at), hard(relation.to)) {
                (true, true) => (Id::ImpossibleTarget, exclusive(units, target, pair)),
                (true, false) => (Id::GivesWay, gives_way(units, relation.to, at)),
                (false, _) => (Id::GivesWay, gives_way(units, at, relation.to)),
            };
            let mut problem = Diagnostic::new(id, relation.span, message).label("excluded here");
            for end in [at, relation.to] {
                let came = if hard(end) { &needed } else { &started };
                problem = explain(units, came, end, problem);
            }
            problems.push(problem);
        }
    }
}

fn exclusive(units: &[Unit], target: usize, (one, other): (usize, usize)) -> String {
    let name = |at: usize| units[at].name.as_str();
    format!(
        "target `{}` needs both `{}` and `{}`, which exclude each other",
        name(target),
        name(one),
        name(other)
    )
}

fn gives_way(units: &[Unit], loser: usize, winner: usize) -> String {
    let (loser, winner) = (&units[loser].name, &units[winner].name);
    format!("`{loser}` is only wanted and gives way to `{winner}`: it is not started")
}

/// Adds the chain of references that leads to a unit, the last one first.
fn explain(units: &[Unit], came: &Reached, end: usize, mut problem: Diagnostic) -> Diagnostic {
    let mut at = end;
    while let Some((from, relation)) = came[at] {
        let known = problem
            .related
            .iter()
            .any(|(span, _)| *span == relation.span);
        if relation.span.file != BUILT_IN && !known {
            let verb = if needs(relation.kind) {
                "needs"
            } else {
                "wants"
            };
            let text = format!("`{}` {verb} `{}`", units[from].name, units[at].name);
            problem = problem.related(relation.span, text);
        }
        at = from;
    }
    problem
}

fn unreachable(units: &[Unit], problems: &mut Vec<Diagnostic>) {
    let is_target = |at: &usize| units[*at].kind == UnitKind::Target;
    let roots: Vec<usize> = (0..units.len()).filter(is_target).collect();
    let came = closure(units, &roots, pulls);
    let mut said: Vec<Span> = Vec::new();
    for (at, unit) in units.iter().enumerate() {
        let dead = came[at].is_none() && !roots.contains(&at) && !unit.is_implicit();
        if !dead || said.contains(&unit.span) {
            continue;
        }
        said.push(unit.span);
        let kind = unit.kind.word();
        let message = format!("no target leads to {kind} `{}`", unit.name);
        let problem = Diagnostic::new(Id::Unreachable, unit.span, message);
        problems.push(
            problem
                .label("never started at boot")
                .help("name it in a target's `requires` or `wants`"),
        );
    }
}
