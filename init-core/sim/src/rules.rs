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
