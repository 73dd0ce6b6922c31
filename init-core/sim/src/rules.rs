//! This file tells the model, in its own words, what a manifest says and what is said of units.

use crate::facts::{Nature, ReadyBy, Seen, Standing};
use init_core::event::ExitStatus;
use init_core::ident::UnitId;
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
    let edges = |kinds: EdgeKinds| manifest.edges(id, kinds).to_vec();
    let ready_by = match (desc.kind, desc.ready) {
        (UnitKind::Target, _) => None,
        (_, Readiness::Exec) if !desc.awaited => Some(ReadyBy::Start),
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
