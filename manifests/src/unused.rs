//! This file says what of the core a product does not use: a feature of the board's program each,
//! which leaves that out. Without them the program has everything, and does the same.

use crate::model::{Product, Program, Ready, RelationKind, Unit};

/// Units that are never up together.
const CONFLICTS: &str = "without-conflicts";
/// Units that are stopped with others.
const BINDINGS: &str = "without-bindings";
/// Start limits that have a consequence for the machine.
const LIMIT_ACTIONS: &str = "without-limit-actions";
/// Units that are stopped by a program.
const STOP_PROGRAMS: &str = "without-stop-programs";
/// Units whose readiness somebody looks for.
const PROBES: &str = "without-probes";

/// All of them.
pub const FEATURES: [&str; 5] = [CONFLICTS, BINDINGS, LIMIT_ACTIONS, STOP_PROGRAMS, PROBES];

/// Those that a product can have. Where process 1 can be exchanged, it may find processes that an
/// image with other units has started.
#[must_use]
pub fn features(product: &Product) -> Vec<&'static str> {
    let any = |is_so: fn(&Unit) -> bool| product.units.iter().any(is_so);
    let all = [
        (
            CONFLICTS,
            any(|unit| relates(unit, RelationKind::Conflicts)),
        ),
        (BINDINGS, any(|unit| relates(unit, RelationKind::BindsTo))),
        (LIMIT_ACTIONS, any(has_limit_action)),
        (
            STOP_PROGRAMS,
            product.hot_upgrade || any(is_stopped_by_program),
        ),
        (PROBES, product.hot_upgrade || any(is_looked_for)),
    ];
    let unused = all.into_iter().filter(|(_, is_used)| !is_used);
    unused.map(|(name, _)| name).collect()
}

/// A feature that the program is built with and that leaves out what the product uses. One that
/// leaves out what is not used need not be there.
pub fn missed(product: &Product, is_there: impl Fn(&str) -> bool) -> Option<&'static str> {
    let unused = features(product);
    let mut there = FEATURES.into_iter().filter(|name| is_there(name));
    there.find(|name| !unused.contains(name))
}

fn relates(unit: &Unit, kind: RelationKind) -> bool {
    unit.others(kind).next().is_some()
}

fn has_limit_action(unit: &Unit) -> bool {
    let restart = unit.restart.as_ref();
    restart.is_some_and(|restart| restart.then != "fail")
}

fn is_stopped_by_program(unit: &Unit) -> bool {
    unit.stop != Program::None
}

fn is_looked_for(unit: &Unit) -> bool {
    matches!(unit.ready, Ready::Tcp(_) | Ready::Unix(_) | Ready::Path(_))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Span;
    use crate::model::{Relation, Restart, Rootfs, UnitKind};

    type Change = fn(&mut Unit);

    /// A product that has this unit in the last place.
    fn product(hot_upgrade: bool, change: Change) -> Product {
        let unit = || Unit::new("a".into(), UnitKind::Service, Span::default());
        let mut last = unit();
        change(&mut last);
        Product {
            name: "desk".into(),
            board: "desk".into(),
            units: vec![unit(), last],
            default_target: 0,
            rescue_target: None,
            shutdown_timeout: 1,
            leftover_grace: 1,
            watchdog: None,
            healing: None,
            ctrl_alt_del: "reboot".into(),
            console: "/dev/console".into(),
            log_level: "normal".into(),
            hot_upgrade,
            ram_disk: None,
            split: None,
            rootfs: Rootfs::default(),
            images: None,
        }
    }

    /// What it leaves out.
    fn left_out(hot_upgrade: bool, change: Change) -> Vec<&'static str> {
        features(&product(hot_upgrade, change))
    }

    fn relation(unit: &mut Unit, kind: RelationKind) {
        unit.relations.push(Relation {
            kind,
            to: 0,
            span: Span::default(),
        });
    }

    fn ends_in(unit: &mut Unit, then: &str) {
        unit.restart = Some(Restart {
            when: "always".into(),
            from: 1,
            to: 1,
            reset_after: 1,
            count: 1,
            within: 1,
            then: then.into(),
        });
    }

    #[test]
    fn what_a_unit_uses_is_not_left_out_and_the_rest_is() {
        assert_eq!(left_out(false, |_| {}), FEATURES);
        let table: [(&str, Change); 7] = [
            (CONFLICTS, |unit| relation(unit, RelationKind::Conflicts)),
            (BINDINGS, |unit| relation(unit, RelationKind::BindsTo)),
            (LIMIT_ACTIONS, |unit| ends_in(unit, "reboot")),
            (STOP_PROGRAMS, |unit| unit.stop = Program::Setup(Vec::new())),
            (PROBES, |unit| unit.ready = Ready::Tcp(80)),
            (PROBES, |unit| unit.ready = Ready::Unix("/run/x".into())),
            (PROBES, |unit| unit.ready = Ready::Path("/run/x".into())),
        ];
        for (used, change) in table {
            let mut wanted = FEATURES.to_vec();
            wanted.retain(|name| *name != used);
            assert_eq!(left_out(false, change), wanted, "{used}");
        }
        let unrelated = left_out(false, |unit| {
            relation(unit, RelationKind::Requires);
            ends_in(unit, "fail");
            unit.ready = Ready::Newline(3);
        });
        assert_eq!(unrelated, FEATURES);
    }

    #[test]
    fn an_image_can_deal_with_processes_that_another_has_started() {
        let left_out = left_out(true, |_| {});
        assert_eq!(left_out, [CONFLICTS, BINDINGS, LIMIT_ACTIONS]);
    }

    #[test]
    fn a_build_that_leaves_out_what_is_used_is_refused_and_one_that_leaves_out_less_is_not() {
        let probes = product(false, |unit| unit.ready = Ready::Tcp(80));
        assert_eq!(missed(&probes, |_| true), Some(PROBES));
        assert_eq!(missed(&probes, |name| name != PROBES), None);
        assert_eq!(missed(&probes, |_| false), None);
    }
}
