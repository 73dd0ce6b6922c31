//! This file resolves the references between units, and adds those that follow from others.

use crate::diagnostic::{Diagnostic, Id, Span, did_you_mean};
use crate::fields::Fields;
use crate::model::{RelationKind, Unit, UnitKind};
use crate::mounts::IMPLIED;
use std::collections::{BTreeMap, BTreeSet};

/// Keys that refer to units, with what they mean; `before` is turned around.
const KEYS: &[(&str, RelationKind)] = &[
    ("requires", RelationKind::Requires),
    ("wants", RelationKind::Wants),
    ("binds-to", RelationKind::BindsTo),
    ("conflicts", RelationKind::Conflicts),
    ("after", RelationKind::After),
];

/// All names with the units that they mean.
#[derive(Debug, Default)]
pub struct Names {
    names: BTreeMap<String, Vec<usize>>,
    /// Units that were removed, and where.
    pub removed: Vec<(String, Span)>,
}

impl Names {
    /// Makes `name` mean that unit too.
    pub fn add(&mut self, name: &str, unit: usize) {
        let units = self.names.entry(name.to_string()).or_default();
        if !units.contains(&unit) {
            units.push(unit);
        }
    }

    /// A template without instances is a name too.
    pub fn declare(&mut self, name: &str) {
        self.names.entry(name.to_string()).or_default();
    }

    /// What a name means.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&[usize]> {
        self.names.get(name).map(Vec::as_slice)
    }

    /// What is said of a name that means nothing.
    #[must_use]
    pub fn unknown(&self, name: &str, span: Span) -> Diagnostic {
        let message = format!("there is no unit `{name}`");
        let problem = Diagnostic::new(Id::UnknownUnit, span, message).label("unknown");
        if let Some((_, place)) = self.removed.iter().find(|(each, _)| each == name) {
            return problem.related(*place, "it was removed here");
        }
        let bare = name.rsplit_once('.').map(|(bare, _)| bare);
        if let Some(bare) = bare.filter(|bare| self.names.contains_key(*bare)) {
            return problem.help(format!("unit names have no suffix: write `{bare}`"));
        }
        problem.help_if(did_you_mean(name, self.names.keys().map(String::as_str)))
    }
}

/// The references of one table, for all its units.
pub fn link(
    fields: &Fields,
    own: &[usize],
    names: &Names,
    units: &mut [Unit],
    problems: &mut Vec<Diagnostic>,
) {
    for (key, kind) in KEYS {
        for (to, span) in resolve(fields, key, own, names, problems) {
            for unit in own {
                units[*unit].relate(*kind, to, span);
            }
        }
    }
    for (to, span) in resolve(fields, "before", own, names, problems) {
        for unit in own {
            units[to].relate(RelationKind::After, *unit, span);
        }
    }
    for unit in own {
        exclusive(&units[*unit], units, problems);
    }
}

fn resolve(
    fields: &Fields,
    key: &str,
    own: &[usize],
    names: &Names,
    problems: &mut Vec<Diagnostic>,
) -> Vec<(usize, Span)> {
    let mut found = Vec::new();
    for name in fields.texts(key) {
        let Some(units) = names.get(&name.value) else {
            let removed = names.removed.iter().any(|(each, _)| *each == name.value);
            if !removed || matches!(key, "requires" | "binds-to") {
                problems.push(names.unknown(&name.value, name.span));
            }
            continue;
        };
        if units.iter().any(|unit| own.contains(unit)) {
            let message = format!("`{}` refers to itself in `{key}`", name.value);
            problems.push(Diagnostic::new(Id::SelfReference, name.span, message));
            continue;
        }
        found.extend(units.iter().map(|unit| (*unit, name.span)));
    }
    found
}

/// A unit cannot need and exclude the same other.
fn exclusive(unit: &Unit, units: &[Unit], problems: &mut Vec<Diagnostic>) {
    let needs = |kind| matches!(kind, RelationKind::Requires | RelationKind::BindsTo);
    for conflict in &unit.relations {
        if conflict.kind != RelationKind::Conflicts {
            continue;
        }
        let same = |each: &&crate::model::Relation| needs(each.kind) && each.to == conflict.to;
        if let Some(need) = unit.relations.iter().find(same) {
            let other = units.get(conflict.to).map_or("", |unit| unit.name.as_str());
            let message = format!("`{}` both needs and excludes `{other}`", unit.name);
            let problem = Diagnostic::new(Id::Contradiction, conflict.span, message);
            problems.push(problem.related(need.span, "needed here"));
        }
    }
}

/// Adds what follows: order from needs, targets after what they want, and all after `setup` where
/// there is one.
pub fn imply(units: &mut [Unit], setup: Option<usize>, early: &[usize]) {
    for unit in units.iter_mut() {
        let needs = unit.relations.clone().into_iter().filter(|relation| {
            matches!(
                relation.kind,
                RelationKind::Requires | RelationKind::BindsTo
            )
        });
        for relation in needs {
            unit.relate(RelationKind::After, relation.to, relation.span);
        }
    }
    for at in 0..units.len() {
        if units[at].kind != UnitKind::Target {
            continue;
        }
        let later = all_after(units, at);
        for relation in units[at].relations.clone() {
            if relation.kind == RelationKind::Wants && !later.contains(&relation.to) {
                units[at].relate(RelationKind::After, relation.to, relation.span);
            }
        }
    }
    let Some(setup) = setup else {
        return;
    };
    for at in (0..units.len()).filter(|at| *at != setup && !early.contains(at)) {
        units[at].relate(RelationKind::Wants, setup, IMPLIED);
        units[at].relate(RelationKind::After, setup, IMPLIED);
    }
    for mount in early {
        units[setup].relate(RelationKind::Wants, *mount, IMPLIED);
        units[setup].relate(RelationKind::After, *mount, IMPLIED);
    }
}

/// The units that wait for one, directly or through others; itself included.
fn all_after(units: &[Unit], one: usize) -> BTreeSet<usize> {
    let mut found = BTreeSet::from([one]);
    loop {
        let waits = |unit: &Unit| {
            unit.others(RelationKind::After)
                .any(|to| found.contains(&to))
        };
        let more: Vec<usize> = units
            .iter()
            .enumerate()
            .filter(|(at, unit)| !found.contains(at) && waits(unit))
            .map(|(at, _)| at)
            .collect();
        if more.is_empty() {
            return found;
        }
        found.extend(more);
    }
}

/// Marks the units that somebody waits for.
pub fn mark_awaited(units: &mut [Unit], default_target: usize) {
    let mut awaited = Vec::new();
    for unit in units.iter() {
        awaited.extend(unit.others(RelationKind::After));
    }
    if let Some(target) = units.get(default_target) {
        awaited.extend(target.relations.iter().map(|relation| relation.to));
    }
    for at in awaited {
        units[at].awaited = true;
    }
}
