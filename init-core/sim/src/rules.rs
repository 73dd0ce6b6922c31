//! This file tells the model, in its own words, what a manifest says and what is said of units.

use crate::facts::{Nature, ReadyBy, Seen, Standing};
use crate::model::Model;
use init_core::effect::Refusal;
use init_core::event::ExitStatus;
use init_core::ident::UnitId;
use init_core::protocol::{Change, Reader, Response};
use init_core::status::{UnitState, UnitStatus};
use init_core::unit::{EdgeKind, EdgeKinds, Manifest, Readiness, UnitKind};

/// All units' natures, in their order.
pub fn natures(manifest: &'static Manifest) -> Vec<Nature> {
    ids(manifest).map(|id| nature(manifest, id)).collect()
}

/// All units.
pub fn ids(manifest: &'static Manifest) -> impl Iterator<Item = UnitId> {
    (0..=u16::MAX)
        .zip(manifest.units)
        .map(|(index, _)| UnitId(index))
}

fn nature(manifest: &'static Manifest, id: UnitId) -> Nature {
    let desc = manifest
        .unit(id)
        .unwrap_or(&init_core::unit::UnitDesc::NOTHING);
    let edges = |kinds: EdgeKinds| manifest.edges(id, kinds).collect();
    let ready_by = match (desc.rules.kind, desc.rules.ready) {
        (UnitKind::Target, _) => None,
        (_, Readiness::Exec) if !desc.rules.awaited => Some(ReadyBy::Start),
        (_, Readiness::Exec | Readiness::Newline(_) | Readiness::Letter) => Some(ReadyBy::Word),
        (_, Readiness::Probe(_)) => Some(ReadyBy::Probe),
        (_, Readiness::Exit) => Some(ReadyBy::End),
    };
    let limit = desc.rules.restart.limit;
    Nature {
        ready_by,
        needs: edges(EdgeKinds::NEEDS),
        bound_to: edges(EdgeKind::BindsTo.into()),
        dependents: edges(EdgeKinds::DEPENDENTS),
        after: edges(EdgeKind::After.into()),
        before: edges(EdgeKind::Before.into()),
        conflicts: edges(EdgeKind::Conflicts.into()),
        stop_us: desc.rules.stopping.timeout.as_us(),
        limit: (limit.count, limit.within.as_us()),
    }
}

/// What is said of a unit.
pub fn seen(status: &UnitStatus) -> Seen {
    let state = match status.state {
        UnitState::Inactive => Standing::Rest,
        UnitState::Failed => Standing::Failed,
        UnitState::Waiting => Standing::Waiting,
        UnitState::Starting => Standing::Starting,
        UnitState::Active => Standing::Up,
        UnitState::Restarting => Standing::Restarting,
        UnitState::Stopping => Standing::Stopping,
    };
    Seen {
        state,
        since: status.since.as_us(),
        pid: status.pid,
        last_exit: status.last_exit.map(code),
    }
}

/// An end as a number.
pub fn code(status: ExitStatus) -> u32 {
    match status {
        ExitStatus::Code(code) => code.into(),
        ExitStatus::Signal { number, .. } => 256 + u32::from(number),
        ExitStatus::NotExecuted { error, .. } => 1_024 + u32::from(error.0),
    }
}

/// What a client asked, as the model is to know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// A change of a unit.
    Change(Change, u16),
    /// Something else.
    Other,
}

/// The first of these breaches that counts. Of damage it is promised that there are never two of
/// one; nothing else that comes before that in the same turn may hide it.
pub fn first_that_counts(broken: &[String], is_damaged: bool) -> Option<&String> {
    let counts = |rule: &&String| !is_damaged || rule.contains("a second");
    broken.iter().find(counts)
}

/// A bit of this unit's record was turned: somebody must be told. A second one may undo the first.
pub fn owe_word(untold: &mut Vec<&'static str>, name: &'static str) {
    match untold.iter().position(|it| *it == name) {
        Some(place) => drop(untold.swap_remove(place)),
        None => untold.push(name),
    }
}

/// A client's frame is told: what it asks for may begin anew.
pub fn heard(model: &mut Model, asked: Asked) {
    let forgives = [Change::Start, Change::Restart, Change::ResetFailed];
    if let Asked::Change(change, unit) = asked
        && forgives.contains(&change)
    {
        model.forgiven(UnitId(unit));
    }
}

/// What the answer says to somebody who waits or does not.
pub fn judge(model: &mut Model, asked: Asked, waits: bool, bytes: &[u8]) {
    let response = Reader::new(bytes).and_then(|mut reader| reader.take::<Response<'_>>());
    let (Asked::Change(change, unit), Ok(response)) = (asked, response) else {
        return;
    };
    let starts = matches!(change, Change::Start | Change::Restart);
    match response {
        Response::Done if starts => model.done(UnitId(unit), true),
        Response::Done if change == Change::Stop => model.done(UnitId(unit), false),
        Response::Refused { refusal, .. } => {
            let conflict = matches!(refusal, Refusal::Conflict(..));
            model.refused(UnitId(unit), starts, conflict);
        }
        Response::Begun if waits => model.fail("somebody who waits is told: begun"),
        Response::Error(_) => model.fail("a request of ours is not understood"),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use init_core::ident::{Child, Generation, Role};

    /// A unit whose process runs, of which something else is said, and which then gets a second.
    #[test]
    fn of_damage_a_second_instance_counts_whatever_else_was_broken_before_it() {
        let mut model = Model::new(vec![Nature::default()]);
        let child = |generation| Child {
            unit: UnitId(0),
            generation: Generation(generation),
            role: Role::Main,
        };
        model.spawned(child(1), 7, 0);
        let nobody = Child {
            role: Role::Stop,
            ..child(1)
        };
        model.signalled(nobody, false, 0);
        model.spawned(child(2), 8, 0);
        let counts = |is_damaged| first_that_counts(&model.broken, is_damaged).cloned();
        let begins = |rule: Option<String>, with| rule.is_some_and(|it| it.starts_with(with));
        assert!(begins(counts(false), "unit 0: a signal for nobody"));
        assert!(begins(counts(true), "unit 0: a second instance"));
    }

    #[test]
    fn of_damage_nothing_else_counts() {
        let broken = ["a client is answered twice".to_string()];
        assert_eq!(first_that_counts(&broken, true), None);
        assert_eq!(first_that_counts(&broken, false), broken.first());
    }
}
