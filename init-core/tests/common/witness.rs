//! This file watches a run and fails it as soon as a rule is broken that must hold in every run.

use init_core::effect::{Failure, Notice};
use init_core::ident::{Child, ClientId, UnitId};
use init_core::status::UnitState;
use init_core::supervisor::Core;
use init_core::unit::{EdgeKind, Manifest};
use std::collections::{BTreeMap, BTreeSet};

/// What has to be remembered for the rules.
#[derive(Default)]
pub struct Witness {
    /// Processes that were created and whose exit has not been delivered.
    alive: BTreeSet<(u16, u8)>,
    last_generation: BTreeMap<u16, u16>,
    /// Clients that asked and have not been answered.
    waiting: BTreeMap<u16, ClientId>,
    /// Whether any start failed so far: from then on not everything waits for its order.
    failures: bool,
    /// Whether a process was given up: its exit may never come.
    given_up: bool,
}

impl Witness {
    pub fn asked(&mut self, client: ClientId) {
        assert!(self.waiting.insert(client.generation, client).is_none());
    }

    pub fn gone(&mut self, client: ClientId) {
        self.waiting.remove(&client.generation);
    }

    pub fn answered(&mut self, client: ClientId) {
        let known = self.waiting.remove(&client.generation) == Some(client);
        assert!(known, "{client:?} is answered twice, or is gone");
    }

    /// Hanging up on somebody who is gone is no error.
    pub fn hung_up(&mut self, client: ClientId) {
        self.waiting.remove(&client.generation);
    }

    /// A slot on which no client waits.
    pub fn free_slot(&self) -> Option<u8> {
        (0..4).find(|slot| self.waiting.values().all(|client| client.slot != *slot))
    }

    pub fn waiting_count(&self) -> usize {
        self.waiting.len()
    }

    pub fn first_waiting(&self) -> Option<ClientId> {
        self.waiting.values().next().copied()
    }

    pub fn noticed(&mut self, notice: Notice) {
        match notice {
            Notice::Failed(_, Failure::Unkillable) | Notice::GivenUp(_) => {
                self.given_up = true;
                self.failures = true;
            }
            // What was lost may have been one of these.
            Notice::Failed(..) | Notice::Retry(..) | Notice::Ended(..) | Notice::Lost => {
                self.failures = true;
            }
            _ => {}
        }
    }

    /// Before a process is created: there is none in its place, and its turn has come.
    pub fn spawn(&mut self, child: Child, core: &Core, manifest: &Manifest) {
        let place = (child.unit.0, child.role as u8);
        assert!(!self.alive.contains(&place), "a second process: {child:?}");
        if child.role as u8 != 0 {
            return;
        }
        let last = self.last_generation.get(&child.unit.0);
        assert_ne!(last, Some(&child.generation.0), "a used generation");
        if self.failures {
            return;
        }
        for other in manifest.edges(child.unit, EdgeKind::After) {
            let state = core.status(other).unwrap().state;
            assert!(
                matches!(
                    state,
                    UnitState::Active | UnitState::Inactive | UnitState::Failed
                ),
                "{child:?} is created while {other:?}, which it is after, is {state:?}"
            );
        }
    }

    pub fn created(&mut self, child: Child) {
        if child.role as u8 == 0 {
            self.last_generation
                .insert(child.unit.0, child.generation.0);
        }
        self.alive.insert((child.unit.0, child.role as u8));
    }

    pub fn exited(&mut self, child: Child) {
        self.alive.remove(&(child.unit.0, child.role as u8));
    }

    /// After all effects of an event: units that conflict are not active together.
    pub fn check(&self, core: &Core, manifest: &Manifest) {
        for index in 0..manifest.units.len() {
            let id = UnitId(u16::try_from(index).unwrap());
            for other in manifest.edges(id, EdgeKind::Conflicts) {
                let both = is_active(core, id) && is_active(core, other);
                assert!(!both, "{id:?} and {other:?} conflict and are both active");
            }
        }
    }

    /// When nothing will happen but deadlines of restarts: everything has come to its end.
    pub fn check_settled(&self, core: &Core, manifest: &Manifest) {
        assert!(self.waiting.is_empty(), "unanswered: {:?}", self.waiting);
        for index in 0..manifest.units.len() {
            let id = UnitId(u16::try_from(index).unwrap());
            let state = core.status(id).unwrap().state;
            match state {
                UnitState::Waiting => assert!(
                    needs_a_retry(core, manifest, id),
                    "{id:?} waits for nothing"
                ),
                UnitState::Active => {
                    for other in manifest.edges(id, EdgeKind::BindsTo) {
                        let active = core.status(other).unwrap().state == UnitState::Active;
                        assert!(active, "{id:?} outlives {other:?}, which it is bound to");
                    }
                }
                UnitState::Starting | UnitState::Stopping => {
                    panic!("{id:?} is {state:?} for ever")
                }
                UnitState::Inactive | UnitState::Restarting | UnitState::Failed => {}
            }
        }
    }
}

fn is_active(core: &Core, id: UnitId) -> bool {
    matches!(
        core.status(id).unwrap().state,
        UnitState::Starting | UnitState::Active | UnitState::Stopping
    )
}

/// Whether a unit that waits requires, directly or not, one that is tried again.
fn needs_a_retry(core: &Core, manifest: &Manifest, id: UnitId) -> bool {
    let mut open = vec![id];
    let mut seen = BTreeSet::new();
    while let Some(id) = open.pop() {
        if !seen.insert(id.0) {
            continue;
        }
        match core.status(id).unwrap().state {
            UnitState::Restarting => return true,
            UnitState::Waiting => {
                open.extend(manifest.edges(id, EdgeKind::Requires));
                open.extend(manifest.edges(id, EdgeKind::BindsTo));
                open.extend(manifest.edges(id, EdgeKind::After));
            }
            _ => {}
        }
    }
    false
}
